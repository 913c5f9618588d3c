/**
 * HMAC-SHA-1 and HMAC-SHA-256 over hash jobs (RFC 2104; ESP: RFC 2404, RFC 4868).
 *
 * Every message has a lane. A lane hashes the whole blocks of the data where they stand, then its last one or
 * two blocks from a buffer of its own (nothing may be written behind the data, the next datagram lies there),
 * then the outer block, and gives its place to the next message of the list, longest first. All lanes advance
 * by the number of blocks that the shortest of these stretches has left.
 */
import { sha1Run } from './generated/sha1-lanes.ts'
import { sha256Run } from './generated/sha256-lanes.ts'
import { finishLane, freeLane, runLength, startLane, stepLanes } from './hash-lanes.ts'
import { hmacPrepare } from './hmac-keys.ts'
import { HASH_JOB_BYTES, HASH_JOB_LENGTH, HMAC_STATE_BYTES } from './job.ts'
import { orderByLength, orderedJob, portion } from './order.ts'
import {
  KERNEL_SCRATCH_BYTES,
  SCRATCH_HASH_STATES,
  SCRATCH_HASH_WIPE_BYTES,
  SCRATCH_HASH_WORDS,
  SCRATCH_LANES,
} from './scratch.ts'

export { HMAC_STATE_BYTES, hmacPrepare, KERNEL_SCRATCH_BYTES }

const SHA1_LANES = 8
const SHA1_WORDS = 5
const SHA256_LANES = 4
const SHA256_WORDS = 8

/** HMAC-SHA-1 of `count` hash jobs; `scratch`: KERNEL_SCRATCH_BYTES. */
export function hmacSha1(jobs: usize, count: i32, scratch: usize): void {
  hmac(jobs, count, scratch, SHA1_LANES, SHA1_WORDS)
}

/** HMAC-SHA-256 of `count` hash jobs; `scratch`: KERNEL_SCRATCH_BYTES. */
export function hmacSha256(jobs: usize, count: i32, scratch: usize): void {
  hmac(jobs, count, scratch, SHA256_LANES, SHA256_WORDS)
}

/** Works on the jobs in portions; then wipes states and message words, which a forger could use. */
function hmac(jobs: usize, count: i32, scratch: usize, lanes: i32, words: i32): void {
  while (count > 0) {
    const now = portion(count)
    orderByLength(jobs, now, HASH_JOB_BYTES, HASH_JOB_LENGTH, 6, scratch)
    hmacOrdered(now, scratch, lanes, words)
    jobs += <usize>now * HASH_JOB_BYTES
    count -= now
  }
  memory.fill(scratch + SCRATCH_HASH_STATES, 0, SCRATCH_HASH_WIPE_BYTES)
}

/** Runs the jobs of SCRATCH_ORDER through the lanes. */
function hmacOrdered(count: i32, scratch: usize, lanes: i32, words: i32): void {
  let next = 0
  for (let lane = 0; lane < lanes; lane++) {
    if (next < count) startLane(scratch, lane, lanes, words, orderedJob(scratch, next++))
    else freeLane(scratch, lane)
  }
  let blocks = runLength(scratch, lanes)
  while (blocks > 0) {
    compress(scratch, blocks, lanes)
    stepLanes(scratch, lanes, blocks)
    for (let lane = 0; lane < lanes; lane++) {
      if (!finishLane(scratch, lane, lanes, words)) continue
      if (next < count) startLane(scratch, lane, lanes, words, orderedJob(scratch, next++))
      else freeLane(scratch, lane)
    }
    blocks = runLength(scratch, lanes)
  }
}

/** `blocks` blocks in all lanes. */
function compress(scratch: usize, blocks: i32, lanes: i32): void {
  const table = scratch + SCRATCH_LANES
  const states = scratch + SCRATCH_HASH_STATES
  const schedule = scratch + SCRATCH_HASH_WORDS
  if (lanes === SHA1_LANES) sha1Run(table, blocks, states, schedule)
  else sha256Run(table, blocks, states, schedule)
}
