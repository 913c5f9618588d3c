// PRF, key derivation and Diffie-Hellman against an independent implementation (noble) and RFC values.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { x25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { hmac } from '@noble/hashes/hmac.js'
import { md5, sha1 } from '@noble/hashes/legacy.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { checkPublicValue, publicLength, secretLength } from '../control/crypto/dh.ts'
import { groups, modpPrime } from '../control/crypto/groups.ts'
import { runCryptoJob } from '../control/crypto/jobs.ts'
import { childKeymat, deriveIkeKeys, deriveRekeyedIkeKeys, wipeIkeKeys } from '../control/crypto/keys.ts'
import {
  cipherKeyLength,
  digest,
  type HashName,
  icvLength,
  integrityKeyLength,
  prf,
  prfPlus,
  wipe,
} from '../control/crypto/suite.ts'
import type { DhGroup } from '../control/ports.ts'
import { concat, fromHex, hex, u64Bytes } from '../control/wire/bytes.ts'

const oracle = { md5, sha1, sha256, sha384, sha512 }
const hashNames = Object.keys(oracle) as HashName[]
const data = fc.uint8Array({ maxLength: 300 })
const plain = (bytes: Uint8Array) => Uint8Array.from(bytes)
const random = (length: number) => new Uint8Array(randomBytes(length))

test('PRFs and digests are those of noble', () => {
  fc.assert(
    fc.property(fc.constantFrom(...hashNames), data, data, data, (name, key, first, second) => {
      assert.deepEqual(prf(name, key, first, second), plain(hmac(oracle[name], key, concat(first, second))))
      assert.deepEqual(digest(name, first, second), plain(oracle[name](concat(first, second))))
    }),
    { numRuns: 300 },
  )
})

/** prf+ of RFC 7296 §2.13, written from the clause. */
function naivePrfPlus(name: HashName, key: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
  let last = new Uint8Array(0)
  let all = new Uint8Array(0)
  for (let index = 1; all.length < length; index++) {
    last = plain(hmac(oracle[name], key, concat(last, seed, Uint8Array.of(index))))
    all = concat(all, last)
  }
  return all.subarray(0, length)
}

test('prf+ is T1 | T2 | ... and ends at 255 blocks', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...hashNames),
      data,
      data,
      fc.integer({ min: 0, max: 400 }),
      (name, key, seed, length) => {
        assert.equal(hex(prfPlus(name, key, seed, length)), hex(naivePrfPlus(name, key, seed, length)))
      },
    ),
    { numRuns: 200 },
  )
  assert.equal(prfPlus('md5', new Uint8Array(1), new Uint8Array(1), 255 * 16).length, 4080)
  assert.throws(() => prfPlus('md5', new Uint8Array(1), new Uint8Array(1), 255 * 16 + 1), RangeError)
})

const keyInput = {
  prf: 'sha256',
  integrity: 'sha384',
  cipher: 'aes-192',
  ni: random(32),
  nr: random(24),
  spiI: 0x0102030405060708n,
  spiR: 0xf1f2f3f4f5f6f7f8n,
  sharedSecret: random(256),
} as const

test('IKE keys are cut from one stream in the order of RFC 7296 §2.14', () => {
  const seed = concat(keyInput.ni, keyInput.nr, u64Bytes(keyInput.spiI), u64Bytes(keyInput.spiR))
  const skeyseed = plain(hmac(sha256, concat(keyInput.ni, keyInput.nr), keyInput.sharedSecret))
  const { d, ai, ar, ei, er, pi, pr } = deriveIkeKeys(keyInput)
  assert.deepEqual(
    [d, ai, ar, ei, er, pi, pr].map((key) => key.length),
    [32, 48, 48, 24, 24, 32, 32],
  )
  assert.equal(hex(concat(d, ai, ar, ei, er, pi, pr)), hex(naivePrfPlus('sha256', skeyseed, seed, 240)))
})

test('a rekeyed IKE SA mixes the old SK_d and the old PRF in (§2.18)', () => {
  const oldSkD = random(20)
  const seed = concat(keyInput.ni, keyInput.nr, u64Bytes(keyInput.spiI), u64Bytes(keyInput.spiR))
  const skeyseed = plain(hmac(sha1, oldSkD, concat(keyInput.sharedSecret, keyInput.ni, keyInput.nr)))
  const { d } = deriveRekeyedIkeKeys('sha1', oldSkD, keyInput)
  assert.equal(hex(d), hex(naivePrfPlus('sha256', skeyseed, seed, 32)))
})

test('Child keys: initiator first, encryption before integrity, PFS secret in front of the nonces (§2.17)', () => {
  const skD = random(32)
  const { ni, nr, sharedSecret } = keyInput
  const input = { prf: 'sha512', skD, ni, nr, sharedSecret, cipher: 'aes-128', integrity: 'sha1' } as const
  const { initiatorToResponder: i, responderToInitiator: r } = childKeymat(input)
  const stream = naivePrfPlus('sha512', skD, concat(sharedSecret, ni, nr), 72)
  assert.equal(hex(concat(i.encryptionKey, i.integrityKey, r.encryptionKey, r.integrityKey)), hex(stream))
  const gcm = childKeymat({ ...input, sharedSecret: null, cipher: 'aes-gcm-256', integrity: null })
  assert.equal(gcm.initiatorToResponder.encryptionKey.length, 36)
  assert.equal(gcm.initiatorToResponder.integrityKey.length, 0)
})

test('keys have memory of their own and are wiped in place', () => {
  const keys = deriveIkeKeys(keyInput)
  for (const key of Object.values(keys)) assert.equal(key.buffer.byteLength, key.length)
  wipeIkeKeys(keys)
  for (const key of Object.values(keys)) assert.ok(key.every((byte: number) => byte === 0))
  const one = random(8)
  wipe(one, null, undefined)
  assert.deepEqual(one, new Uint8Array(8))
})

test('sizes of RFC 2403, 2404, 4106, 4868, 7634', () => {
  assert.deepEqual(
    (['md5', 'sha1', 'sha256', 'sha384', 'sha512'] as const).map(icvLength),
    [12, 12, 16, 24, 32],
  )
  assert.deepEqual(
    (['md5', 'sha1', 'sha256', 'sha384', 'sha512'] as const).map(integrityKeyLength),
    [16, 20, 32, 48, 64],
  )
  assert.deepEqual(
    (
      ['des', '3des', 'aes-128', 'aes-192', 'aes-256', 'aes-gcm-128', 'chacha20-poly1305', 'null'] as const
    ).map(cipherKeyLength),
    [8, 24, 16, 24, 32, 20, 36, 0],
  )
})

function generate(group: DhGroup) {
  const pair = runCryptoJob({ kind: 'dh-generate', group })
  assert.ok(pair.kind === 'dh-generate')
  return pair
}

function derive(group: DhGroup, privateValue: Uint8Array, peerPublic: Uint8Array): Uint8Array {
  const result = runCryptoJob({ kind: 'dh-derive', group, privateValue, peerPublic })
  assert.ok(result.kind === 'dh-derive', result.kind === 'failed' ? result.reason : '')
  return result.secret
}

const allGroups = Object.keys(groups).map(Number) as DhGroup[]

test('both sides of every group agree, in padded lengths, on fresh values', () => {
  for (const group of allGroups) {
    const [a, b] = [generate(group), generate(group)]
    assert.equal(a.publicValue.length, publicLength(group))
    assert.equal(checkPublicValue(group, a.publicValue), null)
    assert.notDeepEqual(a.publicValue, b.publicValue)
    const secret = derive(group, a.privateValue, b.publicValue)
    assert.equal(secret.length, secretLength(group))
    assert.deepEqual(derive(group, b.privateValue, a.publicValue), secret)
    for (const own of [a.privateValue, secret]) assert.equal(own.buffer.byteLength, own.length)
  }
})

test('ECP groups and X25519 agree with noble', () => {
  for (const [group, curve] of [
    [19, p256],
    [20, p384],
    [21, p521],
  ] as const) {
    const own = generate(group)
    const theirs = curve.utils.randomSecretKey()
    const theirPublic = curve.getPublicKey(theirs, false)
    assert.deepEqual(
      plain(curve.getPublicKey(own.privateValue, false)),
      concat(Uint8Array.of(4), own.publicValue),
    )
    const point = concat(Uint8Array.of(4), own.publicValue)
    const wanted = curve.getSharedSecret(theirs, point, true).subarray(1)
    assert.deepEqual(derive(group, own.privateValue, plain(theirPublic.subarray(1))), plain(wanted))
  }
  const own = generate(31)
  const theirs = x25519.utils.randomSecretKey()
  assert.deepEqual(own.publicValue, plain(x25519.getPublicKey(own.privateValue)))
  assert.deepEqual(
    derive(31, own.privateValue, plain(x25519.getPublicKey(theirs))),
    plain(x25519.getSharedSecret(theirs, own.publicValue)),
  )
})

test('group 19 computes the values of RFC 5903 §8.1', () => {
  const i = fromHex('c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433')
  const r = fromHex('c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53')
  const gi = fromHex(
    'dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3',
  )
  const gr = fromHex(
    'd12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab',
  )
  const shared = 'd6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de'
  assert.equal(hex(p256.getPublicKey(i, false).subarray(1)), hex(gi))
  assert.equal(hex(p256.getPublicKey(r, false).subarray(1)), hex(gr))
  assert.equal(hex(derive(19, i, gr)), shared)
  assert.equal(hex(derive(19, r, gi)), shared)
})

test('the MODP primes are those of the formula of RFC 2409 and 3526', () => {
  for (const group of allGroups) {
    const shape = groups[group]
    if (shape.kind !== 'modp') continue
    const prime = modpPrime(shape)
    assert.equal(prime.length, shape.length)
    assert.equal(hex(prime.subarray(0, 8)) + hex(prime.subarray(-8)), 'f'.repeat(32))
    assert.equal(hex(prime.subarray(8, 16)), 'c90fdaa22168c234') // the digits of pi
  }
})

/** A point of the curve plus one: nearly always off it. */
function offCurve(group: DhGroup): Uint8Array {
  const point = generate(group).publicValue
  point[point.length - 1] ^= 1
  return point
}

test('B1: points off the curve, coordinates past p, zeros and wrong lengths are refused before any work', () => {
  for (const group of [19, 20, 21] as const) {
    const length = publicLength(group)
    assert.equal(checkPublicValue(group, offCurve(group))?.reason, 'ike-ke-value')
    for (const fill of [0, 0xff])
      assert.equal(checkPublicValue(group, new Uint8Array(length).fill(fill))?.reason, 'ike-ke-value')
    const compressed = new Uint8Array(1 + length / 2).fill(2)
    for (const wrong of [
      new Uint8Array(0),
      new Uint8Array(length - 1),
      new Uint8Array(length + 1),
      compressed,
    ]) {
      assert.equal(checkPublicValue(group, wrong)?.reason, 'ike-ke-length')
    }
  }
  assert.equal(checkPublicValue(31, new Uint8Array(32))?.reason, 'ike-ke-value')
  assert.equal(checkPublicValue(31, new Uint8Array(31))?.reason, 'ike-ke-length')
})

test('B1: 0, 1, p-1, p, p+1 and all ones of every MODP group', () => {
  for (const group of allGroups) {
    const shape = groups[group]
    if (shape.kind !== 'modp') continue
    const prime = modpPrime(shape)
    const near = (offset: number) => {
      const value = plain(prime)
      value[value.length - 1] += offset
      return value
    }
    const one = new Uint8Array(shape.length)
    one[one.length - 1] = 1
    const refused = [
      new Uint8Array(shape.length),
      one,
      near(-1),
      near(0),
      new Uint8Array(shape.length).fill(0xff),
    ]
    for (const value of refused) assert.equal(checkPublicValue(group, value)?.reason, 'ike-ke-value')
    const two = plain(one)
    two[two.length - 1] = 2
    for (const value of [two, near(-2)]) assert.equal(checkPublicValue(group, value), null)
  }
})

test('groups that are not built are refused by name', () => {
  for (const group of [0, 3, 22, 23, 24, 25, 30, 32, 65535])
    assert.equal(checkPublicValue(group, new Uint8Array(256))?.reason, 'ike-ke-group')
})

test('X25519 points of small order end in a failed job, not in a zero secret', () => {
  const order8 = fromHex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800')
  const one = new Uint8Array(32)
  one[0] = 1
  for (const peerPublic of [order8, one]) {
    const result = runCryptoJob({
      kind: 'dh-derive',
      group: 31,
      privateValue: generate(31).privateValue,
      peerPublic,
    })
    assert.equal(result.kind, 'failed')
  }
})
