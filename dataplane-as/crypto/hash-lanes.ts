/**
 * The lanes of the HMAC kernels where messages differ: what a lane hashes now, and what comes next.
 *
 * The way of a message, one stretch of blocks after the other:
 *   data (whole blocks, in place) -> tail (1 or 2 blocks) -> outer block -> ICV written
 * A message shorter than a block starts with its tail. Behind its tail a message leaves its lane: the inner
 * digest waits as a column of an outer block whose padding stands already, and when there is one for every
 * lane, the outer hashes of all of them are one step. A free lane reads what a busy lane reads.
 */
import {
  copyWords,
  digest,
  hash,
  hashBlocks,
  hashOuter,
  lanes,
  loadInner,
  loadOuter,
  MOST_LANES,
  row,
  scratch,
  shift,
  wordShift,
} from './hash-run.ts'
import { buildTail } from './hash-tail.ts'
import { HASH_JOB_DATA, HASH_JOB_LENGTH, HASH_JOB_STATE } from './job.ts'
import { orderedJob } from './order.ts'
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
} from './scratch.ts'

/** Blocks left of a lane without a message: more than any message has, and no negative number. */
const FREE: u32 = 0x7fffffff

/** messages whose outer hash waits */
let waiting: i32 = 0

/** Runs the first `count` jobs of SCRATCH_ORDER through the lanes. */
export function hashMixed(count: i32): void {
  waiting = 0
  for (let lane = 0; lane < MOST_LANES; lane++) freeLane(lane)
  let next = min(count, lanes)
  for (let lane = 0; lane < next; lane++) startLane(lane, orderedJob(scratch, lane))
  let busy = next
  while (busy > 0) {
    if (busy < lanes) lendAddresses()
    for (let done = stepLanes(); done !== 0; done &= done - 1) {
      const lane = ctz(done)
      if (!endStretch(lane)) continue
      if (next < count) {
        startLane(lane, orderedJob(scratch, next++))
      } else {
        freeLane(lane)
        busy--
      }
    }
  }
  finishOuter()
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
function startLane(lane: i32, job: usize): void {
  const blocks = load<u32>(job, HASH_JOB_LENGTH) >> shift
  store<u32>(entry(SCRATCH_HASH_JOBS, lane), <u32>job)
  loadInner(scratch + SCRATCH_HASH_STATES, lane, <usize>load<u32>(job, HASH_JOB_STATE))
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
function freeLane(lane: i32): void {
  store<u32>(entry(SCRATCH_HASH_LEFT, lane), FREE)
}

/** Points the free lanes at the data of a busy one: they must read something, their result is not used. */
function lendAddresses(): void {
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
function stepLanes(): i32 {
  const left = scratch + SCRATCH_HASH_LEFT
  const low = i32x4.min_u(v128.load(left), v128.load(left, 16))
  const high = i32x4.min_u(v128.load(left, 32), v128.load(left, 48))
  const two = i32x4.min_u(low, high)
  const pair = i32x4.min_u(two, v128.shuffle<i32>(two, two, 2, 3, 0, 1))
  const blocks = min<u32>(i32x4.extract_lane(pair, 0), i32x4.extract_lane(pair, 1))
  hashBlocks(scratch + SCRATCH_HASH_LANES, <i32>blocks, scratch + SCRATCH_HASH_STATES)
  const first = advance(blocks, 0) | (advance(blocks, 16) << 4)
  return first | (advance(blocks, 32) << 8) | (advance(blocks, 48) << 12)
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
function endStretch(lane: i32): bool {
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
  loadOuter(scratch + SCRATCH_HASH_OUTER_STATES, waiting, <usize>load<u32>(<usize>job, HASH_JOB_STATE))
  const from = scratch + SCRATCH_HASH_STATES + ((<usize>lane) << wordShift)
  const to = scratch + SCRATCH_HASH_OUTER_WORDS + ((<usize>waiting) << wordShift)
  copyWords(to, row, from, row, digest)
  if (++waiting === lanes) finishOuter()
}

// outer -> ICV
function finishOuter(): void {
  if (waiting !== 0) hashOuter(waiting)
  waiting = 0
}
