// Renewing and deleting SAs (RFC 7296 §1.3.2, §1.3.3, §1.4.1, §2.8, §2.25): make before break, checked after each message.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DhGroup } from '../control/ports.ts'
import type { PeerConfig } from '../control/sa/contract.ts'
import { assertMirrored, assertUp, IkeBed, type Side } from './support/ike-bed.ts'
import { childSuite, netA, netB, peerA, peerB, range, suite } from './support/ike-peers.ts'

function upBed(common: Partial<PeerConfig> = {}, seed = 1): IkeBed {
  const bed = new IkeBed({ seed }).configure(peerA(common), peerB(common))
  bed.a.initiate()
  bed.settle()
  assertUp(bed)
  return bed
}

const pfs = (dhGroup: DhGroup | null) => ({ childProposals: [{ ...childSuite, dhGroup }] })

function rekeyChild(bed: IkeBed, side: Side): void {
  side.do(side.engine.rekeyChild(side.sender().child, bed.now))
}

function rekeyIke(bed: IkeBed, side: Side): void {
  side.do(side.engine.rekeyIke(side.ikeIds()[0], bed.now))
}

/** Delivers message by message; after each one both ends send on an SA that the other receives on. */
function stepThrough(bed: IkeBed): void {
  for (;;) {
    bed.computeAll()
    for (const side of [bed.a, bed.b]) {
      const { spiOut } = side.sender()
      assert.ok([...bed.other(side).installed.values()].some((child) => child.spiIn === spiOut))
    }
    if (!bed.deliver()) return
  }
}

const ikeOf = (bed: IkeBed, side: Side) =>
  side.engine.ikeSas(bed.now).find((sa) => sa.state === 'established')!

describe('Child SA', () => {
  for (const dhGroup of [null, 14, 19, 31] as const) {
    for (const name of ['a', 'b'] as const) {
      test(`ten renewals from ${name}, PFS ${dhGroup ?? 'off'}`, () => {
        const bed = upBed(pfs(dhGroup))
        const keys = new Set([JSON.stringify(bed.a.sender().outbound)])
        for (let round = 1; round <= 10; round++) {
          const side = bed[name]
          const old = side.sender()
          rekeyChild(bed, side)
          stepThrough(bed)
          assert.notEqual(side.sender().spiIn, old.spiIn)
          assert.equal(side.sender().replaces, old.child)
          keys.add(JSON.stringify(side.sender().outbound))
          assert.equal(assertMirrored(bed), 2, 'the old one still receives')
          bed.run(6_000)
          assertUp(bed)
        }
        assert.equal(keys.size, 11, 'new keys each time')
        assert.equal(bed.log.length, 4 + 40)
        for (const side of [bed.a, bed.b]) {
          assert.ok(side.removed.every((each) => each.reason === 'replaced'))
          assert.deepEqual([side.drops, side.reports, side.downs], [[], [], []])
        }
      })
    }
  }

  test('the responder sends on the old SA until the Delete, or until traffic shows the new one', () => {
    for (const byTraffic of [false, true]) {
      const bed = upBed()
      const old = bed.b.sender()
      rekeyChild(bed, bed.a)
      bed.computeAll()
      bed.deliver()
      bed.computeAll()
      assert.equal(bed.b.sender().child, old.child, 'the answer is still on its way')
      assert.equal(bed.b.installed.size, 2)
      bed.deliver()
      bed.computeAll()
      assert.notEqual(bed.a.sender().spiOut, old.spiIn, 'the initiator switches at once')
      assert.equal(bed.b.activations, 0)
      if (byTraffic) bed.traffic()
      else bed.deliver()
      assert.equal(bed.b.activations, 1)
      assert.notEqual(bed.b.sender().child, old.child)
      bed.settle()
      assert.equal(bed.b.activations, 1)
    }
  })

  test('the old inbound SA stays five seconds', () => {
    const bed = upBed()
    rekeyChild(bed, bed.a)
    bed.settle()
    bed.run(4_900)
    assert.deepEqual([bed.a.installed.size, bed.b.installed.size], [2, 2])
    bed.run(200)
    assert.deepEqual([bed.a.installed.size, bed.b.installed.size], [1, 1])
  })

  test('another PFS group: INVALID_KE_PAYLOAD and a second round (§1.3)', () => {
    const [first, second] = [pfs(19).childProposals[0], pfs(31).childProposals[0]]
    const bed = new IkeBed().configure(
      peerA({ childProposals: [first, second] }),
      peerB({ childProposals: [second] }),
    )
    bed.a.initiate()
    bed.settle()
    rekeyChild(bed, bed.a)
    stepThrough(bed)
    bed.run(6_000)
    assertUp(bed)
    assert.equal(bed.log.length, 4 + 6)
    assert.equal(bed.a.installs, 2)
  })

  test('renewed by itself before the lifetime ends, for hours', () => {
    const bed = upBed({ childLifetime: { seconds: 600, bytes: 0, packets: 0 }, ...pfs(31) })
    bed.run(4 * 3_600_000)
    assertUp(bed)
    assert.ok(bed.a.installs >= 24 && bed.a.installs <= 60, `${bed.a.installs} installations`)
    for (const side of [bed.a, bed.b]) assert.ok(side.removed.every((each) => each.reason === 'replaced'))
  })

  test('a renewal that is refused ends at the hard limit, with a Delete and reason expired', () => {
    const bed = new IkeBed().configure(
      peerA({ childLifetime: { seconds: 120, bytes: 0, packets: 0 } }),
      peerB({ childLifetime: { seconds: 0, bytes: 0, packets: 0 } }),
    )
    bed.a.initiate()
    bed.settle()
    bed.b.engine.setPeer(peerB({ childProposals: [{ ...childSuite, cipher: 'aes-256' }] }))
    bed.run(121_000)
    assert.deepEqual(
      bed.a.removed.map((each) => each.reason),
      ['expired'],
    )
    assert.deepEqual(
      bed.b.removed.map((each) => each.reason),
      ['peer-deleted'],
    )
    assert.ok(bed.b.reports.some((each) => each.code === 'no-proposal'))
    assert.deepEqual([bed.a.up.size, bed.b.up.size], [1, 1])
    bed.b.engine.setPeer(peerB())
    bed.a.initiate()
    assertUp(bed.settle())
  })

  test('the peer has lost it: CHILD_SA_NOT_FOUND leads to a new one', () => {
    const bed = upBed()
    const lost = bed.b.sender()
    bed.impairment = () => []
    bed.b.do(bed.b.engine.expireChild(lost.child, bed.now))
    bed.run(2_000)
    bed.impairment = () => [0]
    rekeyChild(bed, bed.a)
    bed.run(20_000)
    assertUp(bed)
  })

  test('both ends renew at once: one SA stays', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const bed = upBed(pfs(31), seed)
      rekeyChild(bed, bed.a)
      rekeyChild(bed, bed.b)
      stepThrough(bed)
      bed.run(30_000)
      assertUp(bed)
    }
  })

  test('a renewal crosses a Delete of the same SA (§2.25)', () => {
    const bed = upBed()
    rekeyChild(bed, bed.a)
    bed.b.do(bed.b.engine.expireChild(bed.b.sender().child, bed.now))
    bed.run(30_000)
    bed.a.initiate()
    bed.run(10_000)
    assertUp(bed)
  })

  test('both ends delete at once', () => {
    const bed = upBed()
    bed.a.do(bed.a.engine.expireChild(bed.a.sender().child, bed.now))
    bed.b.do(bed.b.engine.expireChild(bed.b.sender().child, bed.now))
    bed.run(10_000)
    assert.deepEqual([bed.a.installed.size, bed.b.installed.size], [0, 0])
    assert.deepEqual([bed.a.spis.size, bed.b.spis.size], [0, 0])
  })

  test('a further Child SA for another tunnel, from either end', () => {
    const [left, right] = [range('10.3.0.0', '10.3.0.255'), range('10.4.0.0', '10.4.0.255')]
    const more = { tunnel: 'u', ...pfs(19) }
    const bed = new IkeBed()
    bed.configure(
      [peerA(), peerA({ ...more, localSelectors: [left], remoteSelectors: [right] })],
      [peerB(), peerB({ ...more, localSelectors: [right], remoteSelectors: [left] })],
    )
    bed.a.initiate('t')
    bed.settle()
    bed.b.initiate('u')
    bed.settle()
    assertUp(bed, 't')
    assertUp(bed, 'u')
    assert.deepEqual(bed.a.sender('u').localSelectors, [left])
    assert.deepEqual(
      [netA, netB],
      [bed.a.sender('t').localSelectors[0], bed.a.sender('t').remoteSelectors[0]],
    )
    assert.equal(bed.log.length, 6)
  })
})

describe('IKE SA', () => {
  for (const name of ['a', 'b'] as const) {
    test(`ten renewals from ${name}: children move, ids start at zero, the roles follow the renewal`, () => {
      const bed = upBed({ ikeProposals: [{ ...suite, dhGroup: 19 }] })
      const spis = new Set<string>()
      for (let round = 1; round <= 10; round++) {
        const side = bed[name]
        const child = side.sender().child
        rekeyIke(bed, side)
        stepThrough(bed)
        assertUp(bed)
        assert.equal(side.sender().child, child, 'the Child SA is untouched')
        assert.deepEqual([...ikeOf(bed, side).children], [child])
        assert.equal(ikeOf(bed, side).role, 'initiator')
        assert.equal(ikeOf(bed, bed.other(side)).role, 'responder')
        assert.equal(side.engine.ikeSas(bed.now).length, 1, 'the old one was deleted')
        spis.add(ikeOf(bed, side).initiatorSpi)
        rekeyChild(bed, round % 2 ? bed.a : bed.b)
        stepThrough(bed)
        bed.run(6_000)
        assertUp(bed)
      }
      assert.equal(spis.size, 10)
      assert.deepEqual([bed.a.drops, bed.b.drops, bed.a.downs, bed.b.downs], [[], [], [], []])
    })
  }

  test('the first request on the new SA has message id 0 in both directions', () => {
    const bed = upBed()
    rekeyIke(bed, bed.a)
    bed.settle()
    for (const side of [bed.a, bed.b]) {
      const before = bed.log.length
      rekeyChild(bed, side)
      bed.settle()
      assert.deepEqual([...bed.log[before].data.subarray(20, 24)], [0, 0, 0, 0])
      bed.run(6_000)
    }
    assertUp(bed)
  })

  test('another group is wanted: INVALID_KE_PAYLOAD and a second round', () => {
    const both = [suite, { ...suite, dhGroup: 19 as const }]
    const bed = new IkeBed().configure(peerA({ ikeProposals: both }), peerB({ ikeProposals: both }))
    bed.a.initiate()
    bed.settle()
    bed.b.engine.setPeer(peerB({ ikeProposals: [both[1]] }))
    rekeyIke(bed, bed.a)
    bed.settle()
    assertUp(bed)
    assert.deepEqual([ikeOf(bed, bed.a).dhGroup, ikeOf(bed, bed.b).dhGroup], [19, 19])
  })

  test('renewed by itself, Child SAs too, for a day', () => {
    const bed = upBed({ ikeLifetime: 3_600, childLifetime: { seconds: 1_000, bytes: 0, packets: 0 } })
    bed.run(24 * 3_600_000)
    assertUp(bed)
    assert.deepEqual([bed.a.downs, bed.b.downs], [[], []])
    assert.notEqual(ikeOf(bed, bed.a).id, 1)
  })

  test('hard end when renewal is refused: everything goes, with a Delete', () => {
    const bed = upBed({ ikeLifetime: 200 })
    const other = { ...suite, encryption: 'aes-256' } as const
    bed.b.engine.setPeer(peerB({ ikeProposals: [other], ikeLifetime: 200 }))
    bed.run(210_000)
    assert.deepEqual([bed.a.downs.length, bed.b.downs.length], [1, 1])
    assert.ok(bed.a.downs[0].reason === 'expired' || bed.b.downs[0].reason === 'expired')
    assert.deepEqual([bed.a.installed.size, bed.b.installed.size], [0, 0])
    bed.run(60_000)
    assert.deepEqual([bed.a.engine.deadline(), bed.b.engine.deadline()], [Infinity, Infinity])
  })

  test('both ends renew at once: one SA stays', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const bed = upBed({}, seed)
      rekeyIke(bed, bed.a)
      rekeyIke(bed, bed.b)
      bed.run(30_000)
      assertUp(bed)
    }
  })

  test('IKE renewal crosses a Child renewal (§2.25.2)', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const bed = upBed(pfs(19), seed)
      rekeyIke(bed, bed.a)
      rekeyChild(bed, bed.b)
      bed.run(30_000)
      assertUp(bed)
    }
  })

  test('a Delete crosses our renewal: clean end', () => {
    const bed = upBed()
    rekeyIke(bed, bed.a)
    bed.b.do(bed.b.engine.clear('t', 'cleared', bed.now))
    bed.run(60_000)
    assert.deepEqual([bed.a.up.size, bed.b.up.size, bed.a.installed.size, bed.b.installed.size], [0, 0, 0, 0])
    assert.deepEqual([bed.a.engine.deadline(), bed.b.engine.deadline()], [Infinity, Infinity])
  })
})

describe('ending', () => {
  test('clear: both ends lose it, the one by clear, the other by the Delete', () => {
    const bed = upBed()
    bed.a.do(bed.a.engine.clear('t', 'cleared', bed.now))
    assert.deepEqual(
      bed.a.downs.map((each) => each.reason),
      ['cleared'],
    )
    bed.settle()
    assert.deepEqual(
      bed.b.downs.map((each) => each.reason),
      ['peer-deleted'],
    )
    assert.deepEqual(
      bed.b.removed.map((each) => each.reason),
      ['peer-deleted'],
    )
    bed.a.initiate()
    bed.settle()
    bed.run(31_000)
    assertUp(bed)
  })

  test('removePeer forgets the tunnel', () => {
    const bed = upBed()
    bed.a.do(bed.a.engine.removePeer('t', bed.now))
    bed.run(40_000)
    assert.deepEqual([bed.a.installed.size, bed.b.installed.size], [0, 0])
    bed.b.initiate()
    bed.run(40_000)
    assert.deepEqual(
      bed.b.failed.map((each) => each.reason),
      ['no-answer'],
    )
  })

  test('shutdown sends one Delete and leaves nothing', () => {
    const bed = upBed()
    bed.a.do(bed.a.engine.shutdown(bed.now))
    assert.equal(bed.a.engine.deadline(), Infinity)
    assert.deepEqual(
      bed.a.downs.map((each) => each.reason),
      ['shutdown'],
    )
    bed.settle()
    assert.deepEqual(
      bed.b.downs.map((each) => each.reason),
      ['peer-deleted'],
    )
  })

  test('a restarted peer: INITIAL_CONTACT replaces the old SA', () => {
    const bed = upBed()
    const fresh = new IkeBed({ seed: 99 })
    fresh.configure(peerA(), [])
    fresh.a.initiate()
    fresh.computeAll()
    bed.now += 5_000
    for (let round = 0; round < 2; round++) {
      const flight = fresh.flights.pop()!
      bed.b.do(bed.b.engine.receive(fresh.arriving(flight)!, bed.now))
      bed.computeAll()
      const answer = bed.flights.pop()!
      fresh.now = bed.now
      fresh.a.do(fresh.a.engine.receive(bed.arriving(answer)!, bed.now))
      fresh.computeAll()
    }
    assert.equal(bed.b.installed.size, 1)
    assert.equal(bed.b.up.size, 1)
    assert.equal(bed.b.sender().spiOut, fresh.a.sender().spiIn)
    assert.deepEqual(
      bed.b.removed.map((each) => each.reason),
      ['replaced'],
    )
  })
})
