/**
 * Poly1305 over AEAD jobs (RFC 8439 §2.5, §2.8), one message a lane, 4 lanes.
 *
 * What is hashed of a message, one stretch of whole blocks after the other:
 *   AAD in place -> rest of the AAD with zeros -> data in place -> rest of the data with zeros, lengths
 * All lanes advance by the number of blocks that the shortest stretch has left; a lane whose message ended
 * takes the next one of the order. A free lane reads what a busy lane reads.
 *
 * Short messages of as many blocks each need none of this: poly-short.ts.
 */
import { copyShort } from './block-word.ts'
import { AEAD_JOB_AAD, AEAD_JOB_AAD_BYTES, AEAD_JOB_DATA, AEAD_JOB_LENGTH } from './job.ts'
import { orderedJob } from './order.ts'
import { polyBlocks, polyFour, polyFourFit } from './poly-short.ts'
import {
  SCRATCH_AEAD_MASKS,
  SCRATCH_LANES,
  SCRATCH_POLY_BUFFERS,
  SCRATCH_POLY_INDEX,
  SCRATCH_POLY_KEYS,
  SCRATCH_POLY_LEFT,
  SCRATCH_POLY_STRETCH,
  SCRATCH_POLY_SUMS,
} from './scratch.ts'

const LANES = 4
const LIMBS: usize = 5
const MASK: u64 = 0x3ffffff
/** The bits of r that a key may set (RFC 8439 §2.5.1). */
const CLAMP_LOW: u64 = ((<u64>0x0ffffffc) << 32) | 0x0fffffff
const CLAMP_HIGH: u64 = ((<u64>0x0ffffffc) << 32) | 0x0ffffffc
/** Blocks left of a lane without a message. */
const FREE: u32 = 0x7fffffff
/** Bytes of a lane's buffer: the rest of the AAD or of the data, then the lengths. */
const BUFFER_SHIFT: usize = 5
/** Bytes between the one-time keys. */
const KEY_SHIFT: usize = 6

// stretches in their order; 3 is the tail
const AAD: u32 = 0
const AAD_REST: u32 = 1
const DATA: u32 = 2
const END: u32 = 4

/**
 * Makes the tags of the first `count` jobs of SCRATCH_ORDER from their one-time keys at SCRATCH_AEAD_MASKS + 64·i,
 * and puts tag i over the first 16 bytes of key i.
 */
export function polyOrdered(count: i32, scratch: usize): void {
  let first = 0
  for (let i = 0; i < count; ) {
    if (i + LANES > count || !polyFourFit(i, scratch)) {
      i++
      continue
    }
    if (first < i) polyMixed(first, i, scratch)
    polyFour(i, scratch)
    i += LANES
    first = i
  }
  if (first < count) polyMixed(first, count, scratch)
}

/** The tags of the jobs `first` to `count` - 1, whatever their lengths. */
function polyMixed(first: i32, count: i32, scratch: usize): void {
  let next = min(count, first + LANES)
  let busy = next - first
  for (let lane = 0; lane < LANES; lane++) {
    if (lane < busy) startLane(scratch, lane, first + lane)
    else store<u32>(entry(scratch, SCRATCH_POLY_LEFT, lane), FREE)
  }
  while (busy > 0) {
    if (busy < LANES) lendAddresses(scratch)
    for (let done = step(scratch); done !== 0; done &= done - 1) {
      const lane = ctz(done)
      nextStretch(scratch, lane)
      if (load<u32>(entry(scratch, SCRATCH_POLY_STRETCH, lane)) !== END) continue
      finishLane(scratch, lane)
      if (next < count) {
        startLane(scratch, lane, next++)
      } else {
        store<u32>(entry(scratch, SCRATCH_POLY_LEFT, lane), FREE)
        busy--
      }
    }
  }
}

/** Address of entry `lane` in a table of u32. */
function entry(scratch: usize, table: usize, lane: i32): usize {
  return scratch + table + ((<usize>lane) << 2)
}

/** Address of the one-time key and tag of job `index`. */
function keyAddress(scratch: usize, index: u32): usize {
  return scratch + SCRATCH_AEAD_MASKS + ((<usize>index) << KEY_SHIFT)
}

/** Gives a lane job `index` of the order: h = 0, r from its key (§2.5.1: some bits of r are cleared). */
function startLane(scratch: usize, lane: i32, index: i32): void {
  store<u32>(entry(scratch, SCRATCH_POLY_INDEX, lane), index)
  const key = keyAddress(scratch, index)
  const low = load<u64>(key) & CLAMP_LOW
  const high = load<u64>(key, 8) & CLAMP_HIGH
  setLimb(scratch, lane, 0, low & MASK)
  setLimb(scratch, lane, 1, (low >> 26) & MASK)
  setLimb(scratch, lane, 2, ((low >> 52) | (high << 12)) & MASK)
  setLimb(scratch, lane, 3, (high >> 14) & MASK)
  setLimb(scratch, lane, 4, high >> 40)
  store<u32>(entry(scratch, SCRATCH_POLY_STRETCH, lane), AAD)
  store<u32>(entry(scratch, SCRATCH_POLY_LEFT, lane), 0)
  enterStretch(scratch, lane)
}

function setLimb(scratch: usize, lane: i32, limb: usize, value: u64): void {
  const at = scratch + ((<usize>lane) << 2) + (limb << 4)
  store<u32>(at, 0, SCRATCH_POLY_SUMS)
  store<u32>(at, <u32>value, SCRATCH_POLY_KEYS)
  store<u32>(at + (LIMBS << 4), <u32>value * 5, SCRATCH_POLY_KEYS)
}

// a stretch -> the next that has blocks
function nextStretch(scratch: usize, lane: i32): void {
  const at = entry(scratch, SCRATCH_POLY_STRETCH, lane)
  store<u32>(at, load<u32>(at) + 1)
  enterStretch(scratch, lane)
}

/** Points a lane at its stretch, or at the first one behind it that has blocks; the last one always has. */
function enterStretch(scratch: usize, lane: i32): void {
  const at = entry(scratch, SCRATCH_POLY_STRETCH, lane)
  const job = orderedJob(scratch, load<u32>(entry(scratch, SCRATCH_POLY_INDEX, lane)))
  const buffer = scratch + SCRATCH_POLY_BUFFERS + ((<usize>lane) << BUFFER_SHIFT)
  let stretch = load<u32>(at)
  let address: usize = buffer
  let blocks: u32 = 0
  for (; stretch < END; stretch++) {
    if (stretch === AAD || stretch === AAD_REST) {
      const bytes = load<u32>(job, AEAD_JOB_AAD_BYTES)
      address = <usize>load<u32>(job, AEAD_JOB_AAD)
      blocks = bytes >> 4
      if (stretch === AAD_REST) {
        blocks = fillRest(buffer, address, bytes)
        address = buffer
      }
    } else if (stretch === DATA) {
      address = <usize>load<u32>(job, AEAD_JOB_DATA)
      blocks = load<u32>(job, AEAD_JOB_LENGTH) >> 4
    } else {
      blocks = fillTail(buffer, job)
      address = buffer
    }
    if (blocks !== 0) break
  }
  store<u32>(at, stretch)
  store<u32>(entry(scratch, SCRATCH_POLY_LEFT, lane), blocks)
  store<u32>(entry(scratch, SCRATCH_LANES, lane), <u32>address)
}

/** Puts what `bytes` bytes at `from` have behind their last whole block into the buffer, with zeros. Returns the blocks. */
function fillRest(buffer: usize, from: usize, bytes: u32): u32 {
  const rest = bytes & 15
  if (rest === 0) return 0
  v128.store(buffer, i64x2.splat(0))
  copyShort(buffer, from + <usize>(bytes - rest), rest)
  return 1
}

/** The rest of the data, and the lengths of AAD and data in bytes (§2.8). */
function fillTail(buffer: usize, job: usize): u32 {
  const length = load<u32>(job, AEAD_JOB_LENGTH)
  const blocks = fillRest(buffer, <usize>load<u32>(job, AEAD_JOB_DATA), length)
  const at = buffer + <usize>(blocks << 4)
  store<u64>(at, <u64>load<u32>(job, AEAD_JOB_AAD_BYTES))
  store<u64>(at, <u64>length, 8)
  return blocks + 1
}

/** Points the free lanes at the data of a busy one: they must read something, their result is not used. */
function lendAddresses(scratch: usize): void {
  let readable: u32 = 0
  for (let lane = 0; lane < LANES; lane++) {
    if (load<u32>(entry(scratch, SCRATCH_POLY_LEFT, lane)) !== FREE)
      readable = load<u32>(entry(scratch, SCRATCH_LANES, lane))
  }
  for (let lane = 0; lane < LANES; lane++) {
    if (load<u32>(entry(scratch, SCRATCH_POLY_LEFT, lane)) === FREE)
      store<u32>(entry(scratch, SCRATCH_LANES, lane), readable)
  }
}

/** Hashes as many blocks as every busy lane has left. Returns the lanes that ended a stretch, one bit each. */
function step(scratch: usize): i32 {
  const left = v128.load(scratch, SCRATCH_POLY_LEFT)
  const two = i32x4.min_u(left, v128.shuffle<i32>(left, left, 2, 3, 0, 1))
  const blocks = min<i32>(i32x4.extract_lane(two, 0), i32x4.extract_lane(two, 1))
  polyBlocks(blocks, scratch)
  const free = i32x4.eq(left, i32x4.splat(FREE))
  const now = v128.bitselect(left, i32x4.sub(left, i32x4.splat(blocks)), free)
  v128.store(scratch, now, SCRATCH_POLY_LEFT)
  const addresses = v128.load(scratch, SCRATCH_LANES)
  v128.store(scratch, i32x4.add(addresses, i32x4.splat(blocks << 4)), SCRATCH_LANES)
  return i32x4.bitmask(i32x4.eq(now, i32x4.splat(0)))
}

function limbOf(scratch: usize, lane: i32, limb: usize): u64 {
  return <u64>load<u32>(scratch + SCRATCH_POLY_SUMS + ((<usize>lane) << 2) + (limb << 4))
}

/** The tag of a lane's message: h modulo 2^130 - 5, plus the second half of the key modulo 2^128. */
function finishLane(scratch: usize, lane: i32): void {
  let h0 = limbOf(scratch, lane, 0)
  let h1 = limbOf(scratch, lane, 1)
  let h2 = limbOf(scratch, lane, 2)
  let h3 = limbOf(scratch, lane, 3)
  let h4 = limbOf(scratch, lane, 4)
  // twice around, since the first carry out of the top may ripple through again
  for (let turn = 0; turn < 2; turn++) {
    h1 += h0 >> 26
    h0 &= MASK
    h2 += h1 >> 26
    h1 &= MASK
    h3 += h2 >> 26
    h2 &= MASK
    h4 += h3 >> 26
    h3 &= MASK
    h0 += (h4 >> 26) * 5
    h4 &= MASK
  }
  h1 += h0 >> 26
  h0 &= MASK
  // h + 5 - 2^130 if that is not negative, chosen without a branch
  let carry = (h0 + 5) >> 26
  carry = (h1 + carry) >> 26
  carry = (h2 + carry) >> 26
  carry = (h3 + carry) >> 26
  carry = (h4 + carry) >> 26
  let low = h0 | (h1 << 26) | (h2 << 52)
  let high = (h2 >> 12) | (h3 << 14) | (h4 << 40)
  // adding 5 and leaving out bit 130 is the subtraction
  const five = carry * 5
  low += five
  high += low < five ? 1 : 0
  writeTag(keyAddress(scratch, load<u32>(entry(scratch, SCRATCH_POLY_INDEX, lane))), low, high)
}

function writeTag(key: usize, low: u64, high: u64): void {
  const sum = low + load<u64>(key, 16)
  store<u64>(key, sum)
  store<u64>(key, high + load<u64>(key, 24) + <u64>(sum < low ? 1 : 0), 8)
}
