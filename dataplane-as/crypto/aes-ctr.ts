/**
 * AES in counter mode over AEAD jobs, as AES-GCM needs it (NIST SP 800-38D §6.5, §7).
 *
 * Every block has a lane, 16 blocks a step, or 8 if there are no more; 64 where vectors are joined (vectors.ts) and
 * there are more than 16. The blocks of a job are numbered: 0 is the one that masks its tag
 * (counter 1), n > 0 is block n of the data (counter n + 1). As many whole blocks of a long message as fill
 * all lanes go in one run; the rest shares a step with the blocks of the next message. A block that is not whole is worked on
 * in scratch.
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
import { copyShort } from './block-word.ts'
import { aesCtrRun, aesCtrRun16 } from './generated/aes-ctr.ts'
import { aesWideCtrRun } from './generated/aes-wide-ctr.ts'
import { AEAD_JOB_DATA, AEAD_JOB_KEY, AEAD_JOB_LENGTH, AEAD_JOB_NONCE } from './job.ts'
import { orderedJob } from './order.ts'
import {
  SCRATCH_AEAD_MASKS,
  SCRATCH_AES_KEYS,
  SCRATCH_AES_STATE,
  SCRATCH_AES_WIDE_STATE,
  SCRATCH_CTR_BLOCKS,
  SCRATCH_CTR_COUNTERS,
  SCRATCH_CTR_LANES,
  SCRATCH_CTR_NUMBERS,
  SCRATCH_CTR_PARTIAL,
  SCRATCH_CTR_PARTIALS,
} from './scratch.ts'
import { wideVectors } from './vectors.ts'

/** Make the masks of the tags: SCRATCH_AEAD_MASKS[i] for job i of the order. */
export const CTR_MASKS = 1
/** Encrypt or decrypt the data. */
export const CTR_DATA = 2

// one partial block
const P_LANE = 0
const P_ADDRESS = 4
const P_BYTES = 8

/** Works on the first `count` jobs of SCRATCH_ORDER; `parts`: CTR_MASKS, CTR_DATA or both. */
export function ctrOrdered(count: i32, rounds: i32, parts: i32, scratch: usize): void {
  const first: u32 = (parts & CTR_MASKS) !== 0 ? 0 : 1
  if (first === 0) memory.fill(scratch + SCRATCH_AEAD_MASKS, 0, (<usize>count) << 4)
  store<u32>(scratch, 0, SCRATCH_CTR_PARTIALS)
  forgetSchedules(scratch)
  const most = wideVectors() ? AES_WIDE : AES_LANES
  let index = -1
  let block: u32 = 0
  let end: u32 = 0
  let whole: u32 = 0
  let job: usize = 0
  while (true) {
    let filled = 0
    let steps: u32 = 1
    while (filled < most) {
      if (block === end) {
        if (++index >= count) break
        job = orderedJob(scratch, index)
        const length = load<u32>(job, AEAD_JOB_LENGTH)
        block = first
        whole = (length >> 4) + 1
        end = (parts & CTR_DATA) !== 0 ? (length + 15) / 16 + 1 : 1
        continue
      }
      if (most === AES_LANES && filled === 0 && block > 0 && whole > block)
        steps = max<u32>((whole - block) / AES_LANES, 1)
      const last = min<i32>(most, filled + <i32>(end - block))
      fillLanes(scratch, filled, last, job, block, index)
      block += <u32>(last - filled)
      filled = last
    }
    if (filled === 0) return
    const lanes = filled > AES_LANES ? AES_WIDE : filled > AES_GROUP ? AES_LANES : AES_GROUP
    for (let lane = filled; lane < lanes; lane++) idle(scratch, lane, job)
    if (lanes === AES_WIDE) runWide(scratch, rounds)
    else {
      // the few that are left: their keys have another form
      if (most === AES_WIDE) forgetSchedules(scratch)
      runLanes(scratch, lanes, <i32>steps, rounds)
    }
    block += (steps - 1) * AES_LANES
    finishPartials(scratch)
  }
}

/** `steps` steps of the first `lanes` (8 or 16) lanes. */
function runLanes(scratch: usize, lanes: i32, steps: i32, rounds: i32): void {
  const otherKeys = sliceKeys(scratch, rounds, lanes)
  const table = scratch + SCRATCH_CTR_LANES
  const counters = scratch + SCRATCH_CTR_COUNTERS
  const keys = scratch + SCRATCH_AES_KEYS
  for (let lane: usize = 0; lane < <usize>lanes; lane++)
    store<u32>(scratch + (lane << 2), bswap<u32>(load<u32>(counters + (lane << 4), 12)), SCRATCH_CTR_NUMBERS)
  if (lanes === AES_GROUP) aesCtrRun(table, counters, steps, rounds, keys)
  else aesCtrRun16(table, counters, steps, rounds, keys, otherKeys, scratch + SCRATCH_AES_STATE)
}

/** One step of 64 lanes. */
function runWide(scratch: usize, rounds: i32): void {
  const table = scratch + SCRATCH_CTR_LANES
  const block = i32x4.splat(16)
  for (let at = table; at < table + 4 * AES_WIDE; at += 16) v128.store(at, i32x4.sub(v128.load(at), block))
  const keys = sliceWideKeys(scratch, rounds)
  const counters = scratch + SCRATCH_CTR_COUNTERS
  aesWideCtrRun(table, 1, rounds, keys, scratch + SCRATCH_AES_WIDE_STATE, counters)
}

/** Puts the blocks of `job`, the job `index` of the order, from number `block` on into lanes `lane` to `last` - 1. */
function fillLanes(scratch: usize, lane: i32, last: i32, job: usize, block: u32, index: i32): void {
  const schedule = load<u32>(job, AEAD_JOB_KEY)
  const nonce = v128.load(job, AEAD_JOB_NONCE)
  const data = load<u32>(job, AEAD_JOB_DATA) - 16
  const length = load<u32>(job, AEAD_JOB_LENGTH)
  for (; lane < last; lane++, block++) {
    const at = scratch + ((<usize>lane) << 2)
    setSchedule(scratch, lane, schedule)
    const counter = i32x4.replace_lane(nonce, 3, bswap<u32>(block + 1))
    v128.store(scratch + ((<usize>lane) << 4), counter, SCRATCH_CTR_COUNTERS)
    let address = data + (block << 4)
    if (block === 0) address = <u32>scratch + SCRATCH_AEAD_MASKS + ((<u32>index) << 4)
    else if (block << 4 > length) address = <u32>startPartial(scratch, lane, <usize>address, length & 15)
    store<u32>(at, address, SCRATCH_CTR_LANES)
  }
}

function laneBlock(scratch: usize, lane: i32): usize {
  return scratch + SCRATCH_CTR_BLOCKS + ((<usize>lane) << 4)
}

/** Copies a partial block to scratch and notes where it belongs; returns the address in scratch. */
function startPartial(scratch: usize, lane: i32, data: usize, bytes: u32): usize {
  const count = load<u32>(scratch, SCRATCH_CTR_PARTIALS)
  const entry = scratch + SCRATCH_CTR_PARTIAL + ((<usize>count) << 4)
  store<u32>(entry, lane, P_LANE)
  store<u32>(entry, <u32>data, P_ADDRESS)
  store<u32>(entry, bytes, P_BYTES)
  store<u32>(scratch, count + 1, SCRATCH_CTR_PARTIALS)
  copyShort(laneBlock(scratch, lane), data, bytes)
  return laneBlock(scratch, lane)
}

/** Copies the partial blocks of this step back. */
function finishPartials(scratch: usize): void {
  const count = load<u32>(scratch, SCRATCH_CTR_PARTIALS)
  for (let i: u32 = 0; i < count; i++) {
    const entry = scratch + SCRATCH_CTR_PARTIAL + ((<usize>i) << 4)
    const from = laneBlock(scratch, load<u32>(entry, P_LANE))
    copyShort(<usize>load<u32>(entry, P_ADDRESS), from, load<u32>(entry, P_BYTES))
  }
  store<u32>(scratch, 0, SCRATCH_CTR_PARTIALS)
}

/** A lane without a block works on a block of scratch, with the key of `job`. */
function idle(scratch: usize, lane: i32, job: usize): void {
  setSchedule(scratch, lane, load<u32>(job, AEAD_JOB_KEY))
  store<u32>(scratch + ((<usize>lane) << 2), <u32>laneBlock(scratch, lane), SCRATCH_CTR_LANES)
}
