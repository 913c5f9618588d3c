// Renewing a Child SA while something else happens to it (RFC 7296 §2.8, §2.8.1, §2.25.1), message by message. The list
// of situations is the specification; every one of them is played, with the SAs of both ends after each message.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { DhGroup } from '../control/ports.ts'
import type { PeerConfig } from '../control/sa/contract.ts'
import { assertMirrored, assertUp, IkeBed } from './support/ike-bed.ts'
import { childSuite, peerA, peerB } from './support/ike-peers.ts'
import { LOWEST, type Lowest, loserOf, type Name, Play } from './support/ike-play.ts'

const SITUATIONS = {
  alone: 'one end renews, nobody is in its way',
  group: 'the other end wants another group first',
  'soft limit': 'the asked end reaches its soft limit before the old SA is deleted: it does nothing',
  'hard limit': 'the asked end reaches its hard limit before the old SA is deleted: it deletes it itself',
  'new one deleted': 'the asked end deletes the new SA while the old one is being deleted',
  'new one withdrawn':
    'the asking end deletes the new SA instead of the old one: the old one may be renewed again',
  'new one renewed': 'the asked end is to renew the new SA before the other has it: it waits',
  lost: 'the asked end does not know the SA: CHILD_SA_NOT_FOUND leads to a new one',
  'early delete': 'the asked end deletes the old SA itself, and its Delete overtakes its answer',
  'early delete, no answer': 'the same, and the answer never comes',
  'no answer to the delete': 'the Delete of the old SA is never answered: one end for everything, told once',
  twice: 'a second renewal of an SA whose successor stands is put off',
  both: 'both ends renew at once: the four nonces decide',
  'both, answers crossed': 'both at once, each answer before the other end’s answer, in every order',
  'both, answer late': 'both at once; one answer comes after the other end has deleted what it has to',
  'both, answer late, all deleted':
    'both at once; the other end has deleted the surviving SA too before its answer comes',
  'both, request late':
    'both at once, but one end has finished before it sees the other’s request: TEMPORARY_FAILURE',
  'both, request later': 'the request comes when the old SA is gone: CHILD_SA_NOT_FOUND',
  'both, request later, all deleted': 'the request comes when the new SA has been deleted too',
  'both, groups': 'both at once, both in a group that the other end does not want first',
  'both, groups, retry late':
    'both at once with wrong groups; one end has finished before the other tries again',
  'both, early delete': 'both at once; the loser deletes the old SA although it is not its turn',
  'both, winner’s delete lost': 'both at once; the Delete of the old SA is lost and repeated',
  'both, loser forgets': 'both at once; the loser never deletes what it made: the other end does',
  'both, no proposal': 'both at once; one end refuses the other’s proposal: its own SA stays',
  'both create': 'both ends begin the first Child SA of a tunnel at once',
  delete: 'one end deletes the SA that the other renews',
  'delete late': 'the same, and the Delete is late',
  'delete, request late': 'the same, and the renewal is late',
  'answer late, new one deleted': 'the asked end has deleted the new SA before its answer comes',
  'IKE renewal': 'one end renews the IKE SA while the other renews a Child SA',
  'IKE delete': 'one end deletes the IKE SA while the other renews a Child SA',
  'out of step': 'TEMPORARY_FAILURE for minutes: the IKE SA ends',
} as const

const played = new Set<string>()
function situation(name: keyof typeof SITUATIONS, run: () => void): void {
  played.add(name)
  test(`${name}: ${SITUATIONS[name]}`, run)
}

after(() => assert.deepEqual(new Set(Object.keys(SITUATIONS)), played, 'every situation is played'))

const pfs = (dhGroup: DhGroup | null): Partial<PeerConfig> => ({
  childProposals: [{ ...childSuite, dhGroup }],
})
const other = (name: Name): Name => (name === 'a' ? 'b' : 'a')
/** The same line of SAs seen from the one side and from the other. */
const looks = (name: Name, its: string, others: string) =>
  name === 'a' ? { a: its, b: others } : { a: others, b: its }
const BOTH = ['a', 'b'] as const

/** Both requests are under way with nonces that make one exchange lose. */
function bothRenew(lowest: Lowest, common: Partial<PeerConfig> = {}) {
  const loser = loserOf(lowest)
  const play = new Play(common).nonces(lowest).rekey('a').rekey('b')
  return { play, loser, winner: other(loser) }
}

describe('a renewal without a collision', () => {
  situation('alone', () => {
    for (const group of [null, 31] as const) {
      for (const x of BOTH) {
        const y = other(x)
        const play = new Play(pfs(group)).rekey(x)
        play.pass(x, looks(x, 'old*', `old* ${x}`))
        play.pass(y, looks(x, `old ${x}*`, `old* ${x}`))
        play.pass(x, looks(x, `old ${x}*`, `old ${x}*`))
        play.pass(y, looks(x, `old ${x}*`, `old ${x}*`)).quiet()
        play.ends(x)
      }
    }
  })

  situation('group', () => {
    for (const x of BOTH) {
      const y = other(x)
      const [first, second] = [19, 31].map((dhGroup) => ({ ...childSuite, dhGroup: dhGroup as DhGroup }))
      const play = new Play({ childProposals: [first, second] })
      const only = x === 'a' ? peerB : peerA
      play.side(y).engine.setPeer(only({ childProposals: [second] }))
      play.rekey(x)
      play.pass(x, looks(x, 'old*', 'old*')).pass(y, looks(x, 'old*', 'old*'))
      play.pass(x, looks(x, 'old*', `old* ${x}`)).pass(y, looks(x, `old ${x}*`, `old* ${x}`))
      play.ends(x)
    }
  })

  situation('soft limit', () => {
    const play = new Play().rekey('a').pass('a').pass('b')
    const flight = play.hold('a')
    play.rekey('b').quiet().release(flight, { a: 'old a*', b: 'old a*' }).ends('a')
  })

  situation('hard limit', () => {
    const play = new Play().rekey('a').pass('a').pass('b')
    play.expire('b', 'old').looks({ a: 'old a*', b: 'a*' })
    play.pass('a').pass('b') // both Deletes arrive, neither answer names the SA again (§1.4.1)
    play.pass('a').pass('b').quiet().ends('a')
  })

  situation('new one deleted', () => {
    const play = new Play().rekey('a').pass('a').pass('b')
    play.isGapAllowed = true
    play.expire('b', 'a').looks({ a: 'old a*', b: 'old*' })
    play.pass('b', { a: 'old', b: 'old*' })
    play.pass('a', { a: 'old', b: '' }).wait(20_000)
    play.looks({ a: '', b: '' }).quiet()
    assert.deepEqual([play.bed.a.up.size, play.bed.b.up.size], [1, 1])
    assert.deepEqual([play.bed.a.spis.size, play.bed.b.spis.size], [0, 0])
  })

  situation('new one withdrawn', () => {
    const play = new Play().rekey('a').pass('a').pass('b')
    play.lose('a') // its Delete of the old one
    const { a, b } = play.bed
    const fresh = [...b.installed.values()].at(-1)!
    b.do(b.engine.expireChild(fresh.child, play.bed.now))
    play.looks({ a: 'old a*', b: 'old*' })
    assert.equal(a.sender().spiIn, fresh.spiOut)
    play.rekey('b')
    play.isGapAllowed = true
    play.pass('b').wait(40_000)
    assert.equal(assertMirrored(play.bed), a.installed.size)
  })

  situation('new one renewed', () => {
    const play = new Play().rekey('a').pass('a', { a: 'old*', b: 'old* a' })
    const { b } = play.bed
    const fresh = [...b.installed.keys()].at(-1)!
    b.do(b.engine.rekeyChild(fresh, play.bed.now))
    play.pass('b', { a: 'old a*', b: 'old* a' }) // the answer, and no request
    play.pass('a', { a: 'old a*', b: 'old a*' }).pass('b').quiet()
    play.wait(3_000)
    assert.match(play.look('b'), /^old a b\*$/)
    play.ends('b')
  })

  situation('lost', () => {
    const play = new Play()
    play.expire('b').lose('b')
    play.isGapAllowed = true
    play.rekey('a').pass('a', { a: 'old*', b: '' })
    play.pass('b', { a: '', b: '' })
    play.pass('a', { a: '', b: 'a*' }).pass('b', { a: 'a*', b: 'a*' })
    play.wait(60_000)
    assertUp(play.bed)
  })

  situation('early delete', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekey(x).pass(x, looks(x, 'old*', `old* ${x}`))
      play.isGapAllowed = true
      const answer = play.hold(y)
      play.expire(y).looks(looks(x, 'old*', `${x}*`))
      play.pass(y, looks(x, 'old*', `${x}*`)) // kept, for the answer may be on its way
      play.release(answer, looks(x, `old ${x}*`, `${x}*`))
      play.ends(x)
    }
  })

  situation('early delete, no answer', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekey(x).pass(x)
      play.isGapAllowed = true
      play.lose(y).expire(y).pass(y).pass(x).quiet()
      play.bed.impairment = () => []
      play.wait(4_000).looks(looks(x, 'old*', `${x}*`))
      play.wait(2_000).looks(looks(x, '', `${x}*`))
      assert.deepEqual(
        play.side(x).removed.map((each) => each.reason),
        ['peer-deleted'],
      )
      play.bed.impairment = () => [0]
      play.wait(60_000)
      assertUp(play.bed)
    }
  })

  situation('no answer to the delete', () => {
    const play = new Play().rekey('a').pass('a').pass('b', { a: 'old a*', b: 'old* a' })
    play.bed.impairment = () => []
    play.lose('a').wait(100_000)
    const { a } = play.bed
    assert.deepEqual([a.removed.length, a.downs.length, a.installed.size, a.spis.size], [2, 1, 0, 0])
  })

  situation('twice', () => {
    const play = new Play().rekey('a').pass('a').pass('b', { a: 'old a*', b: 'old* a' })
    play.lose('a')
    assert.equal(play.bed.b.installs, 2)
    play.rekey('b').quiet() // neither does b renew it
    play.ends('a')
  })
})

describe('both ends renew at once', () => {
  situation('both', () => {
    for (const group of [null, 31] as const) {
      for (const lowest of LOWEST) {
        const { play, loser, winner } = bothRenew(lowest, pfs(group))
        play.pass('a', { a: 'old*', b: 'old* a' })
        play.pass('b', { a: 'old* b', b: 'old* a' })
        play.pass('b') // its answer: a knows all four nonces
        play.looks(loser === 'a' ? { a: 'old* b a', b: 'old* a' } : { a: 'old b a*', b: 'old* a' })
        play.pass('a') // its answer: b knows them too
        play.looks(loser === 'a' ? { a: 'old* b a', b: 'old a b*' } : { a: 'old b a*', b: 'old* a b' })
        play.pass(winner) // Delete of the old one
        assert.equal(play.side(loser).sender().spiOut, play.side(winner).sender().spiIn)
        play.pass(loser) // Delete of what it made itself
        play.pass(winner).pass(loser).quiet()
        assert.equal(play.bed.log.length, 4 + 8)
        play.ends(winner)
      }
    }
  })

  situation('both, answers crossed', () => {
    for (const lowest of LOWEST) {
      for (const order of ['abab', 'abba', 'baab', 'baba']) {
        const { play, winner } = bothRenew(lowest, pfs(31))
        for (const name of order) play.pass(name as Name)
        play.ends(winner)
      }
    }
  })

  situation('both, answer late', () => {
    for (const lowest of LOWEST) {
      const { play, loser, winner } = bothRenew(lowest)
      play.pass('a').pass('b', { a: 'old* b', b: 'old* a' })
      const late = play.hold('b')
      play.pass('a').looks({ a: 'old* b', b: loser === 'a' ? 'old a b*' : 'old* a b' })
      play.pass('b') // the Delete of b, of the old SA or of its own
      play.looks({ a: loser === 'a' ? 'old b*' : 'old* b', b: loser === 'a' ? 'old a b*' : 'old* a b' })
      play.pass('a').release(late)
      assert.equal(play.look(winner).includes(`${winner}*`), true)
      play.ends(winner)
    }
  })

  situation('both, answer late, all deleted', () => {
    for (const lowest of LOWEST) {
      const { play, winner } = bothRenew(lowest)
      play.isGapAllowed = true
      play.pass('a').pass('b')
      const late = play.hold('b')
      play.pass('a').pass('b').pass('a') // b’s Delete of the old SA or of its own, answered
      play.expire('b', winner) // and of the one that stays
      play.pass('b').pass('a').release(late).wait(40_000)
      play.looks({ a: '', b: '' })
      assert.deepEqual([play.bed.a.up.size, play.bed.b.up.size], [1, 1])
      assert.deepEqual([play.bed.a.spis.size, play.bed.b.spis.size], [0, 0])
    }
  })

  situation('both, request late', () => {
    for (const lowest of LOWEST) {
      for (const isDeleteFirst of [true, false]) {
        const { play } = bothRenew(lowest)
        const late = play.hold('a')
        play.pass('b', { a: 'old* b', b: 'old*' }).pass('a', { a: 'old* b', b: 'old b*' })
        const deletion = play.hold('b')
        play.release(late, { a: 'old* b', b: 'old b*' }) // TEMPORARY_FAILURE: b is closing the old SA
        const refusal = play.hold('b')
        for (const flight of isDeleteFirst ? [deletion, refusal] : [refusal, deletion]) play.release(flight)
        play.looks({ a: 'old b*', b: 'old b*' }).pass('a').quiet()
        play.ends('b')
      }
    }
  })

  situation('both, request later', () => {
    for (const lowest of LOWEST) {
      const { play } = bothRenew(lowest)
      const late = play.hold('a')
      play.pass('b').pass('a').pass('b', { a: 'old b*', b: 'old b*' }).pass('a')
      play.release(late, { a: 'old b*', b: 'old b*' }) // CHILD_SA_NOT_FOUND
      play.pass('b').quiet()
      play.ends('b')
      assert.equal(play.bed.a.reports.length, 0, 'nobody needs to hear of it')
    }
  })

  situation('both, request later, all deleted', () => {
    for (const lowest of LOWEST) {
      const { play } = bothRenew(lowest)
      play.isGapAllowed = true
      const late = play.hold('a')
      play.pass('b').pass('a').pass('b').pass('a')
      play.expire('b', 'b').pass('b').pass('a')
      play.release(late).pass('b').wait(40_000)
      play.looks({ a: '', b: '' }).quiet()
      assert.deepEqual([play.bed.a.spis.size, play.bed.b.spis.size], [0, 0])
    }
  })

  const groups: Partial<PeerConfig> = {
    childProposals: [
      { ...childSuite, dhGroup: 19 },
      { ...childSuite, dhGroup: 31 },
    ],
  }
  const swapped: Partial<PeerConfig> = { childProposals: [...groups.childProposals!].reverse() }

  situation('both, groups', () => {
    for (const lowest of LOWEST) {
      const loser = loserOf(lowest)
      const play = new Play({ childProposals: [groups.childProposals![1]] })
      play.bed.configure(peerA(groups), peerB(swapped))
      play.rekey('a').rekey('b')
      play.bed.a.engine.setPeer(peerA({ childProposals: [groups.childProposals![0]] }))
      play.bed.b.engine.setPeer(peerB({ childProposals: [groups.childProposals![1]] }))
      play.pass('a', { a: 'old*', b: 'old*' }).pass('b', { a: 'old*', b: 'old*' })
      play.bed.configure(peerA(groups), peerB(swapped))
      play.nonces(lowest).pass('a').pass('b') // INVALID_KE_PAYLOAD both ways; both try again
      play.pass('a').pass('b').pass('a').pass('b')
      play.ends(other(loser))
    }
  })

  situation('both, groups, retry late', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play({ childProposals: [groups.childProposals![1]] })
      play.bed.configure(peerA(groups), peerB(swapped))
      play.rekey('a').rekey('b')
      play.bed.a.engine.setPeer(peerA({ childProposals: [groups.childProposals![0]] }))
      play.bed.b.engine.setPeer(peerB({ childProposals: [groups.childProposals![1]] }))
      play.pass('a').pass('b')
      play.bed.configure(peerA(groups), peerB(swapped))
      play.pass('a').pass('b')
      const late = play.hold(x)
      play.pass(y).pass(x).pass(y).pass(x) // y is through: renewal and Delete
      play.release(late).pass(y)
      play.ends(y)
    }
  })

  situation('both, early delete', () => {
    for (const lowest of ['b.ni', 'a.nr'] as const) {
      const { play } = bothRenew(lowest)
      play.pass('a').pass('b')
      const answer = play.hold('b')
      play.pass('a', { a: 'old* b', b: 'old* a b' })
      play.lose('b') // its own Delete comes later
      const { bed } = play
      const old = [...bed.b.installed.values()][0]
      bed.b.do(bed.b.engine.expireChild(old.child, bed.now)) // queued behind it
      play.looks({ a: 'old* b', b: 'a* b' })
      play.isGapAllowed = true
      play.release(answer, { a: 'old b a*', b: 'a* b' })
      play.ends('a')
    }
  })

  situation('both, winner’s delete lost', () => {
    for (const lowest of LOWEST) {
      const { play, winner } = bothRenew(lowest)
      play.pass('a').pass('b').pass('a').pass('b')
      play.lose('a').lose('b')
      play.ends(winner)
    }
  })

  situation('both, loser forgets', () => {
    const { play } = bothRenew('a.ni')
    play.pass('a').pass('b').pass('a')
    const { bed } = play
    play.pass('b', { a: 'old* b a', b: 'old a b*' })
    bed.impairment = (_, from) => (from === bed.a ? [] : [0])
    play.lose('a') // no Delete, no answers any more: b clears up by itself
    bed.a.engine.removePeer('t', bed.now)
    bed.run(200_000)
    assert.deepEqual([bed.b.installed.size, bed.b.spis.size], [0, 0])
  })

  situation('both, no proposal', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekey('a').rekey('b')
      const wrong = { childProposals: [{ ...childSuite, cipher: 'aes-256' as const }] }
      play.side(y).engine.setPeer((y === 'a' ? peerA : peerB)(wrong))
      play.pass(x, { a: 'old*', b: 'old*' }) // refused
      play.pass(y, looks(x, `old* ${y}`, 'old*'))
      play.pass(y, looks(x, `old* ${y}`, 'old*')) // NO_PROPOSAL_CHOSEN: the peer’s SA will do
      play.pass(x, looks(x, `old* ${y}`, `old ${y}*`))
      play.pass(y, looks(x, `old ${y}*`, `old ${y}*`))
      play.side(y).engine.setPeer((y === 'a' ? peerA : peerB)())
      play.wait(10_000)
      assertUp(play.bed)
    }
  })

  situation('both create', () => {
    for (const lowest of LOWEST) {
      const play = new Play()
      play.isGapAllowed = true
      play.expire('a').pass('a').pass('b').looks({ a: '', b: '' })
      play.nonces(lowest)
      for (const side of [play.bed.a, play.bed.b]) side.initiate()
      play.pass('a').pass('b').pass('a').pass('b')
      play.wait(70_000)
      assertUp(play.bed)
      const stays = other(loserOf(lowest))
      play.looks({ a: `${stays}*`, b: `${stays}*` })
    }
  })
})

describe('a renewal against a Delete', () => {
  situation('delete', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekey(x)
      play.isGapAllowed = true
      play.expire(y).looks(looks(x, 'old*', ''))
      play.pass(x, looks(x, 'old*', '')) // TEMPORARY_FAILURE or CHILD_SA_NOT_FOUND
      play.pass(y, looks(x, 'old*', '')) // its Delete
      play
        .pass(y, looks(x, '', ''))
        .pass(x)
        .wait(60_000)
      play.looks({ a: '', b: '' }).quiet()
      assert.deepEqual(
        play.side(x).removed.map((each) => each.reason),
        ['peer-deleted'],
      )
    }
  })

  situation('delete late', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekey(x)
      play.isGapAllowed = true
      play.expire(y)
      const deletion = play.hold(y)
      play.pass(x).pass(y)
      play.release(deletion).wait(60_000)
      assert.equal(play.bed.a.installed.size, play.bed.b.installed.size)
      assert.ok(play.bed.a.installed.size <= 1)
    }
  })

  situation('delete, request late', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekey(x)
      play.isGapAllowed = true
      const late = play.hold(x)
      play
        .expire(y)
        .pass(y, looks(x, 'old*', ''))
        .pass(x, looks(x, 'old*', ''))
      play.release(late, looks(x, 'old*', '')).pass(y, { a: '', b: '' }) // CHILD_SA_NOT_FOUND
      play.wait(60_000).quiet()
      play.looks({ a: '', b: '' })
    }
  })

  situation('answer late, new one deleted', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekey(x).pass(x, looks(x, 'old*', `old* ${x}`))
      play.isGapAllowed = true
      const answer = play.hold(y)
      play
        .expire(y, x)
        .pass(y, looks(x, 'old*', 'old*'))
        .pass(x) // x does not know that SPI yet
      play.release(answer, looks(x, 'old*', 'old*')) // it is not brought up; the old one is deleted
      play
        .pass(x, looks(x, 'old*', ''))
        .pass(y, { a: '', b: '' })
        .wait(20_000)
        .quiet()
      assert.deepEqual([play.bed.a.spis.size, play.bed.b.spis.size], [0, 0])
    }
  })
})

describe('a renewal of a Child SA against the IKE SA', () => {
  situation('IKE renewal', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play(pfs(31)).rekey(x).rekeyIke(y)
      play.pass(x, looks(x, 'old*', 'old*')).pass(y, looks(x, 'old*', 'old*'))
      play
        .pass(x, looks(x, 'old*', 'old*'))
        .pass(y, looks(x, 'old*', 'old*'))
        .quiet()
      const before = play.bed.a.ikeIds()
      play.ends(x)
      assert.notDeepEqual(play.bed.a.ikeIds(), before, 'both renewals were made up for')
    }
  })

  situation('IKE delete', () => {
    for (const x of BOTH) {
      const y = other(x)
      const play = new Play().rekey(x)
      play.isGapAllowed = true
      play.clear(y).pass(x).pass(y).pass(y).wait(60_000).quiet()
      play.looks({ a: '', b: '' })
      for (const side of [play.bed.a, play.bed.b]) {
        assert.deepEqual([side.up.size, side.spis.size, side.engine.deadline()], [0, 0, Infinity])
        assert.equal(side.downs.length, 1)
      }
    }
  })

  situation('out of step', () => {
    const bed = new IkeBed({ a: { outOfStepMs: 20_000 } }).configure(peerA(), peerB())
    bed.a.initiate()
    bed.settle()
    // b renews its IKE SA for ever: its request never arrives
    bed.b.do(bed.b.engine.rekeyIke(bed.b.ikeIds()[0], bed.now))
    bed.computeAll()
    const lost = bed.flights.map((each) => Buffer.from(each.datagram.data).toString('base64'))
    bed.flights = []
    bed.impairment = ({ data }) => (lost.includes(Buffer.from(data).toString('base64')) ? [] : [0])
    bed.a.do(bed.a.engine.rekeyChild(bed.a.sender().child, bed.now))
    bed.run(30_000)
    assert.ok(bed.a.reports.some((each) => each.code === 'ike-out-of-step'))
    assert.deepEqual(
      bed.a.downs.map((each) => each.reason),
      ['peer-dead'],
    )
  })
})
