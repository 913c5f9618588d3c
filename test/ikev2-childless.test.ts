// An IKE SA that comes up without a Child SA (RFC 6023), and notifies that change nothing here: SET_WINDOW_SIZE,
// SINGLE_PAIR_REQUIRED (RFC 7296 §2.3, §2.9).

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { NotifyError, NotifyStatus } from '../control/wire/notify.ts'
import { Exchange, type Payload } from '../control/wire/types.ts'
import { assertUp, IkeBed } from './support/ike-bed.ts'
import { childSuite, peerA, peerB } from './support/ike-peers.ts'
import { notifyTypes, pick, RawPeer } from './support/raw-ike.ts'

const CHILDLESS = NotifyStatus.CHILDLESS_IKEV2_SUPPORTED
const none = new Uint8Array(0)
const notify = (type: number, data: Uint8Array = none): Payload => ({
  kind: 'NOTIFY',
  protocol: 0,
  spi: none,
  type,
  data,
})

describe('childless', () => {
  const common = { childless: true, childProposals: [{ ...childSuite, dhGroup: 31 as const }] }

  test('the first Child SA comes by CREATE_CHILD_SA, with a Diffie-Hellman exchange of its own', () => {
    const bed = new IkeBed().configure(peerA(common), peerB(common))
    bed.a.initiate()
    assertUp(bed.settle())
    assert.deepEqual(
      bed.log.map((each) => each.data[18]),
      [34, 34, 35, 35, 36, 36],
    )
    assert.equal(bed.a.jobKinds.filter((kind) => kind === 'dh-generate').length, 2)
    assert.deepEqual([bed.a.failed, bed.a.reports, bed.b.reports, bed.a.drops], [[], [], [], []])
    bed.b.do(bed.b.engine.rekeyChild(bed.b.sender().child, bed.now))
    bed.run(6_000)
    assertUp(bed)
  })

  test('two tunnels on one IKE SA: both follow', () => {
    const bed = new IkeBed().configure(
      [peerA(common), peerA({ ...common, tunnel: 'u' })],
      [peerB(common), peerB({ ...common, tunnel: 'u' })],
    )
    bed.a.initiate('t').initiate('u')
    bed.settle()
    assert.deepEqual([bed.a.installed.size, bed.b.installed.size, bed.a.up.size], [2, 2, 1])
  })

  test('not with a responder that does not say it can', () => {
    const bed = new IkeBed().configure(peerA(common), [])
    const peer = new RawPeer(bed, peerB(common), false)
    bed.a.initiate()
    bed.computeAll()
    peer.answerInit(bed.log[0].data)
    const [auth] = peer.inject(peer.ownMessage)
    pick(peer.open(auth.data).payloads, 'SA')
  })

  test('and with one that says so', () => {
    const bed = new IkeBed().configure(peerA(common), [])
    const peer = new RawPeer(bed, peerB(common), false)
    bed.a.initiate()
    bed.computeAll()
    peer.answerInit(bed.log[0].data, [notify(CHILDLESS)])
    const [auth] = peer.inject(peer.ownMessage)
    const kinds = peer.open(auth.data).payloads.map((each) => each.kind)
    assert.ok(!kinds.includes('SA') && !kinds.includes('TSi') && !kinds.includes('TSr'))
  })

  test('as responder always: announced, answered without a Child SA, which may follow at any time', () => {
    const peer = new RawPeer(new IkeBed().configure([], peerB()), peerA())
    assert.ok(notifyTypes(peer.init().payloads).includes(CHILDLESS))
    const answer = peer.auth([], peer.proof(), [])!
    assert.deepEqual(
      answer.map((each) => each.kind),
      ['IDr', 'AUTH'],
    )
    const { victim } = peer
    assert.deepEqual([victim.up.size, victim.installed.size], [1, 0])
    const nonce: Payload = { kind: 'NONCE', data: peer.bed.random(32) }
    const more = peer.request(Exchange.CREATE_CHILD_SA, [...peer.childPayloads(), nonce])!
    pick(more, 'SA')
    assert.equal(victim.installed.size, 1)
  })

  test('half of a Child SA is no message', () => {
    for (const kind of ['SA', 'TSi'] as const) {
      const peer = new RawPeer(new IkeBed().configure([], peerB()), peerA())
      peer.init()
      const child = peer.childPayloads().filter((each) => (kind === 'SA') === (each.kind === 'SA'))
      assert.deepEqual(notifyTypes(peer.auth([], peer.proof(), child)!), [NotifyError.INVALID_SYNTAX])
      assert.equal(peer.victim.up.size, 0)
    }
  })

  test('an answer without the Child SA that was asked for: the IKE SA stays, the tunnel hears it', () => {
    const bed = new IkeBed().configure(peerA(), [])
    const peer = new RawPeer(bed, peerB(), false)
    bed.a.initiate()
    bed.computeAll()
    peer.answerInit(bed.log[0].data)
    peer.inject(peer.ownMessage)
    peer.inject(peer.seal(Exchange.IKE_AUTH, 1, peer.proof(), { response: true }))
    assert.deepEqual([bed.a.up.size, bed.a.installed.size], [1, 0])
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['no-proposal'],
    )
  })
})

describe('notifies that change nothing', () => {
  test('SET_WINDOW_SIZE is answered; our window stays one', () => {
    const peer = new RawPeer(new IkeBed().configure([], peerB()), peerA())
    const window = notify(NotifyStatus.SET_WINDOW_SIZE, Uint8Array.of(0, 0, 0, 5))
    peer.connect([window])
    assert.deepEqual(peer.request(Exchange.INFORMATIONAL, [window]), [])
    peer.nextId++ // the one after the next
    assert.equal(peer.request(Exchange.INFORMATIONAL, []), null)
    assert.deepEqual(peer.victim.drops, ['ike-window'])
    const { victim } = peer
    for (const each of victim.installed.keys()) victim.do(victim.engine.rekeyChild(each, peer.bed.now))
    victim.do(victim.engine.rekeyIke(victim.ikeIds()[0], peer.bed.now))
    peer.bed.computeAll()
    assert.equal(victim.sent, 4, 'one request in flight, the other waits')
  })

  test('SINGLE_PAIR_REQUIRED: said with what to do, and the tunnel is tried again', () => {
    const bed = new IkeBed().configure(peerA(), [])
    const peer = new RawPeer(bed, peerB(), false)
    bed.a.initiate()
    bed.computeAll()
    peer.answerInit(bed.log[0].data)
    peer.inject(peer.ownMessage)
    const refusal = [...peer.proof(), notify(NotifyError.SINGLE_PAIR_REQUIRED)]
    peer.inject(peer.seal(Exchange.IKE_AUTH, 1, refusal, { response: true }))
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['ts-unacceptable'],
    )
    const [report] = bed.a.reports
    assert.match(report.text, /SINGLE_PAIR_REQUIRED/)
    assert.match(report.advice!, /one address on each side/)
  })
})
