// Additional key exchanges with ML-KEM while an IKE SA comes up: IKE_INTERMEDIATE (RFC 9242), RFC 9370 §2.2.1-§2.2.2,
// draft-ietf-ipsecme-ikev2-mlkem. The renewals are in ikev2-followup-ke.test.ts.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runCryptoJob } from '../control/crypto/jobs.ts'
import { open } from '../control/crypto/sk.ts'
import type { Kem } from '../control/ports.ts'
import type { IkeSuite, PeerConfig } from '../control/sa/contract.ts'
import { concat } from '../control/wire/bytes.ts'
import { decodeMessage, isProtected } from '../control/wire/message.ts'
import { NotifyError, NotifyStatus } from '../control/wire/notify.ts'
import { encodeIkeProposals } from '../control/wire/proposals.ts'
import { Exchange, type Payload, PayloadType } from '../control/wire/types.ts'
import { HybridPeer, KEM_IDS, made, proposing, withKems } from './support/hybrid-ike.ts'
import { assertUp, IkeBed } from './support/ike-bed.ts'
import { certificateFor, peerA, peerB, suite, testCa } from './support/ike-peers.ts'
import { notifyTypes, pick, RawPeer } from './support/raw-ike.ts'
import { seeded } from './support/seeded.ts'

const KEMS: Kem[] = ['mlkem-512', 'mlkem-768', 'mlkem-1024']
const INTERMEDIATE = NotifyStatus.INTERMEDIATE_EXCHANGE_SUPPORTED
const gcm: IkeSuite = { encryption: 'aes-gcm-256', integrity: null, prf: 'sha384', dhGroup: 31 }

function connect(a: Partial<PeerConfig>, b: Partial<PeerConfig> = a): IkeBed {
  const bed = new IkeBed().configure(peerA(a), peerB(b))
  bed.a.initiate()
  return bed.settle()
}

function assertSilent(bed: IkeBed): void {
  assert.deepEqual([bed.a.drops, bed.b.drops, bed.a.reports, bed.b.reports], [[], [], [], []])
}

const exchangesOf = (bed: IkeBed) => [...new Set(bed.log.map((each) => each.data[18]))]
const isFragment = (data: Uint8Array) => data[16] === PayloadType.SKF

describe('between two engines', () => {
  const lists: Kem[][] = [
    ...KEMS.map((kem) => [kem]),
    ['mlkem-768', 'mlkem-1024'],
    ['mlkem-1024', 'mlkem-512', 'mlkem-768'],
  ]
  for (const base of [suite, gcm])
    for (const kems of lists)
      test(`${base.encryption} and ${kems.join(', ')}: one exchange each, in order`, () => {
        const bed = connect(proposing(withKems(kems, base)))
        assertUp(bed)
        assertSilent(bed)
        assert.deepEqual(exchangesOf(bed), [
          Exchange.IKE_SA_INIT,
          Exchange.IKE_INTERMEDIATE,
          Exchange.IKE_AUTH,
        ])
        assert.equal(bed.b.jobKinds.filter((kind) => kind === 'kem-encapsulate').length, kems.length)
        const [shown] = bed.a.engine.ikeSas(bed.now)
        assert.deepEqual([shown.additionalKe, shown.authentication], [kems, base === gcm ? 'aead' : 'sha256'])
        assert.deepEqual(bed.b.engine.ikeSas(bed.now)[0].additionalKe, kems)
      })

  test('with certificates, with a post-quantum pre-shared key, without a first Child SA', () => {
    const trust = [{ name: 'test', der: testCa().der }]
    const rsa = { localAuth: 'rsa-signature', remoteAuth: 'rsa-signature', trust } as const
    const ppk = { ppk: { id: 'quantum', key: new Uint8Array(32).fill(9), required: true } }
    const kem = proposing(withKems(['mlkem-768']))
    const [certA, certB] = [certificateFor('a.example.net'), certificateFor('b.example.net')]
    assertUp(connect({ ...kem, ...rsa, certificate: certA }, { ...kem, ...rsa, certificate: certB }))
    assertUp(connect({ ...kem, ...ppk }))
    assertUp(connect({ ...kem, childless: true }))
  })

  test('behind a NAT everything after IKE_SA_INIT goes over port 4500, and the mapping is followed', () => {
    const kem = proposing(withKems(['mlkem-1024']))
    const nat = { address: '198.51.100.7', shift: 20_000 }
    const bed = new IkeBed({ nat }).configure(peerA(kem), peerB({ ...kem, remote: null }))
    bed.a.initiate()
    assertUp(bed.settle())
    const later = bed.log.filter(({ data }) => data[18] !== Exchange.IKE_SA_INIT)
    assert.ok(later.every(({ local }) => local.port === 4500))
    assert.equal(bed.a.sender().encapsulation, 'udp')
  })

  test('under load a cookie comes first', () => {
    const kem = proposing(withKems(['mlkem-768']))
    const bed = new IkeBed({ b: { cookieThreshold: 0 } }).configure(peerA(kem), peerB(kem))
    bed.a.initiate()
    assertUp(bed.settle())
  })

  test('no secret of the key exchanges outlives the handshake', () => {
    const kem = proposing(withKems(['mlkem-512', 'mlkem-768']))
    const bed = new IkeBed().configure(peerA(kem), peerB(kem))
    const secrets: Uint8Array[] = []
    bed.a.initiate()
    do {
      for (const side of [bed.a, bed.b])
        for (let next = side.jobs[0]; next; next = side.jobs[0]) {
          const result = runCryptoJob(next.job)
          if ('secret' in result) secrets.push(result.secret)
          if ('privateValue' in result) secrets.push(result.privateValue)
          assert.ok(secrets.at(-1)?.some((byte) => byte !== 0))
          bed.compute(side, result)
        }
    } while (bed.deliver())
    assertUp(bed)
    assert.equal(secrets.length, 4 + 2 + 2 * 2)
    for (const secret of secrets) assert.ok(secret.every((byte) => byte === 0))
  })

  test('an attempt that ends in the middle wipes what it had', () => {
    const kem = proposing(withKems(['mlkem-768']))
    const bed = new IkeBed().configure(peerA(kem), peerB(kem))
    bed.a.initiate()
    bed.computeAll()
    bed.deliver() // IKE_SA_INIT
    bed.computeAll()
    bed.deliver()
    bed.compute(bed.a) // the Diffie-Hellman secret
    const pair = made(runCryptoJob({ kind: 'kem-generate', kem: 'mlkem-768' }), 'kem-generate')
    bed.compute(bed.a, pair)
    assert.equal(bed.flights.length, 2, 'the key is on its way, in two fragments')
    bed.a.do(bed.a.engine.clear('t', 'cleared', bed.now))
    assert.ok(pair.privateValue.every((byte) => byte === 0))
  })
})

describe('negotiation', () => {
  const plain = suite
  const hybrid = withKems(['mlkem-768'])
  const other = withKems(['mlkem-1024'])
  const cases: [string, IkeSuite[], IkeSuite[], Kem[] | 'refused'][] = [
    ['both have it', [hybrid], [hybrid], ['mlkem-768']],
    ['the responder may do without', [hybrid], [hybrid, plain], ['mlkem-768']],
    ['the responder would rather do without', [hybrid, plain], [plain, hybrid], []],
    ['only the initiator has it, and may do without', [hybrid, plain], [plain], []],
    ['only the responder has it, and may do without', [plain], [hybrid, plain], []],
    ['only the initiator has it', [hybrid], [plain], 'refused'],
    ['only the responder has it', [plain], [hybrid], 'refused'],
    ['another one', [hybrid], [other], 'refused'],
    ['the second of two', [other, hybrid], [hybrid], ['mlkem-768']],
    ['more of them', [withKems(['mlkem-768', 'mlkem-1024'])], [hybrid], 'refused'],
    [
      'another order',
      [withKems(['mlkem-768', 'mlkem-1024'])],
      [withKems(['mlkem-1024', 'mlkem-768'])],
      'refused',
    ],
  ]
  for (const [name, a, b, outcome] of cases)
    test(`${name}: ${outcome === 'refused' ? outcome : outcome.join() || 'without'}`, () => {
      const bed = connect(proposing(...a), proposing(...b))
      if (outcome !== 'refused') {
        assertUp(bed)
        assert.deepEqual(bed.b.engine.ikeSas(bed.now)[0].additionalKe, outcome)
        return assertSilent(bed)
      }
      bed.run(60_000)
      assert.equal(bed.a.failed[0].reason, 'no-proposal')
      assert.match(bed.b.reports[0].text, /additional-ke/)
      const [explained] =
        bed.b.reports[0].explanation?.kind === 'proposals' ? bed.b.reports[0].explanation.proposals : []
      assert.ok(explained.differs.every((each) => each.type === 'additional-ke'))
    })

  test('the operator reads both sides of the difference', () => {
    const bed = connect(proposing(hybrid), proposing(other))
    assert.match(bed.b.reports[0].text, /proposal 1 lacks additional-ke mlkem-1024 \(it has mlkem-768\)/)
    assert.deepEqual(bed.b.reports[0].allowed, ['ike: aes-128, prf-sha256, sha256, group-31, mlkem-1024'])
  })

  test('NONE beside it, and chosen, is answered with NONE', () => {
    const peer = new RawPeer(new IkeBed().configure([], peerB()), peerA())
    const [sa, ...rest] = peer.initPayloads()
    const [proposal] = encodeIkeProposals([hybrid], new Uint8Array(0))
    const proposals = [{ ...proposal, transforms: [...proposal.transforms, { type: 6, id: 0 }] }]
    const answer = peer.init([{ ...sa, proposals } as Payload, ...rest])
    const chosen = pick(answer.payloads, 'SA').proposals
    assert.deepEqual(chosen[0].transforms.at(-1), { type: 6, id: 0 })
    assert.equal(notifyTypes(answer.payloads).includes(INTERMEDIATE), false)
    assert.ok(peer.auth())
    assert.equal(peer.victim.up.size, 1)
  })

  test('who offers it without INTERMEDIATE_EXCHANGE_SUPPORTED gets what needs none of it, or nothing', () => {
    for (const allowed of [[hybrid, plain], [hybrid]]) {
      const both = proposing(hybrid, plain)
      const peer = new RawPeer(new IkeBed().configure([], peerB(proposing(...allowed))), peerA(both))
      const [answer] = peer.inject(peer.initRequest())
      const decoded = decodeMessage(answer.data)
      assert.ok(decoded.ok)
      if (allowed.length === 2) {
        assert.equal(pick(decoded.value.payloads, 'SA').proposals[0].number, 2)
        continue
      }
      assert.deepEqual(notifyTypes(decoded.value.payloads), [NotifyError.NO_PROPOSAL_CHOSEN])
      assert.match(peer.victim.reports[0].text, /INTERMEDIATE_EXCHANGE_SUPPORTED/)
    }
  })

  test('a responder that chooses it without INTERMEDIATE_EXCHANGE_SUPPORTED is not believed: the attempt waits on', () => {
    const bed = new IkeBed().configure(peerA(proposing(hybrid)), [])
    const peer = new RawPeer(bed, peerB(proposing(hybrid)), false)
    bed.a.initiate()
    bed.computeAll()
    peer.answerInit(bed.log[0].data)
    assert.deepEqual(peer.inject(peer.ownMessage), [])
    assert.match(bed.a.reports[0].text, /INTERMEDIATE_EXCHANGE_SUPPORTED/)
    const notify = { kind: 'NOTIFY' as const, protocol: 0, spi: new Uint8Array(0), data: new Uint8Array(0) }
    peer.answerInit(bed.log[0].data, [{ ...notify, type: INTERMEDIATE }])
    assert.equal(peer.inject(peer.ownMessage).length, 1)
  })
})

describe('against the formulas of the RFCs', () => {
  for (const base of [suite, gcm, { ...suite, encryption: '3des', prf: 'sha512' } as const])
    for (const kem of KEMS)
      test(`${kem} with ${base.encryption} and prf ${base.prf}`, () => {
        const peer = new HybridPeer(kem, base).start()
        const answer = peer.intermediate([peer.keyPayload()])!
        const ke = pick(answer, 'KE')
        assert.equal(ke.group, KEM_IDS[kem])
        peer.takeKeys(ke.data)
        const proof = peer.auth()!
        assert.ok(peer.isProven(proof), 'the responder’s AUTH covers both chains and the message id')
        assert.equal(peer.victim.up.size, 1)
      })

  test('AUTH that leaves a message of IKE_INTERMEDIATE out, or has them the wrong way round, fails', () => {
    const faults: ((peer: HybridPeer) => void)[] = [
      (peer) => (peer.intAuthI = new Uint8Array(0)),
      (peer) => (peer.intAuthR = new Uint8Array(0)),
      (peer) => ([peer.intAuthI, peer.intAuthR] = [peer.intAuthR, peer.intAuthI]),
      (peer) => (peer.intAuthI[5] ^= 1),
    ]
    for (const fault of faults) {
      const peer = new HybridPeer('mlkem-512').start()
      peer.takeKeys(pick(peer.intermediate([peer.keyPayload()])!, 'KE').data)
      fault(peer)
      assert.deepEqual(notifyTypes(peer.auth()!), [NotifyError.AUTHENTICATION_FAILED])
      assert.equal(peer.victim.up.size, 0)
    }
  })

  test('unknown notifies and vendor ids in IKE_INTERMEDIATE are skipped, yet covered', () => {
    const peer = new HybridPeer('mlkem-768').start()
    const more: Payload[] = [
      { kind: 'VENDOR', data: new Uint8Array(9).fill(7) },
      { kind: 'NOTIFY', protocol: 0, spi: new Uint8Array(0), type: 40_000, data: new Uint8Array(3) },
    ]
    peer.takeKeys(pick(peer.intermediate([...more, peer.keyPayload()])!, 'KE').data)
    assert.ok(peer.isProven(peer.auth()!))
  })
})

describe('bad input', () => {
  const change = (payload: Payload, data: (bytes: Uint8Array) => Uint8Array, group?: number): Payload => {
    assert.ok(payload.kind === 'KE')
    return { ...payload, group: group ?? payload.group, data: data(payload.data) }
  }
  const same = (bytes: Uint8Array) => bytes
  const rows: [string, string, (good: Payload) => Payload[]][] = [
    ['one byte short', 'ike-ke-length', (good) => [change(good, (bytes) => bytes.slice(1))]],
    ['one byte long', 'ike-ke-length', (good) => [change(good, (bytes) => concat(bytes, Uint8Array.of(0)))]],
    ['a single byte', 'ike-ke-length', (good) => [change(good, () => Uint8Array.of(1))]],
    ['coefficients of 4095', 'ike-ke-value', (good) => [change(good, (bytes) => bytes.map(() => 0xff))]],
    ['another parameter set', 'ike-ke-group', (good) => [change(good, same, 36)]],
    ['a Diffie-Hellman group', 'ike-ke-group', (good) => [change(good, same, 31)]],
    ['method 0', 'ike-ke-group', (good) => [change(good, same, 0)]],
    ['no KE', 'ike-payload-missing', () => []],
    ['two KE', 'ike-payload-surplus', (good) => [good, good]],
    [
      'an identity beside it',
      'ike-payload-illegal',
      (good) => [good, { kind: 'NONCE', data: new Uint8Array(32) }],
    ],
  ]
  for (const [name, reason, payloads] of rows)
    test(`${name}: INVALID_SYNTAX, and the attempt ends`, () => {
      const peer = new HybridPeer('mlkem-512').start()
      const answer = peer.request(Exchange.IKE_INTERMEDIATE, payloads(peer.keyPayload()))
      assert.deepEqual(notifyTypes(answer!), [NotifyError.INVALID_SYNTAX])
      assert.deepEqual(peer.victim.drops, [reason])
      assert.deepEqual(
        peer.victim.jobKinds.includes('kem-encapsulate'),
        false,
        'nothing was computed with it',
      )
      assert.equal(peer.auth(), null)
      assert.equal(peer.victim.up.size, 0)
    })

  test('IKE_AUTH before it, IKE_INTERMEDIATE after it, or where none was agreed on: silence', () => {
    const early = new HybridPeer('mlkem-512').start()
    assert.equal(early.auth(), null)
    assert.deepEqual(early.victim.drops, ['ike-state'])
    early.nextId = 1
    early.takeKeys(pick(early.intermediate([early.keyPayload()])!, 'KE').data)
    assert.equal(early.request(Exchange.IKE_INTERMEDIATE, [early.keyPayload()]), null)
    early.nextId = 2
    assert.ok(early.auth())
    assert.equal(early.request(Exchange.IKE_INTERMEDIATE, [early.keyPayload()]), null)
    assert.equal(early.victim.up.size, 1)
    const plain = new RawPeer(new IkeBed().configure([], peerB()), peerA())
    plain.init()
    assert.equal(plain.request(Exchange.IKE_INTERMEDIATE, [early.keyPayload()]), null)
    plain.nextId = 1
    assert.ok(plain.auth())
  })

  test('an answer of the wrong length or method ends the attempt with a reason; so does an error', () => {
    const answers: [RegExp, (good: Uint8Array) => Payload[]][] = [
      [/wrong length/, (good) => [{ kind: 'KE', group: 36, data: good.slice(1) }]],
      [/not built/, (good) => [{ kind: 'KE', group: 35, data: good }]],
      [
        /INVALID_SYNTAX/,
        () => [{ kind: 'NOTIFY', protocol: 0, spi: new Uint8Array(0), type: 7, data: new Uint8Array(0) }],
      ],
      [/requires is missing/, () => []],
    ]
    for (const [text, payloads] of answers) {
      const config = proposing(withKems(['mlkem-768']))
      const bed = new IkeBed().configure(peerA(config), [])
      const peer = new RawPeer(bed, peerB(config), false)
      bed.a.initiate()
      bed.computeAll()
      const notify = { kind: 'NOTIFY' as const, protocol: 0, spi: new Uint8Array(0), data: new Uint8Array(0) }
      peer.answerInit(bed.log[0].data, [{ ...notify, type: INTERMEDIATE }])
      peer.inject(peer.ownMessage)
      const good = new Uint8Array(1088)
      peer.inject(peer.seal(Exchange.IKE_INTERMEDIATE, 1, payloads(good), { response: true }))
      assert.equal(bed.a.failed.length, 1)
      assert.match(bed.a.reports.map((each) => each.text).join(), text)
      assert.equal(bed.a.engine.ikeSas(bed.now).length, 0)
    }
  })
})

describe('loss, repetition, fragments', () => {
  const config = proposing(withKems(['mlkem-1024', 'mlkem-768']))

  test('over a path of 1,280 bytes a key of 1,568 bytes goes in fragments; over a wide one it does not', () => {
    for (const pathMtu of [1_280, 9_000]) {
      const bed = new IkeBed({ a: { pathMtu }, b: { pathMtu } }).configure(peerA(config), peerB(config))
      bed.a.initiate()
      assertUp(bed.settle())
      assert.equal(
        bed.log.some((each) => isFragment(each.data)),
        pathMtu === 1_280,
      )
    }
  })

  test('an end without fragmentation takes them whole', () => {
    const bed = new IkeBed({ a: { fragmentation: false } }).configure(peerA(config), peerB(config))
    bed.a.initiate()
    assertUp(bed.settle())
    assert.ok(bed.log.every((each) => !isFragment(each.data)))
  })

  test('each datagram of the handshake lost once: it comes up, and every key exchange is computed once', () => {
    const count = connect(config).log.length
    for (let lost = 0; lost < count; lost++) {
      const bed = new IkeBed().configure(peerA(config), peerB(config))
      let index = 0
      bed.impairment = () => (index++ === lost ? [] : [0])
      bed.a.initiate()
      bed.run(8_000)
      assertUp(bed)
      assert.equal(bed.b.jobKinds.filter((kind) => kind === 'kem-encapsulate').length, 2)
    }
  })

  test('a repeated request gets the very same answer, although the keys have changed; other bytes get none', () => {
    const peer = new HybridPeer('mlkem-512').start()
    const request = peer.seal(Exchange.IKE_INTERMEDIATE, 1, [peer.keyPayload()])
    const [first] = peer.inject(request)
    const [again] = peer.inject(request)
    assert.deepEqual(again.data, first.data)
    const opened = decodeMessage(first.data)
    assert.ok(opened.ok && isProtected(opened.value))
    assert.ok(open(first.data, opened.value.sk, peer.sendKeys(false)).ok, 'under the old keys')
    assert.deepEqual(peer.inject(peer.seal(Exchange.IKE_INTERMEDIATE, 1, [peer.keyPayload()])), [])
    assert.deepEqual(peer.victim.jobKinds.filter((kind) => kind === 'kem-encapsulate').length, 1)
  })

  test('20 % loss, duplicates and disorder: up within a minute', () => {
    const random = seeded(9)
    for (let seed = 1; seed <= 20; seed++) {
      const bed = new IkeBed({ seed }).configure(peerA(config), peerB(config))
      bed.impairment = () =>
        random() < 0.2 ? [] : random() < 0.2 ? [random() * 50, random() * 50] : [random() * 50]
      bed.a.initiate()
      const isUp = () => bed.a.up.size === 1 && bed.b.up.size === 1 && bed.b.installed.size === 1
      for (let attempt = 0; attempt < 6 && !bed.runUntil(isUp, 10_000); attempt++)
        if (bed.a.up.size === 0 && bed.a.engine.ikeSas(bed.now).length === 0) bed.a.initiate()
      assert.ok(isUp(), `seed ${seed}`)
    }
  })
})
