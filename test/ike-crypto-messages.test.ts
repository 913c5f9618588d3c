// What the IKE SA does with its keys: SK payloads, AUTH, signatures, cookies, NAT detection.

import assert from 'node:assert/strict'
import {
  createCipheriv,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { test } from 'node:test'
import { sha1 } from '@noble/hashes/legacy.js'
import {
  acceptedHashes,
  authOctets,
  chooseSignature,
  decodeAlgorithm,
  decodeHashAlgorithms,
  decodeSignatureAuth,
  encodeAlgorithm,
  encodeHashAlgorithms,
  encodeSignatureAuth,
} from '../control/crypto/auth.ts'
import {
  checkCookie,
  cookiePeriod,
  createCookieSecrets,
  makeCookie,
  rotateCookieSecrets,
} from '../control/crypto/cookie.ts'
import { runCryptoJob } from '../control/crypto/jobs.ts'
import { natDetectionHash } from '../control/crypto/natt.ts'
import { publicKeyFault } from '../control/crypto/public-key.ts'
import { open, openBytes, protect, type SkKeys, skCiphers } from '../control/crypto/sk.ts'
import { cipherKeyLength, integrityKeyLength, integrityTag, prf } from '../control/crypto/suite.ts'
import type { EspCipher, SignatureAlgorithm, SignatureHash } from '../control/ports.ts'
import { concat, fromHex, hex, u16Bytes } from '../control/wire/bytes.ts'
import { derBits, derNull, derOid, derSequence, derUnsigned } from '../control/wire/der.ts'
import { decodeMessage, isProtected } from '../control/wire/message.ts'
import { NotifyError } from '../control/wire/notify.ts'
import { isAead } from '../control/wire/transforms.ts'
import type { Payload, ProtectedMessage } from '../control/wire/types.ts'
import { Exchange } from '../control/wire/types.ts'
import { within } from './support/within.ts'

const random = (length: number) => new Uint8Array(randomBytes(length))
const fields = {
  initiatorSpi: 1n,
  responderSpi: 2n,
  exchange: Exchange.INFORMATIONAL,
  initiator: true,
  response: false,
  messageId: 7,
}
const payloads: Payload[] = [
  { kind: 'NOTIFY', protocol: 0, spi: new Uint8Array(0), type: 16384, data: random(5) },
  { kind: 'DELETE', protocol: 3, spis: [Uint8Array.of(1, 2, 3, 4)] },
]

function keysOf(cipher: EspCipher, integrity: 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'): SkKeys {
  return {
    cipher,
    integrity,
    encryptionKey: random(cipherKeyLength(cipher)),
    integrityKey: random(integrityKeyLength(integrity)),
  }
}

function sealed(datagram: Uint8Array): ProtectedMessage {
  const decoded = decodeMessage(datagram)
  assert.ok(decoded.ok && isProtected(decoded.value))
  return decoded.value
}

const aes = keysOf('aes-128', 'sha256')

/** The payloads of a message that must open. */
function insideOf(datagram: Uint8Array, keys: SkKeys): Payload[] {
  const opened = open(datagram, sealed(datagram).sk, keys)
  assert.ok(opened.ok)
  return opened.value
}

test('every block cipher and integrity opens what it protected', () => {
  const blockCiphers = [...skCiphers].filter((cipher) => !isAead(cipher))
  for (const cipher of blockCiphers) {
    for (const integrity of ['md5', 'sha1', 'sha256', 'sha384', 'sha512'] as const) {
      const keys = keysOf(cipher, integrity)
      const datagram = protect(fields, payloads, keys, random)
      const opened = open(datagram, sealed(datagram).sk, keys)
      assert.ok(opened.ok)
      assert.deepEqual(opened.value, payloads)
      const empty = protect(fields, [], keys, random)
      assert.deepEqual(insideOf(empty, keys), [])
    }
  }
})

test('every inner length is padded to the block and comes back', () => {
  for (let length = 0; length < 40; length++) {
    const inner: Payload[] = [{ kind: 'VENDOR', data: random(length) }]
    const datagram = protect(fields, inner, aes, random)
    assert.equal((datagram.length - 28 - 4 - 16) % 16, 0)
    assert.deepEqual(insideOf(datagram, aes), inner)
  }
})

test('C1: any flipped bit of the message fails the integrity check and nothing else', () => {
  const datagram = protect(fields, payloads, aes, random)
  const { sk } = sealed(datagram)
  for (let bit = 0; bit < datagram.length * 8; bit++) {
    const damaged = Uint8Array.from(datagram)
    damaged[bit >> 3] ^= 1 << (bit & 7)
    const body = damaged.subarray(sk.offset)
    assert.deepEqual(openBytes(damaged, { ...sk, body }, aes), { ok: false, reason: 'ike-icv' })
  }
})

test('C1: SK payloads of every short length are refused without notify', () => {
  for (let length = 0; length < 80; length++) {
    const body = random(length)
    const datagram = concat(new Uint8Array(32), body)
    const result = openBytes(datagram, { nextPayload: 0, body, offset: 32 }, aes)
    assert.ok(!result.ok && result.notify === undefined)
    assert.equal(result.reason, length >= 48 && length % 16 === 0 ? 'ike-icv' : 'ike-sk-short')
  }
})

/** Replaces what is inside by raw blocks (the last byte is the pad length) and makes the ICV right. */
function forged(next: number, plain: Uint8Array): Uint8Array {
  const inner: Payload[] = [{ kind: 'UNKNOWN', type: next, critical: false, data: new Uint8Array(0) }]
  const frame = protect(fields, inner, aes, () => new Uint8Array(16))
  const datagram = concat(frame.subarray(0, 32), cbc(plain), new Uint8Array(16))
  datagram.set(u16Bytes(datagram.length - 28), 30)
  datagram.set(u16Bytes(datagram.length), 26)
  datagram.set(integrityTag('sha256', aes.integrityKey, datagram.subarray(0, -16)), datagram.length - 16)
  return datagram
}

/** IV of zeros, then the blocks in CBC. */
function cbc(plain: Uint8Array): Uint8Array {
  const iv = new Uint8Array(16)
  const cipher = nodeCipher(iv)
  return concat(iv, cipher.update(plain), cipher.final())
}

function nodeCipher(iv: Uint8Array) {
  const cipher = createCipheriv('aes-128-cbc', aes.encryptionKey, iv)
  cipher.setAutoPadding(false)
  return cipher
}

test('C2: authentic with a pad length past its start is INVALID_SYNTAX', () => {
  const plain = new Uint8Array(16)
  for (const padLength of [16, 17, 255]) {
    plain[15] = padLength
    const datagram = forged(43, plain)
    const result = open(datagram, sealed(datagram).sk, aes)
    assert.ok(!result.ok && result.reason === 'ike-sk-padding')
    assert.equal(result.notify?.type, NotifyError.INVALID_SYNTAX)
  }
})

test('authentic with any padding content up to the whole inside is accepted (§3.14)', () => {
  const plain = random(32)
  plain[31] = 31
  const datagram = forged(0, plain)
  assert.deepEqual(insideOf(datagram, aes), [])
})

test('A3: authentic with malformed payloads inside is INVALID_SYNTAX', () => {
  const plain = new Uint8Array(16)
  plain.set([0, 0, 0, 200])
  const datagram = forged(43, plain)
  const result = open(datagram, sealed(datagram).sk, aes)
  assert.ok(!result.ok && result.reason === 'ike-payload-length')
  assert.equal(result.notify?.type, NotifyError.INVALID_SYNTAX)
})

test('signed octets are message, nonce, prf of the identity; the inputs stay as they were', () => {
  const message = randomBytes(100)
  const nonce = randomBytes(32)
  const [skP, id] = [random(32), random(12)]
  const before = hex(message) + hex(nonce)
  const octets = authOctets(message, nonce, 'sha256', skP, id)
  assert.equal(hex(octets), before + hex(prf('sha256', skP, id)))
  assert.equal(hex(message) + hex(nonce), before)
})

/** RFC 7427 appendix A. */
const identifiers: [SignatureAlgorithm, string][] = [
  [{ key: 'rsa-pkcs1', hash: 'sha1' }, '300d06092a864886f70d0101050500'],
  [{ key: 'rsa-pkcs1', hash: 'sha256' }, '300d06092a864886f70d01010b0500'],
  [{ key: 'rsa-pkcs1', hash: 'sha384' }, '300d06092a864886f70d01010c0500'],
  [{ key: 'rsa-pkcs1', hash: 'sha512' }, '300d06092a864886f70d01010d0500'],
  [{ key: 'ecdsa', hash: 'sha1' }, '300906072a8648ce3d0401'],
  [{ key: 'ecdsa', hash: 'sha256' }, '300a06082a8648ce3d040302'],
  [{ key: 'ecdsa', hash: 'sha384' }, '300a06082a8648ce3d040303'],
  [{ key: 'ecdsa', hash: 'sha512' }, '300a06082a8648ce3d040304'],
  [
    { key: 'rsa-pss', hash: 'sha256' },
    '304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120',
  ],
  [{ key: 'ed25519', hash: 'identity' }, '300506032b6570'],
]

test('algorithm identifiers are those of RFC 7427 appendix A', () => {
  for (const [algorithm, bytes] of identifiers) {
    assert.equal(hex(encodeAlgorithm(algorithm)), bytes)
    assert.deepEqual(decodeAlgorithm(fromHex(bytes)), algorithm)
  }
})

test('PSS identifiers with defaults or without NULL mean the same; odd parameters mean nothing', () => {
  const pss = '06092a864886f70d01010a'
  const sha1Pss = { key: 'rsa-pss', hash: 'sha1' }
  assert.deepEqual(decodeAlgorithm(fromHex(`300d${pss}3000`)), sha1Pss)
  const sha256Bare = '300b0609608648016503040201'
  const parameters = `a00d${sha256Bare}a11a301806092a864886f70d010108${sha256Bare}a203020120`
  assert.deepEqual(decodeAlgorithm(fromHex(`303d${pss}3030${parameters}`)), {
    key: 'rsa-pss',
    hash: 'sha256',
  })
  assert.equal(decodeAlgorithm(fromHex(`303d${pss}3030${parameters.slice(0, -2)}14`)), null) // salt of 20
  assert.equal(decodeAlgorithm(fromHex(`301c${pss}300fa00d${sha256Bare}`)), null) // MGF1 with SHA-1
})

test('AUTH data of method 14 goes out and in; cut or unknown ones are refused', () => {
  const signature = random(256)
  const algorithm: SignatureAlgorithm = { key: 'rsa-pkcs1', hash: 'sha256' }
  const data = encodeSignatureAuth(algorithm, signature)
  assert.equal(data[0], 15)
  assert.deepEqual(decodeSignatureAuth(data), { ok: true, value: { algorithm, signature } })
  for (const length of [0, 1, 15, 16]) assert.equal(decodeSignatureAuth(data.subarray(0, length)).ok, false)
  const foreign = Uint8Array.from(data)
  foreign[10] ^= 1
  assert.equal(decodeSignatureAuth(foreign).ok, false)
  foreign[0] = 0
  assert.equal(decodeSignatureAuth(foreign).ok, false)
})

test('SIGNATURE_HASH_ALGORITHMS: numbers out and in, unknown ones skipped', () => {
  assert.equal(hex(encodeHashAlgorithms(acceptedHashes(false))), '0002000300040005')
  assert.equal(hex(encodeHashAlgorithms(acceptedHashes(true))), '00010002000300040005')
  assert.deepEqual(decodeHashAlgorithms(fromHex('0003ffff000200')), ['sha256', 'sha384'])
})

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
const ed = generateKeyPairSync('ed25519').privateKey

test('B11: SHA-1 is chosen only when it is allowed, and then last', () => {
  assert.equal(chooseSignature(rsa, ['sha1'], false), null)
  assert.deepEqual(chooseSignature(rsa, ['sha1'], true), { key: 'rsa-pkcs1', hash: 'sha1' })
  assert.deepEqual(chooseSignature(rsa, ['sha1', 'sha512'], true), { key: 'rsa-pkcs1', hash: 'sha512' })
  assert.deepEqual(chooseSignature(ec, ['sha384', 'sha256'], false), { key: 'ecdsa', hash: 'sha256' })
  assert.deepEqual(chooseSignature(ed, ['identity'], false), { key: 'ed25519', hash: 'identity' })
  assert.equal(chooseSignature(ed, ['sha256'], false), null)
})

const spkiOf = (key: KeyObject) =>
  new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }))

test('every signature algorithm signs and verifies; another message, key or algorithm does not', () => {
  const hashes: SignatureHash[] = ['sha1', 'sha256', 'sha384', 'sha512']
  const cases: [KeyObject, SignatureAlgorithm][] = [
    ...hashes.flatMap((hash): [KeyObject, SignatureAlgorithm][] => [
      [rsa, { key: 'rsa-pkcs1', hash }],
      [rsa, { key: 'rsa-pss', hash }],
      [ec, { key: 'ecdsa', hash }],
    ]),
    [ed, { key: 'ed25519', hash: 'identity' }],
  ]
  for (const [key, algorithm] of cases) {
    const data = random(200)
    const signed = runCryptoJob({ kind: 'sign', key, algorithm, data })
    assert.ok(signed.kind === 'sign')
    const { signature } = signed
    const spki = spkiOf(key)
    const verify = (change: { data?: Uint8Array; spki?: Uint8Array; algorithm?: SignatureAlgorithm }) =>
      runCryptoJob({ kind: 'verify', spki, algorithm, data, signature, ...change })
    assert.deepEqual(verify({}), { kind: 'verify', valid: true })
    assert.deepEqual(verify({ data: random(200) }), { kind: 'verify', valid: false })
    const other = key === ec ? rsa : ec
    assert.equal(verify({ spki: spkiOf(other) }).kind, 'failed')
  }
})

function rsaSpki(modulus: Uint8Array, exponent: Uint8Array): Uint8Array {
  const key = derSequence(derUnsigned(modulus), derUnsigned(exponent))
  return derSequence(derSequence(derOid('1.2.840.113549.1.1.1'), derNull()), derBits(key))
}

test('C7: broken RSA keys are refused at once and without an exception', () => {
  const modulus = (bits: number, last: number) => {
    const bytes = random(bits / 8)
    bytes[0] |= 0x80
    bytes[bytes.length - 1] = last
    return bytes
  }
  const e = Uint8Array.of(1, 0, 1)
  const cases: [Uint8Array, Uint8Array][] = [
    [Uint8Array.of(0), e],
    [modulus(2048, 2), e],
    [modulus(512, 1), e],
    [modulus(16384, 1), e],
    [modulus(2048, 1), Uint8Array.of(1)],
    [modulus(2048, 1), Uint8Array.of(2)],
    [modulus(2048, 1), Uint8Array.of(0)],
    [modulus(2048, 1), modulus(2048, 1)],
  ]
  const algorithm: SignatureAlgorithm = { key: 'rsa-pkcs1', hash: 'sha256' }
  for (const [n, exponent] of cases) {
    const spki = rsaSpki(n, exponent)
    const verify = () =>
      runCryptoJob({ kind: 'verify', spki, algorithm, data: random(10), signature: random(256) })
    assert.equal(within(50, verify).kind, 'failed')
  }
  assert.equal(publicKeyFault(rsaSpki(modulus(2048, 1), e)), null)
  for (const junk of [new Uint8Array(0), random(50), derSequence()])
    assert.notEqual(publicKeyFault(junk), null)
})

test('B5: cookies hold for their peer, this period and the one before', () => {
  const secrets = createCookieSecrets(5 * cookiePeriod, random)
  const peer = { address: '192.0.2.1', port: 500 }
  const [spi, nonce] = [0x1122n, random(32)]
  const cookie = makeCookie(secrets, peer, spi, nonce)
  const check = (one = cookie, who = peer, spiI = spi, ni = nonce) => checkCookie(secrets, one, who, spiI, ni)
  assert.equal(cookie.length, 33)
  assert.ok(check())
  for (const length of [0, 1, 32, 34, 64, 65]) assert.ok(!check(new Uint8Array(length).fill(cookie[0])))
  assert.ok(!check(cookie, { address: '192.0.2.2', port: 500 }))
  assert.ok(!check(cookie, { address: '192.0.2.1', port: 501 }))
  assert.ok(!check(cookie, peer, 0x1123n))
  assert.ok(!check(cookie, peer, spi, random(32)))
  rotateCookieSecrets(secrets, 6 * cookiePeriod - 1, random)
  assert.deepEqual(makeCookie(secrets, peer, spi, nonce), cookie)
  rotateCookieSecrets(secrets, 6 * cookiePeriod, random)
  assert.ok(check())
  rotateCookieSecrets(secrets, 7 * cookiePeriod, random)
  assert.ok(!check())
})

test('B5: after a long pause no old secret lives', () => {
  const secrets = createCookieSecrets(0, random)
  const { current, previous } = secrets
  rotateCookieSecrets(secrets, 300 * cookiePeriod, random)
  assert.ok(current.every((byte) => byte === 0) && previous.every((byte) => byte === 0))
  assert.equal(secrets.period, 300)
})

test('NAT detection is SHA-1 of SPIs, address and port, for both families', () => {
  const data = (address: number[], port: number) =>
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, ...address, port >> 8, port & 255)
  const v4 = natDetectionHash(9n, 0n, { address: '192.0.2.1', port: 4500 })
  assert.deepEqual(v4, Uint8Array.from(sha1(data([192, 0, 2, 1], 4500))))
  const v6 = natDetectionHash(9n, 0n, { address: '2001:db8::1', port: 500 })
  assert.deepEqual(
    v6,
    Uint8Array.from(sha1(data([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 500))),
  )
  assert.throws(() => natDetectionHash(9n, 0n, { address: 'gw.example', port: 500 }), RangeError)
})
