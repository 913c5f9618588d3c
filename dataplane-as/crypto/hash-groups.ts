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
/** Lengths from here on might have more than 32 bits. */
const TOO_LONG: u32 = 1 << 28

/**
 * Hashes groups of `count` ordered jobs. The rest, which has no group, moves to the front of SCRATCH_ORDER in its
 * order; returns its number.
 */
export function hashAlike(count: i32): i32 {
  let left = 0
  for (let i = 0; i < count; ) {
    const last = count - i < lanes
    let alike = last ? count - i : lanes
    // a last group that is not full goes alone with those left over, if there are any, or if it is small
    const wanted = !last || (left === 0 && alike > lanes >> 1)
    const shape = wanted ? seat(i, alike) : ALONE
    if (shape !== ALONE) hashGroup(alike, shape)
    else {
      alike = countAlike(i, count)
      for (let k = 0; k < alike; k++) setOrderedJob(scratch, left++, orderedJob(scratch, i + k))
    }
    i += alike
  }
  return left
}

/** How many jobs from `first` on have the shape of the first, at most one for each lane. */
function countAlike(first: i32, count: i32): i32 {
  const shape = shapeOf(load<u32>(orderedJob(scratch, first), HASH_JOB_LENGTH))
  const end = min(first + lanes, count)
  let i = first + 1
  while (i < end && shapeOf(load<u32>(orderedJob(scratch, i), HASH_JOB_LENGTH)) === shape) i++
  return i - first
}

/** Twice the number of whole blocks, and 1 where the rest and its padding need two more. */
function shapeOf(length: u32): u32 {
  const block: u32 = (<u32>1) << shift
  return ((length >> shift) << 1) | (((length & (block - 1)) + (block >> 3)) >> shift)
}

// one key for all lanes seated last
let oneKey: bool = false

/**
 * Gives every lane one of the `count` jobs from `first` on; lanes to spare do what the last one does. Returns the
 * shape that all have in common. ALONE where they have none, where bytes are hashed that do not stand in the data,
 * where a whole last block cannot be read, or where a length has more than 32 bits.
 */
function seat(first: i32, count: i32): u32 {
  const block: u32 = (<u32>1) << shift
  const mask = lastMask(0)
  const shape = shapeOf(load<u32>(orderedJob(scratch, first), HASH_JOB_LENGTH))
  const state = load<u32>(orderedJob(scratch, first), HASH_JOB_STATE)
  const end = scratch + ((<usize>lanes) << 2)
  let different: u32 = 0
  let keys: u32 = 0
  let longest: u32 = 0
  let highest: u32 = 0
  for (let at = scratch; at < end; at += 4) {
    const job = orderedJob(scratch, first)
    if (--count > 0) first++
    const length = load<u32>(job, HASH_JOB_LENGTH)
    const data = load<u32>(job, HASH_JOB_DATA)
    const rest = length & (block - 1)
    different |= (shapeOf(length) ^ shape) | load<u32>(job, HASH_JOB_EXTRA_BYTES)
    keys |= load<u32>(job, HASH_JOB_STATE) ^ state
    longest |= length
    highest = max(highest, data + (length - rest))
    store<u32>(at, <u32>job, SCRATCH_HASH_OUTER_JOBS)
    store<u32>(at, data, SCRATCH_HASH_LANES)
    store<u32>(at, <u32>mask - rest, SCRATCH_HASH_MASKS)
    store<u32>(at, (block + length) << 3, SCRATCH_HASH_BITS)
  }
  oneKey = keys === 0
  const readable = <u64>highest + <u64>block <= (<u64>memory.size()) << 16
  return different === 0 && longest < TOO_LONG && readable ? shape : ALONE
}

/** Hashes the `count` jobs that have their seats, all of one shape. */
function hashGroup(count: i32, shape: u32): void {
  const states = scratch + SCRATCH_HASH_OUTER_WORDS // where the digests are wanted
  const blocks = shape >> 1
  loadKeys()
  if (blocks !== 0) {
    hashBlocks(scratch + SCRATCH_HASH_LANES, <i32>blocks, states)
    moveOn(blocks << shift)
  }
  hashLast(states, (shape & 1) !== 0)
  if (hash === HASH_SHA384) padOuter()
  hashOuter(count)
}

function loadKeys(): void {
  const inner = scratch + SCRATCH_HASH_OUTER_WORDS
  const outer = scratch + SCRATCH_HASH_OUTER_STATES
  if (oneKey) {
    const job = <usize>load<u32>(scratch, SCRATCH_HASH_OUTER_JOBS)
    loadAll(inner, outer, <usize>load<u32>(job, HASH_JOB_STATE))
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
  v128.store(table, i32x4.add(v128.load(table, 48), step), 48)
}

/** The last block or two: the rest of the data, 0x80, zeros, the length with the padded key before it. */
function hashLast(states: usize, two: bool): void {
  const schedule = scratch + SCRATCH_HASH_WORDS
  readLast(scratch + SCRATCH_HASH_LANES, scratch + SCRATCH_HASH_MASKS, schedule)
  if (two) {
    hashWords(states, schedule)
    for (let word: usize = 0; word < 16; word++) fillRow(schedule + word * row, 0)
  }
  putLengths(schedule + lengthRow() * row)
  hashWords(states, schedule)
}

/** The row of the lengths in bits. */
function putLengths(to: usize): void {
  const bits = v128.load(scratch, SCRATCH_HASH_BITS)
  if (wide) {
    v128.store(to, i64x2.extend_low_i32x4_u(bits))
    v128.store(to, i64x2.extend_high_i32x4_u(bits), 16)
    return
  }
  v128.store(to, bits)
  for (let at: usize = 16; at < row; at += 16) v128.store(to + at, v128.load(scratch + at, SCRATCH_HASH_BITS))
}
