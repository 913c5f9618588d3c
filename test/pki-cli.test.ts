// `asegate pki` as an operator meets it: the real binary, a real directory, and OpenSSL as CA and as judge of every file.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SystemFiles } from '../bindings/files.ts'
import { readPkcs12 } from '../control/cli/pki-pkcs12.ts'
import {
  createCa,
  createCrl,
  issueCertificate,
  type KeyKind,
  makeKey,
  privateKeyPem,
} from '../control/pki/make.ts'
import { loadIdentity } from '../control/pki/store.ts'
import { validateChain } from '../control/pki/validate.ts'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const FOLDER = mkdtempSync(join(tmpdir(), 'asegate-pki-cli-'))
const STORE = join(FOLDER, 'store')
const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const skip = hasOpenssl ? false : 'no openssl command'
after(() => rmSync(FOLDER, { recursive: true, force: true }))

function run(command: string, words: string[]): { status: number | null; stdout: string; stderr: string } {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env
  return spawnSync(command, words, { encoding: 'utf8', cwd: FOLDER, env, timeout: 240_000 })
}

const program = join(ROOT, 'control/cli/asegate.js')
const asegate = (...words: string[]) => run(process.execPath, [program, ...words, '--store', STORE])
const openssl = (...words: string[]) => run('openssl', words)

function file(name: string, content: string | Uint8Array, mode = 0o600): string {
  const path = join(FOLDER, name)
  writeFileSync(path, content)
  chmodSync(path, mode)
  return path
}

function done(result: ReturnType<typeof run>) {
  assert.equal(result.status, 0, result.stderr)
  return result
}

const wall = Date.now()
const key = makeKey('rsa-2048')
const root = createCa({ subject: 'O=Provider, CN=root', now: wall, key })
const middle = createCa({ subject: 'O=Provider, CN=middle', now: wall, key: makeKey('p256'), issuer: root })
const subject = 'C=CH, O=Provider, CN=pe1'
const altNames = ['fqdn', 'pe1.example.net', 'address', '192.0.2.1', 'user-fqdn', 'ops@example.net']

describe('from key pair to identity, with OpenSSL as the CA', { skip }, () => {
  const request = join(FOLDER, 'pe1.csr')

  test('C1: generate: RSA 3072, mode 0600 whatever the umask, nothing of the key on the screen', () => {
    const words = `umask 0; exec "${process.execPath}" "${program}" pki generate keypair pe1 --store "${STORE}"`
    const { stdout } = done(run('sh', ['-c', words]))
    assert.match(stdout, /^key pair pe1 \(rsa 3072\) is in .*private\/pe1\.pem\n$/)
    const path = join(STORE, 'private/pe1.pem')
    assert.deepEqual(
      [statSync(path).mode & 0o777, statSync(dirname(path)).mode & 0o777, statSync(STORE).mode & 0o777],
      [0o600, 0o700, 0o700],
    )
    assert.match(done(openssl('pkey', '-in', path, '-check', '-noout')).stdout, /Key is valid/)
  })

  test('C2: request: `openssl req -verify` passes and reads subject and names', () => {
    const names = altNames.flatMap((word, index) => (index % 2 === 0 ? ['alt-name', word] : [word]))
    done(asegate('pki', 'request', 'pe1', 'subject', subject, ...names, 'file', request))
    const { stdout, stderr } = done(openssl('req', '-in', request, '-verify', '-noout', '-text'))
    assert.match(stdout + stderr, /verify OK/)
    assert.match(stdout, /Subject: C = CH, O = Provider, CN = pe1/)
    assert.match(stdout, /DNS:pe1\.example\.net, IP Address:192\.0\.2\.1, email:ops@example\.net/)
    assert.match(stdout, /Digital Signature/)
  })

  test('C3, C4: what OpenSSL signs is imported with its intermediate and is good for IKE', () => {
    const ca = {
      certificate: file('middle.pem', middle.certificate),
      key: file('middle.key', middle.privateKey),
    }
    const words = ['-CA', ca.certificate, '-CAkey', ca.key, '-CAcreateserial', '-copy_extensions', 'copy']
    done(openssl('x509', '-req', '-in', request, ...words, '-days', '30', '-out', join(FOLDER, 'pe1.pem')))
    const bundle = file('bundle.pem', middle.certificate + readFileSync(join(FOLDER, 'pe1.pem'), 'utf8'))
    done(asegate('pki', 'import', 'trust', 'provider-ca', 'file', file('root.pem', root.certificate)))
    assert.equal(done(asegate('pki', 'import', 'certificate', 'pe1', 'file', bundle)).stderr, '')
    const pki = { store: STORE, trust: new Map(), crl: new Map(), identity: new Map(), expiryWarningDays: 30 }
    const identity = loadIdentity(pki, 'pe1', new SystemFiles())
    assert.ok(identity.ok)
    const [leaf, ...intermediates] = identity.value.chain
    const result = validateChain({
      leaf,
      intermediates,
      trust: [{ name: 'provider-ca', der: root.der }],
      crls: [],
      now: Date.now(),
      allowSha1: false,
      identity: { kind: 'fqdn', value: 'pe1.example.net' },
    })
    assert.ok(result.ok, result.ok ? '' : result.sentence)
    const stored = join(STORE, 'certs/pe1.pem')
    const trusted = join(STORE, 'trust/provider-ca.pem')
    done(openssl('verify', '-x509_strict', '-CAfile', trusted, '-untrusted', stored, stored))
  })

  test('C4: a certificate of another key is refused by a sentence, exit 1', () => {
    const other = issueCertificate({ ca: root, subject: 'CN=pe9', altNames: [], publicKey: key, now: wall })
    const result = asegate('pki', 'import', 'certificate', 'pe1', 'file', file('other.pem', other))
    assert.equal(result.status, 1)
    assert.match(
      result.stderr,
      /^asegate: .*other\.pem: certificate "CN=pe9": private key and certificate do not/,
    )
    assert.match(done(asegate('show', 'pki', 'identity')).stdout, /CN=pe1/)
  })

  test('a CRL, stored so that OpenSSL verifies it', () => {
    const { crl } = createCrl({ ca: root, revoked: [], now: wall - 1000 })
    done(asegate('pki', 'import', 'crl', 'root', 'file', file('root.crl', crl)))
    const words = ['-in', join(STORE, 'crl/root.pem'), '-CAfile', join(STORE, 'trust/provider-ca.pem')]
    assert.match(done(openssl('crl', ...words, '-noout', '-verify')).stderr, /verify OK/)
  })

  test('show: a table, all of one, JSON; the fingerprint is OpenSSL’s', () => {
    assert.match(
      done(asegate('show', 'pki', 'keypair')).stdout,
      /^NAME +TYPE +SIZE +CERTIFICATE +FINGERPRINT\npe1 +rsa +3072 +present +[0-9a-f]{64}\n$/,
    )
    const one = done(asegate('show', 'pki', 'identity', 'pe1')).stdout
    assert.match(one, /^subject +C=CH, O=Provider, CN=pe1$/m)
    assert.match(one, /^altNames +dns pe1\.example\.net, address 192\.0\.2\.1, email ops@example\.net$/m)
    assert.match(one, /^intermediates +O=Provider, CN=middle$/m)
    const answer = JSON.parse(done(asegate('show', 'pki', 'trust', '--json')).stdout)
    assert.equal(answer.ok, true)
    const printed = openssl(
      'x509',
      '-in',
      join(STORE, 'trust/provider-ca.pem'),
      '-noout',
      '-fingerprint',
      '-sha256',
    )
    const wanted = printed.stdout.trim().split('=')[1].replaceAll(':', '').toLowerCase()
    assert.deepEqual([answer.data[0].name, answer.data[0].fingerprint], ['provider-ca', wanted])
    const missing = asegate('show', 'pki', 'trust', 'nobody', '--json')
    assert.equal(missing.status, 1)
    assert.equal(JSON.parse(missing.stdout).error.code, 'store-missing')
  })

  test('delete, and usage errors', () => {
    done(asegate('pki', 'delete', 'crl', 'root'))
    assert.equal(asegate('pki', 'delete', 'crl', 'root').status, 1)
    const result = asegate('pki', 'delete', 'crls', 'root')
    assert.equal(result.status, 2)
    assert.match(result.stderr, /did you mean "crl"\?/)
    assert.match(done(asegate('show', 'pki', 'crl')).stdout, /^no CRLs$/m)
  })

  test('C5: no network is needed', (context) => {
    if (run('unshare', ['-rn', 'true']).status !== 0) return context.skip('no network namespaces here')
    const words = ['-rn', process.execPath, program, 'show', 'pki', 'keypair', '--json', '--store', STORE]
    const { stdout } = done(run('unshare', words))
    assert.equal(JSON.parse(stdout).data[0].name, 'pe1')
  })
})

test('the requests of every kind of key verify with OpenSSL', { skip }, () => {
  const kinds = [
    ['type', 'ecdsa'],
    ['type', 'ecdsa', 'curve', 'p384'],
    ['type', 'ecdsa', 'curve', 'p521'],
    ['type', 'ed25519'],
  ]
  for (const [index, words] of kinds.entries()) {
    const name = `kind${index}`
    done(asegate('pki', 'generate', 'keypair', name, ...words))
    const { stdout } = done(
      asegate('pki', 'request', name, 'subject', `CN=${name}`, 'alt-name', 'fqdn', name),
    )
    const path = file('kind.csr', stdout)
    const verified = done(openssl('req', '-in', path, '-verify', '-noout'))
    assert.match(verified.stdout + verified.stderr, /verify OK/)
  }
})

describe('PKCS#12, written by OpenSSL', { skip }, () => {
  const passphrase = file('pass', 'correct horse\n')
  const pathOf = (kind: string) => join(FOLDER, `${kind}.p12`)

  /** A container with key, certificate and intermediate. */
  function make(kind: KeyKind, name: string, ...words: string[]): number | null {
    const own = makeKey(kind)
    const certificate = issueCertificate({
      ca: middle,
      subject: `CN=${kind}`,
      altNames: [{ kind: 'fqdn', value: kind }],
      publicKey: own,
      now: wall,
    })
    const input = ['-in', file('p.pem', certificate), '-inkey', file('p.key', privateKeyPem(own))]
    const chain = ['-certfile', file('chain.pem', middle.certificate + root.certificate)]
    const out = ['-out', pathOf(name), '-passout', `file:${passphrase}`, ...words]
    return openssl('pkcs12', '-export', ...input, ...chain, ...out).status
  }

  for (const kind of ['rsa-2048', 'p256', 'p384', 'ed25519'] as const)
    test(`${kind}: key and chain come out as OpenSSL put them in`, () => {
      assert.equal(make(kind, kind), 0)
      const words = [
        'pki',
        'import',
        'pkcs12',
        `p12-${kind}`,
        'file',
        pathOf(kind),
        'passphrase-file',
        passphrase,
      ]
      const { stderr } = done(asegate(...words))
      assert.match(stderr, /^asegate: warning: certificate "O=Provider, CN=root" was left out/)
      const stored = readFileSync(join(STORE, `certs/p12-${kind}.pem`), 'utf8')
      assert.ok(stored.endsWith(middle.certificate), 'byte for byte')
      const trusted = file('root.pem', root.certificate)
      const path = file('stored.pem', stored)
      done(openssl('verify', '-CAfile', trusted, '-untrusted', path, path))
      done(openssl('pkey', '-in', join(STORE, `private/p12-${kind}.pem`), '-noout'))
    })

  test('other ciphers and MACs, old ones included', async (context) => {
    const variants = [
      ['-certpbe', 'AES-128-CBC', '-keypbe', 'AES-192-CBC', '-macalg', 'sha512'],
      ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
      ['-certpbe', 'NONE', '-keypbe', 'NONE'],
      ['-legacy'],
    ]
    const pass = new TextEncoder().encode('correct horse')
    for (const words of variants) {
      if (make('rsa-2048', 'variant', ...words) !== 0) {
        context.diagnostic(`this openssl cannot make ${words.join(' ')}`)
        continue
      }
      const read = await readPkcs12(readFileSync(pathOf('variant')), pass, 'variant.p12')
      assert.ok(read.ok, read.ok ? '' : `${words}: ${read.sentence}`)
      assert.equal(read.value.certificates.length, 3)
    }
  })

  test('a wrong, a missing and an open passphrase file; a broken container; nothing is written', () => {
    assert.equal(make('p256', 'locked'), 0)
    const words = ['pki', 'import', 'pkcs12', 'locked', 'file', pathOf('locked')]
    const wrong = asegate(...words, 'passphrase-file', file('wrong', 'battery staple\n'))
    assert.equal(wrong.status, 1)
    assert.match(wrong.stderr, /does not open with this passphrase/)
    assert.match(asegate(...words).stderr, /none was given: name a passphrase-file/)
    assert.match(
      asegate(...words, 'passphrase-file', file('open', 'x', 0o644)).stderr,
      /mode 0644.*chmod 600/,
    )
    const cut = file('cut.p12', readFileSync(pathOf('locked')).subarray(0, 300))
    const broken = asegate('pki', 'import', 'pkcs12', 'cut', 'file', cut, 'passphrase-file', passphrase)
    assert.match(broken.stderr, /PKCS#12 file does not hold what it should/)
    assert.ok(!existsSync(join(STORE, 'private/locked.pem')) && !existsSync(join(STORE, 'private/cut.pem')))
    for (const { stderr } of [wrong, broken]) assert.doesNotMatch(stderr, /\n.*\n|correct horse|battery/)
  })
})

describe('writing files', () => {
  const files = new SystemFiles()
  const text = (value: string) => new TextEncoder().encode(value)
  const folder = join(FOLDER, 'w')
  const path = join(folder, 'deep/er/a.pem')

  test('directories on the way are made for the owner alone; no temporary file stays', () => {
    files.write(path, text('one'))
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o700)
    files.write(path, text('two'))
    assert.equal(readFileSync(path, 'utf8'), 'two')
    assert.deepEqual(readdirSync(dirname(path)), ['a.pem'])
  })

  test('create leaves what is there, and says so', () => {
    assert.throws(() => files.create(path, text('three')), /EEXIST/)
    assert.equal(readFileSync(path, 'utf8'), 'two')
    assert.deepEqual(readdirSync(dirname(path)), ['a.pem'])
    files.remove(path)
    files.create(path, text('three'))
    assert.equal(statSync(path).nlink, 1)
  })

  test('a link is replaced, never followed', () => {
    const target = file('target', 'untouched')
    const link = join(folder, 'link.pem')
    symlinkSync(target, link)
    files.write(link, text('new'))
    assert.equal(readFileSync(target, 'utf8'), 'untouched')
    assert.ok(!lstatSync(link).isSymbolicLink() && readFileSync(link, 'utf8') === 'new')
  })

  test('a directory in which anybody may write is refused, a sticky one is not', () => {
    const open = join(folder, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    assert.throws(() => files.write(join(open, 'a'), text('x')), /every user may write in .*chmod o-w/)
    assert.deepEqual(readdirSync(open), [])
    chmodSync(open, 0o1777)
    files.write(join(open, 'a'), text('x'))
  })

  test('the old content survives a write that fails', () => {
    const taken = join(folder, 'taken')
    mkdirSync(join(taken, 'inside'), { recursive: true })
    assert.throws(() => files.write(taken, text('x')))
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith('.tmp')),
      [],
    )
    assert.deepEqual(readdirSync(taken), ['inside'])
  })
})
