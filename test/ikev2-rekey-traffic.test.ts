// Renewals under traffic: nothing is lost and nothing is left over (security D7, R7), whoever renews what and when.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertUp, IkeBed, type Impairment, type Side } from './support/ike-bed.ts'
import { childSuite, peerA, peerB } from './support/ike-peers.ts'
import { Traffic } from './support/ike-traffic.ts'
import { seeded } from './support/seeded.ts'

const DELAY = 10

function upBed(seed: number): IkeBed {
  const common = { childProposals: [{ ...childSuite, dhGroup: seed % 2 ? (31 as const) : null }] }
  const bed = new IkeBed({ seed }).configure(peerA(common), peerB(common))
  bed.a.initiate()
  bed.settle()
  bed.impairment = () => [DELAY]
  return bed
}

const renewChild = (side: Side) => side.do(side.engine.rekeyChild(side.sender().child, side.bed.now))
const renewIke = (side: Side) => side.do(side.engine.rekeyIke(side.ikeIds()[0], side.bed.now))

/** The other end begins too before it can have heard of it. */
function collide(renew: (side: Side) => void, bed: IkeBed, random: () => number, traffic: Traffic): void {
  const [first, second] = random() < 0.5 ? [bed.a, bed.b] : [bed.b, bed.a]
  renew(first)
  traffic.run(Math.floor(random() * DELAY))
  renew(second)
}

function assertOneIkeSa(side: Side): void {
  const living = side.engine.ikeSas(side.bed.now).filter((sa) => sa.state === 'established')
  assert.equal(living.length, 1, side.name)
}

function assertNothingLost(bed: IkeBed, traffic: Traffic): void {
  assert.deepEqual(traffic.lost, [])
  assert.equal(traffic.arrived + traffic.onTheWay, traffic.sent)
  for (const side of [bed.a, bed.b]) {
    assert.deepEqual([side.downs, side.failed], [[], []], side.name)
    assert.ok(
      side.removed.every((each) => each.reason === 'replaced'),
      side.name,
    )
  }
}

describe('renewals under 1,000 packets/s', () => {
  test('200 of Child SAs and 20 of IKE SAs, half of them at once from both ends: 0 lost, 0 left over', () => {
    const random = seeded(7)
    const bed = upBed(1)
    const traffic = new Traffic(bed, DELAY)
    const made = { renewChild: 0, renewIke: 0, collisions: 0 }
    for (let round = 0; round < 220; round++) {
      const renew = round % 11 === 10 ? renewIke : renewChild
      made[renew === renewIke ? 'renewIke' : 'renewChild']++
      const isCollision = round % 2 === 0
      if (isCollision) collide(renew, bed, random, traffic)
      else renew(random() < 0.5 ? bed.a : bed.b)
      made.collisions += Number(isCollision)
      traffic.run(100 + Math.floor(random() * 50))
      for (const side of [bed.a, bed.b]) assertOneIkeSa(side)
    }
    assert.deepEqual(made, { renewChild: 200, renewIke: 20, collisions: 110 })
    traffic.run(6_000)
    assertUp(bed)
    assert.ok(bed.a.installs > 250, `${bed.a.installs} installations`)
    assertNothingLost(bed, traffic)
  })

  test('both ends renew by the same clock, without fuzz, for two minutes', () => {
    const bed = upBed(2)
    const same = {
      childLifetime: { seconds: 30, bytes: 0, packets: 0 },
      ikeLifetime: 60,
      rekeyMargin: { seconds: 5, fuzz: 0 },
    }
    bed.configure(peerA(same), peerB(same))
    renewIke(bed.a)
    const traffic = new Traffic(bed, DELAY).run(200)
    renewChild(bed.a)
    traffic.run(120_000)
    assertNothingLost(bed, traffic)
    assert.ok(bed.a.installs > 4, `${bed.a.installs} installations`)
    assert.ok(bed.runUntil(() => bed.a.installed.size + bed.b.installed.size === 2, 10_000))
    assertUp(bed)
  })
})

/** IKE messages get lost, doubled and late; protected packets do not. */
function rough(random: () => number): Impairment {
  const delay = () => DELAY + (random() < 0.3 ? Math.floor(random() * 400) : 0)
  return () => (random() < 0.25 ? [] : random() < 0.2 ? [delay(), delay()] : [delay()])
}

describe('renewals while IKE messages get lost, doubled and late', () => {
  test('sixty runs of both ends renewing both kinds at random: one SA stays, nothing is lost', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seeded(1_000 + seed)
      const bed = upBed(seed)
      bed.impairment = rough(random)
      const traffic = new Traffic(bed, DELAY)
      for (let round = 0; round < 4; round++) {
        for (const side of [bed.a, bed.b]) {
          if (random() < 0.7) (random() < 0.7 ? renewChild : renewIke)(side)
          traffic.run(Math.floor(random() * 60))
        }
        traffic.run(Math.floor(random() * 400))
      }
      traffic.run(2_000)
      assert.deepEqual(traffic.lost.slice(0, 3), [], `seed ${seed}`)
      bed.impairment = () => [DELAY]
      bed.run(150_000)
      assertUp(bed)
      assertNothingLost(bed, traffic)
    }
  })
})
