// What a public key must look like before OpenSSL works with it (security C7, L6).

import { type Der, readBitBytes, readChildren, readOid, readUnsigned, readWhole, Tag } from '../wire/der.ts'

const rsaOid = '1.2.840.113549.1.1.1'
const pssOid = '1.2.840.113549.1.1.10'
const ecOid = '1.2.840.10045.2.1'
const ed25519Oid = '1.3.101.112'
/** P-256, P-384, P-521, by name only: explicit curve parameters are an attack surface and nothing else. */
const curveOids = new Set(['1.2.840.10045.3.1.7', '1.3.132.0.34', '1.3.132.0.35'])
/** A longer modulus only costs time; a longer exponent too (FIPS 186-4 §B.3.1 allows e below 2^256). */
const maxModulusBits = 8192
const minModulusBits = 1024
const maxExponentBytes = 32

export type RsaKey = { modulusBits: number; modulus: Uint8Array; exponent: Uint8Array }

function bitLength(magnitude: Uint8Array): number {
  return magnitude.length * 8 - (Math.clz32(magnitude[0]) - 24)
}

type Spki = { oid: string; parameters: Der | undefined; key: Der }

function readSpki(spki: Uint8Array): Spki | null {
  const parts = readChildren(readWhole(spki), Tag.SEQUENCE)
  const algorithm = readChildren(parts?.[0], Tag.SEQUENCE)
  const oid = readOid(algorithm?.[0])
  if (parts?.length !== 2 || oid === null || algorithm!.length > 2) return null
  return { oid, parameters: algorithm![1], key: parts[1] }
}

/** Numbers of an RSA key in a SubjectPublicKeyInfo; null when it holds no RSA key, 'malformed' when a broken one. */
export function readRsaKey(spki: Uint8Array): RsaKey | 'malformed' | null {
  const frame = readSpki(spki)
  if (!frame) return 'malformed'
  if (frame.oid !== rsaOid && frame.oid !== pssOid) return null
  const bits = readBitBytes(frame.key)
  const numbers = bits && readChildren(readWhole(bits), Tag.SEQUENCE)
  const modulus = readUnsigned(numbers?.[0])
  const exponent = readUnsigned(numbers?.[1])
  if (!modulus || !exponent || numbers?.length !== 2) return 'malformed'
  return { modulusBits: bitLength(modulus), modulus, exponent }
}

/** Why a public key is not worked with, or null. Size gates above 1024 bits are the caller's. */
export function publicKeyFault(spki: Uint8Array): string | null {
  const frame = readSpki(spki)
  if (frame?.oid === ecOid)
    return curveOids.has(readOid(frame.parameters) ?? '') ? null : 'EC key on a curve that is not taken'
  if (frame?.oid === ed25519Oid) return null
  const key = readRsaKey(spki)
  if (key === null) return `public key of unknown kind ${frame?.oid}`
  if (key === 'malformed') return 'malformed public key'
  return rsaKeyFault(key)
}

function rsaKeyFault(key: RsaKey): string | null {
  const { modulusBits, modulus, exponent } = key
  if (modulusBits < minModulusBits || modulusBits > maxModulusBits) return `RSA key of ${modulusBits} bits`
  if ((modulus[modulus.length - 1] & 1) === 0) return 'RSA modulus is even'
  const isOdd = (exponent[exponent.length - 1] & 1) === 1
  const isOne = exponent.length === 1 && exponent[0] === 1
  if (!isOdd || isOne || exponent.length > maxExponentBytes) return 'RSA exponent is 1, even or too long'
  return null
}
