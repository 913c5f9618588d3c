/**
 * ChaCha20-Poly1305 over AEAD jobs, in place (RFC 8439 §2.8; ESP: RFC 7634). A job's key is the 32 bytes
 * themselves.
 *
 * Seal makes the one-time keys and encrypts in shared lanes, then makes the tags. Open makes the one-time keys
 * and the tags, compares, and decrypts only the jobs whose tag holds.
 */
import { CHACHA_DATA, CHACHA_KEYS, chachaOrdered } from './chacha.ts'
import { AEAD_JOB_BYTES, AEAD_JOB_LENGTH, AEAD_JOB_OK, AEAD_JOB_TAG } from './job.ts'
import { orderByLength, orderedJob, setOrderedJob } from './order.ts'
import { polyOrdered } from './poly1305.ts'
import { SCRATCH_AEAD_MASKS, SCRATCH_CHACHA_BYTES, SCRATCH_CHACHA_STATE } from './scratch.ts'

/** Jobs that are worked on together: so many one-time keys have room. */
const PORTION = 128

/** Encrypts `count` AEAD jobs and writes their tags. `scratch`: KERNEL_SCRATCH_BYTES. */
export function chachaSeal(jobs: usize, count: i32, scratch: usize): void {
  while (count > 0) {
    const now = min(count, PORTION)
    orderByLength(jobs, now, AEAD_JOB_BYTES, AEAD_JOB_LENGTH, 4, scratch)
    chachaOrdered(now, CHACHA_KEYS | CHACHA_DATA, scratch)
    polyOrdered(now, scratch)
    for (let i = 0; i < now; i++) {
      v128.store(<usize>load<u32>(orderedJob(scratch, i), AEAD_JOB_TAG), v128.load(tagAddress(scratch, i)))
    }
    wipe(scratch, now)
    jobs += <usize>now * AEAD_JOB_BYTES
    count -= now
  }
}

/**
 * Verifies the tags of `count` AEAD jobs, writes AEAD_JOB_OK into each, and decrypts the data where the tag
 * holds; the data of the others stays as it is.
 */
export function chachaOpen(jobs: usize, count: i32, scratch: usize): void {
  while (count > 0) {
    const now = min(count, PORTION)
    orderByLength(jobs, now, AEAD_JOB_BYTES, AEAD_JOB_LENGTH, 4, scratch)
    chachaOrdered(now, CHACHA_KEYS, scratch)
    polyOrdered(now, scratch)
    let held = 0
    for (let i = 0; i < now; i++) {
      const job = orderedJob(scratch, i)
      const given = v128.load(<usize>load<u32>(job, AEAD_JOB_TAG))
      const ok = !v128.any_true(v128.xor(v128.load(tagAddress(scratch, i)), given))
      store<u32>(job, ok ? 1 : 0, AEAD_JOB_OK)
      if (ok) setOrderedJob(scratch, held++, job)
    }
    chachaOrdered(held, CHACHA_DATA, scratch)
    wipe(scratch, now)
    jobs += <usize>now * AEAD_JOB_BYTES
    count -= now
  }
}

function tagAddress(scratch: usize, i: i32): usize {
  return scratch + SCRATCH_AEAD_MASKS + ((<usize>i) << 6)
}

/** Wipes states, key stream, the parts of Poly1305 and the one-time keys of `count` jobs. */
function wipe(scratch: usize, count: i32): void {
  memory.fill(scratch + SCRATCH_CHACHA_STATE, 0, SCRATCH_CHACHA_BYTES)
  memory.fill(scratch + SCRATCH_AEAD_MASKS, 0, (<usize>count) << 6)
}
