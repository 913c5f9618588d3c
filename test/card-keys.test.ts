/** Nothing made of a key outlives its SA: raw keys, schedules, HMAC states, GHASH tables, scratch. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import * as abi from '../dataplane-as/abi.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { addLane, builtSuites } from './card-gateway.ts'
import { encryptBlock, expandKey } from './oracle/aes.ts'
import { packetOf } from './packets.ts'

/** Everything below the canary: SA records, key blocks, tables. */
const keyArea = ({ memory }: CardBed) =>
  memory.bytes.subarray(memory.header(abi.HEADER_SA_COLD), memory.header(abi.HEADER_CANARY))
const scratch = ({ memory }: CardBed) => {
  const at = memory.block(1) + abi.ASP_SCRATCH
  return memory.bytes.subarray(at, at + abi.ASP_SCRATCH_BYTES)
}

for (const [index, suite] of builtSuites.entries()) {
  test(`${suite.cipher} ${suite.integrity}: gone after SA_DEL, and after stop`, async () => {
    const bed = new CardBed()
    const lanes = [0, 1].map((half) => addLane(bed, 2 * (index % 8) + half, suite))
    for (const { device } of lanes)
      bed.open(bed.protect([packetOf(100), packetOf(900)], device).map((d) => d.data))
    assert.ok(keyArea(bed).some((byte) => byte !== 0))
    for (const lane of lanes) bed.driver.deleteTunnel(lane.tunnel)
    assert.ok(
      keyArea(bed).every((byte) => byte === 0),
      'after SA_DEL',
    )
    assert.ok(
      scratch(bed).every((byte) => byte === 0),
      'the scratch after SA_DEL',
    )
    const last = addLane(bed, 30, suite)
    bed.protect([packetOf(100)], last.device)
    const { encryptionKey, integrityKey } = last.sa
    await bed.driver.stop()
    assert.ok(
      keyArea(bed).every((byte) => byte === 0),
      'after stop',
    )
    const memory = Buffer.from(bed.memory.bytes)
    for (const key of [encryptionKey.subarray(0, 16), integrityKey]) {
      if (key.length > 0) assert.equal(memory.indexOf(key), -1)
    }
  })
}

const workOf = ({ memory }: CardBed) => {
  const from = memory.block(1) + abi.ASP_WORK
  return memory.bytes.subarray(from, memory.block(1) + abi.ASP_SCRATCH + abi.ASP_SCRATCH_BYTES)
}
const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0)

/**
 * 16 bytes as they stand, backwards, with the bytes of each word turned round, and row by row with the constant of
 * the S-box, as the kernels keep their last round key.
 */
function shapes(bytes: Uint8Array): Buffer[] {
  const copy = () => Buffer.from(bytes)
  const rows = copy().map((_, n) => bytes[4 * (n % 4) + (n >> 2)] ^ 0x63)
  return [copy(), copy().reverse(), copy().swap32(), Buffer.from(rows)]
}

describe('what is made of a key', () => {
  test('AES round keys and the hash key of GCM: found while the SA is there, nowhere after SA_DEL', () => {
    for (const cipher of ['aes-128', 'aes-256', 'aes-gcm-128', 'aes-gcm-256'] as const) {
      const bed = new CardBed()
      const lane = addLane(bed, 0, { cipher, integrity: cipher.includes('gcm') ? 'none' : 'sha1' })
      bed.open(bed.protect([packetOf(100), packetOf(900)], lane.device).map(({ data }) => data))
      const key = lane.sa.encryptionKey.slice(0, cipher.endsWith('128') ? 16 : 32)
      const round = expandKey(key)
      const derived = [...round.slice(2).map((each) => Uint8Array.from(each)), key.subarray(0, 16)]
      if (cipher.includes('gcm')) derived.push(Uint8Array.from(encryptBlock(round, Array(16).fill(0))))
      const found = () => {
        const memory = Buffer.from(bed.memory.bytes)
        return derived.filter((bytes) => shapes(bytes).some((shape) => memory.includes(shape))).length
      }
      assert.ok(found() > 0, `the search knows how ${cipher} keeps them`)
      bed.driver.deleteTunnel(lane.tunnel)
      assert.equal(found(), 0, cipher)
    }
  })

  test('salts of AEADs stand in no job after SA_DEL', () => {
    for (const cipher of ['aes-gcm-128', 'chacha20-poly1305'] as const) {
      const bed = new CardBed()
      const lane = addLane(bed, 0, { cipher, integrity: 'none' })
      bed.open(bed.protect([packetOf(100), packetOf(900)], lane.device).map(({ data }) => data))
      const salt = Buffer.from(lane.sa.encryptionKey.subarray(-4))
      assert.ok(Buffer.from(workOf(bed)).includes(salt))
      bed.driver.deleteTunnel(lane.tunnel)
      assert.ok(!Buffer.from(workOf(bed)).includes(salt))
    }
  })

  test('the keys of an expired SA are gone with the next tick', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 0, { cipher: 'aes-gcm-256', integrity: 'none', hardSeconds: 10 })
    bed.protect([packetOf(100)], lane.device)
    const keys = () => {
      const { memory } = bed
      return memory.bytes.subarray(memory.header(abi.HEADER_KEYS), memory.header(abi.HEADER_CANARY))
    }
    assert.ok(!isZero(keys()))
    bed.advance(10_001)
    bed.advance(100)
    assert.ok(isZero(keys()))
  })

  test('AH, alone and around ESP: states and records gone after SA_DEL', () => {
    for (const isBundle of [false, true]) {
      const bed = new CardBed()
      const remote = { address: '192.0.2.2', port: 0 }
      const tunnel = bed.driver.setTunnel(tunnelOf({ encapsulation: 'raw', remote }))
      bed.driver.setTunnelState(tunnel, true)
      const nothing = { cipher: 'null' as const, encryptionKey: new Uint8Array() }
      const ah = saOf(tunnel, { protocol: 'ah', ...nothing, integrityKey: randomBytes(20) })
      const bundle = isBundle ? { bundle: bed.driver.addOutbound(saOf(tunnel, { spi: 0x3003 })) } : {}
      bed.driver.activateOutbound(bed.driver.addOutbound({ ...ah, ...bundle }))
      assert.equal(bed.protect([packetOf(100)], 'tun0').length, 1)
      bed.driver.deleteTunnel(tunnel)
      assert.ok(isZero(keyArea(bed)) && isZero(scratch(bed)))
      assert.ok(!Buffer.from(bed.memory.bytes).includes(Buffer.from(ah.integrityKey)))
    }
  })
})

describe('an ASP that ended in a burst', () => {
  const leftovers = (bed: CardBed) => workOf(bed).fill(0x5a)

  test('leaves nothing behind when it is given up', () => {
    const bed = new CardBed()
    addLane(bed, 0)
    leftovers(bed)
    bed.driver.failAsp(1, 'test')
    assert.ok(isZero(keyArea(bed)) && isZero(workOf(bed)))
  })

  test('leaves nothing behind when the card stops without its answer', async () => {
    const bed = new CardBed({ lazy: true })
    leftovers(bed)
    await bed.driver.stop()
    assert.ok(isZero(keyArea(bed)) && isZero(workOf(bed)))
  })
})
