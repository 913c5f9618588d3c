// Public-key work on the thread pool: agreement of both sides, known answers, lengths on the wire, refusals.

import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { PoolCryptoJobs } from '../bindings/crypto-jobs.ts'
import { runCryptoJob } from '../control/crypto/jobs.ts'
import type { CryptoJob, CryptoResult, DhGroup, SignatureAlgorithm } from '../control/ports.ts'

const jobs = new PoolCryptoJobs()
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'))

/** wire length of a public value, length of the secret (RFC 7296 §3.4, RFC 5903 §7, RFC 8031 §3.1) */
const LENGTHS: [DhGroup, number, number][] = [
  [1, 96, 96],
  [2, 128, 128],
  [5, 192, 192],
  [14, 256, 256],
  [15, 384, 384],
  [16, 512, 512],
  [17, 768, 768],
  [18, 1024, 1024],
  [19, 64, 32],
  [20, 96, 48],
  [21, 132, 66],
  [31, 32, 32],
]

for (const [group, wire, secret] of LENGTHS)
  test(`group ${group}: both sides derive the same ${secret} bytes from ${wire} on the wire`, async () => {
    const [one, other] = await Promise.all([generate(group), generate(group)])
    assert.equal(one.publicValue.length, wire)
    assert.notDeepEqual(one.publicValue, other.publicValue)
    const [left, right] = await Promise.all([
      derive(group, one.privateValue, other.publicValue),
      derive(group, other.privateValue, one.publicValue),
    ])
    assert.equal(left.length, secret)
    assert.deepEqual(left, right)
  })

for (const kem of ['mlkem-512', 'mlkem-768', 'mlkem-1024'] as const)
  test(`${kem}: the pool and the reference open what the other made, and refuse what is none`, async () => {
    const reference = { run: async (job: CryptoJob) => runCryptoJob(job) }
    for (const [one, other] of [
      [jobs, reference],
      [reference, jobs],
    ]) {
      const { publicValue: peerPublic, privateValue } = expect(
        await one.run({ kind: 'kem-generate', kem }),
        'kem-generate',
      )
      const sent = expect(await other.run({ kind: 'kem-encapsulate', kem, peerPublic }), 'kem-encapsulate')
      const { ciphertext } = sent
      const opened = await one.run({ kind: 'kem-decapsulate', kem, privateValue, ciphertext })
      assert.deepEqual(expect(opened, 'kem-decapsulate').secret, sent.secret)
      const short = peerPublic.slice(1)
      const bad = await one.run({ kind: 'kem-encapsulate', kem, peerPublic: short })
      assert.equal(bad.kind, 'failed')
      const cut = { kind: 'kem-decapsulate', kem, privateValue, ciphertext: ciphertext.slice(1) } as const
      assert.equal((await one.run(cut)).kind, 'failed')
    }
  })

async function generate(group: DhGroup) {
  return expect(await jobs.run({ kind: 'dh-generate', group }), 'dh-generate')
}

async function derive(group: DhGroup, privateValue: Uint8Array, peerPublic: Uint8Array) {
  return expect(await jobs.run({ kind: 'dh-derive', group, privateValue, peerPublic }), 'dh-derive').secret
}

function expect<K extends CryptoResult['kind']>(result: CryptoResult, kind: K) {
  assert.equal(result.kind, kind, JSON.stringify(result))
  return result as Extract<CryptoResult, { kind: K }>
}

test('RFC 5903 §8.1: the secret is the x coordinate', async () => {
  const initiator = hex('C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433')
  const responder = hex('C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53')
  const publicOfResponder = hex(
    'D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63' +
      '56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB',
  )
  const publicOfInitiator = hex(
    'DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180' +
      '5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3',
  )
  const secret = hex('D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE')
  assert.deepEqual(await derive(19, initiator, publicOfResponder), secret)
  assert.deepEqual(await derive(19, responder, publicOfInitiator), secret)
})

test('RFC 7748 §6.1: X25519', async () => {
  const bob = hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb')
  const alicePublic = hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a')
  const secret = hex('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742')
  assert.deepEqual(await derive(31, bob, alicePublic), secret)
})

test('public values that OpenSSL refuses fail with a reason, never with an exception', async () => {
  const cases: [DhGroup, number, number][] = [
    [31, 32, 0], // the all-zero point: shared secret zero
    [19, 64, 1], // off the curve
    [14, 256, 0], // zero
    [14, 256, 0xff], // above the prime
  ]
  for (const [group, length, byte] of cases) {
    const { privateValue } = await generate(group)
    const peerPublic = new Uint8Array(length).fill(byte)
    const result = await jobs.run({ kind: 'dh-derive', group, privateValue, peerPublic })
    assert.equal(result.kind, 'failed')
    assert.match(result.kind === 'failed' ? result.reason : '', /^dh-derive: ./)
  }
})

const KEYS: [string, () => KeyObject, SignatureAlgorithm][] = [
  ['RSA PKCS #1', rsaKey, { key: 'rsa-pkcs1', hash: 'sha256' }],
  ['RSA PKCS #1 with SHA-1', rsaKey, { key: 'rsa-pkcs1', hash: 'sha1' }],
  ['RSA PSS', rsaKey, { key: 'rsa-pss', hash: 'sha384' }],
  ['ECDSA', ecKey, { key: 'ecdsa', hash: 'sha256' }],
  ['Ed25519', () => generateKeyPairSync('ed25519').privateKey, { key: 'ed25519', hash: 'identity' }],
]

function rsaKey(): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}

function ecKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

for (const [name, makeKey, algorithm] of KEYS)
  test(`${name}: signs, verifies, and refuses other data`, async () => {
    const key = makeKey()
    const data = new Uint8Array(200).fill(7)
    const { signature } = expect(await jobs.run({ kind: 'sign', key, algorithm, data }), 'sign')
    const spki = new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }))
    const check = async (over: Uint8Array) =>
      expect(await jobs.run({ kind: 'verify', spki, algorithm, data: over, signature }), 'verify').valid
    assert.equal(await check(data), true)
    data[199] ^= 1
    assert.equal(await check(data), false)
  })

test('a key signs only with algorithms of its own type', async () => {
  const algorithm: SignatureAlgorithm = { key: 'rsa-pkcs1', hash: 'sha256' }
  const result = await jobs.run({ kind: 'sign', key: ecKey(), algorithm, data: new Uint8Array(1) })
  assert.deepEqual(result, { kind: 'failed', reason: 'sign: a key of type ec does not fit rsa-pkcs1' })
})

test('the event loop goes on while a large group is computed', async () => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  await Promise.all([generate(18), generate(18), generate(18)])
  clearInterval(timer)
  assert.ok(turns >= 3, `${turns} turns`)
})
