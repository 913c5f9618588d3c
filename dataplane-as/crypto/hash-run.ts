/**
 * The hash at work, for both ways of filling its lanes (hash-groups.ts, hash-lanes.ts): its measures, its kernels,
 * chaining values as columns, the outer block and the ICVs.
 *
 * A row has one word of every lane, a column all words of one lane. The outer block of HMAC has the inner digest as
 * its first rows and the same padding ever after.
 */
import { SHA_BYTE_SWAP, SHA512_BYTE_SWAP } from './constants.ts'
import { LAST_BLOCKS_64, LAST_BLOCKS_128 } from './generated/hash-constants.ts'
import { md5Last, md5Run, md5Words } from './generated/md5-lanes.ts'
import { md5WideLast, md5WideRun, md5WideWords } from './generated/md5-wide.ts'
import { sha1Last, sha1Run, sha1Words } from './generated/sha1-lanes.ts'
import { sha256Last, sha256Run, sha256Words } from './generated/sha256-lanes.ts'
import { sha512Last, sha512Run, sha512Words } from './generated/sha512-lanes.ts'
import { blockShift, digestWords, isWide, outerState, scheduleRows, stateWords } from './hash-shape.ts'
import { HASH_JOB_ICV, HASH_JOB_ICV_BYTES, HASH_MD5, HASH_SHA1, HASH_SHA256 } from './job.ts'
import {
  SCRATCH_HASH_MASKS,
  SCRATCH_HASH_OUTER_JOBS,
  SCRATCH_HASH_OUTER_STATES,
  SCRATCH_HASH_OUTER_WORDS,
  SCRATCH_HASH_STATES,
  SCRATCH_HASH_TAIL_BYTES,
  SCRATCH_HASH_TAILS,
  SCRATCH_HASH_WORDS,
} from './scratch.ts'
import { wideVectors } from './vectors.ts'

/** Lanes that the tables have room for, a whole number of vectors. */
export const MOST_LANES = 16

// The hash at work; one call at a time in an instance.
export let hash: i32 = 0
export let lanes: i32 = 0
/** kernels for engines that join vectors */
let joined: bool = false
/** words of the chaining value, and of the digest */
export let words: i32 = 0
export let digest: i32 = 0
export let wide: bool = false
/** bytes of a word and of a block, as powers of two */
export let wordShift: usize = 0
export let shift: u32 = 0
/** bytes of one word of all lanes */
export let row: usize = 0
/** the scratch area */
export let scratch: usize = 0

/** Prepares for messages of `which` (HASH_*); returns the number of lanes. `area`: the scratch area. */
export function beginHash(which: i32, area: usize): i32 {
  hash = which
  joined = wideVectors()
  lanes = lanesOf(which)
  words = stateWords(which)
  digest = digestWords(which)
  wide = isWide(which)
  wordShift = wide ? 3 : 2
  shift = blockShift(which)
  row = (<usize>lanes) << wordShift
  scratch = area
  memory.fill(scratch + SCRATCH_HASH_OUTER_WORDS, 0, row << 4)
  padOuter()
  return lanes
}

function lanesOf(which: i32): i32 {
  if (which === HASH_MD5) return joined ? 16 : 12
  return which === HASH_SHA1 ? 8 : 4
}

/** The rows behind the digest in the outer block: 0x80, zeros, the bits of padded key and digest. */
export function padOuter(): void {
  const outer = scratch + SCRATCH_HASH_OUTER_WORDS
  for (let word = digest; word < words; word++) fillRow(outer + <usize>word * row, 0)
  fillRow(outer + <usize>digest * row, hash === HASH_MD5 ? 0x80 : wide ? 0x8000000000000000 : 0x80000000)
  fillRow(outer + lengthRow() * row, ((1 << shift) + (digest << (<i32>wordShift))) << 3)
}

/** The row of a last block that has the low half of its length in bits. */
export function lengthRow(): usize {
  return hash === HASH_MD5 ? 14 : 15
}

/** Sets all words of a row. */
export function fillRow(to: usize, value: u64): void {
  const vector = wide ? i64x2.splat(value) : i32x4.splat(<u32>value)
  for (let end = to + row; to < end; to += 16) v128.store(to, vector)
}

/** Hashes `blocks` blocks from each of the lane addresses at `table`, which stay as they are. */
export function hashBlocks(table: usize, blocks: i32, states: usize): void {
  const schedule = scratch + SCRATCH_HASH_WORDS
  if (hash === HASH_MD5 && joined) md5WideRun(table, blocks, states, schedule)
  else if (hash === HASH_MD5) md5Run(table, blocks, states, schedule)
  else if (hash === HASH_SHA1) sha1Run(table, blocks, states, schedule)
  else if (hash === HASH_SHA256) sha256Run(table, blocks, states, schedule)
  else sha512Run(table, blocks, states, schedule)
}

/** Hashes the block that stands as words in the rows of `schedule`. */
export function hashWords(states: usize, schedule: usize): void {
  if (hash === HASH_MD5 && joined) md5WideWords(states, schedule)
  else if (hash === HASH_MD5) md5Words(states, schedule)
  else if (hash === HASH_SHA1) sha1Words(states, schedule)
  else if (hash === HASH_SHA256) sha256Words(states, schedule)
  else sha512Words(states, schedule)
}

/** Address of the mask that keeps `rest` bytes of a last block. */
export function lastMask(rest: u32): usize {
  return (wide ? LAST_BLOCKS_128 + 128 : LAST_BLOCKS_64 + 64) - <usize>rest
}

/** Reads the last blocks at the addresses of `table` as words, cut and marked by `masks`. */
export function readLast(table: usize, masks: usize, schedule: usize): void {
  if (hash === HASH_MD5 && joined) md5WideLast(table, masks, schedule)
  else if (hash === HASH_MD5) md5Last(table, masks, schedule)
  else if (hash === HASH_SHA1) sha1Last(table, masks, schedule)
  else if (hash === HASH_SHA256) sha256Last(table, masks, schedule)
  else sha512Last(table, masks, schedule)
}

/** Sets column `lane` of the chaining values at `states` to the inner one of `state`. */
export function loadInner(states: usize, lane: i32, state: usize): void {
  loadColumn(states, lane, state)
}

/** Sets column `lane` of the chaining values at `states` to the outer one of `state`. */
export function loadOuter(states: usize, lane: i32, state: usize): void {
  loadColumn(states, lane, state + outerState(hash))
}

/** Sets all columns of the inner and of the outer chaining values to those of `state`. */
export function loadAll(inner: usize, outer: usize, state: usize): void {
  const from = state + outerState(hash)
  for (let word: usize = 0; word < <usize>words; word++) {
    const at = word << wordShift
    fillRow(inner + word * row, wide ? load<u64>(state + at) : <u64>load<u32>(state + at))
    fillRow(outer + word * row, wide ? load<u64>(from + at) : <u64>load<u32>(from + at))
  }
}

function loadColumn(states: usize, lane: i32, from: usize): void {
  copyWords(states + ((<usize>lane) << wordShift), row, from, (<usize>1) << wordShift, words)
}

/** Copies `count` (4 or more) words, `toStep` and `fromStep` bytes apart. */
export function copyWords(to: usize, toStep: usize, from: usize, fromStep: usize, count: i32): void {
  if (wide) {
    for (; count > 0; count--, to += toStep, from += fromStep) store<u64>(to, load<u64>(from))
    return
  }
  store<u32>(to, load<u32>(from))
  store<u32>(to + toStep, load<u32>(from + fromStep))
  store<u32>(to + 2 * toStep, load<u32>(from + 2 * fromStep))
  store<u32>(to + 3 * toStep, load<u32>(from + 3 * fromStep))
  for (let i: usize = 4; i < <usize>count; i++) store<u32>(to + i * toStep, load<u32>(from + i * fromStep))
}

/** Hashes the outer blocks and writes the ICVs of the first `count` lanes, whose jobs stand in SCRATCH_HASH_OUTER_JOBS. */
export function hashOuter(count: i32): void {
  const states = scratch + SCRATCH_HASH_OUTER_STATES
  hashWords(states, scratch + SCRATCH_HASH_OUTER_WORDS)
  if (wide) {
    turnDigests(states)
    for (let lane = 0; lane < count; lane++) writeIcv(states, lane, outerJob(lane))
    return
  }
  gatherFirst(states)
  for (let lane = 0; lane < count; lane++) putIcv(states, lane, outerJob(lane))
}

function outerJob(lane: i32): usize {
  return <usize>load<u32>(scratch + ((<usize>lane) << 2), SCRATCH_HASH_OUTER_JOBS)
}

/** The digests of SHA have the most significant byte of a word first. */
function turnDigests(states: usize): void {
  const turn = v128.load(wide ? SHA512_BYTE_SWAP : SHA_BYTE_SWAP)
  const end = states + row * <usize>digest
  for (let at = states; at < end; at += 16) v128.store(at, v128.swizzle(v128.load(at), turn))
}

/** Puts the first four words of every digest together in SCRATCH_HASH_WORDS, 16 bytes a lane. */
function gatherFirst(states: usize): void {
  if (hash !== HASH_MD5) turnDigests(states)
  const step = row
  const end = states + step
  let to = scratch + SCRATCH_HASH_WORDS
  for (; states < end; states += 16, to += 64) {
    const a = v128.load(states)
    const b = v128.load(states + step)
    const c = v128.load(states + 2 * step)
    const d = v128.load(states + 3 * step)
    const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5)
    const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5)
    v128.store(to, v128.shuffle<i64>(ab, cd, 0, 2))
    v128.store(to, v128.shuffle<i64>(ab, cd, 1, 3), 16)
    const ab2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7)
    const cd2 = v128.shuffle<i32>(c, d, 2, 6, 3, 7)
    v128.store(to, v128.shuffle<i64>(ab2, cd2, 0, 2), 32)
    v128.store(to, v128.shuffle<i64>(ab2, cd2, 1, 3), 48)
  }
}

/** ICVs of 12 bytes are the usual ones of 32-bit words. */
function putIcv(states: usize, lane: i32, job: usize): void {
  if (load<u32>(job, HASH_JOB_ICV_BYTES) !== 12) {
    writeIcv(states, lane, job)
    return
  }
  const icv = <usize>load<u32>(job, HASH_JOB_ICV)
  const from = scratch + ((<usize>lane) << 4)
  store<u64>(icv, load<u64>(from, SCRATCH_HASH_WORDS))
  store<u32>(icv, load<u32>(from, SCRATCH_HASH_WORDS + 8), 8)
}

/** The bytes of the ICV of a lane. */
function writeIcv(states: usize, lane: i32, job: usize): void {
  let at: usize = 0
  const icv = <usize>load<u32>(job, HASH_JOB_ICV)
  const bytes = <usize>load<u32>(job, HASH_JOB_ICV_BYTES)
  const word = (<usize>1) << wordShift
  let from = states + ((<usize>lane) << wordShift)
  for (; at + word <= bytes; at += word, from += row) {
    if (wide) store<u64>(icv + at, load<u64>(from))
    else store<u32>(icv + at, load<u32>(from))
  }
  for (; at < bytes; at++, from++) store<u8>(icv + at, load<u8>(from))
}

/** Wipes states and message words, which a forger could use; the tails where lanes went alone (`mixed`). */
export function wipeHash(mixed: bool): void {
  wipe(scratch + SCRATCH_HASH_STATES, SCRATCH_HASH_WORDS - SCRATCH_HASH_STATES)
  const schedule = <usize>scheduleRows(hash) * row
  wipe(scratch + SCRATCH_HASH_WORDS, schedule)
  wipe(scratch + SCRATCH_HASH_OUTER_WORDS, schedule)
  wipe(scratch + SCRATCH_HASH_MASKS, 128)
  if (mixed) wipe(scratch + SCRATCH_HASH_TAILS, SCRATCH_HASH_TAIL_BYTES)
}

/** Whole vectors. */
function wipe(at: usize, bytes: usize): void {
  for (const end = at + bytes; at < end; at += 16) v128.store(at, i64x2.splat(0))
}
