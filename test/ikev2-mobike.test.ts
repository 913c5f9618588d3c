// MOBIKE (RFC 4555): the end that began moves to another address; IKE SA and Child SAs go on, at both ends.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PeerConfig } from '../control/sa/contract.ts'
import { concat, u16Bytes } from '../control/wire/bytes.ts'
import { NotifyError, NotifyStatus } from '../control/wire/notify.ts'
import { Exchange, type Payload } from '../control/wire/types.ts'
import { assertUp, IkeBed, type Nat } from './support/ike-bed.ts'
import { peerA, peerB } from './support/ike-peers.ts'
import { notifyTypes, RawPeer } from './support/raw-ike.ts'

const none = new Uint8Array(0)
const notify = (type: number, data: Uint8Array = none): Payload => ({
  kind: 'NOTIFY',
  protocol: 0,
  spi: none,
  type,
  data,
})
const mobike = { mobike: true, dpd: null }
const THERE = '192.0.2.77'

function upBed(common: Partial<PeerConfig> = mobike, nat: Nat | null = null): IkeBed {
  const bed = new IkeBed({ nat }).configure(peerA(common), { ...peerB(common), remote: null })
  bed.a.initiate()
  assertUp(bed.settle())
  return bed
}

/** a finds itself at another address. */
function roam(bed: IkeBed, address: string): void {
  bed.a.do(bed.a.engine.localAddress!('t', address, bed.now))
}

const view = (bed: IkeBed, side: 'a' | 'b') => bed[side].engine.ikeSas(bed.now)[0]

describe('agreement', () => {
  test('both want it: IKE_AUTH goes to port 4500 though there is no NAT, ESP stays native', () => {
    const bed = upBed()
    assert.deepEqual(
      bed.log.map((each) => each.remote.port),
      [500, 500, 4500, 4500],
    )
    assert.equal(bed.a.sender().encapsulation, 'raw')
    assert.equal(bed.a.engine.deadline() > bed.now + 1_000_000, true, 'no keepalives without a NAT')
  })

  for (const [name, a, b] of [
    ['only the initiator', mobike, { dpd: null }],
    ['only the responder', { dpd: null }, mobike],
  ] as const) {
    test(`${name} wants it: nobody moves`, () => {
      const bed = new IkeBed().configure(peerA(a), { ...peerB(b), remote: null })
      bed.a.initiate()
      assertUp(bed.settle())
      const before = bed.log.length
      roam(bed, THERE)
      bed.settle()
      assert.equal(bed.log.length, before)
      assert.deepEqual([bed.a.moves, bed.b.moves], [[], []])
    })
  }
})

describe('a move', () => {
  test('request and answer, a check of the new address, and both cards send on the new path', () => {
    const bed = upBed()
    const before = bed.log.length
    roam(bed, THERE)
    bed.settle()
    const there = { address: THERE, port: 4500 }
    const messages = bed.log.slice(before)
    assert.deepEqual(
      messages.map((each) => [each.local.address === bed.b.address ? 'b' : 'a', each.data[18]]),
      [
        ['a', Exchange.INFORMATIONAL],
        ['b', Exchange.INFORMATIONAL],
        ['b', Exchange.INFORMATIONAL],
        ['a', Exchange.INFORMATIONAL],
      ],
    )
    assert.deepEqual(messages[0].local, there)
    assert.deepEqual([view(bed, 'a').local, view(bed, 'b').remote], [there, there])
    const end = { local: THERE, remote: { address: bed.b.address, port: 0 }, encapsulation: 'raw' }
    assert.deepEqual(bed.a.moves.at(-1), end)
    const other = { local: bed.b.address, remote: { address: THERE, port: 0 }, encapsulation: 'raw' }
    assert.deepEqual(bed.b.moves, [other])
    assertUp(bed)
  })

  test('Child SAs of later are installed between the new ends', () => {
    const bed = upBed()
    roam(bed, THERE)
    bed.settle()
    bed.b.do(bed.b.engine.rekeyChild(bed.b.sender().child, bed.now))
    bed.run(6_000)
    assertUp(bed)
    assert.equal(bed.b.sender().remote.address, THERE)
    assert.equal(bed.a.sender().local, THERE)
  })

  test('behind a NAT and out again: the encapsulation follows', () => {
    const bed = upBed()
    bed.nat = { address: '203.0.113.9', shift: 20_000 }
    roam(bed, THERE)
    bed.settle()
    assert.deepEqual(bed.b.moves.at(-1)?.remote, { address: '203.0.113.9', port: 24_500 })
    assert.deepEqual([bed.a.moves.at(-1)?.encapsulation, bed.b.moves.at(-1)?.encapsulation], ['udp', 'udp'])
    assert.deepEqual(view(bed, 'a').nat, { local: true, remote: false })
    bed.nat = null
    roam(bed, '192.0.2.78')
    bed.settle()
    assert.deepEqual([bed.a.moves.at(-1)?.encapsulation, bed.b.moves.at(-1)?.encapsulation], ['raw', 'raw'])
    assertUp(bed)
  })

  test('a request in flight goes on from the new address, then the update', () => {
    const bed = upBed()
    bed.impairment = () => []
    bed.a.do(bed.a.engine.rekeyChild(bed.a.sender().child, bed.now))
    roam(bed, THERE)
    bed.impairment = () => [0]
    bed.run(10_000)
    assertUp(bed)
    assert.equal(view(bed, 'b').remote.address, THERE)
  })

  test('two moves while the wire is down: the last one counts', () => {
    const bed = upBed()
    bed.impairment = () => []
    roam(bed, THERE)
    bed.run(700)
    roam(bed, '192.0.2.78')
    bed.run(700)
    bed.impairment = () => [0]
    bed.run(20_000)
    assert.equal(view(bed, 'b').remote.address, '192.0.2.78')
    assert.equal(bed.b.moves.at(-1)?.remote.address, '192.0.2.78')
    assertUp(bed)
  })

  test('after renewals from either end it is still the one that began that moves', () => {
    const bed = upBed()
    for (const side of [bed.b, bed.a, bed.b]) {
      side.do(side.engine.rekeyIke(side.ikeIds()[0], bed.now))
      bed.settle()
    }
    assert.equal(view(bed, 'a').role, 'responder')
    roam(bed, THERE)
    bed.settle()
    assert.equal(view(bed, 'b').remote.address, THERE)
    const before = bed.log.length
    bed.b.do(bed.b.engine.localAddress!('t', '192.0.2.99', bed.now))
    bed.settle()
    assert.equal(bed.log.length, before, 'the other end has nothing to say')
  })
})

/** A raw initiator that has agreed on MOBIKE with b. */
function rawPeer(): RawPeer {
  const peer = new RawPeer(new IkeBed().configure([], { ...peerB(mobike), remote: null }), peerA())
  assert.ok(
    notifyTypes(peer.connect([notify(NotifyStatus.MOBIKE_SUPPORTED)])).includes(
      NotifyStatus.MOBIKE_SUPPORTED,
    ),
  )
  return peer
}

describe('what a responder makes of it', () => {
  const { UPDATE_SA_ADDRESSES, COOKIE2, NO_NATS_ALLOWED } = NotifyStatus

  test('COOKIE2 comes back as it is', () => {
    const peer = rawPeer()
    const cookie = notify(COOKIE2, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
    assert.deepEqual(peer.request(Exchange.INFORMATIONAL, [cookie]), [cookie])
  })

  test('NO_NATS_ALLOWED that holds is fine, one that does not is refused and nothing moves', () => {
    const peer = rawPeer()
    const data = (last: number) =>
      concat(Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, last), u16Bytes(500), u16Bytes(500))
    const update = (last: number) => [notify(UPDATE_SA_ADDRESSES), notify(NO_NATS_ALLOWED, data(last))]
    assert.deepEqual(notifyTypes(peer.request(Exchange.INFORMATIONAL, update(3))!), [
      NotifyError.UNEXPECTED_NAT_DETECTED,
    ])
    assert.deepEqual(peer.victim.moves, [])
    peer.request(Exchange.INFORMATIONAL, update(2))
    assert.equal(peer.victim.moves.length, 1)
  })

  for (const [name, answer] of [
    ['none', []],
    ['another', [notify(COOKIE2, new Uint8Array(16))]],
  ] as const) {
    test(`the new address returns ${name === 'none' ? 'no cookie' : 'another cookie'}: the SA ends`, () => {
      const peer = rawPeer()
      const elsewhere = { address: '198.51.100.66', port: 4500 }
      const update = peer.seal(Exchange.INFORMATIONAL, peer.nextId++, [notify(UPDATE_SA_ADDRESSES)])
      const sent = peer.inject(update, elsewhere)
      assert.equal(sent.length, 2)
      assert.deepEqual(sent[1].remote, elsewhere)
      assert.deepEqual(notifyTypes(peer.open(sent[1].data).payloads), [COOKIE2])
      peer.inject(peer.seal(Exchange.INFORMATIONAL, 0, [...answer], { response: true }), elsewhere)
      assert.deepEqual(
        peer.victim.downs.map((each) => each.reason),
        ['peer-dead'],
      )
    })
  }

  test('without agreement an update is answered emptily and moves nothing', () => {
    const peer = new RawPeer(new IkeBed().configure([], { ...peerB(), remote: null }), peerA())
    peer.connect()
    const update = peer.seal(Exchange.INFORMATIONAL, peer.nextId++, [notify(UPDATE_SA_ADDRESSES)])
    const [answer] = peer.inject(update, { address: '198.51.100.66', port: 4500 })
    assert.deepEqual(peer.open(answer.data).payloads, [])
    assert.deepEqual(peer.victim.moves, [])
  })

  test('an update of the wrong end is no update', () => {
    const bed = new IkeBed().configure(peerA(mobike), [])
    const peer = new RawPeer(bed, peerB(mobike), false)
    bed.a.initiate()
    bed.computeAll()
    peer.answerInit(bed.log[0].data)
    peer.inject(peer.ownMessage)
    const answer = [...peer.proof(), ...peer.childPayloads(), notify(NotifyStatus.MOBIKE_SUPPORTED)]
    peer.inject(peer.seal(Exchange.IKE_AUTH, 1, answer, { response: true }))
    assert.equal(bed.a.installed.size, 1)
    peer.inject(peer.seal(Exchange.INFORMATIONAL, 0, [notify(UPDATE_SA_ADDRESSES)]), {
      address: '198.51.100.66',
      port: 4500,
    })
    assert.deepEqual(bed.a.moves, [])
  })
})
