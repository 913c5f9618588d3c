/** Bad input and lifetime, rows of the list of hostile inputs that have no file of their own: I inbound, J outbound. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { AspIo } from '../bindings/asp-io.ts'
import { AspLoop } from '../bindings/asp-loop.ts'
import * as abi from '../dataplane-as/abi.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { addLane, gateway } from './card-gateway.ts'
import { seal, sealRaw } from './oracle/esp.ts'
import { packetOf } from './packets.ts'

describe('inbound', () => {
  test('I5: number 0, the same again, too old, and 1 behind 2^32 - 1 without ESN: replay', () => {
    const { bed, spec } = gateway({ replayWindow: 64 })
    const open = (number: bigint) => bed.open([seal(spec, number, packetOf(60))]).length
    assert.deepEqual([0n, 100n, 100n, 37n, 36n].map(open), [0, 1, 0, 1, 0])
    assert.deepEqual([0xffffffffn, 1n, 0xffffffffn].map(open), [1, 0, 0])
    assert.deepEqual(bed.drops(), { replay: 5 })
  })

  test('I6: an ICV made with the wrong high half is not authentic, and the window stays', () => {
    const { bed, spec, inbound } = gateway({ esn: true })
    const last = 0x1_ffff_fff0n
    bed.setSequence(inbound, 'in', last)
    const forge = (number: bigint, high: bigint) => {
      const packet = Buffer.from(seal(spec, (high << 32n) | (number & 0xffffffffn), packetOf(60)))
      return bed.open([packet]).length
    }
    // low halves behind the wrap belong to high half 2; senders that did not count on send 1 or 3
    for (const high of [0n, 1n, 3n]) assert.equal(forge(0x2_0000_0005n, high), 0)
    assert.equal(bed.driver.saCounters(inbound).sequence, last)
    assert.equal(forge(0x2_0000_0005n, 2n), 1)
    assert.equal(bed.driver.saCounters(inbound).sequence, 0x2_0000_0005n)
    assert.deepEqual(bed.drops(), { 'bad-icv': 3 })
  })

  test('I10: ESP in ESP to ourselves, ten layers: one layer is taken off, the rest is a packet like any other', () => {
    const { bed, spec } = gateway()
    let packet: Uint8Array = packetOf(60)
    let inside = packet
    for (let layer = 1; layer <= 10; layer++) {
      inside = packet
      const sealed = Buffer.from(seal(spec, BigInt(layer), packet))
      const around = Buffer.from(
        packetOf(20 + sealed.length, { protocol: 50, source: '192.0.2.2', destination: '192.0.2.1' }),
      )
      around.set(sealed, 20)
      packet = around
    }
    const [delivered, ...more] = bed.open([packet.subarray(20)])
    assert.deepEqual(more, [])
    assert.deepEqual(Buffer.from(delivered.packet), Buffer.from(inside))
    assert.equal(bed.memory.u64(bed.memory.block(1) + abi.AC_IN_PACKETS), 1n)
  })

  test('I13: encrypt-only ESP has no anti-replay, and whatever is changed ends in bad content, without an answer', () => {
    const { bed, spec, inbound } = gateway({
      integrity: 'none',
      integrityKey: new Uint8Array(),
      replayWindow: 64,
    })
    const packet = seal(spec, 7n, packetOf(60))
    assert.equal(bed.open([Uint8Array.from(packet), Uint8Array.from(packet)]).length, 2)
    assert.equal(bed.driver.saCounters(inbound).packets, 2n)
    const garbage = Array.from({ length: 200 }, (_, index) =>
      sealRaw(spec, BigInt(index), Uint8Array.from([...randomBytes(30), 255, 4])),
    )
    assert.deepEqual(bed.open(garbage), [])
    assert.deepEqual(bed.drops(), { 'bad-content': 200 })
    assert.deepEqual(bed.take(), [])
  })
})

describe('outbound', () => {
  test('J4: IVs of CBC are all distinct and no counter, those of AEADs are the number', () => {
    const bed = new CardBed()
    const cbc = addLane(bed, 0, { cipher: 'aes-128' })
    const gcm = addLane(bed, 1, { cipher: 'aes-gcm-128', integrity: 'none' })
    const burst = Array.from({ length: 250 }, () => packetOf(44))
    const seen = new Set<string>()
    let rising = 0
    let number = 0n
    let before = ''
    for (let turn = 0; turn < 80; turn++) {
      for (const { data } of bed.protect(burst, cbc.device)) {
        const iv = Buffer.from(data.subarray(8, 24)).toString('hex')
        if (iv > before) rising++
        before = iv
        seen.add(iv)
      }
      for (const { data } of bed.protect(burst, gcm.device))
        assert.equal(Buffer.from(data).readBigUInt64BE(8), ++number)
      bed.advance(1)
    }
    assert.equal(seen.size, 20000)
    assert.ok(rising > 9000 && rising < 11000, `${rising} of 20000 IVs are larger than the one before`)
  })

  test('J3: whoever replaces an instance finds no SA, and takes no number of it up again', () => {
    const { bed, ref, spec } = gateway()
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    bed.rebuild(1)
    bed.take()
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    const keys = { encryptionKey: randomBytes(16), integrityKey: randomBytes(20) }
    bed.driver.activateOutbound(bed.driver.addOutbound({ ...saOf(ref), ...keys, spi: spec.spi + 1 }))
    const [{ data }] = bed.protect([packetOf(60)], 'tun0')
    assert.equal(Buffer.from(data).readUInt32BE(4), 1)
  })
})

describe('J5: a trap in the card', () => {
  /** The packet loop over a machine that offers one burst a turn and keeps what is sent. */
  function rig() {
    const bed = new CardBed({ asps: 1, lazy: true })
    const sent: Uint8Array[] = []
    const failures: string[] = []
    let waiting: [Uint8Array, string][] = []
    const io: AspIo = {
      wait: () => {},
      readPackets: () => {
        const burst = waiting
        waiting = []
        const addresses = bed.place(
          burst.map(([packet]) => packet),
          1,
          false,
        )
        for (const [index, [packet, device]] of burst.entries())
          bed.describeOut(index, addresses[index], packet.length, bed.driver.deviceNumber(device))
        return burst.length
      },
      receive: () => 0,
      transmit: (count) => void sent.push(...bed.readMessages(count, 1).map(({ data }) => data)),
      deliver: () => assert.fail('nothing to deliver'),
      wake: () => {},
    }
    const { module, memory } = bed.driver
    const loop = new AspLoop(
      module,
      memory,
      1,
      bed.now,
      () => io,
      ({ reason }) => failures.push(reason),
    )
    const turn = (...packets: [Uint8Array, string][]) => {
      waiting = packets
      return loop.step(bed.now)
    }
    return { bed, turn, sent, failures }
  }

  /** A lane whose SA points its keys behind the memory: the kernels trap over it. */
  function broken(bed: CardBed, lane: { out: number }): void {
    bed.memory.setU32(bed.memory.hotOut(lane.out % 65536) + abi.HOT_KEYS, 0x70000000)
  }

  test('costs its burst, healthy SAs included; no byte of it leaves; the thread goes on with new SAs', () => {
    const { bed, turn, sent, failures } = rig()
    const [healthy, ill] = [addLane(bed, 0), addLane(bed, 1)]
    turn([packetOf(100), healthy.device], [packetOf(100), ill.device])
    assert.equal(sent.splice(0).length, 2)
    broken(bed, ill)
    assert.ok(
      turn([packetOf(100), healthy.device], [packetOf(200), ill.device], [packetOf(300), healthy.device]),
    )
    assert.deepEqual(sent, [])
    assert.equal(failures.length, 1)
    assert.equal(bed.drops().trap, 3)
    assert.deepEqual(
      bed
        .take()
        .map(({ kind }) => kind)
        .filter((kind) => kind === 'asp-failed' || kind === 'ready')
        .slice(-2),
      ['asp-failed', 'ready'],
    )
    turn([packetOf(100), healthy.device])
    assert.deepEqual(sent, [], 'the SAs went with the instance')
    bed.driver.activateOutbound(
      bed.driver.addOutbound({ ...healthy.sa, spi: 0x7777, integrityKey: randomBytes(20) }),
    )
    turn()
    turn([packetOf(100), healthy.device])
    assert.equal(sent.length, 1)
    assert.equal(Buffer.from(sent[0]).readUInt32BE(0), 0x7777)
  })

  test('for any place of the broken SA in the burst and any suite: nothing of the burst is sent', () => {
    for (const cipher of ['aes-128', 'aes-gcm-128', 'chacha20-poly1305', '3des', 'null'] as const) {
      for (const place of [0, 7, 15]) {
        const { bed, turn, sent } = rig()
        const integrity = cipher === 'aes-gcm-128' || cipher === 'chacha20-poly1305' ? 'none' : 'sha1'
        const lanes = Array.from({ length: 16 }, (_, index) =>
          addLane(bed, index, index === place ? { cipher, integrity } : {}),
        )
        turn()
        broken(bed, lanes[place])
        turn(...lanes.map(({ device }): [Uint8Array, string] => [packetOf(150), device]))
        assert.deepEqual(sent, [], `${cipher} at ${place}`)
        assert.equal(bed.drops().trap, 16)
      }
    }
  })
})

describe('tunnels', () => {
  test('I9: a packet for a tunnel that is down, for one without SA, and for none is dropped and counted', () => {
    const bed = new CardBed()
    const tunnel = bed.driver.setTunnel(tunnelOf())
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    bed.driver.setTunnelState(tunnel, true)
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    assert.deepEqual(bed.protect([packetOf(60)], 12), [])
    assert.deepEqual(bed.drops(), { 'tunnel-down': 1, 'no-sa': 1, 'no-circuit': 1 })
  })
})
