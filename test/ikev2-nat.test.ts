// A NAT between the gateways that forgets and rebinds (RFC 7296 §2.23, RFC 3948 §4; security H1, H4, R14).

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { EngineOptions } from '../control/ikev2/options.ts'
import type { Endpoint } from '../control/ports.ts'
import type { PeerConfig } from '../control/sa/contract.ts'
import { assertUp, IkeBed, type Side } from './support/ike-bed.ts'
import { peerA, peerB } from './support/ike-peers.ts'

const OUTSIDE = '203.0.113.9'
const mapped = (shift: number): Endpoint => ({ address: OUTSIDE, port: 4500 + shift })

/** a behind a NAT, b before it, up. Without liveness checks unless a test wants them. */
function natBed(common: Partial<PeerConfig> = {}, options: Partial<EngineOptions> = {}): IkeBed {
  const bed = new IkeBed({ nat: { address: OUTSIDE, shift: 20_000 }, a: options, b: options })
  const both = { dpd: null, ...common }
  bed.configure(peerA(both), { ...peerB(both), remote: null })
  bed.a.initiate()
  assertUp(bed.settle())
  return bed
}

const times = (side: Side): number[] => side.keepalives.map((each) => each.at)

describe('forged NAT detection', () => {
  // NAT_DETECTION_SOURCE_IP and _DESTINATION_IP in the request, the same in the answer: proto 0, no SPI, type
  const TYPES = [0x04, 0x05]
  for (const message of ['request', 'answer'] as const)
    for (const type of TYPES)
      test(`H1 notify 0x40${type.toString(16).padStart(2, '0')} changed in the ${message}: no SA at all, for the message was signed as it left`, () => {
        const bed = new IkeBed().configure(peerA({ dpd: null }), peerB({ dpd: null }))
        bed.a.initiate()
        bed.computeAll()
        if (message === 'answer') {
          bed.deliver()
          bed.computeAll()
        }
        const [flight] = bed.flights
        const data = Buffer.from(flight.datagram.data)
        const at = data.indexOf(Buffer.of(0, 0, 0x40, type))
        assert.ok(at > 0)
        data[at + 4]! ^= 1
        flight.datagram = { ...flight.datagram, data: new Uint8Array(data) }
        bed.settle()
        bed.run(60_000)
        assert.equal(bed.a.failed[0]?.reason, 'auth-failed')
        assert.deepEqual([bed.a.installed.size, bed.b.installed.size], [0, 0])
      })
})

describe('keepalives', () => {
  test('from behind the NAT, every 20 s of silence, between the ports in use', () => {
    const bed = natBed()
    const start = bed.now
    bed.run(65_000)
    assert.deepEqual(times(bed.a), [start + 20_000, start + 40_000, start + 60_000])
    assert.deepEqual(bed.a.keepalives[0].local, { address: bed.a.address, port: 4500 })
    assert.deepEqual(bed.a.keepalives[0].remote, { address: bed.b.address, port: 4500 })
    assert.equal(bed.log.length, 4, 'no IKE message went out')
  })

  test('as often as the operator says (RFC 3948 §4)', () => {
    const bed = natBed({ natKeepalive: 7 })
    const start = bed.now
    bed.run(20_000)
    assert.deepEqual(times(bed.a), [start + 7_000, start + 14_000])
  })

  test('none from the end that is not behind a NAT', () => {
    const bed = natBed()
    bed.run(100_000)
    assert.deepEqual(bed.b.keepalives, [])
  })

  test('none without a NAT, and none on port 500', () => {
    const bed = new IkeBed().configure(peerA({ dpd: null }), peerB({ dpd: null }))
    bed.a.initiate()
    bed.settle()
    bed.run(100_000)
    assert.deepEqual([bed.a.keepalives, bed.b.keepalives], [[], []])
    assert.equal(bed.a.engine.deadline() > bed.now + 1_000_000, true)
  })

  test('an IKE message, a request or an answer, makes one needless', () => {
    const bed = natBed()
    bed.run(15_000)
    bed.a.do(bed.a.engine.rekeyIke(bed.a.ikeIds()[0], bed.now))
    bed.settle()
    bed.run(19_000)
    assert.deepEqual(times(bed.a), [])
    bed.b.do(bed.b.engine.rekeyChild(bed.b.sender().child, bed.now))
    bed.settle()
    const answered = bed.now
    bed.run(21_000)
    assert.deepEqual(times(bed.a), [answered + 20_000], 'on the renewed IKE SA too')
  })

  test('so do protected packets that the card has sent', () => {
    const bed = natBed()
    for (let second = 0; second < 100; second += 10) {
      bed.run(10_000)
      bed.a.do(bed.a.engine.sent!(bed.a.sender().child, bed.now))
    }
    assert.deepEqual(times(bed.a), [])
    const last = bed.now
    bed.run(20_000)
    assert.deepEqual(times(bed.a), [last + 20_000])
  })

  test('they end with the SA', () => {
    const bed = natBed()
    bed.a.do(bed.a.engine.clear('t', 'cleared', bed.now))
    bed.run(100_000)
    assert.deepEqual(times(bed.a), [])
    assert.equal(bed.a.engine.deadline(), Number.POSITIVE_INFINITY)
  })
})

describe('a mapping that changes', () => {
  test('the responder follows an authentic, new message, and everything it sends goes there', () => {
    const bed = natBed({ dpd: { interval: 30, retries: 3 } })
    bed.nat = { address: OUTSIDE, shift: 21_000 }
    bed.run(31_000) // a probe of a
    assert.deepEqual(bed.b.moved, [mapped(21_000)])
    bed.b.do(bed.b.engine.rekeyChild(bed.b.sender().child, bed.now))
    bed.computeAll()
    assert.deepEqual(bed.flights[0].datagram.remote, mapped(21_000))
    bed.settle()
    assert.deepEqual(bed.b.sender().remote, mapped(21_000), 'the new Child SA too')
  })

  test('the request that waits for its answer is repeated to the new place', () => {
    const bed = natBed()
    bed.nat = { address: OUTSIDE, shift: 21_000 }
    bed.b.do(bed.b.engine.rekeyChild(bed.b.sender().child, bed.now))
    bed.run(100) // lost: the NAT has forgotten the old mapping
    bed.a.do(bed.a.engine.rekeyIke(bed.a.ikeIds()[0], bed.now))
    bed.run(60_000)
    assertUp(bed)
    assert.deepEqual(bed.b.moved, [mapped(21_000)])
  })

  test('an authentic packet that the card saw moves it at once', () => {
    const bed = natBed()
    bed.b.do(bed.b.engine.peerAddress!('t', mapped(22_000), bed.now))
    assert.deepEqual(bed.b.moved, [mapped(22_000)])
    assert.deepEqual(bed.b.engine.ikeSas(bed.now)[0].remote, mapped(22_000))
    bed.b.do(bed.b.engine.peerAddress!('t', mapped(22_000), bed.now))
    assert.equal(bed.b.moved.length, 1, 'the same place is no move')
  })

  test('H4: at most once in two seconds, whoever asks', () => {
    const bed = natBed()
    for (let step = 0; step < 100; step++) {
      bed.b.do(bed.b.engine.peerAddress!('t', mapped(20_000 + step + 1), bed.now))
      bed.now += 100
    }
    assert.equal(bed.b.moved.length, 5)
  })

  test('H4: never a peer that is not behind a NAT', () => {
    const bed = new IkeBed().configure(peerA({ dpd: null }), peerB({ dpd: null }))
    bed.a.initiate()
    bed.settle()
    for (const side of [bed.a, bed.b]) {
      side.do(side.engine.peerAddress!('t', { address: '198.51.100.66', port: 4500 }, bed.now))
      assert.deepEqual(side.moved, [])
    }
  })

  test('H4: never from behind a NAT of our own (RFC 7296 §2.23)', () => {
    const bed = natBed()
    bed.a.do(bed.a.engine.peerAddress!('t', { address: '198.51.100.66', port: 4500 }, bed.now))
    assert.deepEqual(bed.a.moved, [])
  })

  test('a repeated or forged message moves nothing', () => {
    const bed = natBed()
    const [first, second] = [bed.log[2], bed.log[0]]
    const elsewhere = { address: '198.51.100.66', port: 9 }
    const before = JSON.stringify(bed.b.engine.ikeSas(bed.now))
    for (const { data } of [first, second]) {
      const local = { address: bed.b.address, port: 4500 }
      bed.b.do(bed.b.engine.receive({ local, remote: elsewhere, data }, bed.now))
      const broken = data.slice()
      broken[broken.length - 1] ^= 1
      bed.b.do(bed.b.engine.receive({ local, remote: elsewhere, data: broken }, bed.now))
    }
    bed.computeAll()
    assert.deepEqual(bed.b.moved, [])
    assert.equal(
      JSON.stringify(bed.b.engine.ikeSas(bed.now).filter((sa) => sa.state === 'established')),
      before,
    )
  })

  test('an unknown tunnel, or an end point without a port, is nobody', () => {
    const bed = natBed()
    bed.b.do(bed.b.engine.peerAddress!('nobody', mapped(22_000), bed.now))
    bed.b.do(bed.b.engine.peerAddress!('t', { address: OUTSIDE, port: 0 }, bed.now))
    assert.deepEqual(bed.b.moved, [])
  })

  test('R14: found again within one keepalive, though neither end has anything to say', () => {
    const bed = natBed({ dpd: { interval: 15, retries: 3 } })
    for (const shift of [21_000, 22_000, 23_000]) {
      bed.nat = { address: OUTSIDE, shift }
      bed.run(20_000)
      assert.deepEqual(bed.b.moved.at(-1), mapped(shift))
    }
    assertUp(bed)
  })
})
