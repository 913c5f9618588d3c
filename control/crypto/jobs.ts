// Public-key work as jobs: DH and ML-KEM key pairs and secrets, signatures. Rooms return a job and continue on its result.
//
// runCryptoJob computes in place: the reference, for tests, for gateways whose wires live in one process, and for
// certificate signatures (0.04 ms each). A daemon puts the long jobs on the thread pool through the CryptoJobs port.

import {
  constants,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
  randomFillSync,
  sign,
  verify,
} from 'node:crypto'
import type { CryptoJob, CryptoResult, DhGroup, Kem, SignatureAlgorithm } from '../ports.ts'
import { copy } from '../wire/bytes.ts'
import { pkcs8ToPrivate, privateToPkcs8, publicToSpki, secretLength, spkiToPublic } from './dh.ts'
import { groups } from './groups.ts'
import { kemSeedLength, kemSeedToPkcs8, kemToSpki, spkiToKem } from './kem.ts'
import { publicKeyFault } from './public-key.ts'
import { wipe } from './suite.ts'

type Job<Kind extends CryptoJob['kind']> = Extract<CryptoJob, { kind: Kind }>

const failed = (reason: string): CryptoResult => ({ kind: 'failed', reason })
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The type definitions of Node 24 leave out 'dh' with a named group, which Node has had since 12. */
type PairOptions = { namedCurve?: string; group?: string }
const makePair = generateKeyPairSync as unknown as (
  type: string,
  options: PairOptions,
) => { publicKey: KeyObject; privateKey: KeyObject }

function pairArguments(group: DhGroup): [type: string, options: PairOptions] {
  const shape = groups[group]
  if (shape.kind === 'x25519') return ['x25519', {}]
  return shape.kind === 'ecp' ? ['ec', { namedCurve: shape.name }] : ['dh', { group: shape.name }]
}

function pairResult(group: DhGroup, publicKey: KeyObject, privateKey: KeyObject): CryptoResult {
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  const privateValue = pkcs8ToPrivate(group, pkcs8)
  wipe(pkcs8)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  return { kind: 'dh-generate', publicValue: spkiToPublic(group, spki), privateValue }
}

function generate(group: DhGroup): CryptoResult {
  const pair = makePair(...pairArguments(group))
  return pairResult(group, pair.publicKey, pair.privateKey)
}

function deriveKeys(job: Job<'dh-derive'>): { privateKey: KeyObject; publicKey: KeyObject } {
  const pkcs8 = privateToPkcs8(job.group, job.privateValue)
  const spki = publicToSpki(job.group, job.peerPublic)
  const privateKey = createPrivateKey({ key: Buffer.from(pkcs8.buffer), format: 'der', type: 'pkcs8' })
  wipe(pkcs8)
  const publicKey = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  return { privateKey, publicKey }
}

/** Secrets come padded. All zero is refused for X25519 (RFC 7748 §6.1); on the other curves x = 0 is a point like any. */
function secretResult(job: Job<'dh-derive'>, raw: Buffer): CryptoResult {
  const secret = new Uint8Array(secretLength(job.group))
  secret.set(raw, secret.length - raw.length)
  wipe(raw)
  const isZero = job.group === 31 && secret.every((byte) => byte === 0)
  return isZero ? failed('shared secret is zero') : { kind: 'dh-derive', secret }
}

function kemPrivateKey(kem: Kem, seed: Uint8Array): KeyObject {
  const pkcs8 = kemSeedToPkcs8(kem, seed)
  const key = createPrivateKey({ key: Buffer.from(pkcs8.buffer), format: 'der', type: 'pkcs8' })
  wipe(pkcs8)
  return key
}

function kemPublicKey(kem: Kem, value: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(kemToSpki(kem, value)), format: 'der', type: 'spki' })
}

function generateKem(kem: Kem): CryptoResult {
  const privateValue = randomFillSync(new Uint8Array(kemSeedLength))
  const spki = createPublicKey(kemPrivateKey(kem, privateValue)).export({ type: 'spki', format: 'der' })
  return { kind: 'kem-generate', publicValue: spkiToKem(spki), privateValue }
}

function encapsulateKem({ kem, peerPublic }: Job<'kem-encapsulate'>): CryptoResult {
  const { ciphertext, sharedKey } = encapsulate(kemPublicKey(kem, peerPublic))
  const secret = copy(sharedKey)
  wipe(sharedKey)
  return { kind: 'kem-encapsulate', ciphertext: copy(ciphertext), secret }
}

function decapsulateKem({ kem, privateValue, ciphertext }: Job<'kem-decapsulate'>): CryptoResult {
  const sharedKey = decapsulate(kemPrivateKey(kem, privateValue), ciphertext)
  const secret = copy(sharedKey)
  wipe(sharedKey)
  return { kind: 'kem-decapsulate', secret }
}

/** Key options of node:crypto for a signature algorithm: PSS with a salt as long as the hash (RFC 8017 §9.1). */
function keyOptions(key: KeyObject, algorithm: SignatureAlgorithm) {
  if (algorithm.key === 'rsa-pkcs1') return { key, padding: constants.RSA_PKCS1_PADDING }
  if (algorithm.key === 'rsa-pss') {
    return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  }
  return { key }
}

const hashOf = (algorithm: SignatureAlgorithm): string | null =>
  algorithm.hash === 'identity' ? null : algorithm.hash

const keyTypes: Record<SignatureAlgorithm['key'], string[]> = {
  'rsa-pkcs1': ['rsa'],
  'rsa-pss': ['rsa', 'rsa-pss'],
  ecdsa: ['ec'],
  ed25519: ['ed25519'],
}

/** The verification key, or why it cannot be used: its type must be the algorithm's, the key sane (security C7). */
function verifyKey(job: Job<'verify'>): KeyObject | string {
  const fault = publicKeyFault(job.spki)
  if (fault) return fault
  const key = createPublicKey({ key: Buffer.from(job.spki), format: 'der', type: 'spki' })
  return misfit(key, job.algorithm) ?? key
}

/** Why a key cannot make or check signatures of an algorithm, or null. */
function misfit(key: KeyObject, algorithm: SignatureAlgorithm): string | null {
  if (!keyTypes[algorithm.key].includes(key.asymmetricKeyType ?? ''))
    return `${key.asymmetricKeyType} key for a ${algorithm.key} signature`
  const isIdentity = algorithm.hash === 'identity'
  return isIdentity === (algorithm.key === 'ed25519') ? null : `${algorithm.key} with hash ${algorithm.hash}`
}

function runVerify(job: Job<'verify'>): CryptoResult {
  const key = verifyKey(job)
  if (typeof key === 'string') return failed(key)
  const valid = verify(hashOf(job.algorithm), job.data, keyOptions(key, job.algorithm), job.signature)
  return { kind: 'verify', valid }
}

function runSign(job: Job<'sign'>): CryptoResult {
  const fault = misfit(job.key, job.algorithm)
  if (fault) return failed(fault)
  const signature = sign(hashOf(job.algorithm), job.data, keyOptions(job.key, job.algorithm))
  return { kind: 'sign', signature: new Uint8Array(signature) }
}

/** Synchronous reference over node:crypto. Failures of any kind are the `failed` result. */
export function runCryptoJob(job: CryptoJob): CryptoResult {
  try {
    switch (job.kind) {
      case 'dh-generate':
        return generate(job.group)
      case 'dh-derive':
        return secretResult(job, diffieHellman(deriveKeys(job)))
      case 'kem-generate':
        return generateKem(job.kem)
      case 'kem-encapsulate':
        return encapsulateKem(job)
      case 'kem-decapsulate':
        return decapsulateKem(job)
      case 'sign':
        return runSign(job)
      case 'verify':
        return runVerify(job)
    }
  } catch (error) {
    return failed(reasonOf(error)) // OpenSSL says no in exceptions: a point of small order, a broken key
  }
}
