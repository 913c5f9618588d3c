/**
 * The lanes of the HMAC kernels: what a lane hashes now, and what comes next.
 *
 * The way of a message through its lane, one stretch of blocks after the other:
 *   data (whole blocks, in place) -> tail (1 or 2 blocks) -> outer (1 block) -> ICV written, lane free
 * A message shorter than a block starts with its tail. A free lane reads what another lane reads.
 */
import {
  HASH_JOB_DATA,
  HASH_JOB_EXTRA,
  HASH_JOB_EXTRA_BYTES,
  HASH_JOB_ICV,
  HASH_JOB_ICV_BYTES,
  HASH_JOB_LENGTH,
  HASH_JOB_STATE,
} from './job.ts'
import { SCRATCH_HASH_RECORDS, SCRATCH_HASH_STATES, SCRATCH_HASH_TAILS, SCRATCH_LANES } from './scratch.ts'

// Lane record, 16 bytes; the address that is read next stands in the table at SCRATCH_LANES.
const LEFT: usize = 0 // blocks left in this stretch
const STRETCH: usize = 4 // DATA, TAIL, OUTER or FREE
const JOB: usize = 8 // address of the hash job
const TAIL_BLOCKS: usize = 12 // 1 or 2
const RECORD_SHIFT: usize = 4

const DATA: u32 = 0
const TAIL: u32 = 1
const OUTER: u32 = 2
const FREE: u32 = 3

/** Bytes of a lane's tail buffer: 64 that may be overwritten, then up to two blocks. */
const TAIL_STRIDE: usize = 192
const TAIL_START: usize = 64
/** Offset of the outer chaining value in an HMAC state. */
const OUTER_STATE: usize = 32

function record(scratch: usize, lane: i32): usize {
  return scratch + SCRATCH_HASH_RECORDS + ((<usize>lane) << RECORD_SHIFT)
}

function tailBuffer(scratch: usize, lane: i32): usize {
  return scratch + SCRATCH_HASH_TAILS + TAIL_START + <usize>lane * TAIL_STRIDE
}

function setAddress(scratch: usize, lane: i32, address: usize): void {
  store<u32>(scratch + SCRATCH_LANES + ((<usize>lane) << 2), <u32>address)
}

/** Gives a lane the message of `job`: `lanes` and `words` are the lanes and state words of the hash. */
export function startLane(scratch: usize, lane: i32, lanes: i32, words: i32, job: usize): void {
  const at = record(scratch, lane)
  const blocks = load<u32>(job, HASH_JOB_LENGTH) >> 6
  store<u32>(at, <u32>job, JOB)
  loadState(scratch, lane, lanes, words, <usize>load<u32>(job, HASH_JOB_STATE))
  store<u32>(at, buildTail(tailBuffer(scratch, lane), job), TAIL_BLOCKS)
  if (blocks === 0) {
    startTail(scratch, lane)
    return
  }
  store<u32>(at, blocks, LEFT)
  store<u32>(at, DATA, STRETCH)
  setAddress(scratch, lane, <usize>load<u32>(job, HASH_JOB_DATA))
}

/** Takes a lane out of the run. */
export function freeLane(scratch: usize, lane: i32): void {
  store<u32>(record(scratch, lane), FREE, STRETCH)
}

/**
 * The number of blocks that all busy lanes can hash, 0 if none is busy. Points the free lanes at the data of
 * a busy one: they must read something, their result is not used.
 */
export function runLength(scratch: usize, lanes: i32): i32 {
  let least: u32 = 0
  let readable: u32 = 0
  for (let lane = 0; lane < lanes; lane++) {
    const at = record(scratch, lane)
    if (load<u32>(at, STRETCH) === FREE) continue
    const left = load<u32>(at, LEFT)
    if (least === 0 || left < least) least = left
    readable = load<u32>(scratch + SCRATCH_LANES + ((<usize>lane) << 2))
  }
  for (let lane = 0; lane < lanes; lane++) {
    if (load<u32>(record(scratch, lane), STRETCH) === FREE) setAddress(scratch, lane, <usize>readable)
  }
  return <i32>least
}

/** Moves all lanes on by `blocks` blocks. */
export function stepLanes(scratch: usize, lanes: i32, blocks: i32): void {
  for (let lane = 0; lane < lanes; lane++) {
    const at = record(scratch, lane)
    const address = scratch + SCRATCH_LANES + ((<usize>lane) << 2)
    store<u32>(at, load<u32>(at, LEFT) - <u32>blocks, LEFT)
    store<u32>(address, load<u32>(address) + ((<u32>blocks) << 6))
  }
}

/** Sends a lane that ended a stretch on to the next; true if that was the last and the ICV is written. */
export function finishLane(scratch: usize, lane: i32, lanes: i32, words: i32): bool {
  const at = record(scratch, lane)
  const stretch = load<u32>(at, STRETCH)
  if (stretch === FREE || load<u32>(at, LEFT) !== 0) return false
  if (stretch === DATA) {
    startTail(scratch, lane)
    return false
  }
  if (stretch === TAIL) {
    startOuter(scratch, lane, lanes, words)
    return false
  }
  writeIcv(scratch, lane, lanes, <usize>load<u32>(at, JOB))
  return true
}

// data -> tail
function startTail(scratch: usize, lane: i32): void {
  const at = record(scratch, lane)
  store<u32>(at, load<u32>(at, TAIL_BLOCKS), LEFT)
  store<u32>(at, TAIL, STRETCH)
  setAddress(scratch, lane, tailBuffer(scratch, lane))
}

// tail -> outer
function startOuter(scratch: usize, lane: i32, lanes: i32, words: i32): void {
  const at = record(scratch, lane)
  const block = tailBuffer(scratch, lane)
  for (let i: usize = 0; i < 64; i += 16) v128.store(block + i, i64x2.splat(0))
  for (let i = 0; i < words; i++)
    store<u32>(block + ((<usize>i) << 2), bswap<u32>(stateWord(scratch, lane, lanes, i)))
  store<u8>(block + ((<usize>words) << 2), 0x80)
  store<u32>(block, bswap<u32>((64 + ((<u32>words) << 2)) << 3), 60)
  loadState(scratch, lane, lanes, words, <usize>load<u32>(load<u32>(at, JOB), HASH_JOB_STATE) + OUTER_STATE)
  store<u32>(at, 1, LEFT)
  store<u32>(at, OUTER, STRETCH)
  setAddress(scratch, lane, block)
}

// outer -> free
function writeIcv(scratch: usize, lane: i32, lanes: i32, job: usize): void {
  const icv = <usize>load<u32>(job, HASH_JOB_ICV)
  const bytes = load<u32>(job, HASH_JOB_ICV_BYTES)
  let word: u32 = 0
  for (let i: u32 = 0; i < bytes; i++) {
    if ((i & 3) === 0) {
      word = stateWord(scratch, lane, lanes, <i32>(i >> 2))
      if (i + 4 <= bytes) {
        store<u32>(icv + i, bswap<u32>(word))
        i += 3
        continue
      }
    }
    store<u8>(icv + i, <u8>(word >> 24))
    word <<= 8
  }
}

/** Word `i` of a lane's chaining value. */
function stateWord(scratch: usize, lane: i32, lanes: i32, i: i32): u32 {
  return load<u32>(scratch + SCRATCH_HASH_STATES + ((<usize>(i * lanes + lane)) << 2))
}

/** Sets a lane's chaining value from `words` u32 at `from`. */
function loadState(scratch: usize, lane: i32, lanes: i32, words: i32, from: usize): void {
  let to = scratch + SCRATCH_HASH_STATES + ((<usize>lane) << 2)
  for (let i = 0; i < words; i++, to += (<usize>lanes) << 2)
    store<u32>(to, load<u32>(from + ((<usize>i) << 2)))
}

/**
 * Builds the last blocks of a message: the rest of its data, the extra bytes, 0x80, zeros and the length in
 * bits with the padded key before it (FIPS 180-4 §5.1.1). Returns the number of blocks, 1 or 2.
 */
function buildTail(tail: usize, job: usize): u32 {
  const length = load<u32>(job, HASH_JOB_LENGTH)
  const extra = load<u32>(job, HASH_JOB_EXTRA_BYTES)
  const rest = length & 63
  copyRest(tail, <usize>load<u32>(job, HASH_JOB_DATA), length)
  const blocks: u32 = rest + extra + 9 > 64 ? 2 : 1
  const end = tail + <usize>(blocks << 6)
  const zeros = tail + <usize>(rest + extra)
  for (let at = zeros; at < end; at += 16) v128.store(at, i64x2.splat(0))
  if (extra !== 0) store<u32>(zeros - 4, load<u32>(job, HASH_JOB_EXTRA))
  store<u8>(zeros, 0x80)
  store<u64>(end - 8, bswap<u64>((64 + <u64>length + <u64>extra) << 3))
  return blocks
}

/**
 * Copies the bytes behind the last whole block to `tail`. A message of a block or more gives its last 64
 * bytes, of which the first go before `tail`: reading on from the last block might pass the end of memory.
 */
function copyRest(tail: usize, data: usize, length: u32): void {
  if (length >= 64) {
    const to = tail + <usize>(length & 63) - 64
    const from = data + <usize>length - 64
    for (let i: usize = 0; i < 64; i += 16) v128.store(to + i, v128.load(from + i))
    return
  }
  let i: u32 = 0
  for (; i + 8 <= length; i += 8) store<u64>(tail + <usize>i, load<u64>(data + <usize>i))
  for (; i < length; i++) store<u8>(tail + <usize>i, load<u8>(data + <usize>i))
}
