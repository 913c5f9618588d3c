/** Lays messages, schedules and records for the DES kernels into the memory of a kernel instance and runs them. */

import { TDES_SCRATCH_BYTES } from '../dataplane-as/crypto/des-scratch.ts'
import { DES_SCHEDULE_BYTES, TDES_SCHEDULE_BYTES } from '../dataplane-as/crypto/des-sizes.ts'
import {
  CIPHER_JOB_BLOCKS,
  CIPHER_JOB_BYTES,
  CIPHER_JOB_DATA,
  CIPHER_JOB_SCHEDULE,
} from '../dataplane-as/crypto/job.ts'
import type { CipherMessage, KernelBench } from './kernel-jobs.ts'

/** Messages in memory. */
export type DesJobs = { jobs: number; data: number[]; schedules: number[]; scratch: number }

/**
 * Places messages, all with keys of 8 bytes (DES) or all of 24 (3DES) and with whole blocks of 8 bytes. Messages
 * with the same key array share a schedule. What is placed first ends the memory.
 */
export function placeDesJobs(bench: KernelBench, messages: readonly CipherMessage[]): DesJobs {
  const data = messages.map(({ data, iv }) => {
    const at = bench.place(data)
    bench.bytes.set(iv, bench.reserve(8))
    return at
  })
  const jobs = bench.reserve(messages.length * CIPHER_JOB_BYTES, 4)
  const known = new Map<Uint8Array, number>()
  const schedules = messages.map(({ key }, i) => {
    const schedule = known.get(key) ?? placeSchedule(bench, key)
    known.set(key, schedule)
    const job = jobs + i * CIPHER_JOB_BYTES
    bench.view.setUint32(job + CIPHER_JOB_SCHEDULE, schedule, true)
    bench.view.setUint32(job + CIPHER_JOB_DATA, data[i], true)
    bench.view.setUint32(job + CIPHER_JOB_BLOCKS, messages[i].data.length / 8, true)
    return schedule
  })
  return { jobs, data, schedules, scratch: bench.reserve(TDES_SCRATCH_BYTES, 16) }
}

function placeSchedule(bench: KernelBench, key: Uint8Array): number {
  const single = key.length === 8
  const schedule = bench.reserve(single ? DES_SCHEDULE_BYTES : TDES_SCHEDULE_BYTES)
  const expand = single ? bench.kernels.desExpandKey : bench.kernels.tdesExpandKey
  expand(bench.place(key), schedule)
  return schedule
}

/** The kernel for a direction and a key length. */
export function desKernel(bench: KernelBench, direction: 'encrypt' | 'decrypt', keyBytes: number) {
  const { desCbcEncrypt, desCbcDecrypt, tdesCbcEncrypt, tdesCbcDecrypt } = bench.kernels
  const [encrypt, decrypt] =
    keyBytes === 8 ? [desCbcEncrypt, desCbcDecrypt] : [tdesCbcEncrypt, tdesCbcDecrypt]
  return direction === 'encrypt' ? encrypt : decrypt
}

/** Runs CBC over messages whose keys have one length; returns the results in their order. */
export function runDes(
  bench: KernelBench,
  direction: 'encrypt' | 'decrypt',
  messages: readonly CipherMessage[],
): Uint8Array[] {
  bench.clear()
  const { jobs, data, scratch } = placeDesJobs(bench, messages)
  desKernel(bench, direction, messages[0].key.length)(jobs, messages.length, scratch)
  return messages.map((message, i) => bench.bytes.slice(data[i], data[i] + message.data.length))
}
