/**
 * AES-CBC over cipher jobs, in place (NIST SP 800-38A §6.2; ESP: RFC 3602).
 *
 * Encryption gives every message a lane, since its blocks depend on each other: 8 messages advance together
 * by the block count of the shortest, then the finished lanes get the next messages of the list, longest
 * first. Decryption gives every block a lane, 8 blocks a step, from the last block of a message to its first.
 * A lane without work repeats the work of another lane and writes the same bytes to the same place.
 *
 * The sliced round keys are made anew only when a lane changes to another schedule.
 */
import { AES_LANES, forgetSchedules, setSchedule, sliceKeys } from './aes-lanes.ts'
import { aesCbcDecryptRun } from './generated/aes-cbc-decrypt.ts'
import { aesCbcEncryptRun } from './generated/aes-cbc-encrypt.ts'
import { CIPHER_JOB_BLOCKS, CIPHER_JOB_BYTES, CIPHER_JOB_DATA, CIPHER_JOB_SCHEDULE } from './job.ts'
import { orderByLength, orderByValue, orderedJob, portion } from './order.ts'
import {
  SCRATCH_AES_KEYS,
  SCRATCH_AES_KEYS_BYTES,
  SCRATCH_AES_LEFT,
  SCRATCH_AES_SCHEDULES,
  SCRATCH_LANES,
} from './scratch.ts'

/**
 * Encrypts `count` cipher jobs. `rounds` (10, 12 or 14) holds for all of them; keys, IVs and lengths may
 * differ. `scratch`: KERNEL_SCRATCH_BYTES.
 */
export function aesCbcEncrypt(jobs: usize, count: i32, rounds: i32, scratch: usize): void {
  while (count > 0) {
    const now = portion(count)
    orderByLength(jobs, now, CIPHER_JOB_BYTES, CIPHER_JOB_BLOCKS, 0, scratch)
    encryptOrdered(now, rounds, scratch)
    jobs += <usize>now * CIPHER_JOB_BYTES
    count -= now
  }
  wipeKeys(scratch)
}

/** Decrypts `count` cipher jobs; as `aesCbcEncrypt`. */
export function aesCbcDecrypt(jobs: usize, count: i32, rounds: i32, scratch: usize): void {
  while (count > 0) {
    const now = portion(count)
    orderByValue(jobs, now, CIPHER_JOB_BYTES, CIPHER_JOB_SCHEDULE, scratch)
    decryptOrdered(now, rounds, scratch)
    jobs += <usize>now * CIPHER_JOB_BYTES
    count -= now
  }
  wipeKeys(scratch)
}

/** Encrypts the jobs of SCRATCH_ORDER, longest first; jobs without blocks stand last and are left out. */
function encryptOrdered(count: i32, rounds: i32, scratch: usize): void {
  while (count > 0 && load<u32>(orderedJob(scratch, count - 1), CIPHER_JOB_BLOCKS) === 0) count--
  if (count === 0) return
  forgetSchedules(scratch)
  let next = min(count, AES_LANES)
  for (let lane = 0; lane < AES_LANES; lane++)
    startLane(scratch, lane, orderedJob(scratch, lane < next ? lane : 0))
  while (true) {
    sliceKeys(scratch, rounds)
    const blocks = shortestLane(scratch)
    aesCbcEncryptRun(scratch + SCRATCH_LANES, blocks, rounds, scratch + SCRATCH_AES_KEYS)
    for (let done = advanceLanes(scratch, blocks); done !== 0; done &= done - 1) {
      const lane = ctz(done)
      if (next < count) {
        startLane(scratch, lane, orderedJob(scratch, next++))
      } else {
        const other = longestLane(scratch)
        if (load<u32>(scratch + ((<usize>other) << 2), SCRATCH_AES_LEFT) === 0) return
        followLane(scratch, lane, other)
      }
    }
  }
}

/** Puts the first block of `job` into a lane. */
function startLane(scratch: usize, lane: i32, job: usize): void {
  store<u32>(scratch + ((<usize>lane) << 2), load<u32>(job, CIPHER_JOB_BLOCKS), SCRATCH_AES_LEFT)
  setLane(scratch, lane, load<u32>(job, CIPHER_JOB_DATA) - 16, load<u32>(job, CIPHER_JOB_SCHEDULE))
}

/** Lets a lane without work do what `other` does. */
function followLane(scratch: usize, lane: i32, other: i32): void {
  const from = scratch + ((<usize>other) << 2)
  store<u32>(scratch + ((<usize>lane) << 2), load<u32>(from, SCRATCH_AES_LEFT), SCRATCH_AES_LEFT)
  setLane(scratch, lane, load<u32>(from, SCRATCH_LANES), load<u32>(from, SCRATCH_AES_SCHEDULES))
}

/** Sets a lane to the block behind `before`, under `schedule`. */
function setLane(scratch: usize, lane: i32, before: u32, schedule: u32): void {
  store<u32>(scratch + ((<usize>lane) << 2), before, SCRATCH_LANES)
  setSchedule(scratch, lane, schedule)
}

/** The smallest number of blocks left in a lane. */
function shortestLane(scratch: usize): i32 {
  const left = scratch + SCRATCH_AES_LEFT
  const four = i32x4.min_u(v128.load(left), v128.load(left, 16))
  const two = i32x4.min_u(four, v128.shuffle<i32>(four, four, 2, 3, 0, 1))
  return min<i32>(i32x4.extract_lane(two, 0), i32x4.extract_lane(two, 1))
}

/** The lane with the most blocks left. */
function longestLane(scratch: usize): i32 {
  const left = scratch + SCRATCH_AES_LEFT
  let longest = 0
  for (let lane = 1; lane < AES_LANES; lane++) {
    if (load<u32>(left + ((<usize>lane) << 2)) > load<u32>(left + ((<usize>longest) << 2))) longest = lane
  }
  return longest
}

/** Moves all lanes on by `blocks` blocks; returns the lanes that have none left, one bit each. */
function advanceLanes(scratch: usize, blocks: i32): i32 {
  const step = i32x4.splat(blocks)
  const bytes = i32x4.splat(blocks << 4)
  let done = 0
  for (let half = 0; half < 2; half++) {
    const at = scratch + ((<usize>half) << 4)
    const left = i32x4.sub(v128.load(at, SCRATCH_AES_LEFT), step)
    v128.store(at, left, SCRATCH_AES_LEFT)
    v128.store(at, i32x4.add(v128.load(at, SCRATCH_LANES), bytes), SCRATCH_LANES)
    done |= i32x4.bitmask(i32x4.eq(left, i32x4.splat(0))) << (half << 2)
  }
  return done
}

/**
 * Decrypts the jobs of SCRATCH_ORDER. Whole groups of 8 blocks at the end of a message go in one run; what
 * is left of it shares a step with the end of the next message.
 */
function decryptOrdered(count: i32, rounds: i32, scratch: usize): void {
  let next = 0
  let job: usize = 0
  let left: u32 = 0
  forgetSchedules(scratch)
  while (true) {
    let filled = 0
    let steps: u32 = 1
    while (filled < AES_LANES) {
      if (left === 0) {
        if (next === count) break
        job = orderedJob(scratch, next++)
        left = load<u32>(job, CIPHER_JOB_BLOCKS)
        continue
      }
      if (filled === 0) steps = max<u32>(left / AES_LANES, 1)
      left--
      const before = load<u32>(job, CIPHER_JOB_DATA) + ((left - 1) << 4)
      setLane(scratch, filled++, before, load<u32>(job, CIPHER_JOB_SCHEDULE))
    }
    if (filled === 0) return
    for (let lane = filled; lane < AES_LANES; lane++) followLane(scratch, lane, filled - 1)
    sliceKeys(scratch, rounds)
    aesCbcDecryptRun(scratch + SCRATCH_LANES, <i32>steps, rounds, scratch + SCRATCH_AES_KEYS)
    left -= (steps - 1) * AES_LANES
  }
}

/** Wipes what was made of keys. */
function wipeKeys(scratch: usize): void {
  memory.fill(scratch + SCRATCH_AES_KEYS, 0, SCRATCH_AES_KEYS_BYTES)
}
