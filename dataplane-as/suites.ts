// The suites this card is built for: sizes, kernels, and what an SA record may ask for.
//
// A hot record names its kernels by queue number (work.ts): jobs of one kernel are collected in one queue.

import {
  CIPHER_3DES,
  CIPHER_AES_CBC,
  CIPHER_AES_GCM_16,
  CIPHER_CHACHA20_POLY1305,
  CIPHER_DES,
  CIPHER_NULL,
  INTEGRITY_MD5_96,
  INTEGRITY_NONE,
  INTEGRITY_SHA1_96,
  INTEGRITY_SHA256_128,
  INTEGRITY_SHA384_192,
  INTEGRITY_SHA512_256,
} from './abi.ts'
import { aesExpandKey } from './crypto/aes.ts'
import { gcmPrepare } from './crypto/aes-gcm.ts'
import { desExpandKey, tdesExpandKey } from './crypto/des.ts'
import { TDES_SCRATCH_BYTES } from './crypto/des-scratch.ts'
import { hmacPrepare } from './crypto/hmac-keys.ts'
import { AEAD_TAG_BYTES, HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 } from './crypto/job.ts'
import { KERNEL_SCRATCH_BYTES } from './crypto/scratch.ts'

/** bytes of the kernels' scratch area, whichever kernel runs */
export const SCRATCH_BYTES: i32 = max<i32>(KERNEL_SCRATCH_BYTES, TDES_SCRATCH_BYTES)

/** cipher queues: QUEUE_NONE has no kernel (NULL) */
export const QUEUE_NONE: u32 = 0
export const QUEUE_AES_10: u32 = 1
export const QUEUE_AES_12: u32 = 2
export const QUEUE_AES_14: u32 = 3
export const QUEUE_DES: u32 = 4
export const QUEUE_3DES: u32 = 5
export const CIPHER_QUEUES: u32 = 6
/** ciphers with an ICV of their own, numbered on in the same field */
export const QUEUE_GCM_10: u32 = 8
export const QUEUE_GCM_14: u32 = 9
export const QUEUE_CHACHA: u32 = 10
export const AEAD_QUEUES: u32 = 11

/** hash queues: QUEUE_NONE has no kernel (no integrity) */
export const QUEUE_MD5: u32 = 1
export const QUEUE_SHA1: u32 = 2
export const QUEUE_SHA256: u32 = 3
export const QUEUE_SHA384: u32 = 4
export const QUEUE_SHA512: u32 = 5
export const HASH_QUEUES: u32 = 6

/** no queue: the algorithm or this key length is not built */
export const NOT_BUILT: u32 = 0xffffffff

/** Queue of a cipher with a key of `keyBytes` bytes (without salt). */
export function cipherQueue(cipher: u32, keyBytes: u32): u32 {
  if (cipher === CIPHER_NULL) return keyBytes === 0 ? QUEUE_NONE : NOT_BUILT
  if (cipher === CIPHER_CHACHA20_POLY1305) return keyBytes === 32 ? QUEUE_CHACHA : NOT_BUILT
  if (cipher === CIPHER_AES_GCM_16) {
    if (keyBytes === 16) return QUEUE_GCM_10
    return keyBytes === 32 ? QUEUE_GCM_14 : NOT_BUILT
  }
  if (cipher === CIPHER_DES) return keyBytes === 8 ? QUEUE_DES : NOT_BUILT
  if (cipher === CIPHER_3DES) return keyBytes === 24 ? QUEUE_3DES : NOT_BUILT
  if (cipher !== CIPHER_AES_CBC) return NOT_BUILT
  if (keyBytes === 16) return QUEUE_AES_10
  if (keyBytes === 24) return QUEUE_AES_12
  return keyBytes === 32 ? QUEUE_AES_14 : NOT_BUILT
}

/** True for ciphers that authenticate by themselves (RFC 4106, RFC 7634). */
export function isAead(queue: u32): bool {
  return queue >= QUEUE_GCM_10
}

/** True for ciphers with blocks of 8 bytes. */
export function hasSmallBlocks(queue: u32): bool {
  return queue === QUEUE_DES || queue === QUEUE_3DES
}

/** True for ciphers that need a big table of their own (KEY_TABLE_BYTES). */
export function needsTable(queue: u32): bool {
  return queue === QUEUE_GCM_10 || queue === QUEUE_GCM_14
}

/** Queue of an integrity algorithm; its key has one length only (RFC 2403, RFC 2404, RFC 4868 §2.1.1). */
export function hashQueue(integrity: u32, keyBytes: u32): u32 {
  let queue: u32 = NOT_BUILT
  if (integrity === INTEGRITY_NONE) queue = QUEUE_NONE
  else if (integrity === INTEGRITY_MD5_96) queue = QUEUE_MD5
  else if (integrity === INTEGRITY_SHA1_96) queue = QUEUE_SHA1
  else if (integrity === INTEGRITY_SHA256_128) queue = QUEUE_SHA256
  else if (integrity === INTEGRITY_SHA384_192) queue = QUEUE_SHA384
  else if (integrity === INTEGRITY_SHA512_256) queue = QUEUE_SHA512
  return queue !== NOT_BUILT && keyBytes === hashKeyBytes(queue) ? queue : NOT_BUILT
}

function hashKeyBytes(queue: u32): u32 {
  if (queue === QUEUE_MD5) return 16
  if (queue === QUEUE_SHA1) return 20
  if (queue === QUEUE_SHA256) return 32
  if (queue === QUEUE_SHA384) return 48
  return queue === QUEUE_SHA512 ? 64 : 0
}

/** Bytes of the IV in the packet. */
export function ivBytes(queue: u32): u32 {
  if (queue === QUEUE_NONE) return 0
  return isAead(queue) || hasSmallBlocks(queue) ? 8 : 16
}

/** The ciphertext is a multiple of this many bytes (RFC 4303 §2.4, RFC 4106 §3.2, RFC 7634 §2). */
export function blockBytes(queue: u32): u32 {
  if (queue === QUEUE_NONE || isAead(queue)) return 4
  return hasSmallBlocks(queue) ? 8 : 16
}

/** Bytes of the ICV: the tag of an AEAD, or the first of the digest (RFC 2403 §2, RFC 2404 §3, RFC 4868 §2.3). */
export function icvBytes(cipher: u32, hash: u32): u32 {
  if (isAead(cipher)) return AEAD_TAG_BYTES
  if (hash === QUEUE_NONE) return 0
  if (hash === QUEUE_MD5 || hash === QUEUE_SHA1) return 12
  if (hash === QUEUE_SHA256) return 16
  return hash === QUEUE_SHA384 ? 24 : 32
}

/** Expands a cipher key into its schedule, and its table where needsTable(). */
export function expandCipherKey(
  queue: u32,
  key: usize,
  keyBytes: u32,
  schedule: usize,
  table: usize,
  scratch: usize,
): void {
  if (queue === QUEUE_NONE) return
  if (queue === QUEUE_CHACHA) memory.copy(schedule, key, keyBytes)
  else if (queue === QUEUE_DES) desExpandKey(key, schedule)
  else if (queue === QUEUE_3DES) tdesExpandKey(key, schedule)
  else if (needsTable(queue)) gcmPrepare(key, <i32>keyBytes, schedule, table, scratch)
  else aesExpandKey(key, <i32>keyBytes, schedule)
}

/** Prepares an HMAC key. */
export function expandHashKey(queue: u32, key: usize, keyBytes: u32, state: usize): void {
  if (queue !== QUEUE_NONE) hmacPrepare(hashOf(queue), key, <i32>keyBytes, state)
}

function hashOf(queue: u32): i32 {
  if (queue === QUEUE_MD5) return HASH_MD5
  if (queue === QUEUE_SHA1) return HASH_SHA1
  if (queue === QUEUE_SHA256) return HASH_SHA256
  return queue === QUEUE_SHA384 ? HASH_SHA384 : HASH_SHA512
}
