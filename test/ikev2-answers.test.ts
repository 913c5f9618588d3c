// A responder that authenticates and then answers what it should not (RFC 7296 §1.3, §2.9, §2.21.2), and a crowd of
// mutated messages against both roles: whatever comes, the engine returns actions and never throws.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { engineReasons } from '../control/ikev2/reasons.ts'
import { NotifyType } from '../control/wire/notify.ts'
import { encodeChildProposals, encodeIkeProposals, spiBytes } from '../control/wire/proposals.ts'
import { wireReasons } from '../control/wire/reasons.ts'
import { Exchange, type Payload } from '../control/wire/types.ts'
import { assertUp, IkeBed } from './support/ike-bed.ts'
import { childSuite, peerA, peerB, range, suite } from './support/ike-peers.ts'
import { notifyTypes, pick, RawPeer } from './support/raw-ike.ts'
import { seeded } from './support/seeded.ts'

const none = new Uint8Array(0)
const error = (type: number): Payload => ({ kind: 'NOTIFY', protocol: 0, spi: none, type, data: none })

/** An engine that has begun a tunnel, and a responder in the hands of the test that has sent nothing yet. */
function begin(): { bed: IkeBed; peer: RawPeer } {
  const bed = new IkeBed()
  bed.configure(peerA(), [])
  const peer = new RawPeer(bed, peerB(), false)
  bed.a.initiate()
  bed.computeAll()
  return { bed, peer }
}

/** The engine has sent IKE_AUTH. */
function untilAuth(): { bed: IkeBed; peer: RawPeer; request: Payload[] } {
  const { bed, peer } = begin()
  peer.answerInit(bed.log[0].data)
  const [auth] = peer.inject(peer.ownMessage)
  return { bed, peer, request: peer.open(auth.data).payloads }
}

/** Answers the engine's request with this message id; returns what the engine sends next, opened. */
function answer(peer: RawPeer, exchange: number, messageId: number, payloads: Payload[]): Payload[][] {
  const sent = peer.inject(peer.seal(exchange, messageId, payloads, { response: true }))
  return sent.map((each) => peer.open(each.data).payloads)
}

describe('the answer to IKE_AUTH', () => {
  test('a good one brings the tunnel up', () => {
    const { bed, peer } = untilAuth()
    answer(peer, Exchange.IKE_AUTH, 1, [...peer.proof(), ...peer.childPayloads()])
    assert.deepEqual([bed.a.up.size, bed.a.installed.size], [1, 1])
    assert.equal(bed.a.sender().spiOut, 0xc000_0001)
  })

  test('selectors wider than ours are refused and the SPI deleted at the peer', () => {
    const { bed, peer, request } = untilAuth()
    const any = [range('0.0.0.0', '255.255.255.255')]
    const [sa] = peer.childPayloads()
    const [next] = answer(peer, Exchange.IKE_AUTH, 1, [
      ...peer.proof(),
      sa,
      { kind: 'TSi', selectors: any },
      { kind: 'TSr', selectors: any },
    ])
    assert.deepEqual(pick(next, 'DELETE').spis, [pick(request, 'SA').proposals[0].spi])
    assert.deepEqual([bed.a.up.size, bed.a.installed.size, bed.a.spis.size], [1, 0, 0])
    assert.equal(bed.a.failed[0].reason, 'ts-unacceptable')
  })

  test('a suite that we did not offer', () => {
    const { bed, peer } = untilAuth()
    const [, ...selectors] = peer.childPayloads()
    const proposals = encodeChildProposals(
      [{ ...childSuite, integrity: 'sha512' }],
      spiBytes(0xc000_0001),
      false,
    )
    answer(peer, Exchange.IKE_AUTH, 1, [...peer.proof(), { kind: 'SA', proposals }, ...selectors])
    assert.equal(bed.a.installed.size, 0)
    assert.equal(bed.a.failed[0].reason, 'no-proposal')
  })

  test('an error notify without AUTH ends the attempt, with AUTH only the Child SA', () => {
    const { bed, peer } = untilAuth()
    answer(peer, Exchange.IKE_AUTH, 1, [error(NotifyType.TS_UNACCEPTABLE)])
    assert.deepEqual([bed.a.up.size, bed.a.failed[0].reason], [0, 'ts-unacceptable'])
    const second = untilAuth()
    answer(second.peer, Exchange.IKE_AUTH, 1, [...second.peer.proof(), error(NotifyType.NO_ADDITIONAL_SAS)])
    assert.deepEqual([second.bed.a.up.size, second.bed.a.installed.size], [1, 0])
  })

  test('SA and selectors without AUTH, AUTH without IDr, a reflected AUTH', () => {
    for (const build of [
      (peer: RawPeer) => [peer.identity(), ...peer.childPayloads(), error(NotifyType.TS_UNACCEPTABLE)],
      (peer: RawPeer) => [peer.proof()[1], ...peer.childPayloads(), error(NotifyType.TS_UNACCEPTABLE)],
      (peer: RawPeer, request: Payload[]) => [
        peer.identity(),
        pick(request, 'AUTH'),
        ...peer.childPayloads(),
      ],
    ]) {
      const { bed, peer, request } = untilAuth()
      answer(peer, Exchange.IKE_AUTH, 1, build(peer, request))
      assert.deepEqual(
        [bed.a.up.size, bed.a.installed.size, bed.a.spis.size, bed.a.failed.length],
        [0, 0, 0, 1],
      )
    }
  })

  test('a responder that we do not believe is told AUTHENTICATION_FAILED in an exchange of its own', () => {
    const { bed, peer } = untilAuth()
    peer.peerNonce = new Uint8Array(32)
    const [next] = answer(peer, Exchange.IKE_AUTH, 1, [...peer.proof(), ...peer.childPayloads()])
    assert.deepEqual(notifyTypes(next), [NotifyType.AUTHENTICATION_FAILED])
    assert.equal(bed.a.failed[0].reason, 'auth-failed')
    answer(peer, Exchange.INFORMATIONAL, 2, [])
    assert.equal(bed.a.engine.deadline(), Infinity)
  })

  test('malformed inside its protection: the attempt ends', () => {
    const { bed, peer } = untilAuth()
    answer(peer, Exchange.IKE_AUTH, 1, [...peer.proof(), { kind: 'KE', group: 31, data: new Uint8Array(32) }])
    assert.deepEqual([bed.a.drops, bed.a.failed.length, bed.a.spis.size], [['ike-payload-illegal'], 1, 0])
  })
})

describe('the answer to IKE_SA_INIT', () => {
  test('a suite we did not offer changes nothing; the attempt ends after the grace time', () => {
    const { bed, peer } = begin()
    const odd = { ...suite, encryption: 'aes-256' } as const
    const ownPayloads = peer.initPayloads.bind(peer)
    peer.initPayloads = () => [
      { kind: 'SA', proposals: encodeIkeProposals([odd], none) },
      ...ownPayloads().slice(1),
    ]
    peer.answerInit(bed.log[0].data)
    for (let times = 0; times < 5; times++) assert.deepEqual(peer.inject(peer.ownMessage), [])
    assert.deepEqual(bed.a.drops, Array(5).fill('ike-refused'))
    assert.equal(bed.a.reports.length, 1, 'the log is not flooded')
    bed.run(6_000)
    assert.equal(bed.a.failed[0].reason, 'no-proposal')
  })

  test('a zero responder SPI, an invalid public value', () => {
    const { bed, peer } = begin()
    peer.answerInit(bed.log[0].data)
    const zero = peer.ownMessage.slice()
    zero.fill(0, 8, 16)
    peer.inject(zero)
    const ke = peer.ownMessage.slice()
    const at = 28 + ((ke[30] << 8) | ke[31]) + 8
    ke.fill(0, at, at + 32)
    peer.inject(ke)
    assert.deepEqual(bed.a.drops, ['ike-direction', 'ike-ke-value'])
    assert.equal(peer.inject(peer.ownMessage).length, 1, 'the true answer still counts')
  })
})

describe('mutations', () => {
  const known = new Set([...Object.keys(engineReasons), ...Object.keys(wireReasons)])

  /** One to four bytes changed, the length field repaired three times out of four. */
  function mutate(data: Uint8Array, random: () => number): Uint8Array {
    const below = (limit: number) => Math.floor(random() * limit)
    const cut = random() < 0.2 ? data.slice(0, below(data.length)) : data.slice()
    for (let left = 1 + below(4); left > 0 && cut.length > 0; left--) cut[below(cut.length)] = below(256)
    if (cut.length >= 28 && random() < 0.75) cut.set([0, 0, cut.length >> 8, cut.length & 255], 24)
    return cut
  }

  test('20,000 mutated datagrams beside a live tunnel: it stays, every drop has a sentence', () => {
    const random = seeded(42)
    const bed = new IkeBed().configure(peerA(), peerB())
    bed.a.initiate()
    bed.settle()
    const corpus = [...bed.log]
    for (let count = 0; count < 20_000; count++) {
      const side = count % 2 === 0 ? bed.a : bed.b
      const pickOne = corpus[Math.floor(random() * corpus.length)]
      const remote = { address: bed.other(side).address, port: 500 }
      const local = { address: side.address, port: 500 }
      side.do(side.engine.receive({ local, remote, data: mutate(pickOne.data, random) }, bed.now))
      bed.flights = []
      if (count % 1_000 === 0) bed.run(1_000)
    }
    bed.run(60_000)
    assertUp(bed)
    for (const reason of [...bed.a.drops, ...bed.b.drops]) assert.ok(known.has(reason), reason)
  })

  test('4,000 authentic requests with mutated insides: answers or silence, never an exception', () => {
    const random = seeded(43)
    const build: ((peer: RawPeer) => Payload[])[] = [
      () => [{ kind: 'DELETE', protocol: 3, spis: [spiBytes(0xc000_0001)] }],
      (peer) => [...peer.childPayloads(0xc000_0002), { kind: 'NONCE', data: new Uint8Array(32) }],
      (peer) => [
        { kind: 'SA', proposals: encodeIkeProposals(peer.peer.ikeProposals, new Uint8Array(8).fill(1)) },
        ...peer.initPayloads().slice(1),
      ],
      () => [error(NotifyType.INVALID_SYNTAX)],
    ]
    let peer: RawPeer | null = null
    for (let count = 0; count < 4_000; count++) {
      if (!peer || peer.victim.up.size === 0) {
        peer = new RawPeer(new IkeBed({ seed: count }).configure([], peerB()), peerA())
        peer.connect()
      }
      const payloads = mutatePayloads(build[count % build.length](peer), random)
      const exchange = random() < 0.5 ? Exchange.CREATE_CHILD_SA : Exchange.INFORMATIONAL
      for (const sent of peer.inject(peer.seal(exchange, peer.nextId, payloads))) {
        if ((sent.data[19] & 0x20) !== 0) peer.nextId++
      }
      for (const reason of peer.victim.drops.splice(0)) assert.ok(known.has(reason), reason)
    }
  })

  /** The payloads of a message become unknown bodies of the same type with changed bytes: any inside can be sealed. */
  function mutatePayloads(payloads: Payload[], random: () => number): Payload[] {
    const changed = payloads.map((payload): Payload => {
      if (random() < 0.5) return payload
      if ('data' in payload && payload.data.length > 0)
        return { ...payload, data: mutate(payload.data, random) } as Payload
      if (payload.kind === 'SA')
        return {
          ...payload,
          proposals: payload.proposals.map((each) => ({
            ...each,
            protocol: Math.floor(random() * 5),
            spi: mutate(each.spi, random),
          })),
        }
      return {
        kind: 'UNKNOWN',
        type: 33 + Math.floor(random() * 20),
        critical: random() < 0.1,
        data: new Uint8Array(Math.floor(random() * 40)),
      }
    })
    return random() < 0.2 ? changed.toReversed() : changed
  }
})
