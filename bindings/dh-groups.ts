// Diffie-Hellman groups as node:crypto key objects: raw wire values in, key objects out, and back.
//
// Wire values are what IKE carries: MODP left-padded to the length of the prime (RFC 7296 §3.4), ECP as
// x || y without a prefix (RFC 5903 §7), X25519 as 32 bytes (RFC 8031 §3.1). Private values are big-endian
// numbers (MODP, ECP) or the 32 bytes of the X25519 seed.

import { createDiffieHellmanGroup, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { DhGroup } from '../control/ports.ts'
import {
  der,
  derBitString,
  derElements,
  derInteger,
  OBJECT_IDENTIFIER,
  OCTET_STRING,
  SEQUENCE,
} from './der.ts'

type Modp = { kind: 'modp'; name: string; bytes: number }
type Ecp = { kind: 'ecp'; name: string; bytes: number; curve: number[] }
type Montgomery = { kind: 'x25519'; bytes: number }
export type GroupShape = Modp | Ecp | Montgomery

/** bytes: length of the prime or of one coordinate */
export const GROUPS: Record<DhGroup, GroupShape> = {
  1: { kind: 'modp', name: 'modp1', bytes: 96 },
  2: { kind: 'modp', name: 'modp2', bytes: 128 },
  5: { kind: 'modp', name: 'modp5', bytes: 192 },
  14: { kind: 'modp', name: 'modp14', bytes: 256 },
  15: { kind: 'modp', name: 'modp15', bytes: 384 },
  16: { kind: 'modp', name: 'modp16', bytes: 512 },
  17: { kind: 'modp', name: 'modp17', bytes: 768 },
  18: { kind: 'modp', name: 'modp18', bytes: 1024 },
  19: { kind: 'ecp', name: 'P-256', bytes: 32, curve: [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] },
  20: { kind: 'ecp', name: 'P-384', bytes: 48, curve: [0x2b, 0x81, 4, 0, 0x22] },
  21: { kind: 'ecp', name: 'P-521', bytes: 66, curve: [0x2b, 0x81, 4, 0, 0x23] },
  31: { kind: 'x25519', bytes: 32 },
}

const oid = (...bytes: number[]) => der(OBJECT_IDENTIFIER, Uint8Array.from(bytes))
const DH_KEY_AGREEMENT = oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 3, 1)
const EC_PUBLIC_KEY = oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1)
const X25519 = oid(0x2b, 0x65, 0x6e)
const VERSION_0 = derInteger(Uint8Array.of(0))
const VERSION_1 = derInteger(Uint8Array.of(1))
const UNCOMPRESSED = Uint8Array.of(4)

const primes = new Map<string, Uint8Array>()

/** Left-padded to length; longer values must have only zeros in front. */
export function leftPad(value: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  const surplus = Math.max(0, value.length - length)
  bytes.set(value.subarray(surplus), length - (value.length - surplus))
  return bytes
}

/** AlgorithmIdentifier with the parameters of the group (RFC 3279 §2.3.3, RFC 5480, RFC 8410). */
function algorithm(group: GroupShape): Uint8Array {
  if (group.kind === 'x25519') return der(SEQUENCE, X25519)
  if (group.kind === 'ecp') return der(SEQUENCE, EC_PUBLIC_KEY, oid(...group.curve))
  let prime = primes.get(group.name)
  if (prime === undefined) {
    prime = new Uint8Array(createDiffieHellmanGroup(group.name).getPrime())
    primes.set(group.name, prime)
  }
  return der(SEQUENCE, DH_KEY_AGREEMENT, der(SEQUENCE, derInteger(prime), derInteger(Uint8Array.of(2))))
}

/** SubjectPublicKeyInfo around a wire value. Throws what node:crypto throws on a point off the curve. */
export function publicKeyOf(group: GroupShape, wire: Uint8Array): KeyObject {
  const body =
    group.kind === 'modp' ? derInteger(wire) : group.kind === 'ecp' ? concat(UNCOMPRESSED, wire) : wire
  const key = der(SEQUENCE, algorithm(group), derBitString(body))
  return createPublicKey({ key: Buffer.from(key.buffer), format: 'der', type: 'spki' })
}

/** PKCS #8 around a private value; every intermediate copy is wiped. */
export function privateKeyOf(group: GroupShape, value: Uint8Array): KeyObject {
  const inner = privateBody(group, value)
  const key = der(SEQUENCE, VERSION_0, algorithm(group), der(OCTET_STRING, inner))
  try {
    return createPrivateKey({ key: Buffer.from(key.buffer), format: 'der', type: 'pkcs8' })
  } finally {
    inner.fill(0)
    key.fill(0)
  }
}

function privateBody(group: GroupShape, value: Uint8Array): Uint8Array {
  if (group.kind === 'modp') return derInteger(value)
  if (group.kind === 'x25519') return der(OCTET_STRING, value)
  return der(SEQUENCE, VERSION_1, der(OCTET_STRING, leftPad(value, group.bytes)))
}

/** The wire value of a public key object. */
export function wireValue(group: GroupShape, key: KeyObject): Uint8Array {
  const [spki] = derElements(key.export({ format: 'der', type: 'spki' }))
  const [, bits] = derElements(spki.value)
  const content = bits.value.subarray(1)
  if (group.kind === 'modp') return leftPad(derElements(content)[0].value, group.bytes)
  return Uint8Array.from(group.kind === 'ecp' ? content.subarray(1) : content)
}

/** The private value of a private key object; the export it was taken from is wiped. */
export function privateValue(group: GroupShape, key: KeyObject): Uint8Array {
  const encoded = key.export({ format: 'der', type: 'pkcs8' })
  try {
    const [, , octets] = derElements(derElements(encoded)[0].value)
    const [inner] = derElements(octets.value)
    if (group.kind !== 'ecp') return Uint8Array.from(inner.value)
    return Uint8Array.from(derElements(inner.value)[1].value)
  } finally {
    encoded.fill(0)
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length)
  bytes.set(first)
  bytes.set(second, first.length)
  return bytes
}
