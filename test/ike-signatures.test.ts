// Signatures of IKE_AUTH: ECDSA and Ed25519 against noble, in both directions, RSA-PSS, and forms that must not pass.

import assert from 'node:assert/strict'
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { describe, test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { sha1 } from '@noble/hashes/legacy.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'
import { PoolCryptoJobs } from '../bindings/crypto-jobs.ts'
import {
  acceptedHashes,
  chooseSignature,
  decodeSignatureAuth,
  encodeSignatureAuth,
} from '../control/crypto/auth.ts'
import { runCryptoJob } from '../control/crypto/jobs.ts'
import type { SignatureAlgorithm, SignatureHash } from '../control/ports.ts'
import { concat, fromHex } from '../control/wire/bytes.ts'
import { derBits, derOid, derSequence, derUnsigned } from '../control/wire/der.ts'

const random = (length: number) => new Uint8Array(randomBytes(length))
const plain = (bytes: Uint8Array) => Uint8Array.from(bytes)
const pool = new PoolCryptoJobs()
const digests = { sha1, sha256, sha384, sha512 }
const curves = [
  { name: 'prime256v1', oid: '1.2.840.10045.3.1.7', curve: p256, best: 'sha256' },
  { name: 'secp384r1', oid: '1.3.132.0.34', curve: p384, best: 'sha384' },
  { name: 'secp521r1', oid: '1.3.132.0.35', curve: p521, best: 'sha512' },
] as const
const raw = { prehash: false, format: 'der', lowS: false } as const

const spkiOf = (key: KeyObject) =>
  new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }))
const ecKey = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey
const ecSpki = (oid: string, point: Uint8Array) =>
  derSequence(derSequence(derOid('1.2.840.10045.2.1'), derOid(oid)), derBits(point))
const edSpki = (key: Uint8Array) => derSequence(derSequence(derOid('1.3.101.112')), derBits(key))

/** The answer of the reference and of the pool, which must be one. */
async function verify(
  spki: Uint8Array,
  algorithm: SignatureAlgorithm,
  data: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const job = { kind: 'verify', spki, algorithm, data, signature } as const
  const [here, there] = [runCryptoJob(job), await pool.run(job)]
  const verdicts = [here, there].map((result) => result.kind === 'verify' && result.valid)
  assert.equal(verdicts[0], verdicts[1])
  return verdicts[0]
}

/** Signatures by both; each must do, and is given to `check`. */
async function sign(key: KeyObject, algorithm: SignatureAlgorithm, data: Uint8Array): Promise<Uint8Array[]> {
  const job = { kind: 'sign', key, algorithm, data } as const
  return [runCryptoJob(job), await pool.run(job)].map((result) => {
    assert.ok(result.kind === 'sign', JSON.stringify(result))
    return result.signature
  })
}

describe('ECDSA (RFC 7427 §A.3)', () => {
  for (const { name, oid, curve, best } of curves)
    for (const hash of Object.keys(digests) as SignatureHash[])
      test(`${name} with ${hash}: noble’s signatures verify here, ours there`, async () => {
        const algorithm = { key: 'ecdsa', hash } as const
        const data = random(300)
        const digest = digests[hash](data)
        const secret = curve.utils.randomSecretKey()
        const theirs = plain(curve.sign(digest, secret, raw))
        const spki = ecSpki(oid, plain(curve.getPublicKey(secret, false)))
        assert.equal(await verify(spki, algorithm, data, theirs), true)
        assert.equal(await verify(spki, algorithm, random(300), theirs), false)
        const key = ecKey(name)
        const point = spkiOf(key).slice(-curve.getPublicKey(secret, false).length)
        for (const ours of await sign(key, algorithm, data))
          assert.equal(curve.verify(ours, digest, point, raw), true)
        assert.equal(chooseSignature(key, ['sha256', 'sha384', 'sha512'], false)?.hash, best)
      })

  test('the strongest common hash by the curve’s own order; SHA-1 only behind the gate', () => {
    const key = ecKey('secp521r1')
    assert.equal(chooseSignature(key, ['sha384', 'sha256'], false)?.hash, 'sha384')
    assert.equal(chooseSignature(key, ['sha256', 'identity'], false)?.hash, 'sha256')
    assert.equal(chooseSignature(key, ['sha1'], false), null)
    assert.equal(chooseSignature(key, ['sha1'], true)?.hash, 'sha1')
  })

  test('C5: zero, too great, negative, lax and trailing r and s are invalid, never an exception', async () => {
    const [{ oid, curve }] = curves
    const secret = curve.utils.randomSecretKey()
    const spki = ecSpki(oid, plain(curve.getPublicKey(secret, false)))
    const data = random(64)
    const good = plain(curve.sign(sha256(data), secret, raw))
    const n = fromHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
    const zero = Uint8Array.of(0)
    const one = Uint8Array.of(1)
    const bad = [
      new Uint8Array(0),
      derSequence(derUnsigned(zero), derUnsigned(zero)),
      derSequence(derUnsigned(zero), derUnsigned(one)),
      derSequence(derUnsigned(one), derUnsigned(zero)),
      derSequence(derUnsigned(n), derUnsigned(one)),
      derSequence(derUnsigned(n), derUnsigned(n)),
      fromHex('300602018102017f'),
      concat(good, zero),
      concat(good.subarray(0, -1)),
      concat(Uint8Array.of(0x30, 0x81, good[1]), good.subarray(2)), // length in the long form
      plain(curve.Signature.fromBytes(good, 'der').toBytes('compact')), // r | s, as method 9 has it (RFC 4754)
      random(72),
    ]
    const algorithm = { key: 'ecdsa', hash: 'sha256' } as const
    assert.equal(await verify(spki, algorithm, data, good), true)
    for (const [index, signature] of bad.entries())
      assert.equal(await verify(spki, algorithm, data, signature), false, `case ${index}`)
  })

  test('keys off the curve, on other curves and with explicit parameters are refused', () => {
    const [{ oid, curve }] = curves
    const point = plain(curve.getPublicKey(curve.utils.randomSecretKey(), false))
    point[40] ^= 1
    const other = createPublicKey(ecKey('secp256k1')).export({ type: 'spki', format: 'der' })
    const explicit = derSequence(
      derSequence(derOid('1.2.840.10045.2.1'), derSequence(derUnsigned(Uint8Array.of(1)))),
      derBits(point),
    )
    for (const spki of [ecSpki(oid, point), new Uint8Array(other), explicit]) {
      const job = { kind: 'verify', data: random(9), signature: random(70) } as const
      const result = runCryptoJob({ ...job, spki, algorithm: { key: 'ecdsa', hash: 'sha256' } })
      assert.equal(result.kind, 'failed')
    }
  })
})

describe('Ed25519 (RFC 8420)', () => {
  const algorithm = { key: 'ed25519', hash: 'identity' } as const

  test('RFC 8032 §7.1 test 2, signed and verified over the octets themselves', async () => {
    const seed = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
    const key = createPrivateKey({
      key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
      format: 'der',
      type: 'pkcs8',
    })
    const wanted = fromHex(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    )
    const data = Uint8Array.of(0x72)
    for (const signature of await sign(key, algorithm, data)) assert.deepEqual(signature, wanted)
    const spki = edSpki(fromHex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'))
    assert.deepEqual(spkiOf(key), spki)
    assert.equal(await verify(spki, algorithm, data, wanted), true)
  })

  test('noble’s signatures verify here, ours there; S + L, cut and foreign ones do not', async () => {
    const secret = ed25519.utils.randomSecretKey()
    const data = random(500)
    const theirs = plain(ed25519.sign(data, secret))
    const spki = edSpki(plain(ed25519.getPublicKey(secret)))
    assert.equal(await verify(spki, algorithm, data, theirs), true)
    const { privateKey } = generateKeyPairSync('ed25519')
    for (const ours of await sign(privateKey, algorithm, data))
      assert.ok(ed25519.verify(ours, data, spkiOf(privateKey).slice(-32)))
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    let s = theirs.slice(32).reduceRight((value, byte) => value * 256n + BigInt(byte), 0n) + order
    const shifted = plain(theirs)
    for (let at = 32; at < 64; at++, s >>= 8n) shifted[at] = Number(s & 0xffn)
    for (const bad of [
      shifted,
      theirs.slice(1),
      concat(theirs, theirs),
      new Uint8Array(64),
      new Uint8Array(0),
    ])
      assert.equal(await verify(spki, algorithm, data, bad), false)
    assert.equal(await verify(spki, algorithm, random(500), theirs), false)
  })

  test('needs a peer that announced the identity hash, and no other hash goes with it', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    assert.deepEqual(chooseSignature(privateKey, acceptedHashes(false), false), algorithm)
    assert.equal(chooseSignature(privateKey, ['sha256', 'sha384', 'sha512'], true), null)
    const wrong = runCryptoJob({
      kind: 'sign',
      key: privateKey,
      algorithm: { key: 'ed25519', hash: 'sha256' },
      data: random(4),
    })
    assert.equal(wrong.kind, 'failed')
  })
})

describe('RSA-PSS', () => {
  test('a key certified for PSS signs PSS, with the hash it is bound to', () => {
    const free = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey
    assert.deepEqual(chooseSignature(free, ['sha512', 'sha256'], false), { key: 'rsa-pss', hash: 'sha256' })
    const options = {
      modulusLength: 2048,
      hashAlgorithm: 'sha384',
      mgf1HashAlgorithm: 'sha384',
      saltLength: 48,
    } as object as { modulusLength: number } // the declarations of Node 24 want the salt length as text
    const bound = generateKeyPairSync('rsa-pss', options).privateKey
    assert.deepEqual(chooseSignature(bound, acceptedHashes(true), true), { key: 'rsa-pss', hash: 'sha384' })
    assert.equal(chooseSignature(bound, ['sha256'], false), null)
  })

  test('both kinds of RSA key verify PSS; PKCS #1 v1.5 with a PSS key is refused', async () => {
    const algorithm = { key: 'rsa-pss', hash: 'sha384' } as const
    const data = random(99)
    const pairs = [
      generateKeyPairSync('rsa', { modulusLength: 2048 }),
      generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
    ]
    for (const { privateKey } of pairs) {
      for (const signature of await sign(privateKey, algorithm, data)) {
        assert.equal(await verify(spkiOf(privateKey), algorithm, data, signature), true)
        const other = { key: 'rsa-pkcs1', hash: 'sha384' } as const
        assert.equal(await verify(spkiOf(privateKey), other, data, signature), false)
      }
    }
  })
})

test('the AUTH data of every kind of key goes out and in, and its hash is one that was announced', async () => {
  const keys = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey,
    ...curves.map(({ name }) => ecKey(name)),
    generateKeyPairSync('ed25519').privateKey,
  ]
  const octets = random(400)
  for (const key of keys) {
    const algorithm = chooseSignature(key, acceptedHashes(false), false)!
    for (const signature of await sign(key, algorithm, octets)) {
      const decoded = decodeSignatureAuth(encodeSignatureAuth(algorithm, signature))
      assert.ok(decoded.ok)
      assert.deepEqual(decoded.value.algorithm, algorithm)
      assert.equal(await verify(spkiOf(key), decoded.value.algorithm, octets, decoded.value.signature), true)
    }
  }
})
