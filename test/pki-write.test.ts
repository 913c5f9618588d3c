// What `asegate pki` does to a store, over files made by hand: every step judged before the first byte is written.

import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Pki } from '../control/config/model.ts'
import { parsePki } from '../control/pki/command-line.ts'
import { defaultModulus, generateKeyPair, keyText, keyView } from '../control/pki/keypair.ts'
import {
  createCa,
  createCrl,
  issueCertificate,
  type MadeCertificate,
  makeKey,
  serialOf,
} from '../control/pki/make.ts'
import { decodePem, encodePem, encodePemBytes } from '../control/pki/pem.ts'
import type { PkiReason, Result } from '../control/pki/reasons.ts'
import { createRequest } from '../control/pki/request.ts'
import { type ShowKind, showPki } from '../control/pki/show.ts'
import { loadCrls, loadIdentity, loadTrust } from '../control/pki/store.ts'
import {
  generate,
  importFile,
  importPkcs12,
  type Place,
  remove,
  request,
} from '../control/pki/store-write.ts'
import type { StoreFiles } from '../control/ports.ts'

const now = Date.parse('2026-06-01T00:00:00Z')
const day = 86_400_000
const text = (value: string) => new TextEncoder().encode(value)
const derOf = (pem: string): Uint8Array => decodePem(text(pem))![0].der

/** Files in memory. Contents that were handed over are kept as they are, so that wiping shows. */
class MemoryFiles implements StoreFiles {
  readonly table = new Map<string, Uint8Array>()
  readonly handed: Uint8Array[] = []
  /** paths that cannot be written */
  broken = new Set<string>()
  read(path: string): Uint8Array {
    const content = this.table.get(path)
    if (!content) throw new Error(`${path}: no such file`)
    return Uint8Array.from(content)
  }
  readSecret(path: string): Uint8Array {
    return this.read(path)
  }
  list(directory: string): string[] {
    const paths = [...this.table.keys()].filter((path) => path.startsWith(`${directory}/`))
    return paths.map((path) => path.slice(directory.length + 1)).sort()
  }
  exists(path: string): boolean {
    return this.table.has(path) || this.list(path).length > 0
  }
  write(path: string, content: Uint8Array): void {
    if (this.broken.has(path)) throw new Error('ENOSPC: no space left on device')
    this.handed.push(content)
    this.table.set(path, Uint8Array.from(content))
  }
  create(path: string, content: Uint8Array): void {
    if (this.table.has(path)) throw new Error('EEXIST: file already exists')
    this.write(path, content)
  }
  remove(path: string): void {
    assert.ok(this.table.delete(path))
  }
}

class Store implements Place {
  readonly files = new MemoryFiles()
  readonly store = '/s'
  wall = now

  put(path: string, content: string | Uint8Array): string {
    this.files.table.set(path, typeof content === 'string' ? text(content) : content)
    return path
  }

  /** A key pair that is there already: making one costs time. */
  keyPair(name: string, key: KeyObject): this {
    this.put(`/s/private/${name}.pem`, key.export({ type: 'pkcs8', format: 'pem' }).toString())
    return this
  }

  text(path: string): string {
    return new TextDecoder().decode(this.files.read(path))
  }

  rows(kind: ShowKind, name: string | null = null) {
    const rows = showPki(this, kind, name)
    assert.ok(rows.ok)
    return rows.value
  }
}

function good<T>(result: Result<T>): T {
  assert.ok(result.ok, result.ok ? '' : result.sentence)
  return result.value
}

function refused<T>(result: Result<T>, reason: PkiReason, sentence?: RegExp): void {
  assert.ok(!result.ok)
  assert.equal(result.reason, reason, result.sentence)
  if (sentence) assert.match(result.sentence, sentence)
}

const pkiOf = (store: string): Pki => ({
  store,
  trust: new Map(),
  crl: new Map(),
  identity: new Map(),
  expiryWarningDays: 30,
})

const key = makeKey('p256')
const root = createCa({ subject: 'O=Provider, CN=root', now, key: makeKey('p256') })
const middle = createCa({ subject: 'O=Provider, CN=middle', now, key: makeKey('p256'), issuer: root })
const issue = (ca: MadeCertificate, publicKey: KeyObject = key, change = {}) =>
  issueCertificate({
    ca,
    subject: 'O=Provider, CN=pe1',
    altNames: [{ kind: 'fqdn', value: 'pe1' }],
    publicKey,
    now,
    ...change,
  })
const leaf = issue(middle)

describe('C1: generate keypair', () => {
  test('RSA 3072 by default, every kind on request, each in a file that the gateway loads', () => {
    const kinds = [
      [{}, `rsa ${defaultModulus}`],
      [{ type: 'rsa', modulus: 2048 }, 'rsa 2048'],
      [{ type: 'ecdsa' }, 'ecdsa p256'],
      [{ type: 'ecdsa', curve: 'p384' }, 'ecdsa p384'],
      [{ type: 'ecdsa', curve: 'p521' }, 'ecdsa p521'],
      [{ type: 'ed25519' }, 'ed25519'],
    ] as const
    for (const [words, wanted] of kinds) {
      const store = new Store()
      const { data } = good(generate(store, 'pe1', words))
      assert.equal(data.file, '/s/private/pe1.pem')
      const made = createPrivateKey(store.text('/s/private/pe1.pem'))
      assert.equal(keyText(keyView(made)), wanted)
      assert.doesNotMatch(JSON.stringify(data), /PRIVATE|MC|MII/)
      const [row] = store.rows('keypair')
      assert.deepEqual([row.name, row.fingerprint, row.certificate], ['pe1', data.fingerprint, 'missing'])
    }
  })

  test('the bytes handed to the file are wiped', () => {
    const store = new Store()
    good(generate(store, 'pe1', { type: 'ed25519' }))
    assert.ok(store.files.handed.every((bytes) => bytes.every((byte) => byte === 0)))
  })

  test('a key pair is never overwritten', () => {
    const store = new Store()
    good(generate(store, 'pe1', { type: 'ed25519' }))
    const before = store.text('/s/private/pe1.pem')
    refused(generate(store, 'pe1', { type: 'ed25519' }), 'store-exists', /delete it first/)
    assert.equal(store.text('/s/private/pe1.pem'), before)
    refused(generate(store, '../pe1', {}), 'store-name')
  })

  test('what does not go together is refused before a key is made', () => {
    for (const words of [
      { type: 'ecdsa', modulus: 3072 },
      { type: 'ed25519', curve: 'p256' },
      { curve: 'p256' },
      { modulus: 1024 },
      { modulus: 16384 },
      { modulus: 2049 },
    ] as const)
      refused(generateKeyPair(words), 'key-parameters')
  })

  test('a disk that is full leaves nothing and says so', () => {
    const store = new Store()
    store.files.broken.add('/s/private/pe1.pem')
    refused(generate(store, 'pe1', { type: 'ed25519' }), 'store-write', /no space left/)
    assert.equal(store.files.table.size, 0)
  })

  test('PEM made of bytes is the PEM made of text, for every length', () => {
    for (let length = 1; length < 200; length++) {
      const der = new Uint8Array(length).map((_, index) => index * 37 + length)
      assert.equal(new TextDecoder().decode(encodePemBytes('X', der)), encodePem('X', der))
    }
  })
})

describe('C2: request', () => {
  const words = { subject: 'O=Provider, CN=pe1', altNames: [], file: null }

  test('names its subject and its file; without alt-name it says what that means', () => {
    const store = new Store().keyPair('pe1', key)
    const { data, notes } = good(request(store, 'pe1', words))
    assert.match(String(data.request), /^-----BEGIN CERTIFICATE REQUEST-----\n/)
    assert.match(notes[0], /no alt-name/)
    const filed = good(
      request(store, 'pe1', { ...words, altNames: [{ kind: 'fqdn', value: 'pe1' }], file: '/tmp/pe1.csr' }),
    )
    assert.equal(store.text('/tmp/pe1.csr'), filed.data.request)
    assert.deepEqual(filed.notes, [])
  })

  test('no key pair, no name, no subject, names that no certificate has', () => {
    const store = new Store().keyPair('pe1', key)
    refused(request(store, 'pe2', words), 'store-missing', /keypair pe2/)
    refused(request(store, '.', words), 'store-name')
    refused(request(store, 'pe1', { ...words, subject: 'pe1' }), 'request-subject', /O=Provider, CN=pe1/)
    for (const identity of [
      { kind: 'key-id', value: '00ff' },
      { kind: 'fqdn', value: 'two words' },
      { kind: 'fqdn', value: '' },
      { kind: 'user-fqdn', value: 'a\u0000b' },
      { kind: 'dn', value: 'pe1' },
    ] as const)
      refused(request(store, 'pe1', { ...words, altNames: [identity] }), 'request-alt-name')
    assert.equal(store.files.table.size, 1)
  })

  test('keys that cannot sign a request are refused by kind', () => {
    const odd = [
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey,
      generateKeyPairSync('x25519').privateKey,
      generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey,
    ]
    for (const each of odd)
      refused(createRequest({ key: each, subject: 'CN=a', altNames: [] }), 'key-parameters')
  })
})

describe('C3: import trust', () => {
  const take = (store: Store, content: string | Uint8Array) =>
    importFile(store, 'trust', 'provider', store.put('/in', content))

  test('PEM, DER, several with text between them; the gateway loads what was written', () => {
    const contents: [string | Uint8Array, Uint8Array[]][] = [
      [root.certificate, [root.der]],
      [root.der, [root.der]],
      [`two\n${middle.certificate}and\n${root.certificate}`, [middle.der, root.der]],
      [root.certificate + root.certificate, [root.der]],
    ]
    for (const [content, wanted] of contents) {
      const store = new Store()
      const { data } = good(take(store, content))
      assert.equal(data.objects, wanted.length)
      const loaded = good(loadTrust(pkiOf('/s'), 'provider', store.files))
      assert.deepEqual(
        loaded.map(({ der }) => der),
        wanted,
      )
    }
  })

  test('only CAs: an end entity, a CSR, a key, nothing and junk are refused, and nothing is written', () => {
    const store = new Store()
    refused(take(store, leaf), 'certificate-not-ca', /CN=pe1/)
    refused(take(store, root.certificate + leaf), 'certificate-not-ca')
    const damaged = Uint8Array.from(root.der)
    damaged[damaged.length - 1] ^= 1
    refused(take(store, damaged), 'certificate-signature', /self-signed/)
    for (const junk of ['', 'junk', root.privateKey])
      refused(take(store, junk), 'store-content', /no certificate/)
    refused(take(store, Uint8Array.of(0x30, 3, 1, 2, 3)), 'certificate-malformed')
    refused(importFile(store, 'trust', 'provider', '/nowhere'), 'store-file', /nowhere/)
    assert.deepEqual([...store.files.table.keys()], ['/in'])
  })

  test('dates are told, not judged: a CA may be imported before its time', () => {
    const store = new Store()
    store.wall = now + 4000 * day
    assert.match(good(take(store, root.certificate)).notes[0], /CN=root" has expired on 2036-05-2/)
    store.wall = now - 10 * day
    assert.match(good(take(store, root.certificate)).notes[0], /not valid before 2026-05-31/)
  })

  test('importing again renews', () => {
    const store = new Store()
    good(take(store, root.certificate))
    good(take(store, middle.certificate))
    assert.equal(store.text('/s/trust/provider.pem'), middle.certificate)
  })
})

describe('C4: import certificate', () => {
  const take = (store: Store, content: string | Uint8Array) =>
    importFile(store, 'certificate', 'pe1', store.put('/in', content))

  test('refused when it does not match the key pair, or when there is none', () => {
    const store = new Store().keyPair('pe1', makeKey('p256'))
    refused(take(store, leaf), 'store-mismatch', /\/in: certificate "O=Provider, CN=pe1"/)
    refused(take(new Store(), leaf), 'store-missing', /keypair pe1/)
    assert.ok(!store.files.exists('/s/certs/pe1.pem'))
  })

  test('with intermediates in any order: own first, then upwards, the root left out and named', () => {
    const store = new Store().keyPair('pe1', key)
    const stranger = createCa({ subject: 'CN=stranger', now, key: makeKey('p256'), issuer: root })
    const bundle = [root.certificate, stranger.certificate, middle.certificate, leaf].join('')
    const { notes } = good(take(store, bundle))
    assert.equal(store.text('/s/certs/pe1.pem'), leaf + middle.certificate)
    assert.equal(notes.length, 2)
    assert.match(notes[0], /CN=root" was left out: .*import trust/)
    assert.match(notes[1], /CN=stranger" was left out: it is no issuer/)
    assert.deepEqual(good(loadIdentity(pkiOf('/s'), 'pe1', store.files)).chain, [derOf(leaf), middle.der])
    const [row] = store.rows('identity')
    assert.deepEqual(
      [row.keyPair, row.state, row.intermediates, row.altNames],
      ['present', 'valid', ['O=Provider, CN=middle'], ['dns pe1']],
    )
  })

  test('DER, a self-signed one, and one that has expired', () => {
    const store = new Store().keyPair('pe1', key)
    good(take(store, derOf(leaf)))
    const own = createCa({ subject: 'CN=alone', now, key })
    good(take(store, own.certificate))
    assert.equal(store.text('/s/certs/pe1.pem'), own.certificate)
    const old = issue(middle, key, { days: 2, now: now - 30 * day })
    assert.match(good(take(store, old)).notes[0], /has expired/)
    assert.equal(store.rows('identity')[0].state, 'expired')
  })

  test('an issuer by name alone is none', () => {
    const store = new Store().keyPair('pe1', key)
    const twin = createCa({ subject: 'O=Provider, CN=middle', now, key: makeKey('p256'), issuer: root })
    good(take(store, leaf + twin.certificate + middle.certificate))
    assert.equal(store.text('/s/certs/pe1.pem'), leaf + middle.certificate)
  })

  test('a key pair that changed shows at the certificate and at the key pair', () => {
    const store = new Store().keyPair('pe1', key)
    good(take(store, leaf))
    store.keyPair('pe1', makeKey('p256'))
    assert.equal(store.rows('identity')[0].keyPair, 'differs')
    assert.equal(store.rows('keypair')[0].certificate, 'differs')
    good(remove(store, 'keypair', 'pe1'))
    assert.equal(store.rows('identity')[0].keyPair, 'missing')
    assert.match(
      good(generate(store, 'pe1', { type: 'ed25519' })).notes[0],
      /certs\/pe1\.pem belongs to an older/,
    )
  })
})

describe('import crl', () => {
  const list = createCrl({ ca: middle, revoked: [{ serial: serialOf(derOf(leaf)) }], now })
  const take = (store: Store, content: string | Uint8Array) =>
    importFile(store, 'crl', 'provider', store.put('/in', content))

  test('PEM or DER; it takes the place of a DER file of the name', () => {
    for (const content of [list.crl, list.der]) {
      const store = new Store()
      store.put('/s/crl/provider.crl', createCrl({ ca: root, revoked: [], now }).der)
      good(take(store, content))
      assert.deepEqual(good(loadCrls(pkiOf('/s'), store.files)), [list.der])
      const [row] = store.rows('crl')
      assert.deepEqual([row.issuer, row.revoked, row.state], ['O=Provider, CN=middle', 1, 'fresh'])
    }
  })

  test('verified with the CA of its name where the store has it, trusted or sent along', () => {
    const store = new Store().keyPair('pe1', key)
    assert.match(good(take(store, list.crl)).notes[0], /no CA of that name/)
    good(importFile(store, 'certificate', 'pe1', store.put('/c', leaf + middle.certificate)))
    assert.deepEqual(good(take(store, list.crl)).notes, [])
    const twin = createCa({ subject: 'O=Provider, CN=middle', now, key: makeKey('p256') })
    refused(take(store, createCrl({ ca: twin, revoked: [], now }).crl), 'crl-signature', /CN=middle/)
    assert.equal(store.text('/s/crl/provider.pem'), list.crl)
  })

  test('stale and future lists come with a note, malformed and partial ones not at all', () => {
    const store = new Store()
    store.wall = now + 40 * day
    assert.match(good(take(store, list.crl)).notes[0], /not fresh: from 2026-06-01 to 2026-07-01/)
    assert.equal(store.rows('crl')[0].state, 'stale')
    store.wall = now - day
    good(take(store, list.crl))
    assert.equal(store.rows('crl')[0].state, 'not-yet-valid')
    refused(take(store, list.der.subarray(0, 60)), 'store-content', /malformed or partial/)
    refused(take(store, root.certificate), 'store-content', /no CRL/)
  })
})

describe('import pkcs12', () => {
  const content = { key, certificates: [root.der, middle.der, derOf(leaf)] }

  test('key pair and chain at once; an equal key pair may be there, another may not', () => {
    const store = new Store()
    good(importPkcs12(store, 'pe1', '/p', content))
    assert.deepEqual(good(loadIdentity(pkiOf('/s'), 'pe1', store.files)).chain, [derOf(leaf), middle.der])
    good(importPkcs12(store, 'pe1', '/p', content))
    store.keyPair('pe1', makeKey('p256'))
    refused(importPkcs12(store, 'pe1', '/p', content), 'store-exists', /private\/pe1\.pem/)
  })

  test('both files or none', () => {
    const store = new Store()
    store.files.broken.add('/s/certs/pe1.pem')
    refused(importPkcs12(store, 'pe1', '/p', content), 'store-write')
    assert.equal(store.files.table.size, 0)
  })

  test('a certificate of another key, a broken one and none at all', () => {
    const store = new Store()
    refused(
      importPkcs12(store, 'pe1', '/p', { key: makeKey('p256'), certificates: [derOf(leaf)] }),
      'store-mismatch',
    )
    refused(
      importPkcs12(store, 'pe1', '/p', { key, certificates: [Uint8Array.of(1)] }),
      'certificate-malformed',
    )
    refused(importPkcs12(store, 'pe1', '/p', { key, certificates: [] }), 'pkcs12-content', /no certificate/)
    assert.equal(store.files.table.size, 0)
  })

  test('a short RSA key is taken, with a word about its gate', () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    const certificates = [derOf(issue(middle, short))]
    const { notes } = good(importPkcs12(new Store(), 'pe1', '/p', { key: short, certificates }))
    assert.match(notes[0], /1024 bits, which needs legacy-crypto permit/)
  })
})

describe('delete', () => {
  test('each kind, by name; what is not there is an error', () => {
    const store = new Store().keyPair('pe1', key)
    good(importFile(store, 'certificate', 'pe1', store.put('/c', leaf)))
    good(importFile(store, 'trust', 'pe1', store.put('/t', root.certificate)))
    store.put('/s/crl/pe1.crl', createCrl({ ca: root, revoked: [], now }).der)
    store.put('/s/crl/pe1.pem', createCrl({ ca: root, revoked: [], now }).crl)
    for (const kind of ['trust', 'certificate', 'crl', 'keypair'] as const) {
      good(remove(store, kind, 'pe1'))
      refused(remove(store, kind, 'pe1'), 'store-missing', new RegExp(`${kind} pe1`))
    }
    assert.deepEqual([...store.files.table.keys()].sort(), ['/c', '/t'])
  })
})

describe('show', () => {
  test('an empty store has no rows; a name that is not there is an error', () => {
    const store = new Store()
    for (const kind of ['trust', 'identity', 'keypair', 'crl'] as const) {
      assert.deepEqual(store.rows(kind), [])
      refused(showPki(store, kind, 'pe1'), 'store-missing')
    }
  })

  test('one broken file hides no other', () => {
    const store = new Store().keyPair('good', key)
    for (const room of ['trust', 'certs', 'private', 'crl']) store.put(`/s/${room}/bad.pem`, 'junk')
    good(importFile(store, 'trust', 'good', store.put('/t', root.certificate)))
    for (const kind of ['trust', 'identity', 'keypair', 'crl'] as const) {
      const bad = store.rows(kind).find(({ name }) => name === 'bad')
      assert.match(String(bad?.fault), /bad\.pem/)
    }
    assert.deepEqual(
      store.rows('trust').map(({ name, fault }) => [name, fault === null]),
      [
        ['bad', false],
        ['good', true],
      ],
    )
  })

  test('what a certificate says agrees with OpenSSL’s reading of it', () => {
    const store = new Store()
    good(importFile(store, 'trust', 'ca', store.put('/t', root.certificate)))
    const [row] = store.rows('trust', 'ca')
    const x509 = new X509Certificate(root.certificate)
    assert.equal(String(row.serial).toUpperCase(), x509.serialNumber)
    assert.equal(row.fingerprint, x509.fingerprint256.replaceAll(':', '').toLowerCase())
    assert.equal(Date.parse(String(row.notAfter)), Date.parse(x509.validTo))
    assert.deepEqual([row.key, row.signature, row.state], ['ecdsa p256', 'ecdsa sha256', 'valid'])
  })

  test('no row of a key pair holds the key', () => {
    const store = new Store().keyPair('pe1', key)
    const secret = Buffer.from(String(key.export({ format: 'jwk' }).d), 'base64url')
    const shown = JSON.stringify(store.rows('keypair'))
    for (const form of ['hex', 'base64', 'base64url'] as const)
      assert.ok(!shown.includes(secret.toString(form).slice(0, 20)))
  })
})

describe('words', () => {
  const parse = (...line: string[]) =>
    parsePki(line.map((word, column) => ({ text: word, quoted: false, column })))
  const command = (...line: string[]) => {
    const parsed = parse(...line)
    assert.ok(parsed.ok, parsed.ok ? '' : parsed.message)
    return parsed.command
  }

  test('every command of the language', () => {
    assert.deepEqual(command('pki', 'generate', 'keypair', 'pe1'), {
      kind: 'generate',
      name: 'pe1',
      request: {},
    })
    assert.deepEqual(command('pki', 'generate', 'keypair', 'pe1', 'type', 'ecdsa', 'curve', 'p521'), {
      kind: 'generate',
      name: 'pe1',
      request: { type: 'ecdsa', curve: 'p521' },
    })
    assert.deepEqual(command('pki', 'import', 'pkcs12', 'a', 'file', 'b', 'passphrase-file', 'c'), {
      kind: 'import-pkcs12',
      name: 'a',
      file: 'b',
      passphraseFile: 'c',
    })
    assert.deepEqual(command('pki', 'delete', 'keypair', 'a'), { kind: 'delete', what: 'keypair', name: 'a' })
    assert.deepEqual(command('show', 'pki', 'crl'), { kind: 'show', what: 'crl', name: null })
  })

  test('as many alt-names as there are, of every kind, in their order', () => {
    const ids = [
      'fqdn',
      'pe1',
      'address',
      '2001:DB8::1',
      'user-fqdn',
      'a@b',
      'dn',
      'O=A, CN=b',
      'fqdn',
      'pe2',
    ]
    const line = ['pki', 'request', 'pe1', 'subject', 'O=Provider, CN=pe1']
    for (let at = 0; at < ids.length; at += 2) line.push('alt-name', ids[at], ids[at + 1])
    const parsed = command(...line, 'file', 'x.csr')
    assert.ok(parsed.kind === 'request')
    assert.deepEqual(
      parsed.altNames.map(({ kind, value }) => `${kind} ${value}`),
      ['fqdn pe1', 'address 2001:db8::1', 'user-fqdn a@b', 'dn O=A, CN=b', 'fqdn pe2'],
    )
    assert.equal(parsed.file, 'x.csr')
  })

  const wrong: [string, RegExp][] = [
    ['pki', /ends too early after "pki"; expected generate, request, import, delete/],
    ['pki genrate', /did you mean "generate"/],
    ['pki generate keypair 1a', /"1a" does not fit/],
    ['pki generate keypair a modulus 1024', /1024 is not between 2048 and 8192/],
    ['pki generate keypair a type dsa', /expected rsa, ecdsa, ed25519/],
    ['pki request a subject CN=a alt-name', /ends too early.*expected address, fqdn/],
    ['pki request a subject CN=a alt-name address 1.2.3.256', /no IPv4 or IPv6 address/],
    ['pki request a subject CN=a alt-nam fqdn x', /did you mean "alt-name"/],
    ['pki import trust a', /ends too early after .*; expected file/],
    ['pki import crl a file b passphrase-file c', /"passphrase-file" does not fit.*nothing may follow/],
    ['show pki keys', /expected trust, identity, keypair, crl/],
  ]
  for (const [line, says] of wrong)
    test(`refuses "${line}" with what could have stood there`, () => {
      const parsed = parse(...line.split(' '))
      assert.ok(!parsed.ok)
      assert.match(parsed.message, says)
    })
})
