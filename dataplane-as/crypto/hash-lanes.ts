/**
 * The lanes of the HMAC kernels: what a lane hashes now, and what comes next.
 *
 * The way of a message, one stretch of blocks after the other:
 *   data (whole blocks, in place) -> tail (1 or 2 blocks) -> outer block -> ICV written
 * A message shorter than a block starts with its tail. Behind its tail a message leaves its lane: the inner
 * digest waits as a column of an outer block whose padding stands already, and when there is one for every
 * lane, the outer hashes of all of them are one step. A free lane reads what a busy lane reads.
 */
import { md5Run, md5Words } from './generated/md5-lanes.ts'
import { sha1Run, sha1Words } from './generated/sha1-lanes.ts'
import { sha256Run, sha256Words } from './generated/sha256-lanes.ts'
import { sha512Run, sha512Words } from './generated/sha512-lanes.ts'
import { blockShift, digestWords, isWide, outerState, stateWords } from './hash-shape.ts'
import { buildTail } from './hash-tail.ts'
import {
  HASH_JOB_DATA,
  HASH_JOB_ICV,
  HASH_JOB_ICV_BYTES,
  HASH_JOB_LENGTH,
  HASH_JOB_STATE,
  HASH_MD5,
  HASH_SHA1,
  HASH_SHA256,
} from './job.ts'
import {
  SCRATCH_HASH_JOBS,
  SCRATCH_HASH_LEFT,
  SCRATCH_HASH_OUTER_JOBS,
  SCRATCH_HASH_OUTER_STATES,
  SCRATCH_HASH_OUTER_WORDS,
  SCRATCH_HASH_STATES,
  SCRATCH_HASH_TAIL_BLOCKS,
  SCRATCH_HASH_TAILS,
  SCRATCH_HASH_WORDS,
  SCRATCH_LANES,
} from './scratch.ts'

/** Blocks left of a lane without a message: more than any message has, and no negative number. */
const FREE: u32 = 0x7fffffff
/** Bytes of all tail buffers of a hash; each begins with a block that may be overwritten. */
const TAILS: usize = 1536

// The hash at work; one call at a time in an instance.
let hash: i32 = 0
let lanes: i32 = 0
let words: i32 = 0
let wordShift: usize = 0
/** bytes of one word of all lanes */
let row: usize = 0
let scratch: usize = 0
/** messages whose outer hash waits */
let waiting: i32 = 0

/** Prepares for messages of `which` (HASH_*); returns the number of lanes. `area`: the scratch area. */
export function beginHash(which: i32, area: usize): i32 {
  hash = which
  lanes = which === HASH_MD5 || which === HASH_SHA1 ? 8 : 4
  words = stateWords(which)
  wordShift = isWide(which) ? 3 : 2
  row = (<usize>lanes) << wordShift
  scratch = area
  waiting = 0
  for (let at: usize = 0; at < 32; at += 4) store<u32>(area + at, FREE, SCRATCH_HASH_LEFT)
  fillOuterWords()
  return lanes
}

/** The rows behind the digest in the outer block: 0x80, zeros, the bits of padded key and digest. */
function fillOuterWords(): void {
  const outer = scratch + SCRATCH_HASH_OUTER_WORDS
  const digest = digestWords(hash)
  const bits = ((1 << blockShift(hash)) + (digest << (<i32>wordShift))) << 3
  memory.fill(outer, 0, row << 4)
  for (let lane = 0; lane < lanes; lane++) {
    const column = outer + ((<usize>lane) << wordShift)
    const mark = column + <usize>digest * row
    if (wordShift === 3) {
      store<u64>(mark, 0x8000000000000000)
      store<u64>(column + 15 * row, bits)
    } else {
      store<u32>(mark, hash === HASH_MD5 ? 0x80 : 0x80000000)
      store<u32>(column + (hash === HASH_MD5 ? 14 : 15) * row, bits)
    }
  }
}

/** Address of entry `i` in a table of u32. */
function entry(table: usize, i: i32): usize {
  return scratch + table + ((<usize>i) << 2)
}

/** A lane's buffer for the last blocks of its message. */
function tailBuffer(lane: i32): usize {
  const stride = TAILS / <usize>lanes
  return scratch + SCRATCH_HASH_TAILS + <usize>lane * stride + ((<usize>1) << blockShift(hash))
}

/** Gives a lane the message of `job`. */
export function startLane(lane: i32, job: usize): void {
  const blocks = load<u32>(job, HASH_JOB_LENGTH) >> blockShift(hash)
  store<u32>(entry(SCRATCH_HASH_JOBS, lane), <u32>job)
  loadState(SCRATCH_HASH_STATES, lane, <usize>load<u32>(job, HASH_JOB_STATE))
  const tailBlocks = buildTail(hash, tailBuffer(lane), job)
  if (blocks === 0) {
    startTail(lane, tailBlocks)
    return
  }
  store<u32>(entry(SCRATCH_HASH_TAIL_BLOCKS, lane), tailBlocks)
  store<u32>(entry(SCRATCH_HASH_LEFT, lane), blocks)
  store<u32>(entry(SCRATCH_LANES, lane), load<u32>(job, HASH_JOB_DATA))
}

/** Takes a lane out of the run. */
export function freeLane(lane: i32): void {
  store<u32>(entry(SCRATCH_HASH_LEFT, lane), FREE)
}

/** Points the free lanes at the data of a busy one: they must read something, their result is not used. */
export function lendAddresses(): void {
  let readable: u32 = 0
  for (let lane = 0; lane < lanes; lane++) {
    if (load<u32>(entry(SCRATCH_HASH_LEFT, lane)) !== FREE) readable = load<u32>(entry(SCRATCH_LANES, lane))
  }
  for (let lane = 0; lane < lanes; lane++) {
    if (load<u32>(entry(SCRATCH_HASH_LEFT, lane)) === FREE) store<u32>(entry(SCRATCH_LANES, lane), readable)
  }
}

/** Hashes as many blocks as every busy lane has left. Returns the lanes that ended a stretch, one bit each. */
export function stepLanes(): i32 {
  const left = scratch + SCRATCH_HASH_LEFT
  const least = i32x4.min_u(v128.load(left), v128.load(left, 16))
  const pair = i32x4.min_u(least, v128.shuffle<i32>(least, least, 2, 3, 0, 1))
  const blocks = min<u32>(i32x4.extract_lane(pair, 0), i32x4.extract_lane(pair, 1))
  runLanes(<i32>blocks)
  return advance(blocks)
}

function runLanes(blocks: i32): void {
  const table = scratch + SCRATCH_LANES
  const states = scratch + SCRATCH_HASH_STATES
  const schedule = scratch + SCRATCH_HASH_WORDS
  if (hash === HASH_MD5) md5Run(table, blocks, states, schedule)
  else if (hash === HASH_SHA1) sha1Run(table, blocks, states, schedule)
  else if (hash === HASH_SHA256) sha256Run(table, blocks, states, schedule)
  else sha512Run(table, blocks, states, schedule)
}

/** Moves all lanes on; free lanes stay free. */
function advance(blocks: u32): i32 {
  const step = i32x4.splat(<i32>blocks)
  const bytes = i32x4.splat(<i32>(blocks << blockShift(hash)))
  const free = i32x4.splat(FREE)
  let done = 0
  for (let half = 0; half < 2; half++) {
    const at = scratch + ((<usize>half) << 4)
    const left = v128.load(at, SCRATCH_HASH_LEFT)
    const now = v128.bitselect(left, i32x4.sub(left, step), i32x4.eq(left, free))
    v128.store(at, now, SCRATCH_HASH_LEFT)
    v128.store(at, i32x4.add(v128.load(at, SCRATCH_LANES), bytes), SCRATCH_LANES)
    done |= i32x4.bitmask(i32x4.eq(now, i32x4.splat(0))) << (half << 2)
  }
  return done
}

/** Sends a lane that ended a stretch on; true if its message is hashed and the lane may take another. */
export function endStretch(lane: i32): bool {
  const tailBlocks = load<u32>(entry(SCRATCH_HASH_TAIL_BLOCKS, lane))
  if (tailBlocks !== 0) {
    startTail(lane, tailBlocks)
    return false
  }
  awaitOuter(lane)
  return true
}

// data -> tail
function startTail(lane: i32, blocks: u32): void {
  store<u32>(entry(SCRATCH_HASH_TAIL_BLOCKS, lane), 0)
  store<u32>(entry(SCRATCH_HASH_LEFT, lane), blocks)
  store<u32>(entry(SCRATCH_LANES, lane), <u32>tailBuffer(lane))
}

// tail -> outer
function awaitOuter(lane: i32): void {
  const job = load<u32>(entry(SCRATCH_HASH_JOBS, lane))
  store<u32>(entry(SCRATCH_HASH_OUTER_JOBS, waiting), job)
  loadState(
    SCRATCH_HASH_OUTER_STATES,
    waiting,
    <usize>load<u32>(<usize>job, HASH_JOB_STATE) + outerState(hash),
  )
  let from = scratch + SCRATCH_HASH_STATES + ((<usize>lane) << wordShift)
  let to = scratch + SCRATCH_HASH_OUTER_WORDS + ((<usize>waiting) << wordShift)
  const digest = digestWords(hash)
  for (let i = 0; i < digest; i++, from += row, to += row) copyWord(to, from)
  if (++waiting === lanes) finishOuter()
}

/** Hashes the outer blocks that wait and writes their ICVs. */
export function finishOuter(): void {
  if (waiting === 0) return
  const states = scratch + SCRATCH_HASH_OUTER_STATES
  const schedule = scratch + SCRATCH_HASH_OUTER_WORDS
  if (hash === HASH_MD5) md5Words(states, schedule)
  else if (hash === HASH_SHA1) sha1Words(states, schedule)
  else if (hash === HASH_SHA256) sha256Words(states, schedule)
  else sha512Words(states, schedule)
  for (let i = 0; i < waiting; i++) writeIcv(i, <usize>load<u32>(entry(SCRATCH_HASH_OUTER_JOBS, i)))
  waiting = 0
}

function copyWord(to: usize, from: usize): void {
  if (wordShift === 3) store<u64>(to, load<u64>(from))
  else store<u32>(to, load<u32>(from))
}

/** Sets column `lane` of the chaining values at `states` from the words at `from`. */
function loadState(states: usize, lane: i32, from: usize): void {
  let to = scratch + states + ((<usize>lane) << wordShift)
  const end = from + ((<usize>words) << wordShift)
  for (; from < end; from += (<usize>1) << wordShift, to += row) copyWord(to, from)
}

// outer -> ICV
function writeIcv(column: i32, job: usize): void {
  const icv = <usize>load<u32>(job, HASH_JOB_ICV)
  const bytes = load<u32>(job, HASH_JOB_ICV_BYTES)
  let i: u32 = 0
  for (; i + 4 <= bytes; i += 4) store<u32>(icv + i, digestPart(column, i >> 2))
  if (i === bytes) return
  for (let part = digestPart(column, i >> 2); i < bytes; i++, part >>= 8) store<u8>(icv + i, <u8>part)
}

/** Bytes 4i to 4i+3 of a digest as they stand in memory. */
function digestPart(column: i32, i: u32): u32 {
  const at = scratch + SCRATCH_HASH_OUTER_STATES + ((<usize>column) << wordShift)
  if (wordShift === 3) return bswap<u32>(load<u32>(at + row * <usize>(i >> 1) + ((~i & 1) << 2)))
  const word = load<u32>(at + row * <usize>i)
  return hash === HASH_MD5 ? word : bswap<u32>(word)
}
