// Diffie-Hellman values (RFC 7296 §2.14, §3.4; RFC 6989): what is checked before any exponentiation, and the
// wire form of keys <-> the DER that node:crypto takes.
//
// Public values: MODP padded to the length of the prime, ECP x | y (RFC 5903 §7), X25519 as it is (RFC 8031).
// Private values: the exponent or scalar, big endian (X25519: RFC 7748 bytes). Secrets: padded likewise, ECP x only.

import type { DhGroup } from '../ports.ts'
import { compareBytes, concat, copy } from '../wire/bytes.ts'
import {
  der,
  derBits,
  derOctets,
  derOid,
  derSequence,
  derUnsigned,
  readBitBytes,
  readChildren,
  readUnsigned,
  readWhole,
  Tag,
} from '../wire/der.ts'
import { malformed } from '../wire/reasons.ts'
import type { Malformed } from '../wire/types.ts'
import { type EcpGroup, groups, isDhGroup, type ModpGroup, modpPrime } from './groups.ts'
import { wipe } from './suite.ts'

export { isDhGroup } from './groups.ts'

/** Bytes of a KE payload's data for the group. */
export function publicLength(group: DhGroup): number {
  const shape = groups[group]
  return shape.kind === 'ecp' ? 2 * shape.field : shape.length
}

/** Bytes of the shared secret. */
export function secretLength(group: DhGroup): number {
  const shape = groups[group]
  return shape.kind === 'ecp' ? shape.field : shape.length
}

const toBigInt = (bytes: Uint8Array): bigint =>
  bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)

/** 1 < y < p - 1 (RFC 6989 §2.1): the primes are safe primes, nothing else is to be checked. */
function isModpValue(shape: ModpGroup, bytes: Uint8Array): boolean {
  const prime = modpPrime(shape)
  const isAboveOne = bytes.some((byte, index) => byte > (index === bytes.length - 1 ? 1 : 0))
  const last = copy(prime)
  last[last.length - 1] -= 1 // p is odd: p - 1
  return isAboveOne && compareBytes(bytes, last) < 0
}

/** Coordinates below p and y^2 = x^3 - 3x + b (RFC 6989 §2.3). Public data: BigInt may take its time. */
function isEcpPoint(shape: EcpGroup, bytes: Uint8Array): boolean {
  const x = toBigInt(bytes.subarray(0, shape.field))
  const y = toBigInt(bytes.subarray(shape.field))
  if (x >= shape.p || y >= shape.p) return false
  return (y * y - (x * x * x - 3n * x + shape.b)) % shape.p === 0n
}

/**
 * Judges the data of a peer's KE payload before any exponentiation (security B1). null: good. X25519 takes any
 * 32 bytes but zero; the points of small order show themselves as an all-zero result, which dh-derive refuses.
 */
export function checkPublicValue(group: number, bytes: Uint8Array): Malformed | null {
  if (!isDhGroup(group)) return malformed('ike-ke-group', `group ${group}`)
  const wanted = publicLength(group)
  if (bytes.length !== wanted) return malformed('ike-ke-length', `${bytes.length} of ${wanted} bytes`)
  const shape = groups[group]
  const isValid =
    shape.kind === 'modp'
      ? isModpValue(shape, bytes)
      : shape.kind === 'ecp'
        ? isEcpPoint(shape, bytes)
        : bytes.some((byte) => byte !== 0)
  return isValid ? null : malformed('ike-ke-value', `group ${group}`)
}

const dhOid = '1.2.840.113549.1.3.1' // PKCS #3
const ecOid = '1.2.840.10045.2.1'
const x25519Oid = '1.3.101.110'
const version = (value: number) => der(Tag.INTEGER, Uint8Array.of(value))

function algorithmOf(group: DhGroup): Uint8Array {
  const shape = groups[group]
  if (shape.kind === 'x25519') return derSequence(derOid(x25519Oid))
  if (shape.kind === 'ecp') return derSequence(derOid(ecOid), derOid(shape.oid))
  const parameters = derSequence(derUnsigned(modpPrime(shape)), derUnsigned(Uint8Array.of(2)))
  return derSequence(derOid(dhOid), parameters)
}

/** SubjectPublicKeyInfo of a public value in wire form that has passed checkPublicValue. */
export function publicToSpki(group: DhGroup, value: Uint8Array): Uint8Array {
  const { kind } = groups[group]
  const inner =
    kind === 'modp' ? derUnsigned(value) : kind === 'ecp' ? concat(Uint8Array.of(4), value) : value
  return derSequence(algorithmOf(group), derBits(inner))
}

/** PKCS #8 of a private value; the caller wipes it. */
export function privateToPkcs8(group: DhGroup, value: Uint8Array): Uint8Array {
  const { kind } = groups[group]
  const inner =
    kind === 'modp'
      ? derUnsigned(value)
      : kind === 'ecp'
        ? derSequence(version(1), derOctets(value))
        : derOctets(value)
  const pkcs8 = derSequence(version(0), algorithmOf(group), derOctets(inner))
  wipe(inner)
  return pkcs8
}

/** Left-pads a big-endian value to length: OpenSSL drops leading zeros of MODP public values (security section 6). */
export function padLeft(value: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const padded = new Uint8Array(length)
  padded.set(value, length - value.length)
  return padded
}

/** Wire form of the public value in an SPKI that node:crypto made. */
export function spkiToPublic(group: DhGroup, spki: Uint8Array): Uint8Array<ArrayBuffer> {
  const bits = readBitBytes(readChildren(readWhole(spki), Tag.SEQUENCE)?.[1])!
  const { kind } = groups[group]
  if (kind === 'modp') return padLeft(readUnsigned(readWhole(bits))!, publicLength(group))
  return copy(bits.subarray(kind === 'ecp' ? 1 : 0))
}

/** Private value in a PKCS #8 that node:crypto made; both live in memory of their own. */
export function pkcs8ToPrivate(group: DhGroup, pkcs8: Uint8Array): Uint8Array<ArrayBuffer> {
  const octets = readChildren(readWhole(pkcs8), Tag.SEQUENCE)![2].content
  const { kind } = groups[group]
  if (kind === 'modp') return copy(readUnsigned(readWhole(octets))!)
  if (kind === 'ecp') return copy(readChildren(readWhole(octets), Tag.SEQUENCE)![1].content)
  return copy(readWhole(octets)!.content)
}
