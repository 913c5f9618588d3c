// Public-key work on libuv's thread pool: the event loop goes on while a key is computed.
//
// Nothing is judged here: public values passed their checks (RFC 6989) before they came, and what a key may
// sign was decided elsewhere. A refusal by OpenSSL is the result 'failed' with its reason.

import {
  constants,
  createPublicKey,
  diffieHellman,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import type { CryptoJob, CryptoJobs, CryptoResult, DhGroup, SignatureAlgorithm } from '../control/ports.ts'
import {
  GROUPS,
  type GroupShape,
  leftPad,
  privateKeyOf,
  privateValue,
  publicKeyOf,
  wireValue,
} from './dh-groups.ts'
import { decapsulateKem, encapsulateKem, generateKem } from './kem.ts'

type Job<K extends CryptoJob['kind']> = Extract<CryptoJob, { kind: K }>

export class PoolCryptoJobs implements CryptoJobs {
  async run(job: CryptoJob): Promise<CryptoResult> {
    try {
      return await execute(job)
    } catch (error) {
      return {
        kind: 'failed',
        reason: `${job.kind}: ${error instanceof Error ? error.message : String(error)}`,
      }
    }
  }
}

function execute(job: CryptoJob): Promise<CryptoResult> {
  switch (job.kind) {
    case 'dh-generate':
      return generate(job.group)
    case 'dh-derive':
      return derive(job)
    case 'kem-generate':
      return generateKem(job.kem)
    case 'kem-encapsulate':
      return encapsulateKem(job.kem, job.peerPublic)
    case 'kem-decapsulate':
      return decapsulateKem(job.kem, job.privateValue, job.ciphertext)
    case 'sign':
      return signData(job)
    case 'verify':
      return verifyData(job)
  }
}

/**
 * Key objects of the private values handed out and not yet used: to import a value again costs as much as to generate
 * it. An entry goes with its value, at the latest when that is used.
 */
const handedOut = new WeakMap<Uint8Array, KeyObject>()

async function generate(group: DhGroup): Promise<CryptoResult> {
  const shape = GROUPS[group]
  const { publicKey, privateKey } = await generatePair(shape)
  const value = privateValue(shape, privateKey)
  handedOut.set(value, privateKey)
  return { kind: 'dh-generate', publicValue: wireValue(shape, publicKey), privateValue: value }
}

/** The key object of a private value; one that was wiped meanwhile is not resurrected. */
function privateKeyFor(shape: GroupShape, value: Uint8Array): KeyObject {
  const known = handedOut.get(value)
  handedOut.delete(value)
  const isWiped = value.every((byte) => byte === 0)
  return known !== undefined && !isWiped ? known : privateKeyOf(shape, value)
}

type Pair = { publicKey: KeyObject; privateKey: KeyObject }
type Done = (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void

/** Documented by Node, absent from its type declarations: a Diffie-Hellman pair of a named group. */
const generateDhPair = generateKeyPair as unknown as (
  type: 'dh',
  options: { group: string },
  done: Done,
) => void

function generatePair(shape: GroupShape): Promise<Pair> {
  return new Promise((resolve, reject) => {
    const done: Done = (error, publicKey, privateKey) =>
      error ? reject(error) : resolve({ publicKey, privateKey })
    if (shape.kind === 'modp') generateDhPair('dh', { group: shape.name }, done)
    else if (shape.kind === 'ecp') generateKeyPair('ec', { namedCurve: shape.name }, done)
    else generateKeyPair('x25519', {}, done)
  })
}

/** MODP: g^ir padded to the prime (RFC 7296 §2.14); ECP: the x coordinate alone (RFC 5903 §9). */
async function derive(job: Job<'dh-derive'>): Promise<CryptoResult> {
  const shape = GROUPS[job.group]
  const keys = {
    publicKey: publicKeyOf(shape, job.peerPublic),
    privateKey: privateKeyFor(shape, job.privateValue),
  }
  const raw = await new Promise<Buffer>((resolve, reject) =>
    diffieHellman(keys, (error, secret) => (error ? reject(error) : resolve(secret))),
  )
  const secret = leftPad(raw, shape.bytes)
  raw.fill(0)
  return { kind: 'dh-derive', secret }
}

const KEY_TYPES: Record<SignatureAlgorithm['key'], string[]> = {
  'rsa-pkcs1': ['rsa'],
  'rsa-pss': ['rsa', 'rsa-pss'],
  ecdsa: ['ec'],
  ed25519: ['ed25519'],
}

/** Options of node:crypto. ECDSA signatures are DER on the wire (RFC 7427 §A.3); the PSS salt is as long as the hash. */
function scheme(key: KeyObject, algorithm: SignatureAlgorithm) {
  if (!KEY_TYPES[algorithm.key].includes(key.asymmetricKeyType ?? ''))
    throw new Error(`a key of type ${key.asymmetricKeyType} does not fit ${algorithm.key}`)
  if ((algorithm.hash === 'identity') !== (algorithm.key === 'ed25519'))
    throw new Error(`${algorithm.key} with hash ${algorithm.hash} is not built`)
  if (algorithm.key === 'rsa-pkcs1') return { key, padding: constants.RSA_PKCS1_PADDING }
  if (algorithm.key === 'rsa-pss')
    return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  if (algorithm.key === 'ecdsa') return { key, dsaEncoding: 'der' as const }
  return { key }
}

const digestName = (algorithm: SignatureAlgorithm) => (algorithm.hash === 'identity' ? null : algorithm.hash)

async function signData(job: Job<'sign'>): Promise<CryptoResult> {
  const options = scheme(job.key, job.algorithm)
  const signature = await new Promise<Buffer>((resolve, reject) =>
    sign(digestName(job.algorithm), job.data, options, (error, bytes) =>
      error ? reject(error) : resolve(bytes),
    ),
  )
  return { kind: 'sign', signature: Uint8Array.from(signature) }
}

async function verifyData(job: Job<'verify'>): Promise<CryptoResult> {
  const key = createPublicKey({ key: Buffer.from(job.spki), format: 'der', type: 'spki' })
  const options = scheme(key, job.algorithm)
  const valid = await new Promise<boolean>((resolve, reject) =>
    verify(digestName(job.algorithm), job.data, options, job.signature, (error, result) =>
      error ? reject(error) : resolve(result),
    ),
  )
  return { kind: 'verify', valid }
}
