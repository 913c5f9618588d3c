/** ESP out and in through the card, packet by packet against a plain oracle over node:crypto. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { CardBed, tunnelOf } from './card-bed.ts'
import { addLane, builtSuites, type Lane, same } from './card-gateway.ts'
import { seal, unseal } from './oracle/esp.ts'
import { checksum, packetOf } from './packets.ts'
import { ALL_SIMD, useSimd } from './simd.ts'

const families = (index: number): 4 | 6 => (index % 3 === 0 ? 6 : 4)

describe('ESP out and in', () => {
  test('any burst over any lanes: the oracle opens it, the card opens it, every byte is the same', () => {
    const bed = new CardBed()
    const lanes = Array.from({ length: 16 }, (_, index) => addLane(bed, index, { esn: index >= 8 }))
    const burst = fc.array(fc.record({ lane: fc.nat(15), length: fc.integer({ min: 44, max: 1500 }) }), {
      minLength: 1,
      maxLength: 256,
      size: 'max',
    })
    fc.assert(
      fc.property(burst, (packets) => {
        const groups = Map.groupBy(packets, ({ lane }) => lane)
        bed.advance(1) // refills the entropy pool
        for (const [index, group] of groups) {
          const inner = group.map(({ length }, i) => packetOf(length, { family: families(i) }))
          roundTrip(bed, lanes[index], inner)
        }
      }),
      { numRuns: 40 },
    )
    assert.deepEqual(bed.drops(), {})
  })

  for (const simd of ALL_SIMD)
    test(`every suite, with and without ESN, random keys, sizes and lane mixes, ${simd} SIMD`, (t) => {
      t.after(() => useSimd(undefined))
      useSimd(simd)
      const bed = new CardBed({ sas: 256, tunnels: 128, devices: 128, memoryBytes: 16 << 20 })
      const lanes = builtSuites.flatMap((suite, index) => [
        addLane(bed, 2 * index, suite),
        addLane(bed, 2 * index + 1, { ...suite, esn: true }),
      ])
      for (const lane of lanes) startAt(bed, lane, 0xfffffff0n)
      const lane = fc.nat(lanes.length - 1)
      const burst = fc.array(fc.record({ lane, length: fc.integer({ min: 44, max: 1500 }) }), {
        minLength: 1,
        maxLength: 256,
        size: 'max',
      })
      fc.assert(
        fc.property(burst, (packets) => mixedBurst(bed, lanes, packets)),
        { numRuns: 30 },
      )
      assert.deepEqual(Object.keys(bed.drops()).sort(), ['sa-expired', 'sequence-exhausted'])
    })

  /** Lets a lane go on behind `sequence`, so that ESN suites cross 2^32. */
  function startAt(bed: CardBed, lane: Lane, sequence: bigint): void {
    lane.sent = sequence
    bed.setSequence(lane.out, 'out', sequence)
    bed.setSequence(lane.in, 'in', sequence)
  }

  /** One burst over many lanes at once, opened by the oracle, then by the card in another order. */
  function mixedBurst(bed: CardBed, lanes: Lane[], packets: { lane: number; length: number }[]): void {
    const inner = packets.map(({ length }, i) => packetOf(length, { family: families(i) }))
    bed.place(inner, 1, false).forEach((address, i) => {
      const device = bed.driver.deviceNumber(lanes[packets[i].lane].device)
      bed.describeOut(i, address, inner[i].length, device)
    })
    const expected = packets.filter(({ lane }) => takesNumber(lanes[lane]))
    const sent = bed.outbound(packets.length)
    assert.equal(sent.length, expected.length)
    const plain = sent.map(({ tunnel, data }) => {
      const lane = lanes.find((each) => each.tunnel === tunnel)!
      return unseal(lane.sa, fullNumber(lane, data), data).inner
    })
    const delivered = bed.open(sent.map(({ data }) => data).reverse())
    assert.deepEqual(hashes(delivered.map(({ packet }) => packet)), hashes(plain))
  }

  /** Counts one packet of a lane; false when the numbers without ESN are used up. */
  function takesNumber(lane: Lane): boolean {
    if (!lane.sa.esn && lane.sent === 0xffffffffn) return false
    lane.sent++
    return true
  }

  const fullNumber = (lane: Lane, data: Uint8Array) => {
    const low = BigInt(Buffer.from(data).readUInt32BE(4))
    const guess = (lane.sent & ~0xffffffffn) | low
    return guess > lane.sent ? guess - (1n << 32n) : guess
  }

  function roundTrip(bed: CardBed, lane: Lane, inner: Uint8Array[]): void {
    const datagrams = bed.protect(inner, lane.device)
    assert.equal(datagrams.length, inner.length)
    // buckets (DF differs by family) change the order on the wire, never the order inside a bucket
    const order = datagrams.map(({ data }) => unseal(lane.sa, ++lane.sent, data).inner)
    assert.deepEqual(hashes(order), hashes(inner))
    const delivered = bed.open(datagrams.map(({ data }) => data))
    assert.ok(delivered.every(({ packet, tunnel }, i) => same(packet, order[i]) && tunnel === lane.tunnel))
    assert.equal(delivered.length, inner.length)
  }

  const hashes = (packets: Uint8Array[]) =>
    packets.map((p) => createHash('sha1').update(p).digest('hex')).sort()

  test('one burst over eight suites at once, on two cards', () => {
    const [a, b] = [new CardBed(), new CardBed()]
    const lanes = Array.from({ length: 16 }, (_, index) => addLane(a, index))
    for (const { sa, device, tunnel } of lanes) {
      b.driver.setTunnel(tunnelOf({ name: device, device }))
      b.driver.addInbound({ ...sa, tunnel })
    }
    const packets = Array.from({ length: 256 }, (_, i) =>
      packetOf(40 + ((i * 97) % 1400), { family: 4, tos: i & 3 }),
    )
    const addresses = a.place(packets, 1, false)
    addresses.forEach((at, i) => {
      a.describeOut(i, at, packets[i].length, a.driver.deviceNumber(lanes[i % 16].device))
    })
    const datagrams = a.outbound(256)
    assert.equal(datagrams.length, 256)
    const delivered = b.open(datagrams.map(({ data }) => data))
    assert.deepEqual(hashes(delivered.map(({ packet }) => packet)), hashes(packets))
    assert.deepEqual([a.drops(), b.drops()], [{}, {}])
  })

  test('every padding length, padded 1, 2, 3 .. with next header 4 or 41', () => {
    const bed = new CardBed()
    for (let index = 0; index < 8; index++) {
      const lane = addLane(bed, index)
      const inner = Array.from({ length: 40 }, (_, i) => packetOf(44 + i, { family: families(i), df: true }))
      for (const { data } of bed.protect(inner, lane.device)) {
        const opened = unseal(lane.sa, ++lane.sent, data)
        assert.deepEqual(
          [...opened.padding],
          [...opened.padding.keys()].map((i) => i + 1),
        )
        assert.ok(opened.padding.length < 16)
        assert.equal(opened.nextHeader, opened.inner[0] >> 4 === 6 ? 41 : 4)
        assert.equal(opened.spi, lane.sa.spi)
      }
    }
  })

  test('no IV and no number is used twice', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 0)
    const seen = new Set<string>()
    for (let burst = 0; burst < 40; burst++) {
      const sent = bed.protect(
        Array.from({ length: 200 }, () => packetOf(60)),
        lane.device,
      )
      for (const { data } of sent) {
        seen.add(Buffer.from(data.subarray(4, 8)).toString('hex'))
        seen.add(Buffer.from(data.subarray(8, 24)).toString('hex'))
      }
      bed.advance(1)
    }
    assert.equal(seen.size, 2 * 40 * 200)
  })

  test('packets flush with the end of memory are read and opened, and nothing behind them is touched', () => {
    const bed = new CardBed()
    for (let index = 0; index < 8; index++) {
      const lane = addLane(bed, index)
      for (let length = 44; length < 110; length++) {
        const inner = packetOf(length)
        const [datagram] = bed.protect([inner], lane.device, { flush: true })
        assert.ok(same(unseal(lane.sa, ++lane.sent, datagram.data).inner, inner))
        const [delivered] = bed.open([datagram.data], { flush: true })
        assert.ok(same(delivered.packet, inner))
      }
    }
  })

  test('a packet of 64 kB minus the overhead passes, and a full burst of them in portions', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 0)
    const inner = Array.from({ length: 8 }, () => packetOf(65280))
    const sent = bed.protect(inner, lane.device)
    assert.equal(sent.length, 8)
    for (const { data } of sent) assert.ok(same(unseal(lane.sa, ++lane.sent, data).inner, inner[0]))
    assert.ok(same(bed.open([sent[0].data])[0].packet, inner[0]))
  })

  test('a received train is opened piece by piece, the last may be shorter', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 0)
    const inner = [packetOf(200), packetOf(200), packetOf(200), packetOf(90)]
    const sent = bed.protect(inner, lane.device)
    assert.ok(sent.every(({ message }) => message === 0))
    const train = Buffer.concat(sent.map(({ data }) => data))
    const delivered = bed.open([train], { segment: sent[0].data.length })
    assert.ok(delivered.length === 4 && delivered.every(({ packet }, i) => same(packet, inner[i])))
  })

  test('the ten bytes before a delivered packet may be overwritten in order of delivery', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 6) // NULL: the ESP header alone is shorter than the headroom
    const inner = Array.from({ length: 20 }, () => packetOf(100))
    const train = Buffer.concat(bed.protect(inner, lane.device).map(({ data }) => data))
    const segment = train.length / 20
    for (const { address, packet } of bed.open([train], { segment })) {
      bed.memory.bytes.fill(0xee, address - 10, address)
      assert.ok(same(bed.memory.bytes.subarray(address, address + packet.length), inner[0]))
    }
  })
})

describe('messages', () => {
  test('equal datagrams of one SA share a message, a shorter one closes it, TOS and DF part', () => {
    const bed = new CardBed()
    const [one, two] = [addLane(bed, 0), addLane(bed, 8)]
    const messages = (packets: Uint8Array[], device: string) =>
      bed.protect(packets, device).map((d) => d.message)
    assert.deepEqual(
      messages([packetOf(100), packetOf(100), packetOf(60), packetOf(100)], one.device),
      [0, 0, 0, 1],
    )
    assert.deepEqual(messages([packetOf(60), packetOf(100)], one.device), [0, 1])
    const marked = [
      packetOf(100, { tos: 0xb8 }),
      packetOf(100),
      packetOf(100, { df: true }),
      packetOf(100, { tos: 0xb8 }),
    ]
    const sent = bed.protect(marked, two.device)
    assert.deepEqual(
      sent.map(({ tos, df, message }) => [tos, df, message]),
      [
        [0xb8, false, 0],
        [0xb8, false, 0],
        [0, false, 1],
        [0, true, 2],
      ],
    )
  })

  test('no message is longer than 64 datagrams or 65000 bytes', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 0)
    const small = bed.protect(
      Array.from({ length: 200 }, () => packetOf(50)),
      lane.device,
    )
    assert.deepEqual(sizes(small), [64, 64, 64, 8])
    const large = bed.protect(
      Array.from({ length: 100 }, () => packetOf(1400)),
      lane.device,
    )
    for (const [, group] of Map.groupBy(large, ({ message }) => message)) {
      assert.ok(group.reduce((sum, { data }) => sum + data.length, 0) <= 65000)
    }
  })

  const sizes = (sent: { message: number }[]) =>
    [...Map.groupBy(sent, ({ message }) => message).values()].map((g) => g.length)
})

describe('outer header', () => {
  const cases = [
    { dscp: 'copy', ecn: 'normal', tos: 0xb9, expected: 0xb9 },
    { dscp: 46, ecn: 'normal', tos: 0x03, expected: 0xbb },
    { dscp: 'copy', ecn: 'compatibility', tos: 0xb9, expected: 0xb8 },
    { dscp: 0, ecn: 'compatibility', tos: 0xff, expected: 0 },
  ] as const
  for (const { dscp, ecn, tos, expected } of cases) {
    test(`DSCP ${dscp}, ECN ${ecn}: ${tos} becomes ${expected}`, () => {
      const bed = new CardBed()
      const lane = addLane(bed, 0)
      bed.driver.setTunnel(tunnelOf({ device: lane.device, dscp, ecn }), lane.tunnel)
      for (const family of [4, 6] as const) {
        const [sent] = bed.protect([packetOf(80, { family, tos })], lane.device)
        assert.equal(sent.tos, expected)
      }
    })
  }

  test('DF is copied, set or cleared; IPv6 counts as DF', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 0)
    const packets = [packetOf(80), packetOf(80, { df: true }), packetOf(80, { family: 6 })]
    for (const [dfBit, expected] of [
      ['copy', [false, true, true]],
      ['set', [true, true, true]],
      ['clear', [false, false, false]],
    ] as const) {
      bed.driver.setTunnel(tunnelOf({ device: lane.device, dfBit }), lane.tunnel)
      assert.deepEqual(
        packets.map((packet) => bed.protect([packet], lane.device)[0].df),
        expected,
      )
    }
  })

  test('ECN is merged on the way in as RFC 6040 §4.2 says, the checksum stays right', () => {
    const merged = [
      [0, 0, 0, null],
      [1, 1, 1, 3],
      [2, 1, 2, 3],
      [3, 3, 3, 3],
    ] // [inner][outer]; columns Not-ECT, ECT(1), ECT(0), CE
    const bed = new CardBed()
    const lane = addLane(bed, 0)
    for (const family of [4, 6] as const) {
      for (const [inner, outer] of [0, 1, 2, 3].flatMap((i) => [0, 1, 2, 3].map((o) => [i, o]))) {
        const packet = packetOf(80, { family, tos: 0xa0 | inner })
        const [delivered] = bed.open([seal(lane.sa, ++lane.sent, packet)], { tos: 0x28 | outer })
        const expected = merged[inner][outer]
        if (expected === null) {
          assert.equal(delivered, undefined)
          continue
        }
        assert.ok(
          same(delivered.packet, packetOf(80, { family, tos: 0xa0 | expected })),
          `${inner} in ${outer}`,
        )
        if (family === 4) assert.equal(checksum(delivered.packet.subarray(0, 20)), 0)
      }
    }
    assert.deepEqual(bed.drops(), { ecn: 2 })
  })
})
