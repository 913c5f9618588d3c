/**
 * AES-GCM over AEAD jobs, in place (NIST SP 800-38D; ESP: RFC 4106): nonces of 12 bytes, tags of 16.
 *
 * Seal encrypts all jobs in shared lanes, then hashes job by job. Open makes the masks of the tags, hashes,
 * compares, and decrypts only the jobs whose tag holds.
 */
import { aesExpandKey, aesRounds } from './aes.ts'
import { CTR_DATA, CTR_MASKS, ctrOrdered } from './aes-ctr.ts'
import { AES_GROUP, forgetSchedules, setSchedule, sliceKeys } from './aes-lanes.ts'
import { gcmTags } from './gcm-tags.ts'
import { aesCtrRun } from './generated/aes-ctr.ts'
import { ghashPrepare } from './ghash.ts'
import { AEAD_JOB_BYTES, AEAD_JOB_KEY, AEAD_JOB_OK, AEAD_JOB_TAG, GHASH_TABLE_BYTES } from './job.ts'
import { orderByValue, orderedJob, portion, setOrderedJob } from './order.ts'
import {
  SCRATCH_AEAD_MASKS,
  SCRATCH_AES_KEYS,
  SCRATCH_AES_NARROW_BYTES,
  SCRATCH_AES_WIPE_BYTES,
  SCRATCH_CTR_BLOCKS,
  SCRATCH_CTR_BYTES,
  SCRATCH_CTR_COUNTERS,
  SCRATCH_CTR_LANES,
  SCRATCH_GHASH,
} from './scratch.ts'
import { wideVectors } from './vectors.ts'

export { GHASH_TABLE_BYTES }

/**
 * Prepares a key of 16, 24 or 32 bytes (any other length traps): the key schedule (AES_SCHEDULE_BYTES) and the
 * table of the hash key (GHASH_TABLE_BYTES). `scratch`: KERNEL_SCRATCH_BYTES.
 */
export function gcmPrepare(key: usize, keyBytes: i32, schedule: usize, table: usize, scratch: usize): void {
  aesExpandKey(key, keyBytes, schedule)
  // H is the encrypted block of zeros (SP 800-38D §7.1): every lane makes it
  const blocks = scratch + SCRATCH_CTR_BLOCKS
  memory.fill(scratch + SCRATCH_CTR_COUNTERS, 0, SCRATCH_GHASH - SCRATCH_CTR_COUNTERS)
  forgetSchedules(scratch)
  for (let lane = 0; lane < AES_GROUP; lane++) {
    setSchedule(scratch, lane, <u32>schedule)
    store<u32>(scratch + ((<usize>lane) << 2), <u32>blocks + (lane << 4), SCRATCH_CTR_LANES)
  }
  const rounds = aesRounds(keyBytes)
  sliceKeys(scratch, rounds, AES_GROUP)
  aesCtrRun(
    scratch + SCRATCH_CTR_LANES,
    scratch + SCRATCH_CTR_COUNTERS,
    1,
    rounds,
    scratch + SCRATCH_AES_KEYS,
  )
  ghashPrepare(table, blocks)
  wipe(scratch, 0)
}

/** Encrypts `count` AEAD jobs and writes their tags. `rounds` (10, 12 or 14) holds for all of them. */
export function aesGcmSeal(jobs: usize, count: i32, rounds: i32, scratch: usize): void {
  while (count > 0) {
    const now = portion(count)
    orderByValue(jobs, now, AEAD_JOB_BYTES, AEAD_JOB_KEY, scratch)
    ctrOrdered(now, rounds, CTR_MASKS | CTR_DATA, scratch)
    gcmTags(now, scratch)
    for (let i = 0; i < now; i++)
      v128.store(<usize>load<u32>(orderedJob(scratch, i), AEAD_JOB_TAG), tagAt(scratch, i))
    wipe(scratch, now)
    jobs += <usize>now * AEAD_JOB_BYTES
    count -= now
  }
}

/**
 * Verifies the tags of `count` AEAD jobs, writes AEAD_JOB_OK into each, and decrypts the data where the tag
 * holds; the data of the others stays as it is. `rounds` as in `aesGcmSeal`.
 */
export function aesGcmOpen(jobs: usize, count: i32, rounds: i32, scratch: usize): void {
  while (count > 0) {
    const now = portion(count)
    orderByValue(jobs, now, AEAD_JOB_BYTES, AEAD_JOB_KEY, scratch)
    ctrOrdered(now, rounds, CTR_MASKS, scratch)
    gcmTags(now, scratch)
    let held = 0
    for (let i = 0; i < now; i++) {
      const job = orderedJob(scratch, i)
      const difference = v128.xor(tagAt(scratch, i), v128.load(<usize>load<u32>(job, AEAD_JOB_TAG)))
      const ok = !v128.any_true(difference)
      store<u32>(job, ok ? 1 : 0, AEAD_JOB_OK)
      if (ok) setOrderedJob(scratch, held++, job)
    }
    ctrOrdered(held, rounds, CTR_DATA, scratch)
    wipe(scratch, now)
    jobs += <usize>now * AEAD_JOB_BYTES
    count -= now
  }
}

/** The tag of job `i` of the order, once gcmTags has made it. */
function tagAt(scratch: usize, i: i32): v128 {
  return v128.load(scratch + SCRATCH_AEAD_MASKS + ((<usize>i) << 4))
}

/** Wipes sliced keys, key stream, hash values and the masks of `count` jobs. */
function wipe(scratch: usize, count: i32): void {
  memory.fill(
    scratch + SCRATCH_AES_KEYS,
    0,
    wideVectors() ? SCRATCH_AES_WIPE_BYTES : SCRATCH_AES_NARROW_BYTES,
  )
  memory.fill(scratch + SCRATCH_CTR_COUNTERS, 0, <usize>SCRATCH_CTR_BYTES + ((<usize>count) << 4))
}
