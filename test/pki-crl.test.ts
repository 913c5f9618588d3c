// Revocation: lists made here and judged by OpenSSL, what a fresh list says, and which lists say nothing (security L8, L9).

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { isOnCrl, readCrl, revokedSerials } from '../control/pki/crl.ts'
import { extension } from '../control/pki/encode.ts'
import {
  type CrlOptions,
  createCa,
  createCrl,
  issueCertificate,
  type KeyKind,
  type MadeCertificate,
  makeKey,
  serialOf,
} from '../control/pki/make.ts'
import { decodePem } from '../control/pki/pem.ts'
import type { PkiReason } from '../control/pki/reasons.ts'
import { type ChainInput, type ChainResult, validateChain } from '../control/pki/validate.ts'
import { fromHex, hex } from '../control/wire/bytes.ts'
import { derSequence, derUnsigned } from '../control/wire/der.ts'
import { within } from './support/within.ts'

const now = Date.parse('2026-06-01T00:00:00Z')
const day = 86_400_000
const key = makeKey('p256')
const root = createCa({ subject: 'O=Provider, CN=root', now, key })
const middle = createCa({ subject: 'O=Provider, CN=middle', now, key: makeKey('p256'), issuer: root })

const derOf = (pem: string): Uint8Array => decodePem(new TextEncoder().encode(pem))![0].der
const issue = (ca: MadeCertificate) =>
  derOf(issueCertificate({ ca, subject: 'CN=pe1', altNames: [], publicKey: key, now }))
const leaf = issue(middle)
const crl = (ca: MadeCertificate, revoked: Uint8Array[], change: Partial<CrlOptions> = {}) =>
  createCrl({ ca, revoked: revoked.map((each) => ({ serial: serialOf(each) })), now, ...change }).der

function validate(crls: Uint8Array[], change: Partial<ChainInput> = {}): ChainResult {
  const trust = [{ name: 'root', der: root.der }]
  const intermediates = [middle.der]
  return validateChain({
    leaf,
    intermediates,
    trust,
    crls,
    now,
    allowSha1: false,
    identity: null,
    ...change,
  })
}

function refused(result: ChainResult, reason: PkiReason, subject?: RegExp): void {
  assert.ok(!result.ok, 'accepted')
  assert.equal(result.reason, reason, result.sentence)
  if (subject) assert.match(result.sentence, subject)
}

/** Lists of both CAs that name nobody: what strict checking asks for. */
const clean = [crl(root, []), crl(middle, [])]
const strict = { strictCrl: true }

describe('L8: a fresh list of the issuer', () => {
  test('revokes who is on it, at any level, and nobody else', () => {
    refused(validate([crl(middle, [leaf])]), 'certificate-revoked', /CN=pe1/)
    refused(validate([crl(root, [middle.der])]), 'certificate-revoked', /CN=middle/)
    assert.ok(validate([crl(middle, [issue(middle)])]).ok)
    assert.ok(validate([crl(root, [leaf])]).ok, 'the serial number counts only with its issuer')
  })

  test('satisfies strict checking when there is one for every CA of the path', () => {
    assert.ok(validate(clean, strict).ok)
    refused(validate([clean[0]], strict), 'certificate-no-crl', /CN=pe1/)
    refused(validate([clean[1]], strict), 'certificate-no-crl', /CN=middle/)
    refused(validate([], strict), 'certificate-no-crl')
    assert.ok(validate([]).ok)
    refused(validate([clean[0], crl(middle, [leaf])], strict), 'certificate-revoked')
  })

  test('a certificate on hold is revoked; a newer list that releases it wins, however fresh the older is', () => {
    const revoked = [{ serial: serialOf(leaf), reason: 'certificate-hold', at: now - 20 * day }] as const
    const held = createCrl({ ca: middle, revoked: [...revoked], now: now - 10 * day }).der
    refused(validate([held]), 'certificate-revoked')
    assert.ok(validate([held, crl(middle, [], { number: 2 })]).ok)
    const again = createCrl({ ca: middle, revoked: [...revoked], now, number: 3 }).der
    refused(validate([crl(middle, [], { now: now - day }), again]), 'certificate-revoked')
  })

  test('10,000 entries are searched within 50 ms', () => {
    const revoked = Array.from({ length: 10_000 }, (_, index) => ({
      serial: Uint8Array.of(1, index >> 8, index),
    }))
    const list = createCrl({ ca: middle, revoked, now }).der
    within(50, () => assert.ok(validate([list]).ok))
  })
})

describe('L9: lists that say nothing, neither yes nor no', () => {
  const twin = createCa({ subject: 'O=Provider, CN=middle', now, key: makeKey('p256') })
  const mute = createCa({ subject: 'O=Provider, CN=mute', now, key, issuer: root, signsCrls: false })
  const damaged = Uint8Array.from(crl(middle, [leaf]))
  damaged[damaged.length - 3] ^= 1
  const critical = (oid: string, value: Uint8Array) => [extension(oid, true, value)]
  const lists: [string, Uint8Array][] = [
    ['of another key under the same name', crl(twin, [leaf])],
    ['of another CA', crl(createCa({ subject: 'CN=other', now, key }), [leaf])],
    ['stale', crl(middle, [leaf], { now: now - 31 * day })],
    ['ended at this moment', crl(middle, [leaf], { now: now - 30 * day })],
    ['from the future', crl(middle, [leaf], { now: now + 60_000 })],
    ['without an end', crl(middle, [leaf], { days: null })],
    ['with a damaged signature', damaged],
    ['signed with SHA-1 while the gate is closed', crl(middle, [leaf], { hash: 'sha1' })],
    [
      'of one distribution point only',
      crl(middle, [leaf], { extensions: critical('2.5.29.28', derSequence()) }),
    ],
    ['delta', crl(middle, [leaf], { extensions: critical('2.5.29.27', derUnsigned(Uint8Array.of(1))) })],
    ['cut off', crl(middle, [leaf]).subarray(0, 100)],
    ['empty', new Uint8Array(0)],
    ['a certificate', leaf],
  ]
  for (const [what, list] of lists)
    test(`a list ${what}: as no list, refused when strict`, () => {
      assert.ok(validate([list]).ok)
      refused(validate([clean[0], list], strict), 'certificate-no-crl')
      assert.ok(validate([...clean, list], strict).ok, 'nor does it spoil the others')
    })

  test('of a CA whose keyUsage has no cRLSign', () => {
    const below = { leaf: issue(mute), intermediates: [mute.der] }
    assert.ok(validate([crl(mute, [below.leaf])], below).ok)
    refused(validate([clean[0], crl(mute, [])], { ...below, ...strict }), 'certificate-no-crl')
  })

  test('SHA-1 counts once the gate is open', () => {
    refused(validate([crl(middle, [leaf], { hash: 'sha1' })], { allowSha1: true }), 'certificate-revoked')
  })
})

describe('reading', () => {
  test('who is on a list, and that nobody is on an empty one', () => {
    const list = readCrl(crl(middle, [leaf, root.der]))
    assert.ok(list)
    assert.deepEqual(revokedSerials(list)!.map(hex), [leaf, root.der].map(serialOf).map(hex))
    assert.equal(isOnCrl(list, serialOf(leaf)), true)
    assert.equal(isOnCrl(list, Uint8Array.of(5)), false)
    assert.deepEqual(revokedSerials(readCrl(clean[0])!), [])
  })

  test('broken entries make the whole list unknown', () => {
    const list = readCrl(crl(middle, [leaf]))!
    const broken = { ...list, entries: fromHex('30050204') }
    assert.equal(revokedSerials(broken), null)
    assert.equal(isOnCrl(broken, serialOf(leaf)), null)
  })
})

test('lists made here are good to OpenSSL, which reads what we wrote, for every kind of key', (context) => {
  if (spawnSync('openssl', ['version']).status !== 0) return context.skip('no openssl command')
  const directory = mkdtempSync(join(tmpdir(), 'asegate-crl-'))
  try {
    for (const kind of ['rsa-2048', 'p256', 'p384', 'p521', 'ed25519'] satisfies KeyKind[])
      judgeByOpenssl(directory, kind)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

function judgeByOpenssl(directory: string, kind: KeyKind): void {
  const wall = Date.now()
  const ca = createCa({ subject: 'C=CH, O=Provider, CN=ca', now: wall, key: makeKey(kind) })
  const certificates = [1, 2].map(() =>
    issueCertificate({ ca, subject: 'CN=pe', altNames: [], publicKey: key, now: wall }),
  )
  const serial = serialOf(derOf(certificates[0]))
  const list = createCrl({
    ca,
    revoked: [{ serial, at: wall - day, reason: 'key-compromise' }],
    now: wall - 1000,
    number: 300,
  })
  const write = (name: string, text: string) => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const openssl = (...words: string[]) => spawnSync('openssl', words, { encoding: 'utf8' })
  const paths = { ca: write('ca', ca.certificate), crl: write('crl', list.crl) }
  const verified = openssl('crl', '-in', paths.crl, '-CAfile', paths.ca, '-noout', '-text', '-verify')
  assert.match(verified.stderr, /verify OK/)
  assert.match(verified.stdout, new RegExp(`Serial Number: ${hex(serial).toUpperCase()}`))
  assert.match(verified.stdout, /Key Compromise/)
  assert.match(verified.stdout, /CRL Number:\s+300/)
  for (const [index, certificate] of certificates.entries()) {
    const path = write('leaf', certificate)
    const words = ['verify', '-crl_check', '-CRLfile', paths.crl, '-CAfile', paths.ca, path]
    const { status, stderr } = openssl(...words)
    if (index === 0) assert.match(stderr, /certificate revoked/)
    else assert.equal(status, 0, stderr)
  }
}
