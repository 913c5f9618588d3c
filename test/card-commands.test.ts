/** Malformed commands and records, and keys left behind. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Command, CommandRing } from '../bindings/card-commands.ts'
import * as abi from '../dataplane-as/abi.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { gateway } from './card-gateway.ts'
import { seal } from './oracle/esp.ts'
import { packetOf } from './packets.ts'

describe('commands', () => {
  test('any command: acknowledged with an error or harmless; the SA in use goes on', () => {
    const { bed, spec } = gateway()
    const ring = new CommandRing(bed.memory, 1)
    const kinds = [
      abi.OP_SA_ADD_IN,
      abi.OP_SA_ADD_OUT,
      abi.OP_SA_QUERY,
      abi.OP_TS_SET,
      abi.OP_TUNNEL_SET,
      abi.OP_CIRCUIT_SET,
      abi.OP_FIB_SWAP,
      abi.OP_PEER_ADDR_UPDATE,
      abi.OP_TRACE,
      abi.OP_QOS_SET,
      abi.OP_DEBUG,
      abi.OP_HELLO,
      0,
      99,
      0xffffffff,
    ]
    const index = fc.oneof(fc.integer({ min: 2, max: 70 }), fc.integer({ min: 2, max: 0xffffffff }))
    const command = fc.record({
      opcode: fc.constantFrom(...kinds),
      index,
      argument: fc.integer({ min: 0, max: 0xffffffff }),
      payload: fc.uint8Array({ minLength: 112, maxLength: 112 }),
    })
    let acknowledged = 0
    let sent = 0
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands: Command[]) => {
        for (const each of commands) {
          sent++
          ring.send(each, () => {})
        }
        bed.cards[0].mailbox()
        acknowledged += takeAcks(bed)
      }),
      { numRuns: 200 },
    )
    assert.equal(acknowledged, sent)
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    assert.equal(bed.open([seal(spec, 1n, packetOf(60))]).length, 1)
  })

  function takeAcks(bed: CardBed): number {
    const ring = bed.memory.block(1) + abi.ASP_EVENTS
    const [head, tail] = [bed.memory.u32(ring), bed.memory.u32(ring + abi.RING_TAIL)]
    let acks = 0
    for (let i = tail; i < head; i++) {
      const at = ring + abi.RING_RECORDS + (i % abi.EVENT_SLOTS) * abi.EVENT_BYTES
      if (bed.memory.u32(at + abi.EVENT_KIND) === abi.EVENT_ACK) acks++
    }
    bed.memory.store(ring + abi.RING_TAIL, head)
    return acks
  }

  test('a reserved record with any field out of range is refused, its raw keys wiped', () => {
    const { bed, ref } = gateway()
    const good: Record<string, number> = {
      SA_DIRECTION: 1,
      SA_SPI: 0x9999,
      SA_PROTOCOL: 50,
      SA_TUNNEL: ref,
      SA_ASP: 1,
      SA_CIPHER: 12,
      SA_KEY_BYTES: 16,
      SA_INTEGRITY: 2,
      SA_INTEGRITY_KEY_BYTES: 20,
    }
    const wrong: [string, number, number][] = [
      ['SA_DIRECTION', 2, abi.ERROR_FIELD],
      ['SA_SPI', 255, abi.ERROR_SPI],
      ['SA_SPI', 0x1001, abi.ERROR_SPI],
      ['SA_PROTOCOL', 51, abi.ERROR_SUITE],
      ['SA_TUNNEL', 9, abi.ERROR_STATE],
      ['SA_TUNNEL', 0xffffffff, abi.ERROR_INDEX],
      ['SA_ASP', 2, abi.ERROR_ASP],
      ['SA_CIPHER', 20, abi.ERROR_SUITE],
      ['SA_CIPHER', 11, abi.ERROR_SUITE],
      ['SA_KEY_BYTES', 17, abi.ERROR_SUITE],
      ['SA_INTEGRITY', 0, abi.ERROR_SUITE],
      ['SA_INTEGRITY_KEY_BYTES', 19, abi.ERROR_SUITE],
      ['SA_FLAGS', 2, abi.ERROR_FIELD],
      ['SA_WINDOW', 33, abi.ERROR_FIELD],
      ['SA_WINDOW', 8192, abi.ERROR_FIELD],
      ['SA_CLASS', 8, abi.ERROR_FIELD],
      ['SA_BUNDLE', 1, abi.ERROR_FIELD],
      ['SA_TABLE', 1, abi.ERROR_SUITE],
      ['SA_SOURCE_COUNT', 1, abi.ERROR_SELECTOR],
      ['SA_STATE', 0, abi.ERROR_STATE],
    ]
    const offsets: Record<string, number> = { ...abi }
    const ring = new CommandRing(bed.memory, 1)
    const record = bed.memory.cold(7)
    for (const [field, value, expected] of [...wrong, ['SA_FLAGS', 0, abi.ERROR_NONE] as const]) {
      bed.memory.bytes.fill(0, record, record + abi.SA_COLD_BYTES)
      for (const [name, number] of Object.entries({ SA_STATE: 1, ...good, [field]: value }))
        bed.memory.setU32(record + offsets[name], number)
      bed.memory.bytes.fill(0xcc, record + abi.SA_KEY, record + abi.SA_COLD_BYTES)
      ring.send({ opcode: abi.OP_SA_ADD_IN, index: 7 }, () => {})
      bed.cards[0].mailbox()
      const events = bed.memory.block(1) + abi.ASP_EVENTS
      const last =
        events + abi.RING_RECORDS + ((bed.memory.u32(events) - 1) % abi.EVENT_SLOTS) * abi.EVENT_BYTES
      assert.equal(bed.memory.u32(last + abi.EVENT_VALUE), expected, `${field} = ${value}`)
      const keys = bed.memory.bytes.slice(record + abi.SA_KEY, record + abi.SA_COLD_BYTES)
      if (field !== 'SA_STATE')
        assert.ok(
          keys.every((byte) => byte === 0),
          field,
        )
    }
  })

  test('a ring whose head and tail contradict each other is given up and told once', () => {
    const { bed } = gateway()
    const ring = bed.memory.block(1) + abi.ASP_COMMANDS
    bed.memory.setU32(ring + abi.RING_HEAD, bed.memory.u32(ring + abi.RING_HEAD) + 1000)
    assert.equal(bed.cards[0].mailbox(), 0)
    assert.deepEqual(bed.take(), [{ kind: 'asp-failed', asp: 1, reason: 'a ring was inconsistent' }])
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
  })
})

describe('keys', () => {
  /** Whether the bytes stand anywhere in the card's memory. */
  const found = (bed: CardBed, key: Uint8Array) => Buffer.from(bed.memory.bytes).includes(Buffer.from(key))

  function installed() {
    const bed = new CardBed()
    const ref = bed.driver.setTunnel(tunnelOf())
    bed.driver.setTunnelState(ref, true)
    const spec = saOf(ref, {
      cipher: 'aes-256',
      encryptionKey: randomBytes(32),
      integrity: 'sha256',
      integrityKey: randomBytes(32),
      hardSeconds: 60,
    })
    const refs = [bed.driver.addInbound(spec), bed.driver.addOutbound(spec)]
    bed.driver.activateOutbound(refs[1])
    bed.open(
      bed
        .protect(
          Array.from({ length: 20 }, () => packetOf(300)),
          'tun0',
        )
        .map(({ data }) => data),
    )
    return { bed, ref, refs, spec }
  }

  /** What was made of the keys: both key blocks as they stand now. */
  function expanded(bed: CardBed, refs: number[]): Buffer[] {
    return refs.flatMap((ref) => {
      const at = bed.memory.header(abi.HEADER_KEYS) + (ref % 65536) * abi.KEY_BLOCK_BYTES
      const part = (offset: number, bytes: number) =>
        Buffer.from(bed.memory.bytes.slice(at + offset, at + offset + bytes))
      return [
        part(abi.KEY_SCHEDULE, 16),
        part(abi.KEY_SCHEDULE + 16, 16),
        part(abi.KEY_HMAC, 16),
        part(abi.KEY_HMAC + 32, 16),
      ]
    })
  }

  test('the raw integrity key is gone once the SA stands; after SA_DEL nothing made of any key is left', () => {
    const { bed, refs, spec } = installed()
    assert.ok(!found(bed, spec.integrityKey))
    const made = expanded(bed, refs)
    assert.ok(made.every((part) => part.some((byte) => byte !== 0) && found(bed, part)))
    for (const ref of refs) bed.driver.deleteSa(ref)
    assert.ok(!found(bed, spec.encryptionKey.subarray(0, 16)) && !found(bed, spec.encryptionKey.subarray(16)))
    for (const part of made) assert.ok(!found(bed, part))
  })

  test('a hard limit wipes the keys at the next tick', () => {
    const { bed, refs } = installed()
    const made = expanded(bed, refs)
    bed.advance(60000)
    for (const part of made) assert.ok(!found(bed, part))
    assert.deepEqual(bed.drops(), {})
  })

  test('so do a reset of the instance, the end of an ASP, and the end of the card', async () => {
    for (const end of [
      (bed: CardBed) => bed.rebuild(1),
      (bed: CardBed) => bed.driver.failAsp(1, 'gone'),
      (bed: CardBed) => bed.driver.stop(),
    ]) {
      const { bed, refs } = installed()
      const made = expanded(bed, refs)
      await end(bed)
      for (const part of made) assert.ok(!found(bed, part))
    }
  })

  test('keys lie below every packet, and a broken canary is told', () => {
    const { bed } = installed()
    const canary = bed.memory.header(abi.HEADER_CANARY)
    assert.ok(bed.memory.header(abi.HEADER_KEYS) < canary && canary < bed.memory.header(abi.HEADER_PACKETS))
    bed.take()
    bed.advance(100)
    assert.deepEqual(bed.take(), [])
    bed.memory.bytes[canary + 77] ^= 1
    bed.advance(100)
    bed.advance(100)
    const [told, ...more] = bed.take()
    assert.deepEqual([told.kind, more], ['asp-failed', []])
  })
})
