/**
 * GHASH of short messages, 16 at a time: messages of one key, each a lane of the kernel. A long message is as fast
 * alone (ghash.ts); what a short one saves here is the last group that it does not fill, and most of the overhead.
 *
 * Every message is put together in scratch: AAD, data, both with zeros up to a whole block, and the lengths. All end
 * together; zeros in front do not change a hash value.
 */
import { copyBlocks, storeBitCount } from './block-word.ts'
import { GHASH_NIBBLE, GHASH_WRAP } from './constants.ts'
import { ghashRun } from './generated/ghash-lanes.ts'
import { AEAD_JOB_AAD, AEAD_JOB_AAD_BYTES, AEAD_JOB_DATA, AEAD_JOB_LENGTH } from './job.ts'
import {
  SCRATCH_GHASH_AREA,
  SCRATCH_GHASH_MESSAGES,
  SCRATCH_GHASH_SUMS,
  SCRATCH_GHASH_TABLES,
  SCRATCH_GHASH_WIPE_BYTES,
  SCRATCH_LANES,
} from './scratch.ts'

const LANES = 16
const MOST_BLOCKS: u32 = 8
const MESSAGE_SHIFT: usize = 7
/** Rows of ghash.ts for one power of the hash key: the last power of every row is the key itself. */
const ROW = 128
const KEY_ITSELF = 96

/** Blocks of a job's AAD, data and lengths. */
function blocksOf(job: usize): u32 {
  return (load<u32>(job, AEAD_JOB_AAD_BYTES) + 15) / 16 + (load<u32>(job, AEAD_JOB_LENGTH) + 15) / 16 + 1
}

/** Blocks of a job that fits a lane, else 0. */
export function ghashShortBlocks(job: usize): u32 {
  const blocks = blocksOf(job)
  return blocks <= MOST_BLOCKS ? blocks : 0
}

/** Puts a job that is short into a lane. */
export function ghashStage(job: usize, lane: i32, scratch: usize): void {
  const message = scratch + SCRATCH_GHASH_MESSAGES + ((<usize>lane) << MESSAGE_SHIFT)
  let fill = message + ((MOST_BLOCKS - blocksOf(job)) << 4)
  for (let at = message; at < fill; at += 16) v128.store(at, i64x2.splat(0))
  const aadBytes = load<u32>(job, AEAD_JOB_AAD_BYTES)
  const length = load<u32>(job, AEAD_JOB_LENGTH)
  fill = copyBlocks(fill, load<u32>(job, AEAD_JOB_AAD), aadBytes)
  fill = copyBlocks(fill, load<u32>(job, AEAD_JOB_DATA), length)
  storeBitCount(fill, aadBytes)
  storeBitCount(fill + 8, length)
}

/**
 * Hashes the first `count` (1 to 16) lanes, the longest of which has `blocks`, with the tables of ghashSpread, into
 * SCRATCH_GHASH_SUMS.
 */
export function ghashLanes(count: i32, blocks: u32, scratch: usize): void {
  const messages = scratch + SCRATCH_GHASH_MESSAGES + ((MOST_BLOCKS - blocks) << 4)
  for (let lane = 0; lane < LANES; lane++) {
    // a lane without a message reads the first one
    const read: usize = lane < count ? <usize>lane : 0
    const message = messages + (read << MESSAGE_SHIFT)
    store<u32>(scratch + ((<usize>lane) << 2), <u32>message, SCRATCH_LANES)
    v128.store(scratch + ((<usize>lane) << 4), i64x2.splat(0), SCRATCH_GHASH_SUMS)
  }
  const area = scratch + SCRATCH_GHASH_AREA
  const tables = scratch + SCRATCH_GHASH_TABLES
  ghashRun(scratch + SCRATCH_LANES, <i32>blocks, scratch + SCRATCH_GHASH_SUMS, tables, area)
}

/**
 * Makes the kernel's tables of the table that ghashPrepare made: what a nibble of byte 0 adds to byte j is there; a
 * nibble one byte further on adds the same to byte j + 1, and what would be byte 16 comes back in as bytes 0 and 1.
 */
export function ghashSpread(table: usize, scratch: usize): void {
  const nibble = v128.load(GHASH_NIBBLE)
  for (let half: usize = 0; half < 2; half++) {
    let to = scratch + SCRATCH_GHASH_TABLES + (half << 7)
    for (let j: usize = 0; j < 16; j++)
      v128.store(placeOf(to, j), v128.load(table + j * ROW + (half << 4), KEY_ITSELF))
    for (let i = 1; i < 16; i++, to += 256) {
      const over = v128.load(placeOf(to, 15))
      const high = v128.and(i16x8.shr_u(over, 4), nibble)
      const low = v128.and(over, nibble)
      for (let j: usize = 15; j > 0; j--) v128.store(placeOf(to, j) + 256, v128.load(placeOf(to, j - 1)))
      v128.store(to, wrapped(high, low, 0), 256)
      v128.store(to, v128.xor(v128.load(to), wrapped(high, low, 32)), 256 + 16)
    }
  }
}

/** Tables of one byte and half: bytes 0 to 7 of the product, and 4,096 bytes further on 8 to 15. */
function placeOf(tables: usize, j: usize): usize {
  return tables + ((j & 8) << 9) + ((j & 7) << 4)
}

/** The first (0) or the second byte (32) of x^128 times the bytes with these nibbles. */
function wrapped(high: v128, low: v128, part: usize): v128 {
  const sum = v128.swizzle(v128.load(GHASH_WRAP + part), high)
  return v128.xor(sum, v128.swizzle(v128.load(GHASH_WRAP + part, 16), low))
}

/** Wipes messages, hash values and tables. */
export function ghashWipeLanes(scratch: usize): void {
  memory.fill(scratch + SCRATCH_GHASH_MESSAGES, 0, SCRATCH_GHASH_WIPE_BYTES)
}
