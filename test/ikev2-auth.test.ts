// IKE_AUTH with certificates, asymmetric methods, and every way in which a peer is not who it says (RFC 7296 §2.15,
// RFC 7427; security C).

import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { describe, test } from 'node:test'
import { decodeAlgorithm, encodeHashAlgorithms, encodeSignatureAuth } from '../control/crypto/auth.ts'
import { createCa, makeKey } from '../control/pki/make.ts'
import type { PeerConfig } from '../control/sa/contract.ts'
import type { Payload } from '../control/wire/types.ts'
import { assertUp, IkeBed } from './support/ike-bed.ts'
import { certificateFor, peerA, peerB, testCa, wallNow } from './support/ike-peers.ts'
import { notifyTypes, pick, RawPeer } from './support/raw-ike.ts'

const certA = certificateFor('a.example.net')
const certB = certificateFor('b.example.net')
const trust = [{ name: 'test', der: testCa().der }]
const rsa = { localAuth: 'rsa-signature', remoteAuth: 'rsa-signature', trust } as const
const rsaA: PeerConfig = { ...peerA(rsa), certificate: certA, localPsk: null, remotePsk: null }
const rsaB: PeerConfig = { ...peerB(rsa), certificate: certB, localPsk: null, remotePsk: null }

function connect(a: PeerConfig, b: PeerConfig, wall?: () => number): IkeBed {
  const bed = new IkeBed(wall ? { wall } : {}).configure(a, b)
  bed.a.initiate()
  return bed.settle()
}

/** The peer learns one text; the side that judged says why; nothing is left at either end. */
function assertRefused(bed: IkeBed, judge: 'a' | 'b', why: RegExp): void {
  const reports = bed[judge].reports.filter((each) => each.code === 'auth-failed')
  assert.equal(reports.length, 1)
  assert.match(reports[0].text, why)
  assert.deepEqual([bed.a.installed.size, bed.a.spis.size], [0, 0])
  assert.ok(bed.a.failed.length === 1 && ['auth-failed', 'no-certificate'].includes(bed.a.failed[0].reason))
  bed.run(60_000)
  assert.deepEqual([bed.a.up.size, bed.b.up.size], [0, 0])
  assert.deepEqual([bed.b.installed.size, bed.b.spis.size], [0, 0])
  assert.deepEqual([bed.a.engine.ikeSas(bed.now), bed.b.engine.ikeSas(bed.now)], [[], []])
}

describe('certificates', () => {
  test('RSA both ways: method 14', () => {
    const bed = connect(rsaA, rsaB)
    assertUp(bed)
    assert.deepEqual([bed.a.drops, bed.a.reports, bed.b.drops, bed.b.reports], [[], [], [], []])
    assert.deepEqual(bed.b.jobKinds, ['dh-generate', 'dh-derive', 'verify', 'sign'], 'no RSA before the DH')
  })

  test('certificate one way, pre-shared key the other', () => {
    const psk = { localPsk: new Uint8Array(32).fill(7), remotePsk: new Uint8Array(32).fill(7) }
    const a: PeerConfig = { ...rsaA, remoteAuth: 'pre-shared-key', ...psk }
    const b: PeerConfig = { ...rsaB, localAuth: 'pre-shared-key', ...psk }
    assertUp(connect(a, b))
    const a2: PeerConfig = { ...rsaA, localAuth: 'pre-shared-key', ...psk }
    const b2: PeerConfig = { ...rsaB, remoteAuth: 'pre-shared-key', ...psk }
    assertUp(connect(a2, b2))
  })

  test('identity is the subject of the certificate', () => {
    const dnA = { kind: 'dn', value: 'O=Test, CN=a.example.net' } as const
    const dnB = { kind: 'dn', value: 'O=Test, CN=b.example.net' } as const
    assertUp(connect({ ...rsaA, localId: dnA, remoteId: dnB }, { ...rsaB, localId: dnB, remoteId: dnA }))
  })

  test('an intermediate CA is sent along', () => {
    const middle = createCa({
      subject: 'O=Test, CN=Middle',
      now: wallNow,
      key: makeKey('rsa-2048'),
      issuer: testCa(),
    })
    const leaf = certificateFor('a.example.net', { ca: middle })
    assertUp(connect({ ...rsaA, certificate: { key: leaf.key, chain: [...leaf.chain, middle.der] } }, rsaB))
  })

  test('digital-signature takes an EC key, rsa-signature does not', () => {
    const certificate = certificateFor('a.example.net', { kind: 'p256' })
    assertUp(
      connect(
        { ...rsaA, localAuth: 'digital-signature', certificate },
        { ...rsaB, remoteAuth: 'digital-signature' },
      ),
    )
    assertRefused(
      connect({ ...rsaA, certificate }, rsaB),
      'b',
      /signs with ecdsa where remote-auth is rsa-signature/,
    )
  })

  const otherCa = createCa({ subject: 'O=Other, CN=Other CA', now: wallNow, key: makeKey('rsa-2048') })
  const sameName = createCa({ subject: 'O=Test, CN=Test CA', now: wallNow, key: makeKey('rsa-2048') })

  test('unknown CA', () => {
    const certificate = certificateFor('a.example.net', { ca: otherCa })
    assertRefused(
      connect({ ...rsaA, certificate }, rsaB),
      'b',
      /no path leads from the certificate to a trusted CA/,
    )
  })

  test('trusted name, other key', () => {
    const certificate = certificateFor('a.example.net', { ca: sameName })
    assertRefused(
      connect({ ...rsaA, certificate }, rsaB),
      'b',
      /signature of the certificate does not verify/,
    )
  })

  test('expired, and not valid yet', () => {
    const day = 86_400_000
    assertRefused(
      connect(rsaA, rsaB, () => wallNow + 900 * day),
      'b',
      /has expired/,
    )
    assertRefused(
      connect(rsaA, rsaB, () => wallNow - 2 * day),
      'b',
      /not valid yet/,
    )
  })

  test('the identity is not in the certificate', () => {
    const certificate = certificateFor('a.example.net', { name: 'evil.example.net' })
    assertRefused(connect({ ...rsaA, certificate }, rsaB), 'b', /identity is not in the certificate/)
  })

  test('the certificate of another: its key is missing', () => {
    const certificate = { key: certB.key, chain: certA.chain }
    assertRefused(connect({ ...rsaA, certificate }, rsaB), 'b', /signature does not verify/)
  })

  test('the initiator does not believe the responder: it says so, and the responder lets go (§2.21.2)', () => {
    const certificate = certificateFor('b.example.net', { ca: otherCa })
    const bed = connect(rsaA, { ...rsaB, certificate })
    assert.deepEqual(
      bed.b.downs.map((each) => each.reason),
      ['auth-failed'],
    )
    assertRefused(bed, 'a', /no path leads/)
  })
})

describe('signature hashes (RFC 7427, security B11)', () => {
  const psk = new Uint8Array(32).fill(7)
  const keys = { localPsk: psk, remotePsk: psk }
  const sha1Rsa = { key: 'rsa-pkcs1', hash: 'sha1' } as const

  /** An engine with a certificate answers a peer with a pre-shared key that announces these hashes, or none. */
  function answerTo(hashes: Parameters<typeof encodeHashAlgorithms>[0] | null, allowSha1Signatures: boolean) {
    const config = { ...rsaB, remoteAuth: 'pre-shared-key', ...keys, allowSha1Signatures } as const
    const peer = new RawPeer(new IkeBed().configure([], config), { ...peerA(), ...keys })
    const data = hashes && encodeHashAlgorithms(hashes)
    const announced: Payload[] = data
      ? [{ kind: 'NOTIFY', protocol: 0, spi: new Uint8Array(0), type: 16431, data }]
      : []
    peer.init([...peer.initPayloads(), ...announced])
    return { peer, answer: peer.auth()! }
  }

  test('SHA-1 alone gets no signature while the gate is closed', () => {
    const { peer, answer } = answerTo(['sha1'], false)
    assert.deepEqual(notifyTypes(answer), [24])
    assert.match(peer.victim.reports[0].text, /announced no signature hash that we may use \(sha1\)/)
  })

  test('nothing announced: method 1 is SHA-1 and gated', () => {
    const { peer, answer } = answerTo(null, false)
    assert.deepEqual(notifyTypes(answer), [24])
    assert.match(peer.victim.reports[0].text, /SHA-1, which need legacy-crypto permit/)
  })

  test('with the gate open: method 14 with SHA-1, method 1, and SHA-2 where both are there', () => {
    assert.equal(pick(answerTo(['sha1'], true).answer, 'AUTH').method, 14)
    assert.equal(pick(answerTo(null, true).answer, 'AUTH').method, 1)
    const { data } = pick(answerTo(['sha1', 'sha512', 'sha256'], true).answer, 'AUTH')
    assert.deepEqual(decodeAlgorithm(data.subarray(1, 1 + data[0])), { key: 'rsa-pkcs1', hash: 'sha256' })
  })

  /** A peer that proves itself with this AUTH; the engine answers with a pre-shared key. */
  function proveWith(auth: (octets: Uint8Array) => Payload, allowSha1Signatures: boolean) {
    const config = { ...rsaB, localAuth: 'pre-shared-key', ...keys, allowSha1Signatures } as const
    const peer = new RawPeer(new IkeBed().configure([], config), { ...peerA(), ...keys })
    peer.init()
    const cert: Payload = { kind: 'CERT', encoding: 4, data: certA.chain[0] }
    return { peer, answer: peer.auth([], [peer.identity(), cert, auth(peer.octets())])! }
  }

  const signed = (octets: Uint8Array, hash: 'sha1' | 'sha256') =>
    new Uint8Array(sign(hash, octets, certA.key))
  const method14 = (data: Uint8Array): Payload => ({ kind: 'AUTH', method: 14, data })

  test('method 1 and SHA-1 of a peer: refused, or accepted behind the gate', () => {
    const method1 = (octets: Uint8Array): Payload => ({
      kind: 'AUTH',
      method: 1,
      data: signed(octets, 'sha1'),
    })
    const inMethod14 = (octets: Uint8Array) => method14(encodeSignatureAuth(sha1Rsa, signed(octets, 'sha1')))
    for (const auth of [method1, inMethod14]) {
      const { peer, answer } = proveWith(auth, false)
      assert.deepEqual(notifyTypes(answer), [24])
      assert.match(peer.victim.reports[0].text, /SHA-1.*needs legacy-crypto permit/)
      assert.ok(!peer.victim.jobKinds.includes('verify'), 'refused before the key is used')
      assert.ok(pick(proveWith(auth, true).answer, 'SA'))
    }
  })

  test('C5 signatures of the wrong length or value, and an algorithm that is none', () => {
    const sha256Rsa = { key: 'rsa-pkcs1', hash: 'sha256' } as const
    const good = (octets: Uint8Array) => encodeSignatureAuth(sha256Rsa, signed(octets, 'sha256'))
    assert.ok(pick(proveWith((octets) => method14(good(octets)), false).answer, 'SA'))
    const spoilt: ((octets: Uint8Array) => Uint8Array)[] = [
      (octets) => good(octets).slice(0, -1),
      (octets) => Uint8Array.from([...good(octets), 0]),
      (octets) => good(octets).map((byte, at, all) => (at === all.length - 1 ? byte ^ 1 : byte)),
      () => encodeSignatureAuth(sha256Rsa, new Uint8Array(256)),
      () => encodeSignatureAuth(sha256Rsa, new Uint8Array(256).fill(255)),
      () => encodeSignatureAuth(sha256Rsa, new Uint8Array(1)),
      () => Uint8Array.of(0),
      () => Uint8Array.of(200, 1, 2),
      () => Uint8Array.of(2, 0x30, 0, 1),
      (octets) => encodeSignatureAuth(sha256Rsa, signed(octets.slice(1), 'sha256')),
    ]
    for (const data of spoilt) {
      const { peer, answer } = proveWith((octets) => method14(data(octets)), false)
      assert.deepEqual(notifyTypes(answer), [24])
      assert.deepEqual([peer.victim.up.size, peer.victim.installed.size], [0, 0])
    }
  })
})

describe('pre-shared keys', () => {
  test('C3 a wrong key: AUTHENTICATION_FAILED and nothing installed', () => {
    const bed = connect(peerA({ psk: 'a wrong secret that is long enough' }), peerB())
    assertRefused(bed, 'b', /the pre-shared key differs/)
  })

  test('C3 an empty key is never right', () => {
    const bed = connect(
      { ...peerA(), localPsk: new Uint8Array(0) },
      { ...peerB(), remotePsk: new Uint8Array(0) },
    )
    assertRefused(bed, 'a', /no pre-shared key/)
  })

  test('C3 an identity that nobody expects', () => {
    const bed = connect({ ...peerA(), localId: { kind: 'fqdn', value: 'mallory.example.net' } }, peerB())
    assertRefused(bed, 'b', /no tunnel here expects fqdn mallory.example.net/)
  })

  test('the responder is another one than required (C8)', () => {
    const bed = connect({ ...peerA(), remoteId: { kind: 'fqdn', value: 'c.example.net' } }, peerB())
    assertRefused(bed, 'b', /no tunnel here expects/)
    const any = connect(peerA(), { ...peerB(), localId: { kind: 'key-id', value: '01' } })
    assertRefused(any, 'b', /no tunnel here expects/)
  })

  test('a name that looks like an address is no address (C8)', () => {
    const bed = connect(
      { ...peerA(), localId: { kind: 'fqdn', value: '192.0.2.1' } },
      { ...peerB(), remoteId: { kind: 'address', value: '192.0.2.1' } },
    )
    assertRefused(bed, 'b', /no tunnel here expects fqdn 192.0.2.1/)
  })
})

describe('the method is the configured one (C4)', () => {
  const psk = { localPsk: new Uint8Array(32).fill(7), remotePsk: new Uint8Array(32).fill(7) }

  test('a certificate peer with a pre-shared key: refused before any key is used', () => {
    const bed = connect({ ...peerA(), ...psk }, { ...rsaB, ...psk })
    assert.ok(!bed.b.jobKinds.includes('verify'))
    assertRefused(bed, 'b', /it uses a pre-shared key where remote-auth is rsa-signature/)
  })

  test('a pre-shared key peer with a certificate', () => {
    const bed = connect({ ...rsaA, remoteAuth: 'pre-shared-key', ...psk }, { ...peerB(), ...psk })
    assert.ok(!bed.b.jobKinds.includes('verify'))
    assertRefused(bed, 'b', /it uses a digital signature where remote-auth is pre-shared-key/)
  })

  test('the responder uses another method than we demand', () => {
    const bed = connect({ ...rsaA, ...psk }, { ...rsaB, localAuth: 'pre-shared-key', ...psk })
    assertRefused(bed, 'a', /it uses a pre-shared key where remote-auth is rsa-signature/)
  })
})
