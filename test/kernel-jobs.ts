/**
 * Lays keys, data and job records into the memory of a kernel instance and runs a kernel on them: what the
 * kernel tests, the vector kinds and the measurements share.
 */
import {
  AES_SCHEDULE_BYTES,
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
  HASH_MD5,
  HASH_SHA1,
  HASH_SHA256,
  HASH_SHA384,
  HASH_SHA512,
  HMAC_STATE_BYTES,
} from '../dataplane-as/crypto/job.ts'
import { KERNEL_SCRATCH_BYTES } from '../dataplane-as/crypto/scratch.ts'
import { instantiateKernels, KERNEL_FREE_FROM, KERNEL_MEMORY_BYTES, type Kernels } from './kernel-wasm.ts'

/** One message for the cipher kernels; `data` is a whole number of 16-byte blocks. */
export type CipherMessage = { key: Uint8Array; iv: Uint8Array; data: Uint8Array }

/** One message for the hash kernels; `extra` is empty or 4 bytes hashed behind the data. */
export type HashMessage = { key: Uint8Array; data: Uint8Array; extra?: Uint8Array; icvBytes: number }

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
  readonly kernels: Kernels = instantiateKernels()
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly scratch = KERNEL_FREE_FROM
  private readonly floor = KERNEL_FREE_FROM + KERNEL_SCRATCH_BYTES
  private top = KERNEL_MEMORY_BYTES

  constructor() {
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
