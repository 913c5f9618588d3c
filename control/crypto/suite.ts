// Primitives of an IKE SA over node:crypto: PRF, prf+, integrity, and the sizes of every algorithm.
//
// All sizes are bytes. Results that are keys have memory of their own; whoever asked for them wipes them.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { EspCipher, Integrity } from '../ports.ts'
import { copy } from '../wire/bytes.ts'
import type { HashName } from '../wire/transforms.ts'

export type { HashName } from '../wire/transforms.ts'

const hashLengths: Record<HashName, number> = { md5: 16, sha1: 20, sha256: 32, sha384: 48, sha512: 64 }
/** Truncations of RFC 2403, 2404, 4868. */
const icvLengths: Record<HashName, number> = { md5: 12, sha1: 12, sha256: 16, sha384: 24, sha512: 32 }

type CipherSizes = { key: number; salt: number; block: number; iv: number; icv: number; openssl: string }
const cipherSizes: Record<EspCipher, CipherSizes> = {
  des: { key: 8, salt: 0, block: 8, iv: 8, icv: 0, openssl: 'des-ede3-cbc' },
  '3des': { key: 24, salt: 0, block: 8, iv: 8, icv: 0, openssl: 'des-ede3-cbc' },
  'aes-128': { key: 16, salt: 0, block: 16, iv: 16, icv: 0, openssl: 'aes-128-cbc' },
  'aes-192': { key: 24, salt: 0, block: 16, iv: 16, icv: 0, openssl: 'aes-192-cbc' },
  'aes-256': { key: 32, salt: 0, block: 16, iv: 16, icv: 0, openssl: 'aes-256-cbc' },
  'aes-gcm-128': { key: 16, salt: 4, block: 1, iv: 8, icv: 16, openssl: 'aes-128-gcm' },
  'aes-gcm-256': { key: 32, salt: 4, block: 1, iv: 8, icv: 16, openssl: 'aes-256-gcm' },
  'chacha20-poly1305': { key: 32, salt: 4, block: 1, iv: 8, icv: 16, openssl: 'chacha20-poly1305' },
  null: { key: 0, salt: 0, block: 4, iv: 0, icv: 0, openssl: '' },
}

/** Overwrites secrets with zeros. Copies that the garbage collector made of them are out of reach. */
export function wipe(...secrets: (Uint8Array | null | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0)
}

/** Copy in memory of its own: digests of node:crypto may be views of a shared pool. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const kept = copy(bytes)
  bytes.fill(0)
  return kept
}

/** HMAC of the hash over the parts: PRF_HMAC_* of RFC 7296 §2.13 and the integrity algorithms before truncation. */
export function prf(hash: HashName, key: Uint8Array, ...data: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const mac = createHmac(hash, key)
  for (const part of data) mac.update(part)
  return own(mac.digest())
}

/** Digest of the parts. */
export function digest(hash: HashName, ...data: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const context = createHash(hash)
  for (const part of data) context.update(part)
  return own(context.digest())
}

/** prf+ of RFC 7296 §2.13: `length` bytes of T1 | T2 | ... Throws RangeError past 255 blocks, the limit of the clause. */
export function prfPlus(
  hash: HashName,
  key: Uint8Array,
  seed: Uint8Array,
  length: number,
): Uint8Array<ArrayBuffer> {
  const size = hashLengths[hash]
  if (length > 255 * size) throw new RangeError(`prf+ of ${length} bytes`)
  const out = new Uint8Array(length)
  let block = new Uint8Array(0)
  for (let index = 1, at = 0; at < length; index++, at += size) {
    const next = prf(hash, key, block, seed, Uint8Array.of(index))
    wipe(block)
    block = next
    out.set(block.subarray(0, length - at), at)
  }
  wipe(block)
  return out
}

/** Output length and preferred key length of PRF_HMAC_* (§2.13). */
export function prfLength(hash: HashName): number {
  return hashLengths[hash]
}

/** Key length of HMAC integrity (RFC 2403, 2404, 4868: the hash length); 0 for none. */
export function integrityKeyLength(integrity: Integrity | null): number {
  return integrity === null || integrity === 'none' ? 0 : hashLengths[integrity]
}

/** Bytes of the integrity check value; 0 for none. */
export function icvLength(integrity: Integrity | null): number {
  return integrity === null || integrity === 'none' ? 0 : icvLengths[integrity]
}

/** Bytes of key material that a cipher takes from KEYMAT: key, then salt (RFC 4106 §8.1, RFC 7634 §2). */
export function cipherKeyLength(cipher: EspCipher): number {
  return cipherSizes[cipher].key + cipherSizes[cipher].salt
}

/** Block, IV and ICV sizes, and the name of the cipher in OpenSSL. */
export function cipherShape(cipher: EspCipher): Readonly<CipherSizes> {
  return cipherSizes[cipher]
}

/** Comparison in constant time; unequal lengths are unequal (security section 4). */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Truncated HMAC of an integrity algorithm over the parts. */
export function integrityTag(integrity: HashName, key: Uint8Array, ...data: Uint8Array[]): Uint8Array {
  return prf(integrity, key, ...data).subarray(0, icvLengths[integrity])
}
