// ML-KEM (FIPS 203) over node:crypto: raw keys in, key objects out. A private value is its seed of 64 bytes.

import {
  createPrivateKey,
  createPublicKey,
  decapsulate,
  encapsulate,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'
import type { CryptoResult, Kem } from '../control/ports.ts'
import {
  der,
  derBitString,
  derElements,
  derInteger,
  OBJECT_IDENTIFIER,
  OCTET_STRING,
  SEQUENCE,
} from './der.ts'

/** Last arc of 2.16.840.1.101.3.4.4, by parameter set. */
const ARCS: Record<Kem, number> = { 'mlkem-512': 1, 'mlkem-768': 2, 'mlkem-1024': 3 }
const SEED_BYTES = 64
const SEED_TAG = 0x80
const VERSION_0 = derInteger(Uint8Array.of(0))

function algorithm(kem: Kem): Uint8Array {
  const oid = Uint8Array.of(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 4, ARCS[kem])
  return der(SEQUENCE, der(OBJECT_IDENTIFIER, oid))
}

function publicKeyOf(kem: Kem, value: Uint8Array): KeyObject {
  const key = der(SEQUENCE, algorithm(kem), derBitString(value))
  return createPublicKey({ key: Buffer.from(key.buffer), format: 'der', type: 'spki' })
}

/** PKCS #8 around a seed; every intermediate copy is wiped. */
function privateKeyOf(kem: Kem, seed: Uint8Array): KeyObject {
  const inner = der(SEED_TAG, seed)
  const key = der(SEQUENCE, VERSION_0, algorithm(kem), der(OCTET_STRING, inner))
  try {
    return createPrivateKey({ key: Buffer.from(key.buffer), format: 'der', type: 'pkcs8' })
  } finally {
    inner.fill(0)
    key.fill(0)
  }
}

/** A key pair takes 0.06 ms: no work for a thread of the pool. */
export async function generateKem(kem: Kem): Promise<CryptoResult> {
  const privateValue = randomFillSync(new Uint8Array(SEED_BYTES))
  const spki = createPublicKey(privateKeyOf(kem, privateValue)).export({ format: 'der', type: 'spki' })
  const [, bits] = derElements(derElements(spki)[0].value)
  return { kind: 'kem-generate', publicValue: Uint8Array.from(bits.value.subarray(1)), privateValue }
}

export function encapsulateKem(kem: Kem, peerPublic: Uint8Array): Promise<CryptoResult> {
  const key = publicKeyOf(kem, peerPublic)
  return new Promise((resolve, reject) =>
    encapsulate(key, (error, made) => {
      if (error) return reject(error)
      const ciphertext = Uint8Array.from(made.ciphertext)
      resolve({ kind: 'kem-encapsulate', ciphertext, secret: takenOver(made.sharedKey) })
    }),
  )
}

export function decapsulateKem(kem: Kem, seed: Uint8Array, ciphertext: Uint8Array): Promise<CryptoResult> {
  const key = privateKeyOf(kem, seed)
  return new Promise((resolve, reject) =>
    decapsulate(key, ciphertext, (error, secret) => {
      if (error) return reject(error)
      resolve({ kind: 'kem-decapsulate', secret: takenOver(secret) })
    }),
  )
}

/** A copy in memory of its own; the original is wiped. */
function takenOver(secret: Uint8Array): Uint8Array {
  const own = Uint8Array.from(secret)
  secret.fill(0)
  return own
}
