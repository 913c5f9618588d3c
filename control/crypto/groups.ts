// The Diffie-Hellman groups as data: sizes, primes, curve equations (RFC 2409, 3526, 5903, 8031).

import { createDiffieHellmanGroup } from 'node:crypto'
import type { DhGroup } from '../ports.ts'

export type ModpGroup = { kind: 'modp'; name: string; length: number }
export type EcpGroup = { kind: 'ecp'; name: string; oid: string; field: number; p: bigint; b: bigint }
export type XGroup = { kind: 'x25519'; length: number }
export type Group = ModpGroup | EcpGroup | XGroup

const modp = (name: string, bits: number): ModpGroup => ({ kind: 'modp', name, length: bits / 8 })

/** The curves are those of FIPS 186-4 with a = -3; p and b in plain. `field` is the bytes of one coordinate. */
const p256: EcpGroup = {
  kind: 'ecp',
  name: 'prime256v1',
  oid: '1.2.840.10045.3.1.7',
  field: 32,
  p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
  b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
}
const p384: EcpGroup = {
  kind: 'ecp',
  name: 'secp384r1',
  oid: '1.3.132.0.34',
  field: 48,
  p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
  b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
}
const p521: EcpGroup = {
  kind: 'ecp',
  name: 'secp521r1',
  oid: '1.3.132.0.35',
  field: 66,
  p: 2n ** 521n - 1n,
  b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
}

export const groups: Readonly<Record<DhGroup, Group>> = {
  1: modp('modp1', 768),
  2: modp('modp2', 1024),
  5: modp('modp5', 1536),
  14: modp('modp14', 2048),
  15: modp('modp15', 3072),
  16: modp('modp16', 4096),
  17: modp('modp17', 6144),
  18: modp('modp18', 8192),
  19: p256,
  20: p384,
  21: p521,
  31: { kind: 'x25519', length: 32 },
}

/** True when a transform id names a group that is built. */
export function isDhGroup(id: number): id is DhGroup {
  return Object.hasOwn(groups, id)
}

const primes = new Map<string, Uint8Array>()

/** Prime of a MODP group, big endian. Taken from OpenSSL once: its objects for groups 1 and 2 cost up to 90 ms each. */
export function modpPrime(group: ModpGroup): Uint8Array {
  let prime = primes.get(group.name)
  if (!prime) {
    prime = new Uint8Array(createDiffieHellmanGroup(group.name).getPrime())
    primes.set(group.name, prime)
  }
  return prime
}
