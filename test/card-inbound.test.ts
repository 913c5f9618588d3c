/** Received packets the card must refuse: not authentic, malformed inside, seen before. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { CardSa } from '../control/ports.ts'
import { CardBed } from './card-bed.ts'
import { addLane, gateway, same } from './card-gateway.ts'
import { seal, sealRaw } from './oracle/esp.ts'
import { packetOf } from './packets.ts'

describe('inbound refusals', () => {
  test('an ICV with any byte wrong is dropped, the window stays, the honest packet passes', () => {
    const bed = new CardBed()
    for (const index of [0, 1, 6, 7]) {
      const lane = addLane(bed, index)
      const honest = seal(lane.sa, 1n, packetOf(100))
      const forged = seal(lane.sa, 4000000000n, packetOf(100))
      const broken = Array.from({ length: index % 2 === 0 ? 12 : 16 }, (_, i) => {
        const copy = Uint8Array.from(forged)
        copy[copy.length - 1 - i] ^= 0x80 >> (i & 7)
        return copy
      })
      const before = bed.drops()['bad-icv'] ?? 0
      assert.deepEqual(bed.open(broken), [])
      assert.equal(bed.drops()['bad-icv'], before + broken.length)
      assert.equal(bed.driver.saCounters(lane.in).sequence, 0n)
      assert.equal(bed.open([honest]).length, 1)
    }
  })

  test('a bit flipped anywhere is never delivered', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 2)
    const honest = seal(lane.sa, 1n, packetOf(61))
    for (let at = 4; at < honest.length; at++) {
      const copy = Uint8Array.from(honest)
      copy[at] ^= 1
      assert.deepEqual(bed.open([copy]), [], `byte ${at}`)
    }
    assert.equal(bed.open([honest]).length, 1)
  })

  const inner = packetOf(60)
  const wrong = (change: (packet: Uint8Array) => void) => {
    const copy = Uint8Array.from(inner)
    change(copy)
    return copy
  }
  const contents: [string, (sa: CardSa) => Uint8Array, string][] = [
    ['padding not 1, 2, 3', (sa) => seal(sa, 1n, inner, { padding: Uint8Array.of(1, 2) }), 'delivered'],
    ['padding reversed', (sa) => seal(sa, 1n, inner, { padding: Uint8Array.of(2, 1) }), 'bad-content'],
    ['padding all zero', (sa) => seal(sa, 1n, inner, { padding: new Uint8Array(18) }), 'bad-content'],
    ['pad length beyond the payload', (sa) => sealRaw(sa, 1n, new Uint8Array(16).fill(255)), 'bad-content'],
    ['next header 255', (sa) => seal(sa, 1n, inner, { nextHeader: 255 }), 'bad-content'],
    ['next header 17, transport mode', (sa) => seal(sa, 1n, inner, { nextHeader: 17 }), 'bad-content'],
    ['next header 41 with IPv4 inside', (sa) => seal(sa, 1n, inner, { nextHeader: 41 }), 'bad-content'],
    ['dummy', (sa) => seal(sa, 1n, inner, { nextHeader: 59 }), 'dummy'],
    [
      'version 0',
      (sa) =>
        seal(
          sa,
          1n,
          wrong((p) => (p[0] = 0x05)),
        ),
      'bad-content',
    ],
    [
      'version 15',
      (sa) =>
        seal(
          sa,
          1n,
          wrong((p) => (p[0] = 0xf5)),
        ),
      'bad-content',
    ],
    [
      'header length 4',
      (sa) =>
        seal(
          sa,
          1n,
          wrong((p) => (p[0] = 0x44)),
        ),
      'bad-content',
    ],
    [
      'inner length beyond the packet',
      (sa) =>
        seal(
          sa,
          1n,
          wrong((p) => (p[3] = 61)),
        ),
      'bad-content',
    ],
    [
      'option of length 0',
      (sa) =>
        seal(
          sa,
          1n,
          wrong((p) => p.set([0x46], 0) ?? p.set([7, 0, 0, 0], 20)),
        ),
      'bad-content',
    ],
    [
      'option past the header',
      (sa) =>
        seal(
          sa,
          1n,
          wrong((p) => p.set([0x46], 0) ?? p.set([7, 5, 0, 0], 20)),
        ),
      'bad-content',
    ],
    [
      'empty payload',
      (sa) => sealRaw(sa, 1n, Uint8Array.from([...Array(14).keys()].map((i) => i + 1).concat([14, 4]))),
      'bad-content',
    ],
    ['loopback source', (sa) => seal(sa, 1n, packetOf(62, { source: '127.0.0.1' })), 'inner-address'],
    ['multicast source', (sa) => seal(sa, 1n, packetOf(62, { source: '224.0.0.5' })), 'inner-address'],
    [
      'IPv6 loopback source',
      (sa) => seal(sa, 1n, packetOf(62, { family: 6, source: '::1' })),
      'inner-address',
    ],
    [
      'IPv6 multicast source',
      (sa) => seal(sa, 1n, packetOf(62, { family: 6, source: 'ff02::5' })),
      'inner-address',
    ],
  ]
  for (const [name, make, expected] of contents) {
    test(`authentic, ${name}: ${expected}`, () => {
      const bed = new CardBed()
      const lane = addLane(bed, 0)
      const delivered = bed.open([make(lane.sa)])
      assert.equal(delivered.length, expected === 'delivered' ? 1 : 0)
      assert.deepEqual(bed.drops(), expected === 'delivered' ? {} : { [expected]: 1 })
      assert.equal(
        bed.driver.saCounters(lane.in).sequence,
        1n,
        'the number is spent: the packet was authentic',
      )
    })
  }

  test('bytes behind the inner packet (TFC padding) are cut off', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 0)
    const longer = Buffer.concat([inner, Buffer.alloc(700)])
    const [delivered] = bed.open([seal(lane.sa, 1n, longer)])
    assert.ok(same(delivered.packet, inner))
  })

  test('lengths no packet of the SA can have are dropped before any cryptography', () => {
    const bed = new CardBed()
    const lane = addLane(bed, 0)
    const whole = seal(lane.sa, 1n, packetOf(60))
    for (let length = 8; length < whole.length; length++) bed.open([whole.subarray(0, length)])
    const { 'bad-length': bad = 0, 'bad-icv': icv = 0, ...rest } = bed.drops()
    assert.deepEqual(rest, {})
    assert.equal(bad + icv, whole.length - 8)
    assert.equal(icv, Math.floor((whole.length - 36 - 16) / 16), 'only block multiples reach the ICV')
  })
})

describe('anti-replay in bursts', () => {
  test('any order and any duplicates: what a plain set accepts', () => {
    for (const window of [0, 32, 64, 256, 4096]) {
      const { bed, ref, spec } = gateway()
      const sequence = fc.array(
        fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1, maxLength: 30 }),
        { maxLength: 20 },
      )
      let spi = 0x5000
      fc.assert(
        fc.property(sequence, (bursts) => {
          const sa = {
            ...spec,
            spi: ++spi,
            replayWindow: window,
            cipher: 'null' as const,
            encryptionKey: new Uint8Array(),
          }
          const inbound = bed.driver.addInbound({ ...sa, tunnel: ref })
          const seen = new Set<number>()
          let top = 0
          for (const burst of bursts) {
            const delivered = bed.open(burst.map((number) => seal(sa, BigInt(number), packetOf(44))))
            const accepted = burst.filter((number) => {
              const fresh = window === 0 || (number > top - window && !seen.has(number))
              if (fresh) seen.add(number)
              if (fresh) top = Math.max(top, number)
              return fresh
            })
            assert.equal(delivered.length, accepted.length)
          }
          assert.equal(bed.driver.saCounters(inbound).sequence, BigInt(top))
          bed.driver.deleteSa(inbound)
        }),
        { numRuns: 40 },
      )
    }
  })
})
