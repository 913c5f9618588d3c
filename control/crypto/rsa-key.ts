// What an RSA public key must look like before OpenSSL works with it (security C7, L6).

import { readBitBytes, readChildren, readOid, readUnsigned, readWhole, Tag } from '../wire/der.ts'

const rsaOids = new Set(['1.2.840.113549.1.1.1', '1.2.840.113549.1.1.10'])
/** A longer modulus only costs time; a longer exponent too (FIPS 186-4 §B.3.1 allows e below 2^256). */
const maxModulusBits = 8192
const minModulusBits = 1024
const maxExponentBytes = 32

export type RsaKey = { modulusBits: number; modulus: Uint8Array; exponent: Uint8Array }

function bitLength(magnitude: Uint8Array): number {
  return magnitude.length * 8 - (Math.clz32(magnitude[0]) - 24)
}

/** Numbers of an RSA key in a SubjectPublicKeyInfo; null when it holds no RSA key, 'malformed' when a broken one. */
export function readRsaKey(spki: Uint8Array): RsaKey | 'malformed' | null {
  const parts = readChildren(readWhole(spki), Tag.SEQUENCE)
  const oid = readOid(readChildren(parts?.[0], Tag.SEQUENCE)?.[0])
  if (parts?.length !== 2 || oid === null) return 'malformed'
  if (!rsaOids.has(oid)) return null
  const bits = readBitBytes(parts[1])
  const numbers = bits && readChildren(readWhole(bits), Tag.SEQUENCE)
  const modulus = readUnsigned(numbers?.[0])
  const exponent = readUnsigned(numbers?.[1])
  if (!modulus || !exponent || numbers?.length !== 2) return 'malformed'
  return { modulusBits: bitLength(modulus), modulus, exponent }
}

/** Why an RSA key is not worked with, or null (also for keys of other kinds). Size gates are the caller's. */
export function rsaKeyFault(spki: Uint8Array): string | null {
  const key = readRsaKey(spki)
  if (key === null) return null
  if (key === 'malformed') return 'malformed public key'
  const { modulusBits, modulus, exponent } = key
  if (modulusBits < minModulusBits || modulusBits > maxModulusBits) return `RSA key of ${modulusBits} bits`
  if ((modulus[modulus.length - 1] & 1) === 0) return 'RSA modulus is even'
  const isOdd = (exponent[exponent.length - 1] & 1) === 1
  const isOne = exponent.length === 1 && exponent[0] === 1
  if (!isOdd || isOne || exponent.length > maxExponentBytes) return 'RSA exponent is 1, even or too long'
  return null
}
