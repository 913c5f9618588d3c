// Renewing an IKE SA while something else happens to it (RFC 7296 §2.8.2, §2.25.2), message by message. The list of
// situations is the specification; every one of them is played, with the IKE SAs of both ends after each message.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { PeerConfig } from '../control/sa/contract.ts'
import { assertUp } from './support/ike-bed.ts'
import { peerA, peerB, suite } from './support/ike-peers.ts'
import { LOWEST, type Lowest, loserOf, type Name, Play } from './support/ike-play.ts'

const SITUATIONS = {
  alone: 'one end renews, nobody is in its way',
  group: 'the other end wants another group first',
  both: 'both ends renew at once: the four nonces decide which SA inherits the Child SAs',
  'both, answers crossed': 'both at once, the messages of both ends in every order',
  'both, groups': 'both at once, both in a group that the other end does not want first',
  'both, groups, retry late':
    'both at once with wrong groups; one end has finished before the other tries again',
  'both, answer late': 'both at once; one answer comes after the other end has deleted what it has to',
  'both, answer never':
    'both at once; the answer to the loser is lost for good: the winner’s Delete settles it',
  'both, request lost':
    'both at once, but one end has finished and forgotten the old SA before it sees the other’s request',
  'both, request late':
    'both at once; the late request meets an SA that is being deleted: TEMPORARY_FAILURE after the Delete',
  'both, refusal first': 'the same, the TEMPORARY_FAILURE arrives before the Delete',
  'both, all deleted': 'both at once; the end that does not know yet learns that everything was deleted',
  'both, work on the new one':
    'both at once; the end that has finished uses the new SA before the other knows that it stays',
  'both, cleared': 'both at once, then one end deletes the tunnel: nothing is left at either end',
  'both, shutdown': 'both at once, then one end stops',
  delete: 'one end deletes the SA that the other renews',
  'delete late': 'the same, and the Delete is late',
  'cleared meanwhile': 'the end that renews deletes the SA itself: what the answer brings is deleted too',
  'Child renewal': 'one end renews a Child SA while the other renews the IKE SA',
  'Child delete': 'one end deletes a Child SA while the other renews the IKE SA: answered as usual',
  'message ids': 'message ids run out: the IKE SA is renewed',
  'message ids, refused': 'message ids run out and the renewal is refused: the IKE SA ends before they wrap',
} as const

const played = new Set<string>()
function situation(name: keyof typeof SITUATIONS, run: () => void): void {
  played.add(name)
  test(`${name}: ${SITUATIONS[name]}`, run)
}

after(() => assert.deepEqual(new Set(Object.keys(SITUATIONS)), played, 'every situation is played'))

const BOTH = ['a', 'b'] as const
const other = (name: Name): Name => (name === 'a' ? 'b' : 'a')
const looks = (name: Name, its: string, others: string) =>
  name === 'a' ? { a: its, b: others } : { a: others, b: its }

function bothRenew(lowest: Lowest, common: Partial<PeerConfig> = {}) {
  const loser = loserOf(lowest)
  const play = new Play(common).nonces(lowest).rekeyIke('a').rekeyIke('b')
  return { play, loser, winner: other(loser) }
}

/** The books of both gateways are empty and no timer is left. */
function assertNothingLeft({ bed }: Play): void {
  for (const side of [bed.a, bed.b]) {
    assert.deepEqual([side.up.size, side.installed.size, side.spis.size], [0, 0, 0], side.name)
    assert.equal(side.engine.ikeSas(bed.now).length, 0, side.name)
    assert.equal(side.engine.deadline(), Number.POSITIVE_INFINITY, side.name)
  }
}

describe('a renewal of the IKE SA without a collision', () => {
  situation('alone', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekeyIke(x)
      play.pass(x).ikesLook(looks(x, 'old:established*', `old:replaced ${x}:established*`))
      play.pass(y).ikesLook(looks(x, `old:replaced ${x}:established*`, `old:replaced ${x}:established*`))
      play.pass(x).ikesLook(looks(x, `old:replaced ${x}:established*`, `${x}:established*`))
      play
        .pass(y)
        .ikesLook(looks(x, `${x}:established*`, `${x}:established*`))
        .quiet()
      play.endsWithIke(x)
    }
  })

  situation('group', () => {
    for (const x of BOTH) {
      const y = other(x)
      const both = [suite, { ...suite, dhGroup: 19 as const }]
      const play = new Play({ ikeProposals: both })
      play.side(y).engine.setPeer((y === 'a' ? peerA : peerB)({ ikeProposals: [both[1]] }))
      play.rekeyIke(x).pass(x).pass(y)
      play.ikesLook({ a: 'old:established*', b: 'old:established*' })
      play.pass(x).pass(y).pass(x).pass(y).quiet()
      play.endsWithIke(x)
    }
  })
})

describe('both ends renew the IKE SA at once', () => {
  situation('both', () => {
    for (const lowest of LOWEST) {
      const { play, loser, winner } = bothRenew(lowest)
      play.pass('a').ikesLook({ a: 'old:established*', b: 'old:established* a:fresh' })
      play.pass('b').ikesLook({ a: 'old:established* b:fresh', b: 'old:established* a:fresh' })
      const lost = { won: 'established*', gone: 'deleting', left: 'replaced' }
      const atA =
        loser === 'a'
          ? `old:replaced b:${lost.won} a:${lost.gone}`
          : `old:replaced b:${lost.left} a:${lost.won}`
      const atB =
        loser === 'b'
          ? `old:replaced a:${lost.won} b:${lost.gone}`
          : `old:replaced a:${lost.left} b:${lost.won}`
      play.pass('b').ikesLook({ a: atA, b: 'old:established* a:fresh' })
      play.pass('a').ikesLook({ a: atA, b: atB })
      play.pass('a').pass('b').pass('a').pass('b').quiet()
      play.ikesLook({ a: `${winner}:established*`, b: `${winner}:established*` })
      assert.equal(play.bed.log.length, 4 + 8)
      play.endsWithIke(winner)
    }
  })

  situation('both, answers crossed', () => {
    for (const lowest of LOWEST) {
      for (const order of ['abab', 'abba', 'baab', 'baba']) {
        const { play, winner } = bothRenew(lowest)
        for (const name of order) play.pass(name as Name)
        play.endsWithIke(winner)
      }
    }
  })

  const [first, second] = [31, 19].map((dhGroup) => ({ ...suite, dhGroup: dhGroup as 19 | 31 }))
  const wrongGroups = (): Play => {
    const play = new Play({ ikeProposals: [first, second] })
    play.bed.configure(peerA({ ikeProposals: [first, second] }), peerB({ ikeProposals: [first, second] }))
    play.rekeyIke('a').rekeyIke('b')
    play.bed.configure(peerA({ ikeProposals: [second] }), peerB({ ikeProposals: [second] }))
    play.pass('a').pass('b')
    play.bed.configure(peerA({ ikeProposals: [second, first] }), peerB({ ikeProposals: [second, first] }))
    return play
  }

  situation('both, groups', () => {
    for (const lowest of LOWEST) {
      const play = wrongGroups().nonces(lowest)
      play.pass('a').pass('b').pass('a').pass('b').pass('a').pass('b')
      play.endsWithIke(other(loserOf(lowest)))
    }
  })

  situation('both, groups, retry late', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = wrongGroups().pass('a').pass('b')
      const late = play.hold(x)
      play.pass(y).pass(x).pass(y).pass(x)
      play.release(late).endsWithIke(y)
    }
  })

  situation('both, answer late', () => {
    for (const lowest of LOWEST) {
      const { play, loser, winner } = bothRenew(lowest)
      play.pass('a').pass('b')
      const late = play.hold('b')
      play.pass('a').pass('b') // b knows all nonces and deletes: the old SA, or its own
      play.ikesLook({
        a: loser === 'a' ? 'b:established*' : 'old:established*',
        b:
          loser === 'a' ? 'old:replaced a:replaced b:established*' : 'old:replaced a:established* b:deleting',
      })
      play.pass('a').release(late).endsWithIke(winner)
    }
  })

  situation('both, answer never', () => {
    for (const lowest of ['a.ni', 'b.nr'] as const) {
      const { play, winner } = bothRenew(lowest)
      play.pass('a').pass('b').lose('b').pass('a').pass('b').pass('a')
      play.wait(1_000)
      play.ikesLook({ a: 'b:established*', b: 'a:replaced b:established*' })
      play.endsWithIke(winner) // a never deletes what it does not know: b forgets it by itself
    }
  })

  situation('both, request lost', () => {
    for (const lowest of LOWEST) {
      const { play } = bothRenew(lowest)
      play.lose('a').pass('b').pass('a')
      play.ikesLook({ a: 'old:established* b:fresh', b: 'old:replaced b:established*' })
      play.pass('b').ikesLook({ a: 'b:established*', b: 'old:replaced b:established*' })
      play.pass('a').ikesLook({ a: 'b:established*', b: 'b:established*' }).quiet()
      play.endsWithIke('b')
    }
  })

  situation('both, request late', () => {
    for (const lowest of LOWEST) {
      const { play } = bothRenew(lowest)
      const late = play.hold('a')
      play.pass('b').pass('a')
      const deletion = play.hold('b')
      play.release(late)
      const refusal = play.hold('b')
      play.release(deletion).pass('a').release(refusal).quiet()
      play.endsWithIke('b')
    }
  })

  situation('both, refusal first', () => {
    for (const lowest of LOWEST) {
      const { play } = bothRenew(lowest)
      const late = play.hold('a')
      play.pass('b').pass('a')
      const deletion = play.hold('b')
      play.release(late).pass('b')
      play.ikesLook({ a: 'old:replaced b:established*', b: 'old:replaced b:established*' })
      play.release(deletion).pass('a').quiet()
      play.endsWithIke('b')
    }
  })

  situation('both, all deleted', () => {
    for (const lowest of LOWEST) {
      const { play } = bothRenew(lowest)
      play.isGapAllowed = true
      play.pass('a').pass('b')
      const late = play.hold('b')
      play.pass('a').clear('b')
      for (let left = 20; left > 0 && play.bed.flights.length > 0; left--) play.bed.deliver()
      play.bed.computeAll()
      play.release(late).wait(130_000)
      assertNothingLeft(play)
    }
  })

  situation('both, work on the new one', () => {
    for (const lowest of ['a.ni', 'b.nr'] as const) {
      const { play } = bothRenew(lowest)
      play.pass('a').pass('b')
      const late = play.hold('b')
      play.pass('a').lose('b') // b has finished; its Delete of the old SA is lost
      const { bed } = play
      bed.b.do(bed.b.engine.rekeyChild(bed.b.sender().child, bed.now)) // on the new SA
      play.pass('b').ikesLook({ a: 'old:established* b:fresh', b: 'old:replaced a:replaced b:established*' })
      play.pass('a') // TEMPORARY_FAILURE
      play.release(late).wait(10_000)
      play.wait(130_000)
      assertUp(bed)
      play.looks({ a: 'b*', b: 'b*' }).assertSteady()
    }
  })

  for (const [name, end] of [
    ['both, cleared', (play: Play, x: Name) => play.clear(x)],
    ['both, shutdown', (play: Play, x: Name) => play.side(x).do(play.side(x).engine.shutdown(play.bed.now))],
  ] as const) {
    situation(name, () => {
      for (const lowest of LOWEST) {
        for (const x of BOTH) {
          for (const script of ['', 'a', 'ab', 'abb', 'abba']) {
            const { play } = bothRenew(lowest)
            play.isGapAllowed = true
            for (const step of script) play.pass(step as Name)
            end(play, x)
            play.wait(200_000)
            assertNothingLeft(play)
            assert.deepEqual([play.bed.a.downs.length, play.bed.b.downs.length], [1, 1], script)
          }
        }
      }
    })
  }
})

describe('a renewal of the IKE SA against other work, a Delete that crosses it among it (security D9)', () => {
  situation('delete', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekeyIke(x)
      play.isGapAllowed = true
      play
        .clear(y)
        .pass(x)
        .ikesLook(looks(x, 'old:established*', 'old:deleting'))
      play.pass(y).ikesLook(looks(x, '', 'old:deleting')) // its Delete: answered, our renewal is forgotten
      play.pass(y).pass(x).wait(60_000) // TEMPORARY_FAILURE comes too late to matter
      assertNothingLeft(play)
    }
  })

  situation('delete late', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekeyIke(x)
      play.isGapAllowed = true
      play.clear(y)
      const deletion = play.hold(y)
      play
        .pass(x)
        .pass(y)
        .ikesLook(looks(x, 'old:established*', 'old:deleting'))
      play.release(deletion).wait(60_000)
      assertNothingLeft(play)
    }
  })

  situation('cleared meanwhile', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekeyIke(x)
      play.isGapAllowed = true
      play
        .clear(x)
        .pass(x)
        .ikesLook(looks(x, 'old:deleting', `old:replaced ${x}:established*`))
      play.pass(y).ikesLook(looks(x, `old:deleting ${x}:deleting`, `old:replaced ${x}:established*`))
      play.wait(60_000)
      assertNothingLeft(play)
    }
  })

  situation('Child renewal', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekeyIke(x).rekey(y)
      play.pass(y).pass(x) // TEMPORARY_FAILURE both ways
      play.pass(y).pass(x).quiet()
      play.looks({ a: 'old*', b: 'old*' })
      play.ends(y)
      assert.equal(play.ikes('a'), `${x}:established*`)
    }
  })

  situation('Child delete', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekeyIke(x)
      play.isGapAllowed = true
      play.expire(y).pass(y, { a: '', b: '' }) // answered with a Delete payload of ours
      play.pass(x).pass(y).wait(30_000)
      play.looks({ a: '', b: '' })
      assert.deepEqual([play.bed.a.up.size, play.bed.b.up.size], [1, 1])
      assert.deepEqual([play.bed.a.spis.size, play.bed.b.spis.size], [0, 0])
    }
  })

  situation('message ids', () => {
    const play = new Play({ dpd: { interval: 1, retries: 3 } }, {}, 1, { messageIdLimit: 20 })
    const before = play.bed.a.ikeIds()[0]
    play.wait(15_000)
    assert.equal(play.bed.a.ikeIds()[0], before)
    play.wait(60_000)
    assert.notEqual(play.bed.a.ikeIds()[0], before)
    assertUp(play.bed)
    play.assertSteady()
  })

  situation('message ids, refused', () => {
    const play = new Play({ dpd: { interval: 1, retries: 3 } }, {}, 1, { messageIdLimit: 20 })
    play.isGapAllowed = true
    const ikeProposals = [{ ...suite, encryption: 'aes-256' as const }]
    for (const side of [play.bed.a, play.bed.b]) {
      side.engine.setPeer(
        (side === play.bed.a ? peerA : peerB)({
          dpd: { interval: 1, retries: 3 },
          ikeProposals: side === play.bed.a ? ikeProposals : [suite],
        }),
      )
    }
    play.wait(600_000)
    assert.ok(play.bed.a.downs.length === 1 && play.bed.b.downs.length === 1)
    assertNothingLeft(play)
  })
})
