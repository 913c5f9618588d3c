// Key pairs: the kinds that are made, and what they are called.

import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { digest } from '../crypto/suite.ts'
import { hex } from '../wire/bytes.ts'
import { spkiOf } from './encode.ts'
import { type Result, refuse } from './reasons.ts'

export const keyTypes = ['rsa', 'ecdsa', 'ed25519'] as const
export type KeyType = (typeof keyTypes)[number]

const curveNames = { p256: 'prime256v1', p384: 'secp384r1', p521: 'secp521r1' } as const
export type CurveName = keyof typeof curveNames

/** What `generate keypair` takes: modulus in bits with RSA, a curve with ECDSA, nothing with Ed25519. */
export type KeyRequest = { type?: KeyType; modulus?: number; curve?: CurveName }

export const defaultModulus = 3072
/** From 2048, so that no gate is needed, to what peers can still verify quickly. */
const modulusLimits = { min: 2048, max: 8192 }

/** A fresh private key: RSA 3072 unless asked otherwise. A parameter that does not fit the type is refused. */
export function generateKeyPair(request: KeyRequest): Result<KeyObject> {
  const { type = 'rsa', modulus = defaultModulus, curve = 'p256' } = request
  const { min, max } = modulusLimits
  if (request.modulus !== undefined && type !== 'rsa')
    return refuse('key-parameters', `modulus ${modulus}`, `a key of type ${type} has no modulus`)
  if (request.curve !== undefined && type !== 'ecdsa')
    return refuse('key-parameters', `curve ${curve}`, `a key of type ${type} has no choice of curve`)
  if (modulus < min || modulus > max || modulus % 8 !== 0)
    return refuse('key-parameters', `modulus ${modulus}`, `${min} to ${max} bits, a multiple of 8`)
  return { ok: true, value: makePair(type, modulus, curve) }
}

function makePair(type: KeyType, modulus: number, curve: CurveName): KeyObject {
  if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: modulus }).privateKey
  if (type === 'ed25519') return generateKeyPairSync('ed25519').privateKey
  return generateKeyPairSync('ec', { namedCurve: curveNames[curve] }).privateKey
}

/** A key as show commands print it: bits with RSA, curve with ECDSA. type is Node's name for kinds that are not made here. */
export type KeyView = { type: string; bits: number | null; curve: string | null }

/** Kind and size of a key, private or public. */
export function keyView(key: KeyObject): KeyView {
  const type = key.asymmetricKeyType ?? 'unknown'
  const { modulusLength = null, namedCurve } = key.asymmetricKeyDetails ?? {}
  const known = Object.entries(curveNames).find(([, name]) => name === namedCurve)?.[0]
  return {
    type: type === 'ec' ? 'ecdsa' : type,
    bits: modulusLength,
    curve: known ?? namedCurve ?? null,
  }
}

/** `rsa 3072`, `ecdsa p384`, `ed25519`. */
export function keyText({ type, bits, curve }: KeyView): string {
  const size = bits ?? curve
  return size === null ? type : `${type} ${size}`
}

/** SHA-256 of the SubjectPublicKeyInfo in hex: the same for a key pair, its request and its certificate. */
export function keyFingerprint(spki: Uint8Array): string {
  return hex(digest('sha256', spki))
}

/** Fingerprint of either half of a key pair. */
export function pairFingerprint(key: KeyObject): string {
  return keyFingerprint(spkiOf(key))
}
