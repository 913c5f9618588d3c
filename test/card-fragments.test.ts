/** IPv4 packets larger than their tunnel: cut before protection, whole again at the far host. RFC 791 §3.2, RFC 4301 §7. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { CardSa } from '../control/ports.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { checksum, packetOf } from './packets.ts'

type Rig = { bed: CardBed; tunnel: number }

/** One card that plays both ends: what it sends it opens. */
function rig(
  mtu: number,
  change: Partial<CardSa> = {},
  tunnelChange: Parameters<typeof tunnelOf>[0] = {},
): Rig {
  const bed = new CardBed()
  const tunnel = bed.driver.setTunnel(tunnelOf({ mtu, ...tunnelChange }))
  bed.driver.setTunnelState(tunnel, true)
  const sa = saOf(tunnel, { replayWindow: 1024, ...change })
  bed.driver.activateOutbound(bed.driver.addOutbound(sa))
  bed.driver.addInbound(sa)
  return { bed, tunnel }
}

/** `length` bytes with these options (padded by the caller) behind the fixed header. */
function withOptions(length: number, options: Uint8Array, more = false, offset = 0): Buffer {
  const packet = Buffer.from(packetOf(length))
  packet.set(options, 20)
  packet[0] = 0x45 + options.length / 4
  packet.writeUInt16BE(0xbeef, 4)
  packet.writeUInt16BE((more ? 0x2000 : 0) | offset, 6)
  packet.writeUInt16BE(0, 10)
  packet.writeUInt16BE(checksum(packet.subarray(0, 20 + options.length)), 10)
  return packet
}

/** What a host makes of the fragments of one packet: header of the first, payloads by their offsets. */
function reassemble(fragments: Uint8Array[]) {
  const parts = fragments.map((bytes) => {
    const view = Buffer.from(bytes)
    const header = (view[0] & 15) * 4
    assert.equal(checksum(view.subarray(0, header)), 0, 'checksum')
    assert.equal(view.readUInt16BE(2), view.length, 'length')
    const flags = view.readUInt16BE(6)
    return {
      view,
      header,
      offset: (flags & 0x1fff) * 8,
      more: (flags & 0x2000) !== 0,
      payload: view.subarray(header),
    }
  })
  parts.sort((a, b) => a.offset - b.offset)
  for (const [index, { offset }] of parts.entries())
    if (index > 0) assert.equal(offset, parts[index - 1].offset + parts[index - 1].payload.length, 'no gap')
  const payload = Buffer.concat(parts.map((part) => part.payload))
  return { first: parts[0], last: parts.at(-1)!, parts, payload }
}

/** A call takes 256 messages. */
function opened({ bed }: Rig, sent: { data: Uint8Array }[]): Uint8Array[] {
  const calls = Array.from({ length: Math.ceil(sent.length / 256) }, (_, call) => sent.slice(256 * call))
  return calls
    .flatMap((rest) => bed.open(rest.slice(0, 256).map(({ data }) => data)))
    .map(({ packet }) => packet)
}

describe('a packet larger than its tunnel', () => {
  test('of any size, with any options, itself a fragment or not: nothing is lost of it', () => {
    const option = fc.constantFrom([0x83, 7, 4, 1, 2, 3, 4], [0x07, 7, 4, 5, 6, 7, 8], [1], [0x94, 4, 0, 0])
    const list = fc.array(option, { maxLength: 4 }).map((options) => {
      const bytes = options.flat()
      return Uint8Array.from([...bytes, ...Array((4 - (bytes.length % 4)) % 4).fill(0)])
    })
    const sizes = { mtu: fc.integer({ min: 68, max: 1500 }), more: fc.boolean(), offset: fc.nat(1000) }
    const wanted = fc.record({ ...sizes, options: list, beyond: fc.integer({ min: 1, max: 3000 }) })
    fc.assert(
      fc.property(wanted, ({ mtu, more, offset, options, beyond }) => {
        const it = rig(mtu)
        const whole = withOptions(mtu + beyond, options, more, offset)
        const before = Buffer.from(whole)
        const { first, last, parts, payload } = reassemble(opened(it, it.bed.protect([whole], 'tun0')))
        assert.ok(whole.equals(before))
        assert.ok(parts.length > 1 && parts.every(({ view }) => view.length <= mtu))
        assert.deepEqual(first.view.subarray(20, first.header), whole.subarray(20, 20 + options.length))
        assert.equal(first.offset, offset * 8)
        assert.equal(last.more, more)
        assert.ok(parts.slice(0, -1).every((part) => part.more && part.payload.length % 8 === 0))
        assert.deepEqual(payload, whole.subarray(20 + options.length))
        for (const { view, header } of parts.slice(1)) {
          assert.deepEqual([view[8], view[9], view.readUInt16BE(4)], [64, 17, 0xbeef])
          const copied = [...view.subarray(20, header)]
          assert.ok(
            !copied.includes(0x07) || copied.indexOf(0x07) > copied.indexOf(0x83),
            'record route stays behind',
          )
        }
        assert.deepEqual(it.bed.drops(), {})
      }),
      { numRuns: 60 },
    )
  })

  test('only options with the copied bit stand in later fragments (RFC 791 §3.1)', () => {
    const it = rig(100)
    const options = Uint8Array.of(0x07, 7, 4, 0, 0, 0, 0, 1, 0x83, 7, 4, 10, 0, 0, 1, 0)
    const { parts } = reassemble(opened(it, it.bed.protect([withOptions(300, options)], 'tun0')))
    assert.equal(parts[0].header, 36)
    for (const { view, header } of parts.slice(1))
      assert.deepEqual([...view.subarray(20, header)], [0x83, 7, 4, 10, 0, 0, 1, 0])
  })

  test('1500 bytes over 1400: without DF two fragments; with DF and in IPv6 an answer, no fragment', () => {
    const it = rig(1400)
    const sent = it.bed.protect([packetOf(1500)], 'tun0')
    assert.deepEqual(
      opened(it, sent).map((packet) => packet.length),
      [1396, 124],
    )
    assert.ok(sent.every(({ df }) => !df))
    for (const packet of [packetOf(1500, { df: true }), packetOf(1500, { family: 6 })]) {
      assert.deepEqual(it.bed.protect([packet], 'tun0'), [])
      assert.equal(it.bed.delivered().length, 1, 'packet too big')
    }
    assert.deepEqual(it.bed.drops(), { 'too-big': 2 })
  })

  test('a burst with many: order is kept, the rest is taken in portions, the counters count fragments', () => {
    const it = rig(576)
    const packets = Array.from({ length: 150 }, (_, index) => packetOf(index % 3 === 0 ? 2000 : 500))
    const delivered = opened(it, it.bed.protect(packets, 'tun0'))
    const lengths = packets.flatMap(({ length }) => (length === 500 ? [500] : [572, 572, 572, 344]))
    assert.deepEqual(
      delivered.map(({ length }) => length),
      lengths,
    )
    assert.equal(it.bed.driver.tunnelCounters(it.tunnel).txPackets, BigInt(lengths.length))
    assert.deepEqual(it.bed.drops(), {})
  })

  test('64 KiB over 576 bytes, several in a burst; more than 128 fragments are a counted drop', () => {
    const it = rig(576)
    const packets = Array.from({ length: 5 }, () => packetOf(65000))
    const delivered = opened(it, it.bed.protect(packets, 'tun0'))
    assert.equal(delivered.length, 5 * Math.ceil(64980 / 552))
    const narrow = rig(68)
    assert.deepEqual(narrow.bed.protect([packetOf(20 + 129 * 48)], 'tun0'), [])
    assert.equal(narrow.bed.protect([packetOf(20 + 128 * 48)], 'tun0').length, 128)
    assert.deepEqual(narrow.bed.drops(), { 'too-big': 1 })
  })

  test('flush with the end of memory', () => {
    const it = rig(576)
    for (let length = 577; length < 600; length++) {
      const { payload } = reassemble(opened(it, it.bed.protect([packetOf(length)], 'tun0', { flush: true })))
      assert.deepEqual(payload, Buffer.from(packetOf(length)).subarray(20))
    }
  })
})

describe('fragments and selectors (RFC 4301 §7)', () => {
  const side = (ports: [number, number]) => ({
    family: 4 as const,
    protocol: 17,
    startPort: ports[0],
    endPort: ports[1],
    start: Uint8Array.of(10, 0, 0, 0),
    end: Uint8Array.of(10, 255, 255, 255),
  })
  const any: [number, number] = [0, 65535]

  test('selectors without ports admit them, with their protocol and addresses checked', () => {
    const it = rig(576, { source: [side(any)], destination: [side(any)] })
    assert.equal(opened(it, it.bed.protect([packetOf(1400)], 'tun0')).length, 3)
    assert.deepEqual(it.bed.protect([packetOf(1400, { protocol: 6 })], 'tun0'), [])
    assert.deepEqual(it.bed.protect([packetOf(1400, { source: '11.0.0.1' })], 'tun0'), [])
    assert.deepEqual(it.bed.drops(), { 'selector-out': 2 })
  })

  test('with a port: no fragment leaves, not the first one alone either, for the far end would refuse the others', () => {
    const it = rig(576, { source: [side(any)], destination: [side([2000, 2000])] })
    assert.deepEqual(it.bed.protect([packetOf(1400)], 'tun0'), [])
    assert.equal(it.bed.protect([packetOf(500)], 'tun0').length, 1, 'a whole packet passes')
    assert.deepEqual(it.bed.protect([packetOf(500, { destinationPort: 9 })], 'tun0'), [])
    assert.deepEqual(it.bed.drops(), { 'selector-out': 2 })
  })

  test('OPAQUE admits later fragments only: a packet to be cut has a first one, too', () => {
    const opaque = side([65535, 0])
    const it = rig(576, { source: [opaque], destination: [opaque] })
    assert.deepEqual(it.bed.protect([packetOf(1400)], 'tun0'), [])
    assert.equal(it.bed.protect([packetOf(500, { fragment: 40 })], 'tun0').length, 1)
    assert.equal(it.bed.protect([packetOf(1400, { fragment: 40 })], 'tun0').length, 3)
    assert.deepEqual(it.bed.drops(), { 'selector-out': 1 })
  })

  test('a refused packet does not lead those behind it', () => {
    const it = rig(576, { source: [side(any)], destination: [side([2000, 2000])] })
    const burst = [
      packetOf(1400),
      packetOf(100),
      packetOf(1400),
      packetOf(101),
      packetOf(100, { protocol: 6 }),
    ]
    assert.deepEqual(
      opened(it, it.bed.protect(burst, 'tun0')).map(({ length }) => length),
      [100, 101],
    )
    assert.deepEqual(it.bed.drops(), { 'selector-out': 3 })
  })
})

describe('padding', () => {
  test('small packets padded to a large MTU: the transmit area is never overrun', () => {
    const it = rig(20000, {}, { tfcPad: 20000 })
    const packets = Array.from({ length: 256 }, (_, index) => packetOf(60 + index))
    const sent = it.bed.protect(packets, 'tun0')
    assert.equal(sent.length, 256)
    assert.deepEqual(
      sent.flatMap(({ data }) => opened(it, [{ data }])).map(({ length }) => length),
      packets.map(({ length }) => length),
    )
  })
})
