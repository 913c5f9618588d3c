// ML-KEM (FIPS 203) as a key exchange of IKE (draft-ietf-ipsecme-ikev2-mlkem): the initiator's KE payload holds an
// encapsulation key, the responder's a ciphertext. What is checked before any of them is used, and the wire form of keys
// <-> the DER that node:crypto takes.
//
// Private values are the seed, d | z, 64 bytes. Secrets have 32 bytes.

import type { Kem } from '../ports.ts'
import { copy } from '../wire/bytes.ts'
import {
  context,
  der,
  derBits,
  derOctets,
  derOid,
  derSequence,
  readBitBytes,
  readChildren,
  readWhole,
  Tag,
} from '../wire/der.ts'
import { malformed } from '../wire/reasons.ts'
import type { Malformed } from '../wire/types.ts'
import { wipe } from './suite.ts'

type Shape = { oid: string; rank: number; ciphertext: number }

/** FIPS 203 table 3; rank is k, the number of polynomials in a key. */
const shapes: Record<Kem, Shape> = {
  'mlkem-512': { oid: '2.16.840.1.101.3.4.4.1', rank: 2, ciphertext: 768 },
  'mlkem-768': { oid: '2.16.840.1.101.3.4.4.2', rank: 3, ciphertext: 1088 },
  'mlkem-1024': { oid: '2.16.840.1.101.3.4.4.3', rank: 4, ciphertext: 1568 },
}

/** Bytes of the seed that a key pair is made from. */
export const kemSeedLength = 64

const polynomialBytes = 384
const modulus = 3329

/** Bytes of an encapsulation key: k polynomials and the 32 bytes that the matrix is made from. */
export function kemPublicLength(kem: Kem): number {
  return polynomialBytes * shapes[kem].rank + 32
}

/** Bytes of a ciphertext. */
export function kemCiphertextLength(kem: Kem): number {
  return shapes[kem].ciphertext
}

/** The modulus check of FIPS 203 §7.2: every 12-bit coefficient is below q. Public data. */
function areCoefficientsReduced(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length - 32; at += 3) {
    const low = bytes[at] | ((bytes[at + 1] & 15) << 8)
    const high = (bytes[at + 1] >>> 4) | (bytes[at + 2] << 4)
    if (low >= modulus || high >= modulus) return false
  }
  return true
}

/** Judges the encapsulation key in a peer's KE payload (FIPS 203 §7.2: type and modulus check). null: good. */
export function checkKemPublic(kem: Kem, bytes: Uint8Array): Malformed | null {
  const wanted = kemPublicLength(kem)
  if (bytes.length !== wanted) return malformed('ike-ke-length', `${bytes.length} of ${wanted} bytes`)
  return areCoefficientsReduced(bytes) ? null : malformed('ike-ke-value', kem)
}

/** Judges the ciphertext in a peer's KE payload (FIPS 203 §7.3: any bytes of the right number decapsulate). null: good. */
export function checkKemCiphertext(kem: Kem, bytes: Uint8Array): Malformed | null {
  const wanted = kemCiphertextLength(kem)
  return bytes.length === wanted ? null : malformed('ike-ke-length', `${bytes.length} of ${wanted} bytes`)
}

const algorithmOf = (kem: Kem): Uint8Array => derSequence(derOid(shapes[kem].oid))

/** SubjectPublicKeyInfo of an encapsulation key that has passed checkKemPublic (draft-ietf-lamps-kyber-certificates §4). */
export function kemToSpki(kem: Kem, value: Uint8Array): Uint8Array {
  return derSequence(algorithmOf(kem), derBits(value))
}

/** PKCS #8 of a seed, the form without the expanded key (draft-ietf-lamps-kyber-certificates §6); the caller wipes it. */
export function kemSeedToPkcs8(kem: Kem, seed: Uint8Array): Uint8Array {
  const inner = der(context(0, false), seed)
  const pkcs8 = derSequence(der(Tag.INTEGER, Uint8Array.of(0)), algorithmOf(kem), derOctets(inner))
  wipe(inner)
  return pkcs8
}

/** Wire form of the encapsulation key in an SPKI that node:crypto made. */
export function spkiToKem(spki: Uint8Array): Uint8Array<ArrayBuffer> {
  return copy(readBitBytes(readChildren(readWhole(spki), Tag.SEQUENCE)?.[1])!)
}
