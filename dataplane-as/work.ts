// The working store of one burst: an entry per packet, the kernels' job arrays, room for computed ICVs.
//
// Jobs are collected while the packets are looked at one by one, then each kernel runs once over its whole array
// (crypto/job.ts). An entry index is the packet's place in the burst.

import {
  ASP_SCRATCH,
  ASP_WORK,
  HOT_CIPHER,
  HOT_ICV_BYTES,
  HOT_INTEGRITY,
  HOT_KEYS,
  HOT_TABLE,
  KEY_HMAC,
  KEY_SALT,
  KEY_SCHEDULE,
} from './abi.ts'
import { aesCbcDecrypt, aesCbcEncrypt } from './crypto/aes-cbc.ts'
import { aesGcmOpen, aesGcmSeal } from './crypto/aes-gcm.ts'
import { chachaOpen, chachaSeal } from './crypto/chacha-poly.ts'
import { desCbcDecrypt, desCbcEncrypt, tdesCbcDecrypt, tdesCbcEncrypt } from './crypto/des-cbc.ts'
import { hmacMd5, hmacSha1, hmacSha256, hmacSha384, hmacSha512 } from './crypto/hmac.ts'
import {
  AEAD_JOB_AAD,
  AEAD_JOB_AAD_BYTES,
  AEAD_JOB_BYTES,
  AEAD_JOB_DATA,
  AEAD_JOB_KEY,
  AEAD_JOB_LENGTH,
  AEAD_JOB_NONCE,
  AEAD_JOB_OK,
  AEAD_JOB_TABLE,
  AEAD_JOB_TAG,
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
import {
  AEAD_QUEUES,
  CIPHER_QUEUES,
  HASH_QUEUES,
  hasSmallBlocks,
  QUEUE_3DES,
  QUEUE_CHACHA,
  QUEUE_DES,
  QUEUE_GCM_10,
  QUEUE_MD5,
  QUEUE_NONE,
  QUEUE_SHA1,
  QUEUE_SHA256,
  QUEUE_SHA384,
} from './suites.ts'

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
export const W_MSS_AT = 32 // out: offset of an MSS to lower, 0 = none
export const W_MSS = 36 // and its new value
export const W_TOS = 40
export const W_DF = 44
export const W_NEXT_HEADER = 48
export const W_CIPHERTEXT = 52 // in: address of the first encrypted byte
export const W_TCP = 52 // out: offset of the TCP header whose MSS is to be lowered
export const W_CIPHERTEXT_LENGTH = 56 // in: 0 once the packet was dropped
export const W_PAYLOAD = 60 // out: bytes to encrypt before the trailer: the packet and its TFC padding
export const W_AH_HOT = 64 // hot record of the AH SA, 0 = ESP alone
export const W_AH_SA = 68
export const W_AH_OUTER = 72 // address of the outer header, first byte that the ICV of AH covers
export const W_AH_BYTES = 76 // bytes it covers
export const W_AH_SEQUENCE = 80 // u64
export const W_STATE = 88 // in: STATE_*
export const W_INDEX = 92 // in: its own index
export const W_JOB = 96 // in: the AEAD job that verifies it
/** what an entry is: ESP, AH around its packet, dropped, ESP whose AH around it was authentic */
export const STATE_ESP: u32 = 1
export const STATE_AH: u32 = 2
export const STATE_DROPPED: u32 = 3
export const STATE_ESP_IN_AH: u32 = 4
export const ENTRY_BYTES = 128

const AT_ENTRIES = 0 // BATCH * 128
const AT_ICVS = 32768 // BATCH * 32: computed
const AT_RECEIVED = 40960 // BATCH * 32: received, where the packet's own place was zeroed
const ICV_SLOT = 32
const ESP_HEADER: u32 = 8
const AEAD_IV: u32 = 8
/** hash table of the buckets of the transmit layout: 512 u32 */
export const AT_BUCKET_TABLE = 53248
/** jobs in each cipher queue, then in each hash queue: u32 */
const AT_CIPHER_COUNTS = 55296
const AT_HASH_COUNTS = 55360
const COUNTS_BYTES = 128
const AT_CIPHERS = 55424 // a queue: BATCH * 16
const CIPHER_QUEUE_BYTES: u32 = 4096
const AT_HASHES = 120960 // a queue: BATCH * 32
const HASH_QUEUE_BYTES: u32 = 8192
const AT_AEADS = 170112 // a queue: BATCH * 48
const AEAD_QUEUE_BYTES: u32 = 12288
const AT_AADS = 206976 // BATCH * 16: what an AEAD authenticates with an ESN, SPI and the whole number
/** buckets of the transmit layout: BATCH * 32 */
export const AT_BUCKETS = 211072

let aads: u32 = 0 // of them used

export function entry(index: u32): usize {
  return block + ASP_WORK + AT_ENTRIES + index * ENTRY_BYTES
}

/** Where the ICV computed over a received packet is put. */
export function icvSlot(index: u32): usize {
  return block + ASP_WORK + AT_ICVS + index * ICV_SLOT
}

/** Where the ICV of a received packet is kept whose own place must be zero while it is hashed. */
export function receivedSlot(index: u32): usize {
  return block + ASP_WORK + AT_RECEIVED + index * ICV_SLOT
}

/** Address of a new record at the end of a queue. */
function enqueue(counts: usize, queue: u32, queues: usize, queueBytes: u32, recordBytes: u32): usize {
  const count = load<u32>(counts + (queue << 2))
  store<u32>(counts + (queue << 2), count + 1)
  return queues + queue * queueBytes + count * recordBytes
}

/** Encrypts or decrypts `bytes` bytes (whole blocks) at `data`; the IV stands before them. NULL has no job. */
export function addCipherJob(hot: usize, data: usize, bytes: u32): void {
  const queue = load<u32>(hot + HOT_CIPHER)
  if (queue === QUEUE_NONE) return
  const work = block + ASP_WORK
  const job = enqueue(work + AT_CIPHER_COUNTS, queue, work + AT_CIPHERS, CIPHER_QUEUE_BYTES, CIPHER_JOB_BYTES)
  store<u32>(job + CIPHER_JOB_SCHEDULE, load<u32>(hot + HOT_KEYS) + KEY_SCHEDULE)
  store<u32>(job + CIPHER_JOB_DATA, <u32>data)
  store<u32>(job + CIPHER_JOB_BLOCKS, bytes >> (hasSmallBlocks(queue) ? 3 : 4))
}

/** HMAC of `bytes` bytes at `data`, and of the number's high half when the SA has ESN; the ICV goes to `icv`. */
export function addHashJob(hot: usize, data: usize, bytes: u32, icv: usize, esn: bool, sequence: u64): void {
  const queue = load<u32>(hot + HOT_INTEGRITY)
  if (queue === QUEUE_NONE) return
  const work = block + ASP_WORK
  const job = enqueue(work + AT_HASH_COUNTS, queue, work + AT_HASHES, HASH_QUEUE_BYTES, HASH_JOB_BYTES)
  store<u32>(job + HASH_JOB_STATE, load<u32>(hot + HOT_KEYS) + KEY_HMAC)
  store<u32>(job + HASH_JOB_DATA, <u32>data)
  store<u32>(job + HASH_JOB_LENGTH, bytes)
  store<u32>(job + HASH_JOB_ICV, <u32>icv)
  store<u32>(job + HASH_JOB_ICV_BYTES, load<u32>(hot + HOT_ICV_BYTES))
  store<u32>(job + HASH_JOB_EXTRA_BYTES, esn ? 4 : 0)
  store<u32>(job + HASH_JOB_EXTRA, bswap<u32>(<u32>(sequence >> 32)))
}

/**
 * An AEAD over `bytes` bytes behind the IV of the ESP packet at `packet`; the tag follows them. Nonce: salt and IV;
 * authenticated too: SPI and number, with an ESN the whole of it (RFC 4106 §4 and §5, RFC 7634 §2). Returns the job.
 */
export function addAeadJob(hot: usize, packet: usize, bytes: u32, esn: bool, sequence: u64): usize {
  const queue = load<u32>(hot + HOT_CIPHER)
  const work = block + ASP_WORK
  const queues = work + AT_AEADS - QUEUE_GCM_10 * AEAD_QUEUE_BYTES
  const job = enqueue(work + AT_CIPHER_COUNTS, queue, queues, AEAD_QUEUE_BYTES, AEAD_JOB_BYTES)
  const keys = load<u32>(hot + HOT_KEYS)
  const data = packet + ESP_HEADER + AEAD_IV
  store<u32>(job + AEAD_JOB_KEY, keys + KEY_SCHEDULE)
  store<u32>(job + AEAD_JOB_TABLE, load<u32>(hot + HOT_TABLE))
  store<u32>(job + AEAD_JOB_DATA, <u32>data)
  store<u32>(job + AEAD_JOB_LENGTH, bytes)
  store<u32>(job + AEAD_JOB_AAD, <u32>(esn ? wholeNumber(packet, sequence) : packet))
  store<u32>(job + AEAD_JOB_AAD_BYTES, esn ? 12 : 8)
  store<u32>(job + AEAD_JOB_TAG, <u32>data + bytes)
  store<u32>(job + AEAD_JOB_OK, 0)
  store<u32>(job + AEAD_JOB_NONCE, load<u32>(keys + KEY_SALT))
  store<u64>(job + AEAD_JOB_NONCE + 4, load<u64>(packet + ESP_HEADER))
  return job
}

/** SPI, high half, low half. */
function wholeNumber(packet: usize, sequence: u64): usize {
  const aad = block + ASP_WORK + AT_AADS + ((aads++ & (BATCH - 1)) << 4)
  store<u32>(aad, load<u32>(packet))
  store<u64>(aad + 4, bswap<u64>(sequence))
  return aad
}

/** Forgets all jobs: a burst that trapped may have left some. */
export function beginJobs(): void {
  memory.fill(block + ASP_WORK + AT_CIPHER_COUNTS, 0, COUNTS_BYTES)
  aads = 0
}

/** Wipes the salts that AEAD jobs had as a part of their nonces; not while jobs wait. */
export function wipeSalts(): void {
  memory.fill(block + ASP_WORK + AT_AEADS, 0, (AEAD_QUEUES - QUEUE_GCM_10) * AEAD_QUEUE_BYTES)
}

/** Runs every cipher kernel that has jobs. */
export function cipherAll(encrypt: bool): void {
  const counts = block + ASP_WORK + AT_CIPHER_COUNTS
  for (let queue: u32 = 1; queue < CIPHER_QUEUES; queue++) {
    const count = load<u32>(counts + (queue << 2))
    if (count === 0) continue
    store<u32>(counts + (queue << 2), 0)
    const jobs = block + ASP_WORK + AT_CIPHERS + queue * CIPHER_QUEUE_BYTES
    runCipher(queue, jobs, <i32>count, encrypt)
  }
}

function runCipher(queue: u32, jobs: usize, count: i32, encrypt: bool): void {
  const scratch = block + ASP_SCRATCH
  if (queue === QUEUE_DES) {
    if (encrypt) desCbcEncrypt(jobs, count, scratch)
    else desCbcDecrypt(jobs, count, scratch)
    return
  }
  if (queue === QUEUE_3DES) {
    if (encrypt) tdesCbcEncrypt(jobs, count, scratch)
    else tdesCbcDecrypt(jobs, count, scratch)
    return
  }
  const rounds = <i32>(8 + 2 * queue) // AES queues 1, 2, 3: 10, 12, 14
  if (encrypt) aesCbcEncrypt(jobs, count, rounds, scratch)
  else aesCbcDecrypt(jobs, count, rounds, scratch)
}

/** Runs every AEAD kernel that has jobs: seals, or verifies and opens what is authentic (AEAD_JOB_OK). */
export function aeadAll(seal: bool): void {
  const counts = block + ASP_WORK + AT_CIPHER_COUNTS
  for (let queue = QUEUE_GCM_10; queue < AEAD_QUEUES; queue++) {
    const count = load<u32>(counts + (queue << 2))
    if (count === 0) continue
    store<u32>(counts + (queue << 2), 0)
    const jobs = block + ASP_WORK + AT_AEADS + (queue - QUEUE_GCM_10) * AEAD_QUEUE_BYTES
    runAead(queue, jobs, <i32>count, seal)
  }
}

function runAead(queue: u32, jobs: usize, count: i32, seal: bool): void {
  const scratch = block + ASP_SCRATCH
  const rounds: i32 = queue === QUEUE_GCM_10 ? 10 : 14
  if (queue === QUEUE_CHACHA) {
    if (seal) chachaSeal(jobs, count, scratch)
    else chachaOpen(jobs, count, scratch)
  } else if (seal) aesGcmSeal(jobs, count, rounds, scratch)
  else aesGcmOpen(jobs, count, rounds, scratch)
}

/** True when the AEAD found a job's packet authentic. */
export function aeadHolds(job: usize): bool {
  return load<u32>(job + AEAD_JOB_OK) === 1
}

/** Runs every hash kernel that has jobs. */
export function hashAll(): void {
  const counts = block + ASP_WORK + AT_HASH_COUNTS
  for (let queue: u32 = 1; queue < HASH_QUEUES; queue++) {
    const count = load<u32>(counts + (queue << 2))
    if (count === 0) continue
    store<u32>(counts + (queue << 2), 0)
    runHash(queue, block + ASP_WORK + AT_HASHES + queue * HASH_QUEUE_BYTES, <i32>count)
  }
}

function runHash(queue: u32, jobs: usize, count: i32): void {
  const scratch = block + ASP_SCRATCH
  if (queue === QUEUE_MD5) hmacMd5(jobs, count, scratch)
  else if (queue === QUEUE_SHA1) hmacSha1(jobs, count, scratch)
  else if (queue === QUEUE_SHA256) hmacSha256(jobs, count, scratch)
  else if (queue === QUEUE_SHA384) hmacSha384(jobs, count, scratch)
  else hmacSha512(jobs, count, scratch)
}
