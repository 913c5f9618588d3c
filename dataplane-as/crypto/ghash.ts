/**
 * GHASH of AES-GCM (NIST SP 800-38D §6.4), in constant time and for one message at a time.
 *
 * A block times the hash key H, byte by byte of the result: row j of a table holds byte j of the products of
 * H with the 16 values of a nibble. One byte selection takes the high nibbles of all 16 bytes of a block as
 * indices into that row and gives, for each of them, byte j of its product; the product of byte i counts
 * x^(8i), so row j is added j bytes further on. No address depends on data.
 *
 * Four blocks go together, the oldest times H^4, then H^3, H^2, H: they share the shifts and the reduction.
 * The table of a key has 16 rows of 8 vectors: for H^4 to H, the high nibbles and the low ones.
 *
 * Bit order: the first bit of a block, the most significant of byte 0, counts x^0. Times x is a shift to the
 * right of the bytes read as one big number.
 */

import { copyShort, storeBitCount } from './block-word.ts'
import { GHASH_BITS, GHASH_REVERSE } from './constants.ts'
import { AEAD_JOB_AAD, AEAD_JOB_AAD_BYTES, AEAD_JOB_DATA, AEAD_JOB_LENGTH } from './job.ts'

const ROW = 128
const POWERS = 4
/** Bytes of a group of blocks. */
const GROUP: u32 = 64

/**
 * GHASH of a job's AAD and data with their lengths. The result is left at `area`, which has 80 bytes, the
 * last 64 of them for blocks that are put together.
 */
export function ghashJob(table: usize, job: usize, area: usize): void {
  const aadBytes = load<u32>(job, AEAD_JOB_AAD_BYTES)
  const length = load<u32>(job, AEAD_JOB_LENGTH)
  for (let at: usize = 0; at < 16 + <usize>GROUP; at += 16) v128.store(area + at, i64x2.splat(0))
  // blocks of zeros before the first do not change the result, and let the last one end a group
  const blocks = (aadBytes + 15) / 16 + (length + 15) / 16 + 1
  let fill = area + 16 + ((<usize>(-(<i32>blocks) & 3)) << 4)
  fill = absorb(table, area, fill, load<u32>(job, AEAD_JOB_AAD), aadBytes)
  fill = absorb(table, area, fill, load<u32>(job, AEAD_JOB_DATA), length)
  storeBitCount(fill, aadBytes)
  storeBitCount(fill + 8, length)
  ghashGroups(table, area, area + 16, 1)
}

/** Hashes `bytes` bytes and zeros up to a whole block; `fill` is the place of the next block. Returns the next. */
function absorb(table: usize, area: usize, fill: usize, from: usize, bytes: u32): usize {
  const first = area + 16
  while (bytes !== 0) {
    if (fill === first && bytes >= GROUP) {
      ghashGroups(table, area, from, <i32>(bytes / GROUP))
      from += <usize>(bytes & ~(GROUP - 1))
      bytes &= GROUP - 1
      continue
    }
    if (bytes >= 16) {
      v128.store(fill, v128.load(from))
      from += 16
      bytes -= 16
    } else {
      v128.store(fill, i64x2.splat(0))
      copyShort(fill, from, bytes)
      bytes = 0
    }
    fill += 16
    if (fill === first + <usize>GROUP) {
      ghashGroups(table, area, first, 1)
      fill = first
    }
  }
  return fill
}

/** `y` = the hash of `groups` (>= 1) groups of 4 blocks at `data`, going on from `y`. */
function ghashGroups(table: usize, y: usize, data: usize, groups: i32): void {
  const nibble = i8x16.splat(15)
  const last = table + 15 * ROW
  let sum = v128.load(y)
  do {
    const b0 = v128.xor(sum, v128.load(data))
    const b1 = v128.load(data, 16)
    const b2 = v128.load(data, 32)
    const b3 = v128.load(data, 48)
    const h0 = v128.and(i16x8.shr_u(b0, 4), nibble)
    const h1 = v128.and(i16x8.shr_u(b1, 4), nibble)
    const h2 = v128.and(i16x8.shr_u(b2, 4), nibble)
    const h3 = v128.and(i16x8.shr_u(b3, 4), nibble)
    const l0 = v128.and(b0, nibble)
    const l1 = v128.and(b1, nibble)
    const l2 = v128.and(b2, nibble)
    const l3 = v128.and(b3, nibble)
    let low = i64x2.splat(0)
    let high = i64x2.splat(0)
    for (let row = last; row >= table; row -= ROW) {
      let byte = v128.xor(selectBytes(v128.load(row, 32), h1), selectBytes(v128.load(row, 48), l1))
      byte = v128.xor(byte, selectBytes(v128.load(row, 64), h2))
      byte = v128.xor(byte, selectBytes(v128.load(row, 80), l2))
      byte = v128.xor(byte, selectBytes(v128.load(row, 96), h3))
      byte = v128.xor(byte, selectBytes(v128.load(row, 112), l3))
      // the block that waits for the sum before it comes last
      byte = v128.xor(byte, selectBytes(v128.load(row), h0))
      byte = v128.xor(byte, selectBytes(v128.load(row, 16), l0))
      high = oneByteOn(high, low)
      low = v128.xor(oneByteOn(low, i64x2.splat(0)), byte)
    }
    sum = v128.xor(low, reduce(high))
    data += <usize>GROUP
  } while (--groups > 0)
  v128.store(y, sum)
}

/** Bytes of `row` by indices 0 to 15: a module built with relaxed SIMD needs one instruction for it. */
function selectBytes(row: v128, indices: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(row, indices)
  return v128.swizzle(row, indices)
}

/** Moves 16 bytes one place on; the last byte of `before` comes in. */
function oneByteOn(value: v128, before: v128): v128 {
  return v128.shuffle<i8>(before, value, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30)
}

/** x^128 times `high` modulo x^128 + x^7 + x^2 + x + 1; the last byte of `high` is 0, so nothing overflows. */
function reduce(high: v128): v128 {
  const reverse = v128.load(GHASH_REVERSE)
  const number = v128.swizzle(high, reverse)
  const over = v128.xor(v128.xor(i64x2.shl(number, 63), i64x2.shl(number, 62)), i64x2.shl(number, 57))
  const moved = v128.xor(
    v128.xor(i64x2.shr_u(number, 1), i64x2.shr_u(number, 2)),
    v128.xor(i64x2.shr_u(number, 7), number),
  )
  // what leaves the upper half enters the lower one
  return v128.swizzle(v128.xor(moved, v128.shuffle<i64>(over, i64x2.splat(0), 1, 2)), reverse)
}

/**
 * Makes the table of the hash key that stands at `area` (16 bytes); `area` has 144 bytes and is left with
 * parts of the key.
 */
export function ghashPrepare(table: usize, area: usize): void {
  const keyHigh = bswap<u64>(load<u64>(area))
  const keyLow = bswap<u64>(load<u64>(area, 8))
  let high = keyHigh
  let low = keyLow
  for (let power = 0; power < POWERS; power++) {
    if (power > 0) {
      multiply(area, high, low, keyHigh, keyLow)
      high = load<u64>(area)
      low = load<u64>(area, 8)
    }
    fillPower(table + <usize>((POWERS - 1 - power) << 5), high, low, area)
  }
}

/** Fills the two vectors of one power in every row: the products of its bytes 0, from 8 multiples by powers of x. */
function fillPower(column: usize, high: u64, low: u64, area: usize): void {
  for (let bit: usize = 0; bit < 8; bit++) {
    store<u64>(area + (bit << 4), bswap<u64>(high), 16)
    store<u64>(area + (bit << 4), bswap<u64>(low), 24)
    const carry = low & 1
    low = (low >> 1) | (high << 63)
    high = (high >> 1) ^ (-carry & 0xe100000000000000)
  }
  for (let j: usize = 0; j < 16; j++) {
    v128.store(column + j * ROW, nibbleProducts(area + 16 + j))
    v128.store(column + j * ROW, nibbleProducts(area + 80 + j), 16)
  }
}

/** The sums of 4 bytes, 16 apart, that the bits of 0 to 15 choose, the first by the most significant bit. */
function nibbleProducts(bytes: usize): v128 {
  let sum = v128.and(v128.load8_splat(bytes), v128.load(GHASH_BITS))
  sum = v128.xor(sum, v128.and(v128.load8_splat(bytes, 16), v128.load(GHASH_BITS, 16)))
  sum = v128.xor(sum, v128.and(v128.load8_splat(bytes, 32), v128.load(GHASH_BITS, 32)))
  return v128.xor(sum, v128.and(v128.load8_splat(bytes, 48), v128.load(GHASH_BITS, 48)))
}

/** The product of two elements as two u64 to `to`; bit by bit, in constant time (SP 800-38D §6.3). */
function multiply(to: usize, aHigh: u64, aLow: u64, bHigh: u64, bLow: u64): void {
  let high: u64 = 0
  let low: u64 = 0
  for (let bit = 0; bit < 128; bit++) {
    const chosen: u64 = -((bit < 64 ? aHigh >> (63 - bit) : aLow >> (127 - bit)) & 1)
    high ^= bHigh & chosen
    low ^= bLow & chosen
    const carry: u64 = bLow & 1
    bLow = (bLow >> 1) | (bHigh << 63)
    bHigh = (bHigh >> 1) ^ (-carry & 0xe100000000000000)
  }
  store<u64>(to, high)
  store<u64>(to, low, 8)
}
