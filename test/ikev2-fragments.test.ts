// IKE fragmentation in the engine (RFC 7383; security G): who splits, what is repeated, what is refused. The codec and
// the reassembly have tests of their own.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { protectFragments } from '../control/crypto/skf.ts'
import { createCa, issueCertificate, type MadeCertificate, makeKey } from '../control/pki/make.ts'
import { decodePem } from '../control/pki/pem.ts'
import type { LocalCertificate, PeerConfig } from '../control/sa/contract.ts'
import { NotifyStatus } from '../control/wire/notify.ts'
import { Exchange, type Payload, PayloadType } from '../control/wire/types.ts'
import { assertUp, type BedOptions, IkeBed } from './support/ike-bed.ts'
import { peerA, peerB, testCa, wallNow } from './support/ike-peers.ts'
import { notifyTypes, RawPeer } from './support/raw-ike.ts'
import { seeded } from './support/seeded.ts'

/** Bytes of a UDP payload that fit into a packet of 1,280 bytes, IPv4, less the non-ESP marker on 4500. */
const LIMIT = 1_280 - 20 - 8
const FRAGMENTATION = NotifyStatus.IKEV2_FRAGMENTATION_SUPPORTED

const key4096 = makeKey('rsa-4096')
const middle: MadeCertificate = createCa({
  subject: 'O=Test, CN=Middle',
  now: wallNow,
  key: key4096,
  issuer: testCa(),
})

/** Certificate of RSA-4096 with the intermediate CA behind it. */
function chainFor(name: string): LocalCertificate {
  const pem = issueCertificate({
    ca: middle,
    subject: `O=Test, CN=${name}`,
    altNames: [{ kind: 'fqdn', value: name }],
    publicKey: key4096,
    now: wallNow,
  })
  const [block] = decodePem(new TextEncoder().encode(pem))!
  return { key: key4096, chain: [block.der, middle.der] }
}

const trust = [{ name: 'test', der: testCa().der }]
const rsa = { localAuth: 'rsa-signature', remoteAuth: 'rsa-signature', trust } as const
const none = { localPsk: null, remotePsk: null }
const rsaA: PeerConfig = { ...peerA(rsa), certificate: chainFor('a.example.net'), ...none }
const rsaB: PeerConfig = { ...peerB(rsa), certificate: chainFor('b.example.net'), ...none }

function rsaBed(options: BedOptions = {}): IkeBed {
  const bed = new IkeBed(options).configure(rsaA, rsaB)
  bed.a.initiate()
  return bed
}

const isFragment = (data: Uint8Array) => data[16] === PayloadType.SKF
const sizes = (bed: IkeBed) => bed.log.map((each) => each.data.length)

describe('certificates of RSA-4096 over a path of 1,280 bytes', () => {
  test('both IKE_AUTH messages go in fragments, none longer than the path takes', () => {
    const bed = rsaBed()
    assertUp(bed.settle())
    const fragments = bed.log.filter((each) => isFragment(each.data))
    assert.ok(fragments.length >= 6, `${fragments.length} fragments`)
    assert.deepEqual([...new Set(fragments.map((each) => each.data[18]))], [Exchange.IKE_AUTH])
    assert.ok(Math.max(...sizes(bed)) <= LIMIT)
    assert.deepEqual([bed.a.drops, bed.b.drops, bed.a.reports, bed.b.reports], [[], [], [], []])
  })

  test('the non-ESP marker leaves less room', () => {
    const bed = new IkeBed().configure({ ...rsaA, natTraversal: 'force' }, { ...rsaB, natTraversal: 'force' })
    bed.a.initiate()
    assertUp(bed.settle())
    assert.ok(Math.max(...sizes(bed)) <= LIMIT - 4)
  })

  test('an end without it makes whole messages of all', () => {
    for (const options of [{ a: { fragmentation: false } }, { b: { fragmentation: false } }]) {
      const bed = rsaBed(options)
      assertUp(bed.settle())
      assert.equal(bed.log.length, 4)
      assert.ok(Math.max(...sizes(bed)) > 3_000)
    }
  })

  test('a wider path takes fewer pieces, never one', () => {
    for (const pathMtu of [1_280, 1_500, 2_000, 3_000, 9_000]) {
      const bed = rsaBed({ a: { pathMtu }, b: { pathMtu } })
      assertUp(bed.settle())
      const fragments = bed.log.filter((each) => isFragment(each.data))
      for (const { data } of fragments) assert.ok(data[34] * 256 + data[35] >= 2, 'number of fragments')
      assert.equal(fragments.length === 0, pathMtu === 9_000)
    }
  })

  test('what fits goes whole: a tunnel with a pre-shared key never splits', () => {
    const bed = new IkeBed().configure(peerA(), peerB())
    bed.a.initiate()
    bed.settle()
    bed.a.do(bed.a.engine.rekeyIke(bed.a.ikeIds()[0], bed.now))
    bed.run(6_000)
    assertUp(bed)
    assert.ok(bed.log.every((each) => !isFragment(each.data)))
  })

  test('any order, every piece twice', () => {
    const random = seeded(5)
    for (let seed = 1; seed <= 10; seed++) {
      const bed = rsaBed({ seed })
      bed.impairment = () => [random() * 40, random() * 40]
      bed.run(3_000)
      assertUp(bed)
    }
  })

  test('one lost piece costs a repetition of all pieces, byte for byte', () => {
    for (let lost = 0; lost < 3; lost++) {
      const bed = rsaBed()
      let seen = 0
      bed.impairment = ({ data }, from) => (isFragment(data) && from === bed.a && seen++ === lost ? [] : [0])
      bed.run(2_000)
      assertUp(bed)
      const sent = bed.log.filter((each) => isFragment(each.data) && each.local.address === bed.a.address)
      const half = sent.length / 2
      for (let piece = 0; piece < half; piece++) assert.deepEqual(sent[piece].data, sent[piece + half].data)
    }
  })

  test('a lost piece of the answer: the repeated request is answered once, not once per piece', () => {
    const bed = rsaBed()
    let seen = 0
    bed.impairment = ({ data }, from) => (isFragment(data) && from === bed.b && seen++ === 0 ? [] : [0])
    bed.run(2_000)
    assertUp(bed)
    const answers = bed.log.filter((each) => isFragment(each.data) && each.local.address === bed.b.address)
    assert.equal(
      new Set(answers.map((each) => Buffer.from(each.data).toString('hex'))).size * 2,
      answers.length,
    )
    assert.deepEqual(new Set(bed.b.drops), new Set(['ike-fragment-repeated']))
  })

  test('fifty handshakes through 20 % loss, doubled and late pieces', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = seeded(seed)
      const bed = rsaBed({ seed })
      bed.impairment = () =>
        random() < 0.2 ? [] : random() < 0.2 ? [1, 1 + random() * 60] : [1 + random() * 30]
      assert.ok(
        bed.runUntil(() => bed.a.installed.size > 0 && bed.b.installed.size > 0, 60_000),
        `seed ${seed}`,
      )
      bed.impairment = () => [0]
      bed.run(60_000)
      assertUp(bed)
    }
  })

  test('a refused authentication is repeated for fragment 1 of the same request, though the keys are gone', () => {
    const bed = new IkeBed().configure(rsaA, {
      ...rsaB,
      remoteId: { kind: 'fqdn', value: 'else.example.net' },
    })
    bed.a.initiate()
    bed.impairment = ({ data }, from) => (data[18] === Exchange.IKE_AUTH && from === bed.b ? [] : [0])
    bed.run(400)
    bed.impairment = () => [0]
    const answered = bed.b.sent
    bed.run(500)
    assert.equal(bed.b.sent, answered + 1)
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['auth-failed'],
    )
  })

  test('a renewed IKE SA goes on splitting', () => {
    const bed = rsaBed()
    bed.settle()
    bed.a.do(bed.a.engine.rekeyIke(bed.a.ikeIds()[0], bed.now))
    bed.settle()
    const before = bed.log.length
    const ike18 = { ...rsaA.ikeProposals[0], dhGroup: 16 as const }
    const many = Array.from({ length: 8 }, () => ike18)
    bed.a.engine.setPeer({ ...rsaA, ikeProposals: [...rsaA.ikeProposals, ...many, ...many, ...many] })
    bed.a.do(bed.a.engine.rekeyIke(bed.a.ikeIds()[0], bed.now))
    bed.settle()
    assert.ok(bed.log.slice(before).some((each) => isFragment(each.data)))
    bed.run(6_000)
    assertUp(bed)
  })
})

/** A raw initiator that has negotiated fragmentation with b. */
function rawPeer(options: Partial<BedOptions> = {}, announce = true): RawPeer {
  const peer = new RawPeer(new IkeBed(options).configure([], peerB()), peerA())
  const notify: Payload = {
    kind: 'NOTIFY',
    protocol: 0,
    spi: new Uint8Array(0),
    type: FRAGMENTATION,
    data: new Uint8Array(0),
  }
  const answer = peer.init([...peer.initPayloads(), ...(announce ? [notify] : [])])
  assert.equal(notifyTypes(answer.payloads).includes(FRAGMENTATION), announce)
  return peer
}

/** An INFORMATIONAL request, or IKE_AUTH, padded with vendor ids and cut. */
function pieces(peer: RawPeer, exchange: number, id: number, payloads: Payload[], limit = 400): Uint8Array[] {
  const fields = {
    initiatorSpi: peer.spiI,
    responderSpi: peer.spiR,
    exchange,
    messageId: id,
    initiator: true,
    response: false,
  }
  return protectFragments(fields, payloads, peer.sendKeys(), peer.bed.random, limit)
}

const padding = (bytes: number): Payload[] => [{ kind: 'VENDOR', data: new Uint8Array(bytes) }]

describe('security G', () => {
  test('G4 not announced: silent, whatever it holds', () => {
    const peer = rawPeer({}, false)
    for (const data of pieces(peer, Exchange.IKE_AUTH, 1, padding(1_000)))
      assert.deepEqual(peer.inject(data), [])
    assert.deepEqual(new Set(peer.victim.drops), new Set(['ike-fragment']))
  })

  test('G4 a fragment of IKE_SA_INIT', () => {
    const peer = rawPeer()
    const [data] = pieces(peer, Exchange.IKE_SA_INIT, 0, padding(1_000))
    assert.deepEqual(peer.inject(data), [])
    assert.deepEqual(peer.victim.drops, ['ike-fragment'])
  })

  test('an IKE_AUTH in pieces brings the SA up; they wait while the keys are computed', () => {
    const peer = rawPeer()
    const { victim, bed } = peer
    const data = pieces(peer, Exchange.IKE_AUTH, 1, [
      ...peer.proof(),
      ...peer.childPayloads(),
      ...padding(900),
    ])
    assert.ok(data.length >= 3)
    for (const each of data) {
      const datagram = { local: peer.remote, remote: peer.local, data: each }
      victim.do(victim.engine.receive(datagram, bed.now))
    }
    assert.equal(victim.sent, 1)
    bed.computeAll()
    assert.deepEqual([victim.sent, victim.installed.size], [2, 1])
  })

  test('G1 numbers that cannot be', () => {
    const peer = rawPeer()
    const [first, ...rest] = pieces(peer, Exchange.IKE_AUTH, 1, padding(1_500))
    for (const [at, value, total] of [
      [first, 0, 5],
      [first, 6, 5],
      [first, 1, 65_535],
      [first, 0, 0],
    ] as const) {
      const data = at.slice()
      new DataView(data.buffer).setUint16(32, value)
      new DataView(data.buffer).setUint16(34, total)
      assert.deepEqual(peer.inject(data), [])
      assert.equal(peer.victim.drops.at(-1), 'ike-fragment-number')
    }
    assert.ok(rest.length > 0)
  })

  test('G2 a bad piece between good ones is dropped alone', () => {
    const peer = rawPeer()
    peer.auth()
    const data = pieces(peer, Exchange.INFORMATIONAL, 2, padding(1_000))
    const bad = data[1].slice()
    bad[bad.length - 1] ^= 1
    for (const each of [data[0], bad]) assert.deepEqual(peer.inject(each), [])
    assert.deepEqual(peer.victim.drops, ['ike-icv'])
    let answers = 0
    for (const each of data.slice(1)) answers += peer.inject(each).length
    assert.equal(answers, 1)
  })

  test('G1 a piece again, with the same or other content, and an old message', () => {
    const peer = rawPeer()
    peer.auth()
    const data = pieces(peer, Exchange.INFORMATIONAL, 2, padding(1_000))
    const other = pieces(peer, Exchange.INFORMATIONAL, 2, padding(1_001))
    for (const each of [data[0], data[0], other[0]]) assert.deepEqual(peer.inject(each), [])
    assert.deepEqual(peer.victim.drops, ['ike-fragment-repeated', 'ike-fragment-repeated'])
    for (const each of data.slice(1)) peer.inject(each)
    assert.deepEqual(peer.inject(data[1]), [], 'answered: only piece 1 repeats the answer')
    assert.equal(peer.inject(data[0]).length, 1)
    const forged = data[0].slice()
    forged[40] ^= 1
    assert.deepEqual(peer.inject(forged), [])
    assert.equal(peer.victim.drops.at(-1), 'ike-icv')
    assert.deepEqual(peer.inject(pieces(peer, Exchange.INFORMATIONAL, 9, padding(1_000))[0]), [])
    assert.equal(peer.victim.drops.at(-1), 'ike-window')
  })

  test('G3 half a message for ever costs nothing after a minute', () => {
    const peer = rawPeer()
    peer.auth()
    const data = pieces(peer, Exchange.INFORMATIONAL, 2, padding(1_000))
    peer.inject(data[0])
    peer.bed.now += 61_000
    for (const each of data.slice(1)) assert.deepEqual(peer.inject(each), [], 'piece 1 was given up')
    assert.equal(peer.inject(data[0]).length, 1)
  })

  test('G3 what waits for the keys is bounded in number and bytes', () => {
    for (const [size, kept] of [
      [400, 32],
      [60_000, 1],
    ] as const) {
      const peer = rawPeer()
      const { victim, bed } = peer
      for (let count = 0; count < 100; count++) {
        const [data] = pieces(peer, Exchange.IKE_AUTH, 1, padding(size + 1_000), size)
        victim.do(victim.engine.receive({ local: peer.remote, remote: peer.local, data }, bed.now))
      }
      assert.equal(victim.drops.filter((each) => each === 'ike-held-full').length, 100 - kept)
    }
  })

  test('what the pieces add up to is judged like any message', () => {
    const peer = rawPeer()
    peer.auth()
    const nonsense: Payload[] = [...padding(1_000), { kind: 'KE', group: 31, data: new Uint8Array(32) }]
    const answers = pieces(peer, Exchange.INFORMATIONAL, 2, nonsense).flatMap((each) => peer.inject(each))
    assert.equal(answers.length, 1)
    assert.deepEqual(notifyTypes(peer.open(answers[0].data).payloads), [7])
    assert.equal(peer.victim.up.size, 0)
  })
})
