/**
 * ChaCha20 over AEAD jobs (RFC 8439 §2.4, §2.6).
 *
 * Every block of 64 bytes has a lane, 4 blocks a step, or 8 where vectors are joined (vectors.ts). The blocks of a job are numbered by their counters: 0 is
 * the key of its Poly1305, n > 0 is block n of the data. As many whole blocks of a long message as fill all lanes go in one
 * run; the rest shares a step with the blocks of the next message. A block that is not whole is worked on in
 * scratch.
 */
import { copyShort } from './block-word.ts'
import { chachaRun } from './generated/chacha-lanes.ts'
import { chachaWideRun } from './generated/chacha-wide.ts'
import { AEAD_JOB_DATA, AEAD_JOB_KEY, AEAD_JOB_LENGTH, AEAD_JOB_NONCE } from './job.ts'
import { orderedJob } from './order.ts'
import {
  SCRATCH_AEAD_MASKS,
  SCRATCH_CHACHA_BLOCKS,
  SCRATCH_CHACHA_KEYS,
  SCRATCH_CHACHA_PARTIALS,
  SCRATCH_CHACHA_ROWS,
  SCRATCH_CHACHA_STATE,
  SCRATCH_LANES,
} from './scratch.ts'
import { wideVectors } from './vectors.ts'

const LANES = 4
const WIDE_LANES = 8
const BLOCK_SHIFT: u32 = 6
const BLOCK: u32 = 64

/** Make the Poly1305 keys: the first 32 of 64 bytes at SCRATCH_AEAD_MASKS + 64·i for job i of the order. */
export const CHACHA_KEYS = 1
/** Encrypt or decrypt the data. */
export const CHACHA_DATA = 2

/** Works on the first `count` jobs of SCRATCH_ORDER; `parts`: CHACHA_KEYS, CHACHA_DATA or both. */
export function chachaOrdered(count: i32, parts: i32, scratch: usize): void {
  const first: u32 = (parts & CHACHA_KEYS) !== 0 ? 0 : 1
  if (first === 0) memory.fill(scratch + SCRATCH_AEAD_MASKS, 0, (<usize>count) << BLOCK_SHIFT)
  const most = wideVectors() ? WIDE_LANES : LANES
  let index = -1
  let block: u32 = 0
  let end: u32 = 0
  let whole: u32 = 0
  let job: usize = 0
  while (true) {
    let filled = 0
    let steps: u32 = 1
    clearPartials(scratch)
    while (filled < most) {
      if (block === end) {
        if (++index >= count) break
        job = orderedJob(scratch, index)
        const length = load<u32>(job, AEAD_JOB_LENGTH)
        block = first
        whole = (length >> BLOCK_SHIFT) + 1
        end = (parts & CHACHA_DATA) !== 0 ? (length + BLOCK - 1) / BLOCK + 1 : 1
        continue
      }
      if (filled === 0 && block > 0 && whole > block) steps = max<u32>((whole - block) / most, 1)
      setBlock(scratch, filled++, job, block, index)
      block++
    }
    if (filled === 0) return
    const lanes = filled > LANES ? WIDE_LANES : LANES
    for (let lane = filled; lane < lanes; lane++) idle(scratch, lane, job)
    const rows = scratch + SCRATCH_CHACHA_ROWS
    const keys = scratch + SCRATCH_CHACHA_KEYS
    const state = scratch + SCRATCH_CHACHA_STATE
    if (lanes === LANES) chachaRun(keys, rows, scratch + SCRATCH_LANES, <i32>steps, state)
    else chachaWideRun(keys, rows, scratch + SCRATCH_LANES, <i32>steps, state)
    block += (steps - 1) * most
    finishPartials(scratch)
  }
}

function setLane(scratch: usize, lane: i32, key: u32, address: usize): void {
  store<u32>(scratch + ((<usize>lane) << 2), key, SCRATCH_CHACHA_KEYS)
  store<u32>(scratch + ((<usize>lane) << 2), <u32>address, SCRATCH_LANES)
}

/** Puts block `block` of `job`, the job `index` of the order, into a lane. */
function setBlock(scratch: usize, lane: i32, job: usize, block: u32, index: i32): void {
  const nonce = v128.load(job, AEAD_JOB_NONCE)
  const row = i32x4.replace_lane(v128.shuffle<i32>(nonce, nonce, 3, 0, 1, 2), 0, block)
  v128.store(scratch + SCRATCH_CHACHA_ROWS + ((<usize>lane) << 4), row)
  const key = load<u32>(job, AEAD_JOB_KEY)
  if (block === 0) {
    setLane(scratch, lane, key, scratch + SCRATCH_AEAD_MASKS + ((<usize>index) << BLOCK_SHIFT))
    return
  }
  const from = (block - 1) << BLOCK_SHIFT
  const left = load<u32>(job, AEAD_JOB_LENGTH) - from
  const data = <usize>(load<u32>(job, AEAD_JOB_DATA) + from)
  setLane(scratch, lane, key, left >= BLOCK ? data : startPartial(scratch, lane, data, left))
}

function laneBlock(scratch: usize, lane: i32): usize {
  return scratch + SCRATCH_CHACHA_BLOCKS + ((<usize>lane) << BLOCK_SHIFT)
}

// Partial blocks: for each lane the address where its block belongs and the bytes of it, 0 if it is none.

function clearPartials(scratch: usize): void {
  for (let at: usize = 0; at < 64; at += 16)
    v128.store(scratch + SCRATCH_CHACHA_PARTIALS + at, i64x2.splat(0))
}

/** Copies a partial block to scratch and notes where it belongs; returns the address in scratch. */
function startPartial(scratch: usize, lane: i32, data: usize, bytes: u32): usize {
  const entry = scratch + SCRATCH_CHACHA_PARTIALS + ((<usize>lane) << 3)
  store<u32>(entry, <u32>data)
  store<u32>(entry, bytes, 4)
  copyPartial(laneBlock(scratch, lane), data, bytes)
  return laneBlock(scratch, lane)
}

/** Copies the partial blocks of this step back. */
function finishPartials(scratch: usize): void {
  for (let lane = 0; lane < WIDE_LANES; lane++) {
    const entry = scratch + SCRATCH_CHACHA_PARTIALS + ((<usize>lane) << 3)
    const bytes = load<u32>(entry, 4)
    if (bytes !== 0) copyPartial(<usize>load<u32>(entry), laneBlock(scratch, lane), bytes)
  }
}

/** Copies `bytes` (below 64) bytes; reads and writes nothing else. */
function copyPartial(to: usize, from: usize, bytes: u32): void {
  for (; bytes >= 16; bytes -= 16, to += 16, from += 16) v128.store(to, v128.load(from))
  copyShort(to, from, bytes)
}

/** A lane without a block works on a block of scratch, with the key of `job`. */
function idle(scratch: usize, lane: i32, job: usize): void {
  setLane(scratch, lane, load<u32>(job, AEAD_JOB_KEY), laneBlock(scratch, lane))
}
