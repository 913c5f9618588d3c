// The certificate store: names to files, statements before the store, and refusals that name the file.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pki } from '../control/config/model.ts'
import { createCa, issueCertificate, makeKey, privateKeyPem } from '../control/pki/make.ts'
import { decodePem, encodePem } from '../control/pki/pem.ts'
import type { PkiReason, Result } from '../control/pki/reasons.ts'
import { loadCrls, loadIdentity, loadTrust } from '../control/pki/store.ts'

const now = Date.parse('2026-06-01T00:00:00Z')
const key = makeKey('p256')
const ca = createCa({ subject: 'CN=ca', now, key })
const certificate = issueCertificate({
  ca,
  subject: 'CN=pe1',
  altNames: [{ kind: 'fqdn', value: 'pe1' }],
  publicKey: key,
  now,
})
const text = (value: string) => new TextEncoder().encode(value)

/** Files as a table; secrets are remembered, to see that they were wiped. */
function filesOf(table: Record<string, string | Uint8Array>) {
  const secrets: Uint8Array[] = []
  const read = (path: string): Uint8Array => {
    const content = table[path]
    if (content === undefined) throw new Error(`${path}: no such file`)
    return typeof content === 'string' ? text(content) : Uint8Array.from(content)
  }
  const readSecret = (path: string): Uint8Array => {
    if (path.includes('open')) throw new Error(`${path}: mode 0644 lets others read it; chmod 600`)
    const bytes = read(path)
    secrets.push(bytes)
    return bytes
  }
  const exists = (path: string) =>
    Object.keys(table).some((each) => each === path || each.startsWith(`${path}/`))
  const list = (directory: string) =>
    Object.keys(table)
      .filter((path) => path.startsWith(`${directory}/`))
      .map((path) => path.slice(directory.length + 1))
  return { read, readSecret, exists, list, secrets }
}

function pki(change: Partial<Pki> = {}): Pki {
  return {
    store: '/s',
    trust: new Map(),
    crl: new Map(),
    identity: new Map(),
    expiryWarningDays: 30,
    ...change,
  }
}

function refused<T>(result: Result<T>, reason: PkiReason, sentence: RegExp): void {
  assert.ok(!result.ok)
  assert.equal(result.reason, reason)
  assert.match(result.sentence, sentence)
}

const stored = {
  '/s/private/pe1.pem': privateKeyPem(key),
  '/s/certs/pe1.pem': `subject=CN = pe1\n${certificate}\n${ca.certificate}`,
  '/s/trust/provider.pem': ca.certificate,
}

test('an identity comes from the store: key, own certificate first, intermediates behind; the key file is wiped', () => {
  const files = filesOf(stored)
  const loaded = loadIdentity(pki(), 'pe1', files)
  assert.ok(loaded.ok)
  assert.equal(loaded.value.key.asymmetricKeyType, 'ec')
  assert.deepEqual(loaded.value.chain, [decodePem(text(certificate))![0].der, ca.der])
  assert.equal(files.secrets.length, 1)
  assert.ok(files.secrets[0].every((byte) => byte === 0))
})

test('statements win over the store, and take DER', () => {
  const identity = new Map([['pe1', { key: '/x/k', certificate: '/x/c', line: 3 }]])
  const trust = new Map([['provider', { path: '/x/t', line: 4 }]])
  const files = filesOf({
    '/x/k': privateKeyPem(key),
    '/x/c': decodePem(text(certificate))![0].der,
    '/x/t': ca.der,
  })
  assert.ok(loadIdentity(pki({ identity }), 'pe1', files).ok)
  assert.deepEqual(loadTrust(pki({ trust }), 'provider', files), {
    ok: true,
    value: [{ name: 'provider', der: ca.der }],
  })
})

test('trust may hold several CAs', () => {
  const other = createCa({ subject: 'CN=other', now, key })
  const loaded = loadTrust(
    pki(),
    'provider',
    filesOf({ '/s/trust/provider.pem': ca.certificate + other.certificate }),
  )
  assert.deepEqual(loaded.ok && loaded.value.map(({ der }) => der), [ca.der, other.der])
})

test('what is missing, broken or foreign is refused by file', () => {
  const load = (change: Record<string, string | Uint8Array>, name = 'pe1') =>
    loadIdentity(pki(), name, filesOf({ ...stored, ...change }))
  refused(load({}, 'pe2'), 'store-missing', /identity pe2.*\/s\/certs\/pe2\.pem/)
  refused(load({}, '../pe1'), 'store-name', /\.\.\/pe1/)
  refused(
    load({ '/s/private/pe1.pem': privateKeyPem(makeKey('p256')) }),
    'store-mismatch',
    /certs\/pe1\.pem.*CN=pe1/,
  )
  refused(load({ '/s/private/pe1.pem': certificate }), 'store-content', /private\/pe1\.pem.*no private key/)
  refused(
    load({ '/s/certs/pe1.pem': privateKeyPem(key) }),
    'store-content',
    /certs\/pe1\.pem.*no certificate/,
  )
  refused(load({ '/s/certs/pe1.pem': certificate.slice(0, -40) }), 'store-content', /certs\/pe1\.pem/)
  refused(
    load({ '/s/certs/pe1.pem': encodePem('CERTIFICATE', new Uint8Array(40)) }),
    'certificate-malformed',
    /certs\/pe1\.pem/,
  )
  refused(loadTrust(pki(), 'nobody', filesOf(stored)), 'store-missing', /trust nobody/)
  const openKey = new Map([['pe1', { key: '/open', certificate: '/s/certs/pe1.pem', line: 3 }]])
  refused(loadIdentity(pki({ identity: openKey }), 'pe1', filesOf(stored)), 'store-file', /mode 0644/)
  const gone = new Map([['t', { path: '/gone', line: 3 }]])
  refused(loadTrust(pki({ trust: gone }), 't', filesOf(stored)), 'store-file', /\/gone: no such file/)
})

test('an encrypted key is refused with what it is', () => {
  const encrypted = key
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    .toString()
  refused(
    loadIdentity(pki(), 'pe1', filesOf({ ...stored, '/s/private/pe1.pem': encrypted })),
    'store-content',
    /without passphrase/,
  )
})

test('CRLs: none is fine, a broken one is not', () => {
  assert.deepEqual(loadCrls(pki(), filesOf({})), { ok: true, value: [] })
  refused(loadCrls(pki(), filesOf({ '/s/crl/ca.pem': ca.certificate })), 'store-content', /\/s\/crl\/ca\.pem/)
  const crl = new Map([['ca', { path: '/x/ca.crl', line: 1 }]])
  refused(loadCrls(pki({ crl }), filesOf({ '/x/ca.crl': ca.der })), 'store-content', /\/x\/ca\.crl/)
})

test('PEM: text around the blocks, CRLF, several labels; cut blocks are refused', () => {
  const crlf = certificate.replaceAll('\n', '\r\n')
  assert.deepEqual(
    decodePem(text(`Bag Attributes\r\n${crlf}`))?.map(({ label }) => label),
    ['CERTIFICATE'],
  )
  assert.deepEqual(decodePem(text('no block at all')), [])
  for (const bad of [
    '-----BEGIN X',
    '-----BEGIN X-----\nAAAA',
    '-----BEGIN X-----\nA\n-----END X-----',
    '-----BEGIN X-----\n!!!!\n-----END X-----',
  ]) {
    assert.equal(decodePem(text(bad)), null, bad)
  }
})
