/**
 * Poly1305 of short messages (RFC 8439 §2.5, §2.8), 4 of as many blocks each at a time: every message is put together
 * in scratch, so that one run hashes all of it, and keys and tags are made in vectors of 4 lanes.
 *
 * What poly1305.ts does per lane and per stretch of a message would take longer than the hashing here.
 */
import { copyBlocks } from './block-word.ts'
import { polyFinish, polyRun, polyStart, polyWideRun } from './generated/poly1305-lanes.ts'
import { AEAD_JOB_AAD, AEAD_JOB_AAD_BYTES, AEAD_JOB_DATA, AEAD_JOB_LENGTH } from './job.ts'
import { orderedJob } from './order.ts'
import {
  SCRATCH_AEAD_MASKS,
  SCRATCH_LANES,
  SCRATCH_POLY_KEYS,
  SCRATCH_POLY_MESSAGES,
  SCRATCH_POLY_PRODUCT,
  SCRATCH_POLY_SUMS,
} from './scratch.ts'
import { wideVectors } from './vectors.ts'

const LANES = 4
const MOST_BLOCKS: u32 = 8
const MESSAGE_SHIFT: usize = 7
/** Bytes between the one-time keys. */
const KEY_SHIFT: usize = 6

/** Hashes `blocks` blocks in every lane: addresses, sums and keys stand in scratch. */
export function polyBlocks(blocks: i32, scratch: usize): void {
  const lanes = scratch + SCRATCH_LANES
  const sums = scratch + SCRATCH_POLY_SUMS
  const keys = scratch + SCRATCH_POLY_KEYS
  if (wideVectors()) polyWideRun(lanes, blocks, sums, keys, scratch + SCRATCH_POLY_PRODUCT)
  else polyRun(lanes, blocks, sums, keys)
}

/** Blocks of a job's AAD, data and lengths. */
function blocksOf(job: usize): u32 {
  return ((load<u32>(job, AEAD_JOB_AAD_BYTES) + 15) >> 4) + ((load<u32>(job, AEAD_JOB_LENGTH) + 15) >> 4) + 1
}

/** Whether the jobs `first` to `first` + 3 of the order are short and have as many blocks each. */
export function polyFourFit(first: i32, scratch: usize): bool {
  const blocks = blocksOf(orderedJob(scratch, first))
  if (blocks > MOST_BLOCKS) return false
  for (let lane = 1; lane < LANES; lane++) {
    if (blocksOf(orderedJob(scratch, first + lane)) !== blocks) return false
  }
  return true
}

/** Puts the tags of these jobs over the first 16 bytes of their one-time keys. */
export function polyFour(first: i32, scratch: usize): void {
  for (let lane = 0; lane < LANES; lane++) stage(orderedJob(scratch, first + lane), lane, scratch)
  const oneTime = scratch + SCRATCH_AEAD_MASKS + ((<usize>first) << KEY_SHIFT)
  polyStart(oneTime, scratch + SCRATCH_POLY_SUMS, scratch + SCRATCH_POLY_KEYS)
  polyBlocks(blocksOf(orderedJob(scratch, first)), scratch)
  polyFinish(oneTime, scratch + SCRATCH_POLY_SUMS)
}

/** Puts a message together: AAD, data, both with zeros up to a whole block, and their lengths in bytes. */
function stage(job: usize, lane: i32, scratch: usize): void {
  const message = scratch + SCRATCH_POLY_MESSAGES + ((<usize>lane) << MESSAGE_SHIFT)
  store<u32>(scratch + ((<usize>lane) << 2), <u32>message, SCRATCH_LANES)
  const aadBytes = load<u32>(job, AEAD_JOB_AAD_BYTES)
  const length = load<u32>(job, AEAD_JOB_LENGTH)
  let end = copyBlocks(message, <usize>load<u32>(job, AEAD_JOB_AAD), aadBytes)
  end = copyBlocks(end, <usize>load<u32>(job, AEAD_JOB_DATA), length)
  v128.store(end, i64x2.replace_lane(i64x2.splat(<i64>aadBytes), 1, <i64>length))
}
