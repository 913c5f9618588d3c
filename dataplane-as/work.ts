// The working store of one burst: an entry per packet, the kernels' job arrays, room for computed ICVs.
//
// Jobs are collected while the packets are looked at one by one, then each kernel runs once over its whole array
// (crypto/job.ts). An entry index is the packet's place in the burst.

import {
  ASP_SCRATCH,
  ASP_WORK,
  HOT_ICV_BYTES,
  HOT_INTEGRITY,
  HOT_KEYS,
  HOT_ROUNDS,
  INTEGRITY_SHA1_96,
  KEY_HMAC,
  KEY_SCHEDULE,
} from './abi.ts'
import { aesCbcDecrypt, aesCbcEncrypt } from './crypto/aes-cbc.ts'
import { hmacSha1, hmacSha256 } from './crypto/hmac.ts'
import {
  CIPHER_JOB_BLOCKS,
  CIPHER_JOB_BYTES,
  CIPHER_JOB_DATA,
  CIPHER_JOB_SCHEDULE,
  HASH_JOB_BYTES,
  HASH_JOB_DATA,
  HASH_JOB_EXTRA,
  HASH_JOB_EXTRA_BYTES,
  HASH_JOB_ICV,
  HASH_JOB_ICV_BYTES,
  HASH_JOB_LENGTH,
  HASH_JOB_STATE,
} from './crypto/job.ts'
import { block } from './machine.ts'

/** packets one run of the kernels takes */
export const BATCH: u32 = 256

// one entry
export const W_ADDRESS = 0 // out: inner packet; in: ESP header
export const W_LENGTH = 4 // bytes from there
export const W_HOT = 8
export const W_SA = 12
export const W_TUNNEL = 16
export const W_STAGES = 20
export const W_NEXT = 24 // out: index + 1 of the next packet of its bucket
export const W_DESCRIPTOR = 28 // in: the message it came in
export const W_SEQUENCE = 32 // u64, in
export const W_TOS = 40
export const W_DF = 44
export const W_NEXT_HEADER = 48
export const W_CIPHERTEXT = 52 // in: address of the first encrypted byte
export const W_CIPHERTEXT_LENGTH = 56 // in: 0 once the packet was dropped
const ENTRY_BYTES = 64

const AT_ENTRIES = 0 // BATCH * 64
const AT_CIPHER_10 = 16384 // BATCH * 16 each
const AT_CIPHER_12 = 20480
const AT_CIPHER_14 = 24576
const AT_SHA1 = 28672 // BATCH * 32 each
const AT_SHA256 = 36864
const AT_ICVS = 45056 // BATCH * 32
const ICV_SLOT = 32
/** buckets of the transmit layout: BATCH * 16, and their hash table of 512 u32 */
export const AT_BUCKETS = 53248
export const AT_BUCKET_TABLE = 57344

let ciphers10: i32 = 0
let ciphers12: i32 = 0
let ciphers14: i32 = 0
let sha1Jobs: i32 = 0
let sha256Jobs: i32 = 0

export function entry(index: u32): usize {
  return block + ASP_WORK + AT_ENTRIES + index * ENTRY_BYTES
}

/** Where the ICV computed over a received packet is put. */
export function icvSlot(index: u32): usize {
  return block + ASP_WORK + AT_ICVS + index * ICV_SLOT
}

/** Encrypts or decrypts `bytes` bytes (a multiple of 16) at `data`; the IV stands before them. NULL has no job. */
export function addCipherJob(hot: usize, data: usize, bytes: u32): void {
  const rounds = load<u32>(hot + HOT_ROUNDS)
  if (rounds === 0) return
  let job = block + ASP_WORK
  if (rounds === 10) job += AT_CIPHER_10 + ciphers10++ * CIPHER_JOB_BYTES
  else if (rounds === 12) job += AT_CIPHER_12 + ciphers12++ * CIPHER_JOB_BYTES
  else job += AT_CIPHER_14 + ciphers14++ * CIPHER_JOB_BYTES
  store<u32>(job + CIPHER_JOB_SCHEDULE, load<u32>(hot + HOT_KEYS) + KEY_SCHEDULE)
  store<u32>(job + CIPHER_JOB_DATA, <u32>data)
  store<u32>(job + CIPHER_JOB_BLOCKS, bytes >> 4)
}

/** HMAC of `bytes` bytes at `data`, and of the number's high half when the SA has ESN; the ICV goes to `icv`. */
export function addHashJob(hot: usize, data: usize, bytes: u32, icv: usize, esn: bool, sequence: u64): void {
  let job = block + ASP_WORK
  if (load<u32>(hot + HOT_INTEGRITY) === INTEGRITY_SHA1_96) job += AT_SHA1 + sha1Jobs++ * HASH_JOB_BYTES
  else job += AT_SHA256 + sha256Jobs++ * HASH_JOB_BYTES
  store<u32>(job + HASH_JOB_STATE, load<u32>(hot + HOT_KEYS) + KEY_HMAC)
  store<u32>(job + HASH_JOB_DATA, <u32>data)
  store<u32>(job + HASH_JOB_LENGTH, bytes)
  store<u32>(job + HASH_JOB_ICV, <u32>icv)
  store<u32>(job + HASH_JOB_ICV_BYTES, load<u32>(hot + HOT_ICV_BYTES))
  store<u32>(job + HASH_JOB_EXTRA_BYTES, esn ? 4 : 0)
  store<u32>(job + HASH_JOB_EXTRA, bswap<u32>(<u32>(sequence >> 32)))
}

export function encryptAll(): void {
  const work = block + ASP_WORK
  const scratch = block + ASP_SCRATCH
  if (ciphers10 !== 0) aesCbcEncrypt(work + AT_CIPHER_10, ciphers10, 10, scratch)
  if (ciphers12 !== 0) aesCbcEncrypt(work + AT_CIPHER_12, ciphers12, 12, scratch)
  if (ciphers14 !== 0) aesCbcEncrypt(work + AT_CIPHER_14, ciphers14, 14, scratch)
  forgetCiphers()
}

export function decryptAll(): void {
  const work = block + ASP_WORK
  const scratch = block + ASP_SCRATCH
  if (ciphers10 !== 0) aesCbcDecrypt(work + AT_CIPHER_10, ciphers10, 10, scratch)
  if (ciphers12 !== 0) aesCbcDecrypt(work + AT_CIPHER_12, ciphers12, 12, scratch)
  if (ciphers14 !== 0) aesCbcDecrypt(work + AT_CIPHER_14, ciphers14, 14, scratch)
  forgetCiphers()
}

function forgetCiphers(): void {
  ciphers10 = 0
  ciphers12 = 0
  ciphers14 = 0
}

export function hashAll(): void {
  const work = block + ASP_WORK
  const scratch = block + ASP_SCRATCH
  if (sha1Jobs !== 0) hmacSha1(work + AT_SHA1, sha1Jobs, scratch)
  if (sha256Jobs !== 0) hmacSha256(work + AT_SHA256, sha256Jobs, scratch)
  sha1Jobs = 0
  sha256Jobs = 0
}
