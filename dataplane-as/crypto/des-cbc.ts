/**
 * DES-CBC and 3DES-CBC over cipher jobs, in place (SP 800-38A §6.2; ESP: RFC 2405, RFC 2451).
 *
 * The job record is that of job.ts, with blocks of 8 bytes and an IV of 8 bytes directly before the first.
 * The schedule is made by desExpandKey or tdesExpandKey (des.ts).
 *
 * The kernels are all in constant time. A step of the bitsliced one works on 128 blocks and costs
 * the same however few of its lanes hold messages; one of the byte kernel works on 16; the last one works on
 * one. Encryption gives every message a lane, since its blocks depend on each other, longest first; a lane that
 * has finished gets the next message. When lanes run out of messages, what is left goes to the narrower kernel
 * as soon as that is faster (SLICED_LEAST, BYTES_LEAST). Decryption gives every block a lane, from the last
 * block of a message to its first; where vectors are joined (vectors.ts), 256 blocks a step.
 *
 * Nothing but the scratch area says where encryption stands: `runSliced` can be left after any step, and goes
 * on with the lanes as they are when it is called with more jobs in the order. Who wants to keep lanes alive
 * across calls calls it with `least` above the number of lanes to be left to fill up, and `finish` in the end.
 */

import {
  blocksLeft,
  countDown,
  fillLanes,
  laneAddress,
  laneSchedule,
  moveLane,
  setLane,
  setRun,
  shortestLane,
  sortLanes,
  stepLanes,
} from './des-lanes.ts'
import {
  DES_ADDRESSES,
  DES_CHAIN,
  DES_KEYS,
  DES_LANES,
  DES_SCHEDULES,
  DES_SORTED,
  DES_STATE,
  DES_WIDE,
  DES_WIPE_BYTES,
} from './des-scratch.ts'
import { DES_SCHEDULE_ROUNDS } from './des-sizes.ts'
import { desBytesDecrypt, desBytesEncrypt, desBytesKeys } from './generated/des-bytes.ts'
import { desSingleEncrypt, desSingleKeys } from './generated/des-single.ts'
import { desSlicedDecrypt, desSlicedEncrypt, desSlicedKeys } from './generated/des-sliced.ts'
import { desWideDecrypt, desWideKeys } from './generated/des-wide.ts'
import { CIPHER_JOB_BLOCKS, CIPHER_JOB_BYTES, CIPHER_JOB_DATA, CIPHER_JOB_SCHEDULE } from './job.ts'
import { orderByLength, orderByValue, orderedJob, portion } from './order.ts'
import { wideVectors } from './vectors.ts'

/** Lanes of the byte kernel. */
const BYTES_LANES = 16
/** From this many messages or blocks on the bitsliced kernel is faster than the byte kernel. */
const SLICED_LEAST = 33
/** From this many blocks on the kernel for joined vectors is faster than the other bitsliced one. */
const WIDE_LEAST = 145
/** From this many messages on the byte kernel is faster than the kernel of one message. */
const BYTES_LEAST = 4

const DES_PASSES = 1
const TDES_PASSES = 3

/** Encrypts `count` jobs with DES. `scratch`: TDES_SCRATCH_BYTES. */
export function desCbcEncrypt(jobs: usize, count: i32, scratch: usize): void {
  encrypt(jobs, count, DES_PASSES, scratch)
}

/** Decrypts `count` jobs with DES. `scratch`: TDES_SCRATCH_BYTES. */
export function desCbcDecrypt(jobs: usize, count: i32, scratch: usize): void {
  decrypt(jobs, count, DES_PASSES, scratch)
}

/** Encrypts `count` jobs with 3DES. `scratch`: TDES_SCRATCH_BYTES. */
export function tdesCbcEncrypt(jobs: usize, count: i32, scratch: usize): void {
  encrypt(jobs, count, TDES_PASSES, scratch)
}

/** Decrypts `count` jobs with 3DES. `scratch`: TDES_SCRATCH_BYTES. */
export function tdesCbcDecrypt(jobs: usize, count: i32, scratch: usize): void {
  decrypt(jobs, count, TDES_PASSES, scratch)
}

function encrypt(jobs: usize, count: i32, passes: i32, scratch: usize): void {
  while (count > 0) {
    const now = portion(count)
    orderByLength(jobs, now, CIPHER_JOB_BYTES, CIPHER_JOB_BLOCKS, 0, scratch)
    encryptOrdered(now, passes, scratch)
    jobs += <usize>now * CIPHER_JOB_BYTES
    count -= now
  }
  wipe(scratch)
}

function decrypt(jobs: usize, count: i32, passes: i32, scratch: usize): void {
  while (count > 0) {
    const now = portion(count)
    orderByValue(jobs, now, CIPHER_JOB_BYTES, CIPHER_JOB_SCHEDULE, scratch)
    decryptOrdered(now, passes, scratch)
    jobs += <usize>now * CIPHER_JOB_BYTES
    count -= now
  }
  wipe(scratch)
}

/** Encrypts the jobs of SCRATCH_ORDER, longest first; jobs without blocks stand last and are left out. */
function encryptOrdered(count: i32, passes: i32, scratch: usize): void {
  while (count > 0 && load<u32>(orderedJob(scratch, count - 1), CIPHER_JOB_BLOCKS) === 0) count--
  const started = min(count, DES_LANES)
  for (let lane = 0; lane < started; lane++) startLane(scratch, lane, orderedJob(scratch, lane))
  const live = runSliced(started, started, count, SLICED_LEAST, passes, scratch)
  finish(live, passes, scratch)
}

/** Puts the first block of `job` into a lane; says whether the lane changed to another schedule. */
function startLane(scratch: usize, lane: i32, job: usize): bool {
  const before = load<u32>(job, CIPHER_JOB_DATA) - 8
  return setLane(
    scratch,
    lane,
    before,
    load<u32>(job, CIPHER_JOB_SCHEDULE),
    load<u32>(job, CIPHER_JOB_BLOCKS),
  )
}

/**
 * Encrypts in lanes 0 to `live` - 1, and jobs `next` to `count` - 1 of the order in lanes that become free,
 * until fewer than `least` lanes hold messages; returns their number.
 */
function runSliced(live: i32, next: i32, count: i32, least: i32, passes: i32, scratch: usize): i32 {
  let changed = true
  while (live >= least) {
    if (fillLanes(scratch, live, DES_LANES)) changed = true
    if (changed) {
      desSlicedKeys(scratch + DES_SCHEDULES, passes, scratch + DES_KEYS, scratch + DES_SORTED)
      changed = false
    }
    const blocks = shortestLane(scratch, live)
    for (let i: u32 = 0; i < blocks; i++) {
      desSlicedEncrypt(
        scratch + DES_ADDRESSES,
        passes,
        scratch + DES_KEYS,
        scratch + DES_STATE,
        scratch + DES_SORTED,
      )
      stepLanes(scratch, DES_LANES)
    }
    countDown(scratch, live, blocks)
    for (let lane = 0; lane < live; lane++) {
      if (blocksLeft(scratch, lane) !== 0) continue
      if (next < count) {
        if (startLane(scratch, lane, orderedJob(scratch, next++))) changed = true
      } else if (moveLane(scratch, --live, lane--)) changed = true
    }
  }
  return live
}

/** Encrypts what lanes 0 to `live` - 1 have left. */
function finish(live: i32, passes: i32, scratch: usize): void {
  sortLanes(scratch, live)
  live = runBytes(live, passes, scratch)
  for (let lane = 0; lane < live; lane++) runSingle(lane, passes, scratch)
}

/**
 * Encrypts in lanes 0 to 15; lanes 16 to `live` - 1 wait and take the place of lanes that have finished. Ends
 * when fewer than BYTES_LEAST lanes hold messages; returns their number.
 */
function runBytes(live: i32, passes: i32, scratch: usize): i32 {
  let changed = true
  let next = BYTES_LANES
  let working = min(live, BYTES_LANES)
  while (working >= BYTES_LEAST) {
    if (fillLanes(scratch, working, BYTES_LANES)) changed = true
    if (changed) bytesKeys(passes, scratch)
    changed = false
    const blocks = shortestLane(scratch, working)
    for (let i: u32 = 0; i < blocks; i++) {
      desBytesEncrypt(scratch + DES_ADDRESSES, passes, scratch + DES_KEYS, scratch + DES_STATE)
      stepLanes(scratch, BYTES_LANES)
    }
    countDown(scratch, working, blocks)
    for (let lane = 0; lane < working; lane++) {
      if (blocksLeft(scratch, lane) !== 0) continue
      if (next < live) {
        if (moveLane(scratch, next++, lane)) changed = true
      } else if (moveLane(scratch, --working, lane--)) changed = true
    }
  }
  return working
}

/** Keys of lanes 0 to 15 for the byte kernel. */
function bytesKeys(passes: i32, scratch: usize): void {
  desBytesKeys(scratch + DES_SCHEDULES, DES_SCHEDULE_ROUNDS, passes << 4, scratch + DES_KEYS)
}

/** Encrypts what one lane has left. */
function runSingle(lane: i32, passes: i32, scratch: usize): void {
  const keys = scratch + DES_KEYS
  desSingleKeys(laneSchedule(scratch, lane) + DES_SCHEDULE_ROUNDS, passes << 4, keys)
  const before = laneAddress(scratch, lane)
  desSingleEncrypt(before, <i32>blocksLeft(scratch, lane), passes, keys)
}

/** Decrypts the jobs of SCRATCH_ORDER: 256 or 128 blocks a step, the last ones 16 a step if that is faster. */
function decryptOrdered(count: i32, passes: i32, scratch: usize): void {
  let blocks: u64 = 0
  for (let i = 0; i < count; i++) blocks += load<u32>(orderedJob(scratch, i), CIPHER_JOB_BLOCKS)
  let next = 0
  let job: usize = 0
  let left: u32 = 0
  let width = 0
  let changed = true
  while (blocks > 0) {
    const last = width
    width = widthFor(blocks)
    if (width !== last) changed = true
    const filled = <i32>min<u64>(blocks, <u64>width)
    for (let lane = 0; lane < filled; ) {
      while (left === 0) {
        job = orderedJob(scratch, next++)
        left = load<u32>(job, CIPHER_JOB_BLOCKS)
      }
      const run = <i32>min(left, <u32>(filled - lane))
      const before = load<u32>(job, CIPHER_JOB_DATA) + (left << 3) - 16
      if (setRun(scratch, lane, run, before, load<u32>(job, CIPHER_JOB_SCHEDULE))) changed = true
      lane += run
      left -= <u32>run
    }
    if (fillLanes(scratch, filled, width)) changed = true
    decryptStep(width, changed, passes, scratch)
    changed = false
    blocks -= <u64>filled
  }
}

/** The lanes of the kernel that is the fastest for `blocks` blocks at once. */
function widthFor(blocks: u64): i32 {
  if (blocks >= <u64>WIDE_LEAST && wideVectors()) return DES_WIDE
  return blocks >= <u64>SLICED_LEAST ? DES_LANES : BYTES_LANES
}

/** Decrypts one block in each of `width` lanes. */
function decryptStep(width: i32, changed: bool, passes: i32, scratch: usize): void {
  const keys = scratch + DES_KEYS
  const state = scratch + DES_STATE
  const sorted = scratch + DES_SORTED
  if (width === DES_WIDE) {
    if (changed) desWideKeys(scratch + DES_SCHEDULES, passes, keys, sorted)
    desWideDecrypt(scratch + DES_ADDRESSES, passes, keys, state, sorted, scratch + DES_CHAIN)
  } else if (width === DES_LANES) {
    if (changed) desSlicedKeys(scratch + DES_SCHEDULES, passes, keys, sorted)
    desSlicedDecrypt(scratch + DES_ADDRESSES, passes, keys, state, sorted, scratch + DES_CHAIN)
  } else {
    if (changed) bytesKeys(passes, scratch)
    desBytesDecrypt(scratch + DES_ADDRESSES, passes, keys, state)
  }
}

/** Wipes what was made of keys and blocks. */
function wipe(scratch: usize): void {
  memory.fill(scratch + DES_STATE, 0, DES_WIPE_BYTES)
}
