/**
 * The lanes of the HMAC kernels: what a lane hashes now, and what comes next.
 *
 * The way of a message, one stretch of blocks after the other:
 *   data (whole blocks, in place) -> tail (1 or 2 blocks) -> outer block -> ICV written
 * A message shorter than a block starts with its tail. Behind its tail a message leaves its lane: the inner
 * digest waits as a column of an outer block whose padding stands already, and when there is one for every
 * lane, the outer hashes of all of them are one step. A free lane reads what a busy lane reads.
 */
import { SHA_BYTE_SWAP, SHA512_BYTE_SWAP } from './constants.ts'
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
  SCRATCH_HASH_LANES,
  SCRATCH_HASH_LEFT,
  SCRATCH_HASH_OUTER_JOBS,
  SCRATCH_HASH_OUTER_STATES,
  SCRATCH_HASH_OUTER_WORDS,
  SCRATCH_HASH_STATES,
  SCRATCH_HASH_TAIL_BLOCKS,
  SCRATCH_HASH_TAILS,
  SCRATCH_HASH_WORDS,
} from './scratch.ts'

/** Blocks left of a lane without a message: more than any message has, and no negative number. */
const FREE: u32 = 0x7fffffff
/** Lanes that the tables have room for, a whole number of vectors. */
const MOST_LANES = 12

// The hash at work; one call at a time in an instance.
let hash: i32 = 0
let lanes: i32 = 0
let words: i32 = 0
let digest: i32 = 0
let wide: bool = false
let wordShift: usize = 0
let shift: u32 = 0
/** bytes of one word of all lanes */
let row: usize = 0
let scratch: usize = 0
/** messages whose outer hash waits */
let waiting: i32 = 0

/** Prepares for messages of `which` (HASH_*); returns the number of lanes. `area`: the scratch area. */
export function beginHash(which: i32, area: usize): i32 {
  hash = which
  lanes = which === HASH_MD5 ? MOST_LANES : which === HASH_SHA1 ? 8 : 4
  words = stateWords(which)
  digest = digestWords(which)
  wide = isWide(which)
  wordShift = wide ? 3 : 2
  shift = blockShift(which)
  row = (<usize>lanes) << wordShift
  scratch = area
  waiting = 0
  for (let lane = 0; lane < MOST_LANES; lane++) freeLane(lane)
  fillOuterWords()
  return lanes
}

/** The rows behind the digest in the outer block: 0x80, zeros, the bits of padded key and digest. */
function fillOuterWords(): void {
  const outer = scratch + SCRATCH_HASH_OUTER_WORDS
  const digest = digestWords(hash)
  const bits = ((1 << shift) + (digest << (<i32>wordShift))) << 3
  memory.fill(outer, 0, row << 4)
  for (let lane = 0; lane < lanes; lane++) {
    const column = outer + ((<usize>lane) << wordShift)
    const mark = column + <usize>digest * row
    if (wide) {
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

/** A lane's buffer for the last blocks of its message; a block before it may be overwritten. */
function tailBuffer(lane: i32): usize {
  const block = (<usize>1) << shift
  return scratch + SCRATCH_HASH_TAILS + <usize>(3 * lane + 1) * block
}

/** Gives a lane the message of `job`. */
export function startLane(lane: i32, job: usize): void {
  const blocks = load<u32>(job, HASH_JOB_LENGTH) >> shift
  store<u32>(entry(SCRATCH_HASH_JOBS, lane), <u32>job)
  loadState(SCRATCH_HASH_STATES, lane, <usize>load<u32>(job, HASH_JOB_STATE))
  const tailBlocks = buildTail(hash, tailBuffer(lane), job)
  if (blocks === 0) {
    startTail(lane, tailBlocks)
    return
  }
  store<u32>(entry(SCRATCH_HASH_TAIL_BLOCKS, lane), tailBlocks)
  store<u32>(entry(SCRATCH_HASH_LEFT, lane), blocks)
  store<u32>(entry(SCRATCH_HASH_LANES, lane), load<u32>(job, HASH_JOB_DATA))
}

/** Takes a lane out of the run. */
export function freeLane(lane: i32): void {
  store<u32>(entry(SCRATCH_HASH_LEFT, lane), FREE)
}

/** Points the free lanes at the data of a busy one: they must read something, their result is not used. */
export function lendAddresses(): void {
  let readable: u32 = 0
  for (let lane = 0; lane < lanes; lane++) {
    if (load<u32>(entry(SCRATCH_HASH_LEFT, lane)) !== FREE)
      readable = load<u32>(entry(SCRATCH_HASH_LANES, lane))
  }
  for (let lane = 0; lane < lanes; lane++) {
    if (load<u32>(entry(SCRATCH_HASH_LEFT, lane)) === FREE)
      store<u32>(entry(SCRATCH_HASH_LANES, lane), readable)
  }
}

/** Hashes as many blocks as every busy lane has left. Returns the lanes that ended a stretch, one bit each. */
export function stepLanes(): i32 {
  const left = scratch + SCRATCH_HASH_LEFT
  const two = i32x4.min_u(v128.load(left), i32x4.min_u(v128.load(left, 16), v128.load(left, 32)))
  const pair = i32x4.min_u(two, v128.shuffle<i32>(two, two, 2, 3, 0, 1))
  const blocks = min<u32>(i32x4.extract_lane(pair, 0), i32x4.extract_lane(pair, 1))
  runLanes(<i32>blocks)
  const low = advance(blocks, 0) | (advance(blocks, 16) << 4)
  return low | (advance(blocks, 32) << 8)
}

function runLanes(blocks: i32): void {
  const table = scratch + SCRATCH_HASH_LANES
  const states = scratch + SCRATCH_HASH_STATES
  const schedule = scratch + SCRATCH_HASH_WORDS
  if (hash === HASH_MD5) md5Run(table, blocks, states, schedule)
  else if (hash === HASH_SHA1) sha1Run(table, blocks, states, schedule)
  else if (hash === HASH_SHA256) sha256Run(table, blocks, states, schedule)
  else sha512Run(table, blocks, states, schedule)
}

/** Moves the four lanes at `offset` of the tables on; free lanes stay free. */
function advance(blocks: u32, offset: usize): i32 {
  const at = scratch + offset
  const left = v128.load(at, SCRATCH_HASH_LEFT)
  const free = i32x4.eq(left, i32x4.splat(FREE))
  const now = v128.bitselect(left, i32x4.sub(left, i32x4.splat(<i32>blocks)), free)
  const addresses = i32x4.add(v128.load(at, SCRATCH_HASH_LANES), i32x4.splat(<i32>(blocks << shift)))
  v128.store(at, now, SCRATCH_HASH_LEFT)
  v128.store(at, addresses, SCRATCH_HASH_LANES)
  return i32x4.bitmask(i32x4.eq(now, i32x4.splat(0)))
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
  store<u32>(entry(SCRATCH_HASH_LANES, lane), <u32>tailBuffer(lane))
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
  const from = scratch + SCRATCH_HASH_STATES + ((<usize>lane) << wordShift)
  const to = scratch + SCRATCH_HASH_OUTER_WORDS + ((<usize>waiting) << wordShift)
  copyWords(to, row, from, row, digest)
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
  if (hash !== HASH_MD5) turnDigests(states)
  for (let i = 0; i < waiting; i++) writeIcv(i, <usize>load<u32>(entry(SCRATCH_HASH_OUTER_JOBS, i)))
  waiting = 0
}

/** Sets column `lane` of the chaining values at `states` from the words at `from`. */
function loadState(states: usize, lane: i32, from: usize): void {
  copyWords(scratch + states + ((<usize>lane) << wordShift), row, from, (<usize>1) << wordShift, words)
}

/** Copies `count` (4 or more) words, `toStep` and `fromStep` bytes apart. */
function copyWords(to: usize, toStep: usize, from: usize, fromStep: usize, count: i32): void {
  if (wide) {
    for (; count > 0; count--, to += toStep, from += fromStep) store<u64>(to, load<u64>(from))
    return
  }
  store<u32>(to, load<u32>(from))
  store<u32>(to + toStep, load<u32>(from + fromStep))
  store<u32>(to + 2 * toStep, load<u32>(from + 2 * fromStep))
  store<u32>(to + 3 * toStep, load<u32>(from + 3 * fromStep))
  for (let i: usize = 4; i < <usize>count; i++) store<u32>(to + i * toStep, load<u32>(from + i * fromStep))
}

/** Turns the bytes of all words: the digests of SHA have the most significant byte first. */
function turnDigests(states: usize): void {
  const turn = v128.load(wide ? SHA512_BYTE_SWAP : SHA_BYTE_SWAP)
  const end = states + row * <usize>digest
  for (let at = states; at < end; at += 16) v128.store(at, v128.swizzle(v128.load(at), turn))
}

// outer -> ICV
function writeIcv(column: i32, job: usize): void {
  const icv = <usize>load<u32>(job, HASH_JOB_ICV)
  const bytes = <usize>load<u32>(job, HASH_JOB_ICV_BYTES)
  const word = (<usize>1) << wordShift
  let from = scratch + SCRATCH_HASH_OUTER_STATES + ((<usize>column) << wordShift)
  let at: usize = 0
  for (; at + word <= bytes; at += word, from += row) {
    if (wide) store<u64>(icv + at, load<u64>(from))
    else store<u32>(icv + at, load<u32>(from))
  }
  for (; at < bytes; at++, from++) store<u8>(icv + at, load<u8>(from))
}
