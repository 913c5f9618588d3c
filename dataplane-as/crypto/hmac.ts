/**
 * HMAC over hash jobs (RFC 2104; ESP: RFC 2403, RFC 2404, RFC 4868).
 *
 * Every message has a lane. Messages of one shape are hashed in groups, from the first block to the ICV (nothing is
 * written behind the data, the next datagram lies there). What has no group follows lane by lane: a lane hashes the
 * whole blocks of the data where they stand, then its last one or two blocks from a buffer of its own, and gives its
 * place to the next message of the list, longest first. All lanes advance by the number of blocks that the shortest
 * of these stretches has left.
 */
import { hashAlike } from './hash-groups.ts'
import { hashMixed } from './hash-lanes.ts'
import { beginHash, wipeHash } from './hash-run.ts'
import { blockShift } from './hash-shape.ts'
import { hmacPrepare } from './hmac-keys.ts'
import {
  HASH_JOB_BYTES,
  HASH_MD5,
  HASH_SHA1,
  HASH_SHA256,
  HASH_SHA384,
  HASH_SHA512,
  HMAC_STATE_BYTES,
} from './job.ts'
import { orderByBlocks, portion } from './order.ts'
import { KERNEL_SCRATCH_BYTES } from './scratch.ts'

export { HMAC_STATE_BYTES, hmacPrepare, KERNEL_SCRATCH_BYTES }

/** HMAC-MD5 of `count` hash jobs; `scratch`: KERNEL_SCRATCH_BYTES. */
export function hmacMd5(jobs: usize, count: i32, scratch: usize): void {
  hmac(HASH_MD5, jobs, count, scratch)
}

/** HMAC-SHA-1 of `count` hash jobs; `scratch`: KERNEL_SCRATCH_BYTES. */
export function hmacSha1(jobs: usize, count: i32, scratch: usize): void {
  hmac(HASH_SHA1, jobs, count, scratch)
}

/** HMAC-SHA-256 of `count` hash jobs; `scratch`: KERNEL_SCRATCH_BYTES. */
export function hmacSha256(jobs: usize, count: i32, scratch: usize): void {
  hmac(HASH_SHA256, jobs, count, scratch)
}

/** HMAC-SHA-384 of `count` hash jobs; `scratch`: KERNEL_SCRATCH_BYTES. */
export function hmacSha384(jobs: usize, count: i32, scratch: usize): void {
  hmac(HASH_SHA384, jobs, count, scratch)
}

/** HMAC-SHA-512 of `count` hash jobs; `scratch`: KERNEL_SCRATCH_BYTES. */
export function hmacSha512(jobs: usize, count: i32, scratch: usize): void {
  hmac(HASH_SHA512, jobs, count, scratch)
}

/** Works on the jobs in portions; then wipes states and message words, which a forger could use. */
function hmac(hash: i32, jobs: usize, count: i32, scratch: usize): void {
  beginHash(hash, scratch)
  let mixed = false
  while (count > 0) {
    const now = portion(count)
    orderByBlocks(jobs, now, blockShift(hash), scratch)
    const left = hashAlike(now)
    if (left !== 0) {
      hashMixed(left)
      mixed = true
    }
    jobs += <usize>now * HASH_JOB_BYTES
    count -= now
  }
  wipeHash(mixed)
}
