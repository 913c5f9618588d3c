/**
 * The lanes of the HMAC kernels where messages are alike: as many messages as there are lanes, of one number of
 * whole blocks and of last blocks, are hashed side by side from their first block to their ICV. No lane is looked
 * at alone in between: last blocks are cut and marked by masks as they are read, the inner digests become the first
 * rows of the outer block where they stand.
 */
import {
  fillRow,
  hash,
  hashBlocks,
  hashOuter,
  hashWords,
  lanes,
  lastMask,
  lengthRow,
  loadAll,
  loadInner,
  loadOuter,
  padOuter,
  readLast,
  row,
  scratch,
  shift,
  wide,
} from './hash-run.ts'
import { HASH_JOB_DATA, HASH_JOB_EXTRA_BYTES, HASH_JOB_LENGTH, HASH_JOB_STATE, HASH_SHA384 } from './job.ts'
import { orderedJob, setOrderedJob } from './order.ts'
import {
  SCRATCH_HASH_BITS,
  SCRATCH_HASH_LANES,
  SCRATCH_HASH_MASKS,
  SCRATCH_HASH_OUTER_JOBS,
  SCRATCH_HASH_OUTER_STATES,
  SCRATCH_HASH_OUTER_WORDS,
  SCRATCH_HASH_WORDS,
} from './scratch.ts'

/** Shape of messages that must go alone. */
const ALONE: u32 = 0xffffffff

let memoryEnd: u64 = 0

/**
 * Hashes groups of `count` ordered jobs. The rest, which has no group, moves to the front of SCRATCH_ORDER in its
 * order; returns its number.
 */
export function hashAlike(count: i32): i32 {
  memoryEnd = (<u64>memory.size()) << 16
  let left = 0
  for (let i = 0; i < count; ) {
    const shape = shapeOf(orderedJob(scratch, i))
    const alike = shape === ALONE ? 1 : countAlike(i, count, shape)
    const last = left === 0 && i + alike === count && alike > lanes >> 1
    if (shape !== ALONE && (alike === lanes || last)) hashGroup(i, alike, shape)
    else for (let k = 0; k < alike; k++) setOrderedJob(scratch, left++, orderedJob(scratch, i + k))
    i += alike
  }
  return left
}

/** How many jobs from `first` on have this shape, at most one for each lane. */
function countAlike(first: i32, count: i32, shape: u32): i32 {
  const end = min(first + lanes, count)
  let i = first + 1
  while (i < end && shapeOf(orderedJob(scratch, i)) === shape) i++
  return i - first
}

/**
 * Twice the number of whole blocks, and 1 where the rest and its padding need two more. ALONE where bytes are hashed
 * that do not stand in the data, where a whole last block cannot be read, or where a length has more than 32 bits.
 */
function shapeOf(job: usize): u32 {
  const length = load<u32>(job, HASH_JOB_LENGTH)
  const block: u32 = (<u32>1) << shift
  const whole = length >> shift
  const end = <u64>load<u32>(job, HASH_JOB_DATA) + <u64>((whole + 1) << shift)
  if (load<u32>(job, HASH_JOB_EXTRA_BYTES) !== 0 || end > memoryEnd || length >= 1 << 28) return ALONE
  return (whole << 1) | ((length & (block - 1)) + 1 + (block >> 3) > block ? 1 : 0)
}

/** Hashes `count` jobs from `first` on, all of one shape. */
function hashGroup(first: i32, count: i32, shape: u32): void {
  const states = scratch + SCRATCH_HASH_OUTER_WORDS // where the digests are wanted
  const blocks = shape >> 1
  seat(first, count, blocks)
  if (blocks !== 0) {
    hashBlocks(scratch + SCRATCH_HASH_LANES, <i32>blocks, states)
    moveOn(blocks << shift)
  }
  hashLast(states, (shape & 1) !== 0)
  if (hash === HASH_SHA384) padOuter()
  hashOuter(count)
}

/** Gives every lane its job; lanes to spare do what the first one does. */
function seat(first: i32, count: i32, blocks: u32): void {
  const state = load<u32>(orderedJob(scratch, first), HASH_JOB_STATE)
  let oneKey = true
  for (let lane = 0; lane < lanes; lane++) {
    const job = orderedJob(scratch, lane < count ? first + lane : first)
    const at = scratch + ((<usize>lane) << 2)
    const length = load<u32>(job, HASH_JOB_LENGTH)
    const bits = (((<u32>1) << shift) + length) << 3
    store<u32>(at, <u32>job, SCRATCH_HASH_OUTER_JOBS)
    store<u32>(at, load<u32>(job, HASH_JOB_DATA), SCRATCH_HASH_LANES)
    store<u32>(at, <u32>lastMask(length - (blocks << shift)), SCRATCH_HASH_MASKS)
    if (wide) store<u64>(at + ((<usize>lane) << 2), <u64>bits, SCRATCH_HASH_BITS)
    else store<u32>(at, bits, SCRATCH_HASH_BITS)
    if (load<u32>(job, HASH_JOB_STATE) !== state) oneKey = false
  }
  loadKeys(<usize>state, oneKey)
}

function loadKeys(state: usize, oneKey: bool): void {
  const inner = scratch + SCRATCH_HASH_OUTER_WORDS
  const outer = scratch + SCRATCH_HASH_OUTER_STATES
  if (oneKey) {
    loadAll(inner, outer, state)
    return
  }
  for (let lane = 0; lane < lanes; lane++) {
    const job = <usize>load<u32>(scratch + ((<usize>lane) << 2), SCRATCH_HASH_OUTER_JOBS)
    const own = <usize>load<u32>(job, HASH_JOB_STATE)
    loadInner(inner, lane, own)
    loadOuter(outer, lane, own)
  }
}

/** Moves the lane addresses on by `bytes`. */
function moveOn(bytes: u32): void {
  const table = scratch + SCRATCH_HASH_LANES
  const step = i32x4.splat(<i32>bytes)
  v128.store(table, i32x4.add(v128.load(table), step))
  v128.store(table, i32x4.add(v128.load(table, 16), step), 16)
  v128.store(table, i32x4.add(v128.load(table, 32), step), 32)
}

/** The last block or two: the rest of the data, 0x80, zeros, the length with the padded key before it. */
function hashLast(states: usize, two: bool): void {
  const schedule = scratch + SCRATCH_HASH_WORDS
  readLast(scratch + SCRATCH_HASH_LANES, scratch + SCRATCH_HASH_MASKS, schedule)
  if (two) {
    hashWords(states, schedule)
    for (let word: usize = 0; word < 16; word++) fillRow(schedule + word * row, 0)
  }
  const to = schedule + lengthRow() * row
  for (let at: usize = 0; at < row; at += 16) v128.store(to + at, v128.load(scratch + SCRATCH_HASH_BITS + at))
  hashWords(states, schedule)
}
