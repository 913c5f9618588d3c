// Path validation on chains made here: what is accepted, what is refused and by which name, and what it may cost.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Identity } from '../control/config/model.ts'
import { certificateSubject, readCertificate, readTime } from '../control/pki/certificate.ts'
import { certificateRequest } from '../control/pki/certreq.ts'
import { readCrl } from '../control/pki/crl.ts'
import { constraintViolation, type GeneralName, type NameConstraints } from '../control/pki/general-name.ts'
import { certificateIdentity } from '../control/pki/identity.ts'
import {
  createCa,
  type IssueOptions,
  issueCertificate,
  type KeyKind,
  type MadeCertificate,
  makeKey,
  readCa,
} from '../control/pki/make.ts'
import { decodePem } from '../control/pki/pem.ts'
import { type PkiReason, pkiReasons } from '../control/pki/reasons.ts'
import { type ChainInput, type ChainResult, validateChain } from '../control/pki/validate.ts'
import { addressBytes } from '../control/wire/address.ts'
import { fromHex, hex } from '../control/wire/bytes.ts'
import { der, derText, readElement, Tag } from '../control/wire/der.ts'
import { parseDnText } from '../control/wire/dn.ts'
import { within } from './support/within.ts'

const now = Date.parse('2026-06-01T00:00:00Z')
const day = 86_400_000
const key = makeKey('rsa-2048')
const leafKey = makeKey('rsa-2048')
const ca = createCa({ subject: 'O=Provider, CN=ca', now, key })
const fqdn = (value: string): Identity => ({ kind: 'fqdn', value })
const name = fqdn('pe1.example.net')

const derOf = (pem: string): Uint8Array => decodePem(new TextEncoder().encode(pem))![0].der

function issue(change: Partial<IssueOptions> = {}): Uint8Array {
  return derOf(
    issueCertificate({
      ca,
      subject: 'O=Provider, CN=pe1',
      altNames: [name],
      publicKey: leafKey,
      now,
      ...change,
    }),
  )
}

const leaf = issue()

function validate(change: Partial<ChainInput> = {}): ChainResult {
  const trust = [{ name: 'provider-ca', der: ca.der }]
  return validateChain({
    leaf,
    intermediates: [],
    trust,
    crls: [],
    now,
    allowSha1: false,
    identity: name,
    ...change,
  })
}

function refused(result: ChainResult, reason: PkiReason): void {
  assert.ok(!result.ok, 'accepted')
  assert.equal(result.reason, reason, result.sentence)
  assert.ok(result.sentence.includes(pkiReasons[reason]))
}

test('a certificate of the trusted CA is accepted with its key', () => {
  const result = validate()
  assert.ok(result.ok)
  assert.equal(result.anchor, 'provider-ca')
  assert.equal(result.subject, 'O=Provider, CN=pe1')
  assert.deepEqual(result.gates, [])
  assert.deepEqual(
    result.spki,
    new Uint8Array(new X509Certificate(leaf).publicKey.export({ type: 'spki', format: 'der' })),
  )
  assert.equal(result.notAfter, Date.parse(new X509Certificate(leaf).validTo))
})

test('certificates made here are good to OpenSSL, for every kind of key', (context) => {
  if (spawnSync('openssl', ['version']).status !== 0) return context.skip('no openssl command')
  const directory = mkdtempSync(join(tmpdir(), 'asegate-pki-'))
  try {
    for (const kind of ['rsa-2048', 'p256', 'ed25519'] satisfies KeyKind[]) verifyWithOpenssl(directory, kind)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

function verifyWithOpenssl(directory: string, kind: KeyKind): void {
  const root = createCa({ subject: 'C=CH, O=Provider, CN=root', now: Date.now(), key: makeKey(kind) })
  const middle = createCa({
    subject: 'CN=middle',
    now: Date.now(),
    key: makeKey(kind),
    issuer: root,
    pathLength: 0,
  })
  const altNames: Identity[] = [
    name,
    { kind: 'address', value: '192.0.2.1' },
    { kind: 'user-fqdn', value: 'a@b.c' },
  ]
  const certificate = issueCertificate({
    ca: middle,
    subject: 'CN=pe1',
    altNames,
    publicKey: makeKey(kind),
    now: Date.now(),
  })
  const files = { root: root.certificate, middle: middle.certificate, leaf: certificate }
  const paths = Object.entries(files).map(([file, text]) => {
    writeFileSync(join(directory, file), text)
    return join(directory, file)
  })
  const run = spawnSync(
    'openssl',
    ['verify', '-x509_strict', '-CAfile', paths[0], '-untrusted', paths[1], paths[2]],
    { encoding: 'utf8' },
  )
  assert.equal(run.status, 0, run.stderr)
  const trust = [{ name: 'root', der: root.der }]
  assert.ok(validate({ leaf: derOf(certificate), intermediates: [middle.der], trust, now: Date.now() }).ok)
  assert.equal(
    new X509Certificate(certificate).subjectAltName,
    'DNS:pe1.example.net, IP Address:192.0.2.1, email:a@b.c',
  )
}

test('identities: each kind only by its own name, never by the common name', () => {
  const altNames: Identity[] = [
    name,
    { kind: 'address', value: '2001:db8::1' },
    { kind: 'user-fqdn', value: 'ops@example.net' },
  ]
  const rich = issue({ altNames })
  const accepted: Identity[] = [
    ...altNames,
    fqdn('PE1.Example.NET'),
    { kind: 'address', value: '2001:DB8:0::1' },
    { kind: 'dn', value: 'o=provider,cn=PE1' },
  ]
  for (const identity of accepted) assert.ok(validate({ leaf: rich, identity }).ok, identity.value)
  const others: Identity[] = [
    fqdn('pe1'),
    fqdn('2001:db8::1'),
    fqdn('ops@example.net'),
    fqdn('pe1.example.net.evil'),
    { kind: 'address', value: '2001:db8::2' },
    { kind: 'user-fqdn', value: 'pe1.example.net' },
    { kind: 'dn', value: 'CN=pe1' },
    { kind: 'dn', value: 'O=Provider, CN=*' },
    { kind: 'key-id', value: hex(new TextEncoder().encode('pe1')) },
  ]
  for (const identity of others) refused(validate({ leaf: rich, identity }), 'identity-mismatch')
  const bare = issue({ altNames: [], subject: 'CN=pe1.example.net' })
  refused(validate({ leaf: bare }), 'identity-mismatch')
  const wild = issue({ altNames: [fqdn('*.example.net')] })
  refused(validate({ leaf: wild }), 'identity-mismatch')
  refused(validate({ leaf: wild, identity: fqdn('*.example.net') }), 'identity-mismatch')
})

test('L3: dates of the leaf and of the CA', () => {
  refused(validate({ now: now - 2 * day }), 'certificate-not-yet-valid')
  refused(validate({ now: now + 825 * day }), 'certificate-expired')
  const old = createCa({ subject: 'CN=old', now: now - 100 * day, days: 50, key })
  const young = issue({ ca: old })
  refused(validate({ leaf: young, trust: [{ name: 'old', der: old.der }] }), 'certificate-expired')
})

test('L6: SHA-1 and short RSA only behind the gate, and then named', () => {
  const sha1 = issue({ hash: 'sha1' })
  refused(validate({ leaf: sha1 }), 'certificate-sha1')
  const open = validate({ leaf: sha1, allowSha1: true })
  assert.deepEqual(open.ok && open.gates, ['sha1-signature'])
  const short = issue({ publicKey: generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey })
  refused(validate({ leaf: short }), 'certificate-key-short')
  const shortOpen = validate({ leaf: short, allowSha1: true })
  assert.deepEqual(shortOpen.ok && shortOpen.gates, ['rsa-below-2048'])
  const tiny = issue({ publicKey: generateKeyPairSync('rsa', { modulusLength: 512 }).privateKey })
  refused(validate({ leaf: tiny, allowSha1: true }), 'certificate-key')
})

/** Every occurrence of sha256WithRSAEncryption replaced, so that inside and outside still agree. */
function withAlgorithm(certificate: Uint8Array, lastArc: number): Uint8Array {
  return fromHex(
    hex(certificate).replaceAll(
      '2a864886f70d01010b',
      `2a864886f70d0101${lastArc.toString(16).padStart(2, '0')}`,
    ),
  )
}

test('L6: MD2, MD5 and unknown signature algorithms never', () => {
  for (const arc of [2, 4, 99])
    refused(validate({ leaf: withAlgorithm(leaf, arc), allowSha1: true }), 'certificate-algorithm')
})

test('L10: another root of the same name, a self-signed leaf, no trust at all', () => {
  const twin = createCa({ subject: 'O=Provider, CN=ca', now })
  refused(validate({ trust: [{ name: 'twin', der: twin.der }] }), 'certificate-signature')
  refused(
    validate({ trust: [{ name: 'twin', der: twin.der }], intermediates: [ca.der] }),
    'certificate-signature',
  )
  const both = [
    { name: 'twin', der: twin.der },
    { name: 'ca', der: ca.der },
  ]
  const found = validate({ trust: both })
  assert.equal(found.ok && found.anchor, 'ca')
  refused(validate({ trust: [] }), 'certificate-untrusted')
  refused(validate({ leaf: twin.der, identity: null }), 'certificate-usage') // a CA certificate cannot sign for IKE
  refused(validate({ leaf: issue({ ca: { ...ca, der: leaf, key: leafKey } }) }), 'certificate-untrusted')
  refused(validate({ trust: [{ name: 'junk', der: new Uint8Array(9) }] }), 'certificate-untrusted')
})

/** A line of CAs, each issued by the one before; the first is self-signed. */
function line(length: number): MadeCertificate[] {
  const list = [createCa({ subject: 'CN=line 0', now, key })]
  while (list.length < length)
    list.push(createCa({ subject: `CN=line ${list.length}`, now, key, issuer: list.at(-1) }))
  return list
}

test('C11: ten certificates and depth eight are the limit', () => {
  const cas = line(10)
  const [root, ...rest] = cas
  const trust = [{ name: 'root', der: root.der }]
  const at = (depth: number) => {
    const intermediates = rest
      .slice(0, depth)
      .reverse()
      .map((each) => each.der)
    return validate({ leaf: issue({ ca: cas[depth] }), intermediates, trust })
  }
  assert.ok(at(0).ok)
  assert.ok(at(7).ok)
  refused(at(8), 'certificate-untrusted')
  refused(validate({ intermediates: Array.from({ length: 10 }, () => ca.der) }), 'certificate-count')
})

test('C11: cross-signed loops and many issuers of one name end quickly', () => {
  const [a, b] = ['CN=a', 'CN=b'].map((subject) => createCa({ subject, now, key: makeKey('p256') }))
  const aByB = createCa({ subject: 'CN=a', now, key: a.key, issuer: b })
  const bByA = createCa({ subject: 'CN=b', now, key: b.key, issuer: a })
  const fromA = issue({ ca: a })
  const loop = () => validate({ leaf: fromA, intermediates: [aByB.der, bByA.der, a.der, b.der] })
  const twins = Array.from({ length: 9 }, () => createCa({ subject: 'CN=a', now, key: makeKey('p256') }).der)
  within(100, () => {
    refused(loop(), 'certificate-untrusted')
    refused(validate({ leaf: fromA, intermediates: twins }), 'certificate-signature')
  })
})

test('an intermediate is found in any order and among unrelated and malformed ones', () => {
  const [root, middle, lower] = line(3)
  const stranger = createCa({ subject: 'CN=stranger', now, key })
  const intermediates = [stranger.der, new Uint8Array(40), lower.der, leaf, middle.der]
  assert.ok(
    validate({ leaf: issue({ ca: lower }), intermediates, trust: [{ name: 'root', der: root.der }] }).ok,
  )
})

test('L2: path length counts CAs below, self-issued ones excepted', () => {
  const root = createCa({ subject: 'CN=root', now, key, pathLength: 1 })
  const trust = [{ name: 'root', der: root.der }]
  const middle = createCa({ subject: 'CN=middle', now, key, issuer: root })
  assert.ok(validate({ leaf: issue({ ca: middle }), intermediates: [middle.der], trust }).ok)
  const lower = createCa({ subject: 'CN=lower', now, key, issuer: middle })
  refused(
    validate({ leaf: issue({ ca: lower }), intermediates: [middle.der, lower.der], trust }),
    'certificate-path-length',
  )
})

test('L1: an end entity issues nothing', () => {
  const fake: MadeCertificate = { ...ca, der: leaf, key: leafKey }
  const below = issue({ ca: fake, subject: 'CN=evil', altNames: [name] })
  refused(validate({ leaf: below, intermediates: [leaf] }), 'certificate-not-ca')
})

test('L10, L11: no damaged or cut certificate is accepted, none throws', () => {
  for (let at = 0; at < leaf.length; at++) {
    const damaged = Uint8Array.from(leaf)
    damaged[at] ^= 1 << (at % 8)
    assert.equal(validate({ leaf: damaged, allowSha1: true }).ok, false, `byte ${at}`)
    assert.equal(validate({ leaf: leaf.subarray(0, at) }).ok, false)
  }
  refused(validate({ leaf: Uint8Array.from([...leaf, 0]) }), 'certificate-malformed')
})

test('L11: lengths of 4 GiB, 2,000 levels, empty and huge input', () => {
  let nested: Uint8Array = new Uint8Array(0)
  for (let depth = 0; depth < 2000; depth++) nested = der(Tag.SEQUENCE, nested)
  const cases = [
    fromHex('3084ffffffff3003020100'),
    nested,
    new Uint8Array(0),
    new Uint8Array(1024 * 1024).fill(0x30),
  ]
  for (const junk of cases) within(50, () => refused(validate({ leaf: junk }), 'certificate-malformed'))
})

test('no bytes make the certificate and CRL readers throw', () => {
  const splice = fc.tuple(fc.nat(leaf.length - 1), fc.uint8Array({ maxLength: 12 }))
  fc.assert(
    fc.property(splice, ([at, bytes]) => {
      const damaged = Uint8Array.from([
        ...leaf.subarray(0, at),
        ...bytes,
        ...leaf.subarray(at + bytes.length),
      ])
      readCertificate(damaged)
      readCrl(damaged)
    }),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      (bytes) => void [readCertificate(bytes), readCrl(bytes), decodePem(bytes)],
    ),
  )
})

test('times are UTC with seconds, and exist', () => {
  const time = (tag: number, text: string) => readTime(readElement(derText(tag, text))!)
  assert.equal(time(Tag.UTC_TIME, '260601000000Z'), now)
  assert.equal(time(Tag.UTC_TIME, '500101000000Z'), Date.parse('1950-01-01T00:00:00Z'))
  assert.equal(time(Tag.GENERALIZED_TIME, '20500101000000Z'), Date.parse('2050-01-01T00:00:00Z'))
  for (const bad of [
    '2606010000Z',
    '260601000000',
    '260601000000+0100',
    '260230000000Z',
    '261301000000Z',
    '260601240000Z',
    '260601000060Z',
  ]) {
    assert.equal(time(Tag.UTC_TIME, bad), null, bad)
  }
})

const dns = (value: string): GeneralName => ({ kind: 'dns', value })
const email = (value: string): GeneralName => ({ kind: 'email', value })
const address = (value: string): GeneralName => ({ kind: 'address', value: addressBytes(value)! })
const network = (value: string): GeneralName => ({ kind: 'address', value: fromHex(value) })
const directory = (value: string): GeneralName => ({ kind: 'dn', value: parseDnText(value)! })

test('L4: subtrees of RFC 5280 §4.2.1.10', () => {
  const within = (given: GeneralName, base: GeneralName): boolean => {
    const only = (list: keyof NameConstraints) => ({ permitted: [], excluded: [], [list]: [base] })
    const isPermitted = constraintViolation(given, only('permitted')) === null
    assert.equal(constraintViolation(given, only('excluded')) === null, !isPermitted)
    return isPermitted
  }
  assert.ok(within(dns('gw.example.net'), dns('example.net')))
  assert.ok(within(dns('EXAMPLE.net'), dns('example.NET')))
  assert.ok(within(dns('gw.example.net'), dns('.example.net')))
  assert.ok(within(dns('anything'), dns('')))
  assert.ok(!within(dns('example.net'), dns('.example.net')))
  assert.ok(!within(dns('badexample.net'), dns('example.net')))
  assert.ok(!within(dns('example.net.evil'), dns('example.net')))
  assert.ok(within(email('a@example.net'), email('example.net')))
  assert.ok(!within(email('a@mail.example.net'), email('example.net')))
  assert.ok(within(email('a@mail.example.net'), email('.example.net')))
  assert.ok(within(email('a@example.net'), email('a@Example.net')))
  assert.ok(!within(email('b@example.net'), email('a@example.net')))
  assert.ok(within(address('10.1.2.3'), network('0a010000ffff0000')))
  assert.ok(!within(address('10.2.2.3'), network('0a010000ffff0000')))
  assert.ok(!within(address('2001:db8::1'), network('0a010000ffff0000')))
  assert.ok(within(directory('O=A, CN=x'), directory('O=a')))
  assert.ok(!within(directory('CN=x, O=A'), directory('O=A')))
  assert.equal(constraintViolation(dns('a'), { permitted: [email('b')], excluded: [] }), null)
  assert.notEqual(
    constraintViolation(
      { kind: 'uri', value: 'http://a' },
      { permitted: [{ kind: 'uri', value: 'a' }], excluded: [] },
    ),
    null,
  )
})

test('CERTREQ data is the SHA-1 of the trusted keys, the identity of a certificate its subject', async () => {
  const { createHash } = await import('node:crypto')
  const spki = new X509Certificate(ca.der).publicKey.export({ type: 'spki', format: 'der' })
  const wanted = createHash('sha1').update(spki).digest('hex')
  assert.equal(
    hex(
      certificateRequest([
        { name: 'a', der: ca.der },
        { name: 'junk', der: new Uint8Array(3) },
      ]),
    ),
    wanted,
  )
  assert.deepEqual(certificateIdentity(leaf), { kind: 'dn', value: 'O=Provider, CN=pe1' })
  assert.ok(certificateSubject(leaf))
  assert.equal(certificateSubject(new Uint8Array(3)), null)
})

test('a CA read back from its PEM issues on', () => {
  const again = readCa(ca.certificate, ca.privateKey)
  assert.ok(validate({ leaf: issue({ ca: again }) }).ok)
  assert.throws(() => readCa('nothing', ca.privateKey), RangeError)
  assert.throws(() => issue({ subject: 'pe1' }), RangeError)
})
