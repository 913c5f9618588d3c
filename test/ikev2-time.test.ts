// Retransmission, loss, liveness, dead peers (RFC 7296 §2.1-§2.4), all in virtual time.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DEFAULT_OPTIONS } from '../control/ikev2/options.ts'
import { giveUpAfter, waitAfter } from '../control/ikev2/retransmit.ts'
import type { PeerConfig } from '../control/sa/contract.ts'
import { assertUp, IkeBed, type Impairment } from './support/ike-bed.ts'
import { childSuite, peerA, peerB, suite } from './support/ike-peers.ts'
import { seeded } from './support/seeded.ts'

function bedOf(common: Partial<PeerConfig> = {}, seed = 1): IkeBed {
  return new IkeBed({ seed }).configure(peerA(common), peerB(common))
}

function upBed(common: Partial<PeerConfig> = {}, seed = 1): IkeBed {
  const bed = bedOf(common, seed)
  bed.a.initiate()
  bed.settle()
  assertUp(bed)
  return bed
}

/** 20 % lost, 20 % doubled, 20 % late by 50 ms (security R5). */
function rough(seed: number): Impairment {
  const random = seeded(seed)
  const delay = () => 1 + (random() < 0.2 ? 50 : 0)
  return () => (random() < 0.2 ? [] : random() < 0.2 ? [delay(), delay()] : [delay()])
}

describe('the schedule', () => {
  const { retransmit } = DEFAULT_OPTIONS

  test('waits grow by the factor up to the cap, jittered by a tenth', () => {
    for (let attempt = 1; attempt <= 8; attempt++) {
      const plain = Math.min(500 * 1.8 ** (attempt - 1), 8_000)
      assert.equal(waitAfter(attempt, retransmit, 0), Math.round(plain * 0.9))
      assert.equal(waitAfter(attempt, retransmit, 255), Math.round(plain * 1.1))
    }
  })

  test('a dead peer is found within interval x retries', () => {
    assert.equal(giveUpAfter({ interval: 30, retries: 3 }, retransmit), 60_000)
    assert.equal(giveUpAfter({ interval: 1, retries: 1 }, retransmit), 2_000)
    assert.equal(giveUpAfter(null, retransmit), 30_000)
  })
})

describe('lost messages', () => {
  for (let lost = 0; lost < 4; lost++) {
    test(`handshake message ${lost + 1} is lost once`, () => {
      const bed = bedOf()
      let seen = 0
      bed.impairment = () => (seen++ === lost ? [] : [0])
      bed.a.initiate()
      bed.run(2_000)
      assertUp(bed)
      assert.deepEqual([bed.a.drops, bed.b.drops], [[], []])
      assert.equal(bed.b.installs, 1)
    })
  }

  test('every message goes through in its third transmission', () => {
    const bed = bedOf({ childProposals: [{ ...childSuite, dhGroup: 31 }] })
    const times = new Map<string, number>()
    bed.impairment = ({ data }) => {
      const key = Buffer.from(data).toString('base64')
      times.set(key, (times.get(key) ?? 0) + 1)
      return times.get(key)! < 3 ? [] : [0]
    }
    bed.a.initiate()
    bed.run(60_000)
    assertUp(bed)
    for (const side of [bed.a, bed.b]) {
      side.do(side.engine.rekeyChild(side.sender().child, bed.now))
      bed.run(60_000)
      assertUp(bed)
      side.do(side.engine.rekeyIke(side.ikeIds()[0], bed.now))
      bed.run(60_000)
      assertUp(bed)
    }
    assert.deepEqual([bed.a.downs, bed.b.downs], [[], []])
  })

  /** Whoever begins, or both at once; every fifth time the group offered first is refused. */
  function handshake(seed: number): IkeBed {
    const ikeProposals = [{ ...suite, dhGroup: 19 as const }, suite]
    const bed = bedOf({}, seed)
    if (seed % 5 === 0) bed.a.engine.setPeer(peerA({ ikeProposals }))
    bed.impairment = rough(seed)
    bed.a.initiate()
    if (seed % 2 === 0) bed.b.initiate()
    return bed
  }
  const isUp = (bed: IkeBed) => bed.a.installed.size > 0 && bed.b.installed.size > 0

  test('R5 100 of 100 handshakes come up within 60 s through 20 % loss, duplication and reordering, 0 duplicate SAs', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const bed = handshake(seed)
      assert.ok(
        bed.runUntil(() => isUp(bed), 60_000),
        `seed ${seed}`,
      )
      bed.run(30_000)
      assertUp(bed)
      assert.deepEqual([bed.a.downs, bed.b.downs], [[], []], `seed ${seed}`)
    }
  })

  test('renewals after fifty such handshakes', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const bed = handshake(seed)
      bed.run(90_000)
      assertUp(bed)
      const side = seed % 2 === 0 ? bed.a : bed.b
      side.do(side.engine.rekeyChild(side.sender().child, bed.now))
      bed.run(60_000)
      assertUp(bed)
      side.do(side.engine.rekeyIke(side.ikeIds()[0], bed.now))
      bed.run(60_000)
      assertUp(bed)
      assert.deepEqual([bed.a.downs, bed.b.downs], [[], []], `seed ${seed}`)
    }
  })

  test('nobody answers: the schedule runs out, the gateway hears no-answer', () => {
    const bed = bedOf()
    bed.impairment = () => []
    bed.a.initiate()
    bed.run(29_000)
    assert.equal(bed.a.failed.length, 0)
    bed.run(2_000)
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['no-answer'],
    )
    assert.deepEqual(
      bed.a.reports.map((each) => each.code),
      ['no-answer'],
    )
    assert.ok(bed.log.length >= 6 && bed.log.length <= 9, `${bed.log.length} transmissions`)
    assert.ok(bed.log.every((each) => Buffer.compare(each.data, bed.log[0].data) === 0))
    assert.deepEqual([bed.a.engine.deadline(), bed.a.spis.size], [Infinity, 0])
  })

  test('IKE_AUTH is never answered', () => {
    const bed = bedOf()
    let count = 0
    bed.impairment = () => (count++ < 2 ? [0] : [])
    bed.a.initiate()
    bed.run(60_000)
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['no-answer'],
    )
    assert.deepEqual(
      [bed.a.spis.size, bed.a.engine.ikeSas(0).length, bed.b.engine.ikeSas(0).length],
      [0, 0, 0],
    )
  })
})

describe('liveness (§2.4)', () => {
  test('silence leads to an empty request, traffic makes it needless', () => {
    const bed = upBed()
    for (let time = 0; time < 300; time += 10) {
      bed.traffic()
      bed.run(10_000)
    }
    assert.equal(bed.log.length, 4, 'no probe while traffic flows')
    bed.run(120_000)
    const probes = bed.log.slice(4).filter((each) => each.data[18] === 37)
    assert.ok(probes.length >= 4)
    assertUp(bed)
  })

  test('a dead peer is found within interval x retries, and not before the schedule is through', () => {
    const bed = upBed()
    const { now } = bed
    bed.impairment = () => []
    assert.ok(!bed.runUntil(() => bed.a.downs.length > 0, 85_000))
    assert.ok(bed.runUntil(() => bed.a.downs.length > 0 && bed.b.downs.length > 0, 6_000))
    assert.ok(bed.now - now <= 91_000)
    for (const side of [bed.a, bed.b]) {
      assert.deepEqual(
        side.downs.map((each) => each.reason),
        ['peer-dead'],
      )
      assert.deepEqual(
        side.removed.map((each) => each.reason),
        ['peer-dead'],
      )
      assert.deepEqual(
        side.reports.map((each) => each.code),
        ['peer-dead'],
      )
      assert.equal(side.engine.deadline(), Infinity)
    }
    bed.impairment = () => [0]
    bed.a.initiate()
    assertUp(bed.settle())
  })

  test('dpd off: no probe at all', () => {
    const bed = upBed({ dpd: null })
    bed.run(600_000)
    assert.equal(bed.log.length, 4)
  })

  test('D12 unauthenticated news of death is no news', () => {
    const bed = upBed()
    const data = bed.log[2].data.map((byte, at) => (at > 60 ? byte ^ 1 : byte))
    for (let times = 0; times < 100; times++) {
      bed.b.do(bed.b.engine.receive({ local: bed.log[2].remote, remote: bed.log[2].local, data }, bed.now))
    }
    bed.settle()
    assertUp(bed)
    assert.equal(bed.b.drops.length, 100)
  })
})

describe('jobs', () => {
  test('messages that come while a job runs wait, and repetitions do not pile up', () => {
    const bed = bedOf()
    bed.a.initiate()
    bed.compute(bed.a)
    const [first] = bed.flights
    bed.deliver()
    const copy = bed.arriving(first)!
    bed.b.do(bed.b.engine.receive(copy, bed.now))
    assert.deepEqual(bed.b.drops, ['ike-in-progress'])
    assert.equal(bed.b.jobs.length, 1)
    bed.compute(bed.b)
    bed.deliver()
    bed.compute(bed.a)
    const auth = bed.arriving(bed.flights[0])!
    bed.deliver()
    bed.b.do(bed.b.engine.receive(auth, bed.now))
    assert.deepEqual(bed.b.drops, ['ike-in-progress', 'ike-in-progress'])
    bed.compute(bed.b)
    assertUp(bed.settle())
  })

  test('a result that comes after the end is wiped and changes nothing', () => {
    const bed = bedOf()
    bed.a.initiate()
    const [{ ikeSa, token }] = bed.a.jobs
    bed.a.do(bed.a.engine.clear('t', 'cleared', bed.now))
    const privateValue = new Uint8Array(32).fill(9)
    const late = { kind: 'dh-generate', publicValue: new Uint8Array(32), privateValue } as const
    bed.a.do(bed.a.engine.computed(ikeSa, token, late, bed.now))
    assert.ok(privateValue.every((byte) => byte === 0))
    assert.deepEqual([bed.log.length, bed.a.engine.deadline()], [0, Infinity])
  })

  test('failed jobs end the attempt', () => {
    const bed = bedOf()
    bed.a.initiate()
    bed.compute(bed.a, { kind: 'failed', reason: 'test' })
    assert.equal(bed.a.failed.length, 1)
    assert.equal(bed.a.engine.ikeSas(0).length, 0)
  })
})

describe('key hygiene', () => {
  test('private values and shared secrets are zero when the exchange is over', () => {
    const bed = bedOf({ childProposals: [{ ...childSuite, dhGroup: 31 }] })
    const secrets: Uint8Array[] = []
    for (const side of [bed.a, bed.b]) {
      const { engine } = side
      const computed = engine.computed.bind(engine)
      engine.computed = (sa, token, result, now) => {
        if (result.kind === 'dh-generate') secrets.push(result.privateValue)
        if (result.kind === 'dh-derive') secrets.push(result.secret)
        return computed(sa, token, result, now)
      }
    }
    bed.a.initiate()
    bed.settle()
    bed.b.do(bed.b.engine.rekeyChild(bed.b.sender().child, bed.now))
    bed.settle()
    bed.a.do(bed.a.engine.rekeyIke(bed.a.ikeIds()[0], bed.now))
    bed.settle()
    assert.equal(secrets.length, 12)
    for (const secret of secrets) assert.ok(secret.every((byte) => byte === 0))
  })
})
