/**
 * AES-CBC over cipher jobs, in place (NIST SP 800-38A §6.2; ESP: RFC 3602).
 *
 * Encryption gives every message a lane, since its blocks depend on each other: 16 messages advance together
 * by the block count of the shortest, then the finished lanes get the next messages of the list, longest
 * first; 8 and fewer messages go through a kernel of 8 lanes. Decryption gives every block a lane, 16 or 8
 * blocks a step, from the last block of a message to its first. Where vectors are joined (vectors.ts), more than 16
 * messages or blocks go through kernels of 64 lanes.
 *
 * The sliced round keys are made anew only when a lane changes to another schedule.
 */
import {
  AES_GROUP,
  AES_LANES,
  AES_WIDE,
  forgetSchedules,
  setSchedule,
  sliceKeys,
  sliceWideKeys,
} from './aes-lanes.ts'
import { aesCbcDecryptRun, aesCbcDecryptRun16 } from './generated/aes-cbc-decrypt.ts'
import { aesCbcEncryptRun, aesCbcEncryptRun16 } from './generated/aes-cbc-encrypt.ts'
import { aesWideDecryptRun } from './generated/aes-wide-decrypt.ts'
import { aesWideEncryptRun } from './generated/aes-wide-encrypt.ts'
import { CIPHER_JOB_BLOCKS, CIPHER_JOB_BYTES, CIPHER_JOB_DATA, CIPHER_JOB_SCHEDULE } from './job.ts'
import { orderByLength, orderByValue, orderedJob, portion } from './order.ts'
import {
  SCRATCH_AES_KEYS,
  SCRATCH_AES_LANES,
  SCRATCH_AES_LEFT,
  SCRATCH_AES_SCHEDULES,
  SCRATCH_AES_STATE,
  SCRATCH_AES_WIDE_STATE,
  SCRATCH_AES_WIPE_BYTES,
} from './scratch.ts'
import { wideVectors } from './vectors.ts'

/** Blocks left of a lane without a message: more than any message has, and no negative number. */
const FREE: u32 = 0x7fffffff

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
  forgetSchedules(scratch)
  let lanes = lanesFor(count)
  let next = min(count, lanes)
  let busy = next
  for (let lane = 0; lane < AES_WIDE; lane++) {
    if (lane < next) startLane(scratch, lane, orderedJob(scratch, lane))
    else freeLane(scratch, lane)
  }
  while (busy > 0) {
    if (lanesFor(busy) < lanes) {
      if (lanes === AES_WIDE) forgetSchedules(scratch)
      lanes = lanesFor(busy)
      gatherLanes(scratch, lanes)
    }
    if (busy < lanes) followBusy(scratch, lanes)
    const blocks = shortestLane(scratch)
    encryptLanes(scratch, lanes, blocks, rounds)
    for (let done = advanceLanes(scratch, blocks); done !== 0; done &= done - 1) {
      const lane = <i32>ctz(done)
      if (next < count) {
        startLane(scratch, lane, orderedJob(scratch, next++))
      } else {
        freeLane(scratch, lane)
        busy--
      }
    }
  }
}

/** The lanes of the kernel that is the fastest for `busy` messages or blocks at once. */
function lanesFor(busy: i32): i32 {
  if (busy > AES_LANES && wideVectors()) return AES_WIDE
  return busy > AES_GROUP ? AES_LANES : AES_GROUP
}

/** `blocks` blocks in the first `lanes` lanes. */
function encryptLanes(scratch: usize, lanes: i32, blocks: i32, rounds: i32): void {
  const table = scratch + SCRATCH_AES_LANES
  if (lanes === AES_WIDE) {
    const wideKeys = sliceWideKeys(scratch, rounds)
    aesWideEncryptRun(table, blocks, rounds, wideKeys, scratch + SCRATCH_AES_WIDE_STATE)
    return
  }
  const otherKeys = sliceKeys(scratch, rounds, lanes)
  const keys = scratch + SCRATCH_AES_KEYS
  if (lanes === AES_GROUP) aesCbcEncryptRun(table, blocks, rounds, keys)
  else aesCbcEncryptRun16(table, blocks, rounds, keys, otherKeys, scratch + SCRATCH_AES_STATE)
}

/** Puts the first block of `job` into a lane. */
function startLane(scratch: usize, lane: i32, job: usize): void {
  store<u32>(scratch + ((<usize>lane) << 2), load<u32>(job, CIPHER_JOB_BLOCKS), SCRATCH_AES_LEFT)
  setLane(scratch, lane, load<u32>(job, CIPHER_JOB_DATA) - 16, load<u32>(job, CIPHER_JOB_SCHEDULE))
}

/** Takes a lane out of the run. */
function freeLane(scratch: usize, lane: i32): void {
  store<u32>(scratch + ((<usize>lane) << 2), FREE, SCRATCH_AES_LEFT)
}

function isFree(scratch: usize, lane: i32): bool {
  return load<u32>(scratch + ((<usize>lane) << 2), SCRATCH_AES_LEFT) === FREE
}

/** Lets lane `lane` stand where `other` stands, under the same key. */
function copyLane(scratch: usize, lane: i32, other: i32): void {
  const from = scratch + ((<usize>other) << 2)
  setLane(scratch, lane, load<u32>(from, SCRATCH_AES_LANES), load<u32>(from, SCRATCH_AES_SCHEDULES))
}

/** Lets the free lanes of the first `lanes` repeat the work of a busy one: the same bytes to the same place. */
function followBusy(scratch: usize, lanes: i32): void {
  let busy = 0
  while (isFree(scratch, busy)) busy++
  for (let lane = 0; lane < lanes; lane++) if (isFree(scratch, lane)) copyLane(scratch, lane, busy)
}

/** Moves the busy lanes from `lanes` on to the first `lanes`, where there is room for them. */
function gatherLanes(scratch: usize, lanes: i32): void {
  let to = 0
  for (let lane = lanes; lane < AES_WIDE; lane++) {
    if (isFree(scratch, lane)) continue
    while (!isFree(scratch, to)) to++
    const left = load<u32>(scratch + ((<usize>lane) << 2), SCRATCH_AES_LEFT)
    store<u32>(scratch + ((<usize>to) << 2), left, SCRATCH_AES_LEFT)
    copyLane(scratch, to, lane)
    freeLane(scratch, lane)
  }
}

/** Sets a lane to the block behind `before`, under `schedule`. */
function setLane(scratch: usize, lane: i32, before: u32, schedule: u32): void {
  store<u32>(scratch + ((<usize>lane) << 2), before, SCRATCH_AES_LANES)
  setSchedule(scratch, lane, schedule)
}

/** The smallest number of blocks left in a busy lane. */
function shortestLane(scratch: usize): i32 {
  let four = v128.load(scratch, SCRATCH_AES_LEFT)
  for (let at = scratch + 16; at < scratch + 4 * AES_WIDE; at += 16) {
    four = i32x4.min_u(four, v128.load(at, SCRATCH_AES_LEFT))
  }
  const two = i32x4.min_u(four, v128.shuffle<i32>(four, four, 2, 3, 0, 1))
  return min<i32>(i32x4.extract_lane(two, 0), i32x4.extract_lane(two, 1))
}

/** Moves all lanes on by `blocks` blocks; returns the busy ones that have none left, one bit each. */
function advanceLanes(scratch: usize, blocks: i32): u64 {
  const step = i32x4.splat(blocks)
  const bytes = i32x4.splat(blocks << 4)
  const free = i32x4.splat(FREE)
  let done: u64 = 0
  for (let part = 0; part < AES_WIDE / 4; part++) {
    const at = scratch + ((<usize>part) << 4)
    const left = v128.load(at, SCRATCH_AES_LEFT)
    const now = v128.bitselect(left, i32x4.sub(left, step), i32x4.eq(left, free))
    v128.store(at, now, SCRATCH_AES_LEFT)
    v128.store(at, i32x4.add(v128.load(at, SCRATCH_AES_LANES), bytes), SCRATCH_AES_LANES)
    done |= (<u64>i32x4.bitmask(i32x4.eq(now, i32x4.splat(0)))) << (part << 2)
  }
  return done
}

/**
 * Decrypts the jobs of SCRATCH_ORDER. As many blocks at the end of a long message as fill all lanes go in one
 * run; what is left of it shares a step with the end of the next message.
 */
function decryptOrdered(count: i32, rounds: i32, scratch: usize): void {
  let blocks: u64 = 0
  for (let i = 0; i < count; i++) blocks += load<u32>(orderedJob(scratch, i), CIPHER_JOB_BLOCKS)
  let next = 0
  let job: usize = 0
  let left: u32 = 0
  let lanes = 0
  while (blocks > 0) {
    const wanted = lanesFor(<i32>min<u64>(blocks, AES_WIDE))
    if (wanted !== lanes) forgetSchedules(scratch)
    lanes = wanted
    const filled = <i32>min<u64>(blocks, lanes)
    let steps: u32 = 1
    for (let lane = 0; lane < filled; ) {
      while (left === 0) {
        job = orderedJob(scratch, next++)
        left = load<u32>(job, CIPHER_JOB_BLOCKS)
      }
      if (lane === 0) steps = max<u32>(left / lanes, 1)
      const last = min<i32>(filled, lane + <i32>left)
      const schedule = load<u32>(job, CIPHER_JOB_SCHEDULE)
      const data = load<u32>(job, CIPHER_JOB_DATA)
      for (; lane < last; lane++) setLane(scratch, lane, data + ((--left - 1) << 4), schedule)
    }
    for (let lane = filled; lane < lanes; lane++) copyLane(scratch, lane, filled - 1)
    decryptLanes(scratch, lanes, <i32>steps, rounds)
    left -= (steps - 1) * lanes
    blocks -= <u64>filled + <u64>((steps - 1) * lanes)
  }
}

/** `steps` steps of the first `lanes` lanes. */
function decryptLanes(scratch: usize, lanes: i32, steps: i32, rounds: i32): void {
  const table = scratch + SCRATCH_AES_LANES
  if (lanes === AES_WIDE) {
    const wideKeys = sliceWideKeys(scratch, rounds)
    aesWideDecryptRun(table, steps, rounds, wideKeys, scratch + SCRATCH_AES_WIDE_STATE)
    return
  }
  const otherKeys = sliceKeys(scratch, rounds, lanes)
  const keys = scratch + SCRATCH_AES_KEYS
  if (lanes === AES_GROUP) aesCbcDecryptRun(table, steps, rounds, keys)
  else aesCbcDecryptRun16(table, steps, rounds, keys, otherKeys, scratch + SCRATCH_AES_STATE)
}

/** Wipes what was made of keys. */
function wipeKeys(scratch: usize): void {
  memory.fill(scratch + SCRATCH_AES_KEYS, 0, SCRATCH_AES_WIPE_BYTES)
}
