/**
 * Lays keys, data and job records into the memory of a kernel instance and runs a kernel on them: what the
 * kernel tests, the vector kinds and the measurements share.
 */
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
  AEAD_TAG_BYTES,
  AES_SCHEDULE_BYTES,
  CIPHER_JOB_BLOCKS,
  CIPHER_JOB_BYTES,
  CIPHER_JOB_DATA,
  CIPHER_JOB_SCHEDULE,
  GHASH_TABLE_BYTES,
  HASH_JOB_BYTES,
  HASH_JOB_DATA,
  HASH_JOB_EXTRA,
  HASH_JOB_EXTRA_BYTES,
  HASH_JOB_ICV,
  HASH_JOB_ICV_BYTES,
  HASH_JOB_LENGTH,
  HASH_JOB_STATE,
  HASH_MD5,
  HASH_SHA1,
  HASH_SHA256,
  HASH_SHA384,
  HASH_SHA512,
  HMAC_STATE_BYTES,
} from '../dataplane-as/crypto/job.ts'
import { KERNEL_SCRATCH_BYTES } from '../dataplane-as/crypto/scratch.ts'
import {
  instantiateKernels,
  KERNEL_FREE_FROM,
  KERNEL_MEMORY_BYTES,
  type Kernels,
  type Variant,
} from './kernel-wasm.ts'

/** One message for the cipher kernels; `data` is a whole number of 16-byte blocks. */
export type CipherMessage = { key: Uint8Array; iv: Uint8Array; data: Uint8Array }

/** One message for the hash kernels; `extra` is empty or 4 bytes hashed behind the data. */
export type HashMessage = { key: Uint8Array; data: Uint8Array; extra?: Uint8Array; icvBytes: number }

/** One message for the AEAD kernels; `tag` is what open verifies, seal writes over it. */
export type AeadMessage = {
  key: Uint8Array
  nonce: Uint8Array
  aad: Uint8Array
  data: Uint8Array
  tag?: Uint8Array
}

/** What came of one message: `ok` is what open said. */
export type AeadResult = { data: Uint8Array; tag: Uint8Array; ok: boolean }

/** The AEAD algorithms. */
export type AeadName = 'aes-gcm' | 'chacha20-poly1305'

/** The hashes by the name of node:crypto. */
export const hashes = {
  md5: HASH_MD5,
  sha1: HASH_SHA1,
  sha256: HASH_SHA256,
  sha384: HASH_SHA384,
  sha512: HASH_SHA512,
} as const
export type HashName = keyof typeof hashes

/** An instance with its memory handed out from the end downwards: what is placed first ends the memory. */
export class KernelBench {
  readonly kernels: Kernels
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly scratch = KERNEL_FREE_FROM
  private readonly floor = KERNEL_FREE_FROM + KERNEL_SCRATCH_BYTES
  private top = KERNEL_MEMORY_BYTES

  /** `wide`: with the kernels for joined vectors (dataplane-as/crypto/vectors.ts). */
  constructor(variant?: Variant, wide = false) {
    this.kernels = instantiateKernels(variant)
    this.kernels.useWideVectors(wide ? 1 : 0)
    this.bytes = new Uint8Array(this.kernels.memory.buffer)
    this.view = new DataView(this.kernels.memory.buffer)
  }

  /** Forgets everything placed and fills the free memory with a pattern. */
  clear(pattern = 0xa5): void {
    this.top = KERNEL_MEMORY_BYTES
    this.bytes.fill(pattern, this.floor)
  }

  /** Reserves `length` bytes below everything placed so far; `align` applies to their start. */
  reserve(length: number, align = 1): number {
    this.top = Math.floor((this.top - length) / align) * align
    if (this.top < this.floor) throw new Error('the kernel memory is full')
    return this.top
  }

  /** Reserves room for `data` and copies it there. */
  place(data: Uint8Array): number {
    const at = this.reserve(data.length)
    this.bytes.set(data, at)
    return at
  }

  /**
   * Places messages, schedules and records for the cipher kernels; all keys have one length. Messages with the
   * same key array share a schedule.
   */
  cipherJobs(messages: readonly CipherMessage[]): { jobs: number; data: number[] } {
    const data = messages.map(({ data }) => {
      const at = this.place(data)
      this.reserve(16)
      return at
    })
    const jobs = this.reserve(messages.length * CIPHER_JOB_BYTES, 4)
    const schedules = new Map<Uint8Array, number>()
    messages.forEach(({ key, iv }, i) => {
      this.bytes.set(iv, data[i] - 16)
      if (!schedules.has(key)) schedules.set(key, this.schedule(key))
      const job = jobs + i * CIPHER_JOB_BYTES
      this.view.setUint32(job + CIPHER_JOB_SCHEDULE, schedules.get(key)!, true)
      this.view.setUint32(job + CIPHER_JOB_DATA, data[i], true)
      this.view.setUint32(job + CIPHER_JOB_BLOCKS, messages[i].data.length / 16, true)
    })
    return { jobs, data }
  }

  /** Places a key and its schedule. */
  private schedule(key: Uint8Array): number {
    const schedule = this.reserve(AES_SCHEDULE_BYTES, 16)
    this.kernels.aesExpandKey(this.place(key), key.length, schedule)
    return schedule
  }

  /** Runs AES-CBC over messages whose keys have one length; returns the results in their order. */
  cipher(direction: 'encrypt' | 'decrypt', messages: readonly CipherMessage[]): Uint8Array[] {
    const { jobs, data } = this.cipherJobs(messages)
    const rounds = messages[0].key.length / 4 + 6
    const kernel = direction === 'encrypt' ? this.kernels.aesCbcEncrypt : this.kernels.aesCbcDecrypt
    kernel(jobs, messages.length, rounds, this.scratch)
    return messages.map((message, i) => this.bytes.slice(data[i], data[i] + message.data.length))
  }

  /** Places messages, states and records for the hash kernels. */
  hashJobs(
    hash: HashName,
    messages: readonly HashMessage[],
  ): { jobs: number; data: number[]; icvs: number[] } {
    const data = messages.map(({ data }) => this.place(data))
    const jobs = this.reserve(messages.length * HASH_JOB_BYTES, 4)
    const icvs = messages.map(({ key, data: { length }, extra, icvBytes }, i) => {
      const icv = this.reserve(icvBytes)
      this.reserve(1)
      const state = this.reserve(HMAC_STATE_BYTES, 16)
      this.kernels.hmacPrepare(hashes[hash], this.place(key), key.length, state)
      const job = jobs + i * HASH_JOB_BYTES
      const put = (field: number, value: number) => this.view.setUint32(job + field, value, true)
      put(HASH_JOB_STATE, state)
      put(HASH_JOB_DATA, data[i])
      put(HASH_JOB_LENGTH, length)
      put(HASH_JOB_ICV, icv)
      put(HASH_JOB_ICV_BYTES, icvBytes)
      put(HASH_JOB_EXTRA_BYTES, extra?.length ?? 0)
      if (extra) this.bytes.set(extra, job + HASH_JOB_EXTRA)
      return icv
    })
    return { jobs, data, icvs }
  }

  /** Runs HMAC over messages; returns the ICVs in their order. */
  hmac(hash: HashName, messages: readonly HashMessage[]): Uint8Array[] {
    const { jobs, icvs } = this.hashJobs(hash, messages)
    this.runHmac(hash, jobs, messages.length)
    return messages.map(({ icvBytes }, i) => this.bytes.slice(icvs[i], icvs[i] + icvBytes))
  }

  /**
   * Places messages, keys and records for the AEAD kernels; all keys have one length. The tag stands behind
   * the data. Messages with the same key array share what is made of it.
   */
  aeadJobs(
    algorithm: AeadName,
    messages: readonly AeadMessage[],
  ): { jobs: number; data: number[]; tags: number[] } {
    const tags: number[] = []
    const data = messages.map(({ data, tag }) => {
      tags.push(this.place(tag ?? new Uint8Array(AEAD_TAG_BYTES)))
      return this.place(data)
    })
    const jobs = this.reserve(messages.length * AEAD_JOB_BYTES, 4)
    const keys = new Map<Uint8Array, { key: number; table: number }>()
    messages.forEach(({ key, nonce, aad, data: { length } }, i) => {
      if (!keys.has(key)) keys.set(key, this.aeadKey(algorithm, key))
      const job = jobs + i * AEAD_JOB_BYTES
      const put = (field: number, value: number) => this.view.setUint32(job + field, value, true)
      put(AEAD_JOB_KEY, keys.get(key)!.key)
      put(AEAD_JOB_TABLE, keys.get(key)!.table)
      put(AEAD_JOB_DATA, data[i])
      put(AEAD_JOB_LENGTH, length)
      put(AEAD_JOB_AAD, this.place(aad))
      put(AEAD_JOB_AAD_BYTES, aad.length)
      put(AEAD_JOB_TAG, tags[i])
      this.bytes.set(nonce, job + AEAD_JOB_NONCE)
    })
    return { jobs, data, tags }
  }

  /** Points the first record of `jobs` at data or AAD that was placed elsewhere. */
  moveAead(jobs: number, part: 'data' | 'aad', to: number): void {
    this.view.setUint32(jobs + (part === 'data' ? AEAD_JOB_DATA : AEAD_JOB_AAD), to, true)
  }

  /** Places an AEAD key and what the kernels need of it. */
  private aeadKey(algorithm: AeadName, key: Uint8Array): { key: number; table: number } {
    const placed = this.place(key)
    if (algorithm === 'chacha20-poly1305') return { key: placed, table: 0 }
    const table = this.reserve(GHASH_TABLE_BYTES, 16)
    const schedule = this.reserve(AES_SCHEDULE_BYTES, 16)
    this.kernels.gcmPrepare(placed, key.length, schedule, table, this.scratch)
    return { key: schedule, table }
  }

  /** Runs an AEAD kernel over messages whose keys have one length; returns the results in their order. */
  aead(algorithm: AeadName, direction: 'seal' | 'open', messages: readonly AeadMessage[]): AeadResult[] {
    const { jobs, data, tags } = this.aeadJobs(algorithm, messages)
    this.runAead(algorithm, direction, jobs, messages.length, messages[0].key.length)
    return messages.map(({ data: { length } }, i) => ({
      data: this.bytes.slice(data[i], data[i] + length),
      tag: this.bytes.slice(tags[i], tags[i] + AEAD_TAG_BYTES),
      ok: this.view.getUint32(jobs + i * AEAD_JOB_BYTES + AEAD_JOB_OK, true) === 1,
    }))
  }

  /** Runs an AEAD kernel over records that stand already. */
  runAead(
    algorithm: AeadName,
    direction: 'seal' | 'open',
    jobs: number,
    count: number,
    keyBytes: number,
  ): void {
    const { aesGcmSeal, aesGcmOpen, chachaSeal, chachaOpen } = this.kernels
    const seal = direction === 'seal'
    if (algorithm === 'aes-gcm') {
      const kernel = seal ? aesGcmSeal : aesGcmOpen
      kernel(jobs, count, keyBytes / 4 + 6, this.scratch)
    } else {
      const kernel = seal ? chachaSeal : chachaOpen
      kernel(jobs, count, this.scratch)
    }
  }

  /** Runs the kernel of a hash over records that stand already. */
  runHmac(hash: HashName, jobs: number, count: number): void {
    const { hmacMd5, hmacSha1, hmacSha256, hmacSha384, hmacSha512 } = this.kernels
    const kernel = {
      md5: hmacMd5,
      sha1: hmacSha1,
      sha256: hmacSha256,
      sha384: hmacSha384,
      sha512: hmacSha512,
    }
    kernel[hash](jobs, count, this.scratch)
  }
}
