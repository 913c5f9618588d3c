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
import { aesCbcDecryptRun } from './generated/aes-cbc-decrypt.ts'
import { aesCbcEncryptRun } from './generated/aes-cbc-encrypt.ts'
import { aesSliceKeys, aesSpreadKey } from './generated/aes-keys.ts'
import { CIPHER_JOB_BLOCKS, CIPHER_JOB_BYTES, CIPHER_JOB_DATA, CIPHER_JOB_SCHEDULE } from './job.ts'
import { orderByLength, orderByValue, orderedJob, portion } from './order.ts'
import {
  SCRATCH_AES_KEYS,
  SCRATCH_AES_KEYS_BYTES,
  SCRATCH_AES_LEFT,
  SCRATCH_AES_SCHEDULES,
  SCRATCH_LANES,
} from './scratch.ts'

const LANES = 8

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
  const keys = scratch + SCRATCH_AES_KEYS
  let next = 0
  for (let lane = 0; lane < LANES; lane++)
    startLane(scratch, lane, orderedJob(scratch, next < count ? next++ : 0))
  let changed = true
  while (true) {
    if (changed) sliceKeys(scratch, rounds)
    changed = false
    const blocks = shortestLane(scratch)
    aesCbcEncryptRun(scratch + SCRATCH_LANES, blocks, rounds, keys)
    advanceLanes(scratch, blocks)
    for (let lane = 0; lane < LANES; lane++) {
      if (load<u32>(scratch + ((<usize>lane) << 2), SCRATCH_AES_LEFT) !== 0) continue
      if (next < count) {
        if (startLane(scratch, lane, orderedJob(scratch, next++))) changed = true
      } else {
        const other = longestLane(scratch)
        if (load<u32>(scratch + ((<usize>other) << 2), SCRATCH_AES_LEFT) === 0) return
        if (followLane(scratch, lane, other)) changed = true
      }
    }
  }
}

/** Puts the first block of `job` into a lane; says whether the lane changed to another schedule. */
function startLane(scratch: usize, lane: i32, job: usize): bool {
  store<u32>(scratch + ((<usize>lane) << 2), load<u32>(job, CIPHER_JOB_BLOCKS), SCRATCH_AES_LEFT)
  return setLane(scratch, lane, load<u32>(job, CIPHER_JOB_DATA) - 16, load<u32>(job, CIPHER_JOB_SCHEDULE))
}

/** Lets a lane without work do what `other` does; says whether the lane changed to another schedule. */
function followLane(scratch: usize, lane: i32, other: i32): bool {
  const from = scratch + ((<usize>other) << 2)
  store<u32>(scratch + ((<usize>lane) << 2), load<u32>(from, SCRATCH_AES_LEFT), SCRATCH_AES_LEFT)
  return setLane(scratch, lane, load<u32>(from, SCRATCH_LANES), load<u32>(from, SCRATCH_AES_SCHEDULES))
}

/** Sets a lane to the block behind `before`, under `schedule`; says whether that is another schedule. */
function setLane(scratch: usize, lane: i32, before: u32, schedule: u32): bool {
  const at = scratch + ((<usize>lane) << 2)
  store<u32>(at, before, SCRATCH_LANES)
  if (load<u32>(at, SCRATCH_AES_SCHEDULES) === schedule) return false
  store<u32>(at, schedule, SCRATCH_AES_SCHEDULES)
  return true
}

/** The smallest number of blocks left in a lane. */
function shortestLane(scratch: usize): i32 {
  const left = scratch + SCRATCH_AES_LEFT
  let least = load<u32>(left)
  for (let at: usize = 4; at < 4 * LANES; at += 4) least = min(least, load<u32>(left + at))
  return <i32>least
}

/** The lane with the most blocks left. */
function longestLane(scratch: usize): i32 {
  const left = scratch + SCRATCH_AES_LEFT
  let longest = 0
  for (let lane = 1; lane < LANES; lane++) {
    if (load<u32>(left + ((<usize>lane) << 2)) > load<u32>(left + ((<usize>longest) << 2))) longest = lane
  }
  return longest
}

/** Moves all lanes on by `blocks` blocks. */
function advanceLanes(scratch: usize, blocks: i32): void {
  for (let lane = 0; lane < LANES; lane++) {
    const at = scratch + ((<usize>lane) << 2)
    store<u32>(at, load<u32>(at, SCRATCH_LANES) + ((<u32>blocks) << 4), SCRATCH_LANES)
    store<u32>(at, load<u32>(at, SCRATCH_AES_LEFT) - <u32>blocks, SCRATCH_AES_LEFT)
  }
}

/**
 * Decrypts the jobs of SCRATCH_ORDER. Whole groups of 8 blocks at the end of a message go in one run; what
 * is left of it shares a step with the end of the next message.
 */
function decryptOrdered(count: i32, rounds: i32, scratch: usize): void {
  const keys = scratch + SCRATCH_AES_KEYS
  let next = 0
  let job: usize = 0
  let left: u32 = 0
  let changed = true
  while (true) {
    let filled = 0
    let steps: u32 = 1
    while (filled < LANES) {
      if (left === 0) {
        if (next === count) break
        job = orderedJob(scratch, next++)
        left = load<u32>(job, CIPHER_JOB_BLOCKS)
        continue
      }
      if (filled === 0) steps = max<u32>(left / LANES, 1)
      left--
      if (setBlock(scratch, filled++, job, left)) changed = true
    }
    if (filled === 0) return
    for (let lane = filled; lane < LANES; lane++) if (followLane(scratch, lane, filled - 1)) changed = true
    if (changed) sliceKeys(scratch, rounds)
    changed = false
    aesCbcDecryptRun(scratch + SCRATCH_LANES, <i32>steps, rounds, keys)
    left -= (steps - 1) * LANES
  }
}

/** Puts block `index` of `job` into a lane; says whether the lane changed to another schedule. */
function setBlock(scratch: usize, lane: i32, job: usize, index: u32): bool {
  const before = load<u32>(job, CIPHER_JOB_DATA) + ((index - 1) << 4)
  return setLane(scratch, lane, before, load<u32>(job, CIPHER_JOB_SCHEDULE))
}

/** Makes the sliced round keys of the lanes' schedules. */
function sliceKeys(scratch: usize, rounds: i32): void {
  const schedules = scratch + SCRATCH_AES_SCHEDULES
  const keys = scratch + SCRATCH_AES_KEYS
  const first = load<u32>(schedules)
  let shared = true
  for (let at: usize = 4; at < 4 * LANES; at += 4) if (load<u32>(schedules + at) !== first) shared = false
  if (shared) aesSpreadKey(<usize>first, rounds, keys)
  else aesSliceKeys(schedules, rounds, keys)
}

/** Wipes what was made of keys. */
function wipeKeys(scratch: usize): void {
  memory.fill(scratch + SCRATCH_AES_KEYS, 0, SCRATCH_AES_KEYS_BYTES)
}
