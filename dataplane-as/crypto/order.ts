/**
 * The order in which the kernels take the jobs of a call: a counting sort over 256 classes, one pass to count
 * and one to place, whatever order the jobs come in. Jobs of one class keep their order.
 *
 * No result depends on the order, only how well the lanes are used: messages of one length should run side by
 * side and the longest should start first, and messages of one key should follow each other.
 */
import { HASH_JOB_BYTES, HASH_JOB_LENGTH } from './job.ts'
import { MAX_JOBS, SCRATCH_CLASSES, SCRATCH_ORDER, SCRATCH_PLACES } from './scratch.ts'

const CLASSES: u32 = 256

/**
 * Orders `count` (<= MAX_JOBS) job records of `stride` bytes, longest first; the length is the u32 at `field`
 * divided by 2^`shift`, and lengths from 255 on count as equal. Length 0 comes last.
 */
export function orderByLength(
  jobs: usize,
  count: i32,
  stride: usize,
  field: usize,
  shift: u32,
  scratch: usize,
): void {
  let sorted = true
  let before: u32 = 0
  for (let i = 0; i < count; i++) {
    const length = load<u32>(jobs + <usize>i * stride + field) >> shift
    const rank = CLASSES - 1 - min<u32>(length, CLASSES - 1)
    store<u8>(scratch + SCRATCH_CLASSES + <usize>i, <u8>rank)
    if (rank < before) sorted = false
    before = rank
  }
  placeJobs(jobs, count, stride, sorted, scratch)
}

/**
 * Orders `count` (<= MAX_JOBS) hash jobs by their blocks of 2^`shift` bytes, most first: the whole ones of the data
 * and the last one or two. Jobs of one class have both in common, but for those of many blocks.
 */
export function orderByBlocks(jobs: usize, count: i32, shift: u32, scratch: usize): void {
  const padding = ((<u32>1) << shift) + ((<u32>1) << (shift - 3))
  let sorted = true
  let before: u32 = 0
  for (let i = 0; i < count; i++) {
    const length = load<u32>(jobs + <usize>i * HASH_JOB_BYTES, HASH_JOB_LENGTH)
    const blocks = (length >> shift) + ((length + padding) >> shift)
    const rank = CLASSES - 1 - min<u32>(blocks, CLASSES - 1)
    store<u8>(scratch + SCRATCH_CLASSES + <usize>i, <u8>rank)
    if (rank < before) sorted = false
    before = rank
  }
  placeJobs(jobs, count, HASH_JOB_BYTES, sorted, scratch)
}

/**
 * Orders `count` (<= MAX_JOBS) job records so that equal u32 values at `field` follow each other, in the order
 * in which the values appear first: neighbours in memory stay neighbours, which the processor's prefetching
 * rewards. Values that fall on one place of the table share a class.
 */
export function orderByValue(jobs: usize, count: i32, stride: usize, field: usize, scratch: usize): void {
  const ranks = scratch + SCRATCH_PLACES
  clearPlaces(ranks)
  let sorted = true
  let classes: u32 = 0
  let before: u32 = 0
  for (let i = 0; i < count; i++) {
    const value = load<u32>(jobs + <usize>i * stride + field)
    // the upper bits of a product with 2^32 divided by the golden ratio spread regular addresses evenly
    const place = ranks + ((<usize>((value * 0x9e3779b1) >> 24)) << 2)
    if (load<u32>(place) === 0) store<u32>(place, ++classes)
    const rank = load<u32>(place) - 1
    store<u8>(scratch + SCRATCH_CLASSES + <usize>i, <u8>rank)
    if (rank < before) sorted = false
    before = rank
  }
  placeJobs(jobs, count, stride, sorted, scratch)
}

/** Writes the job addresses to SCRATCH_ORDER in the order of their classes, or as they stand if `sorted`. */
function placeJobs(jobs: usize, count: i32, stride: usize, sorted: bool, scratch: usize): void {
  const order = scratch + SCRATCH_ORDER
  if (sorted) {
    for (let i = 0; i < count; i++) store<u32>(order + ((<usize>i) << 2), <u32>(jobs + <usize>i * stride))
    return
  }
  countPlaces(count, scratch)
  for (let i = 0; i < count; i++) {
    const place = scratch + SCRATCH_PLACES + ((<usize>load<u8>(scratch + SCRATCH_CLASSES + <usize>i)) << 2)
    const index = load<u32>(place)
    store<u32>(place, index + 1)
    store<u32>(order + ((<usize>index) << 2), <u32>(jobs + <usize>i * stride))
  }
}

/** SCRATCH_PLACES[class] = number of jobs in lower classes. */
function countPlaces(count: i32, scratch: usize): void {
  const places = scratch + SCRATCH_PLACES
  clearPlaces(places)
  for (let i = 0; i < count; i++) {
    const place = places + ((<usize>load<u8>(scratch + SCRATCH_CLASSES + <usize>i)) << 2)
    store<u32>(place, load<u32>(place) + 1)
  }
  let total: u32 = 0
  for (let at: usize = 0; at < 4 * CLASSES; at += 4) {
    const own = load<u32>(places + at)
    store<u32>(places + at, total)
    total += own
  }
}

function clearPlaces(places: usize): void {
  for (let at: usize = 0; at < 4 * CLASSES; at += 16) v128.store(places + at, i64x2.splat(0))
}

/** The address of job `index` in the order. */
export function orderedJob(scratch: usize, index: i32): usize {
  return <usize>load<u32>(scratch + SCRATCH_ORDER + ((<usize>index) << 2))
}

/** Puts `job` at place `index` of the order. */
export function setOrderedJob(scratch: usize, index: i32, job: usize): void {
  store<u32>(scratch + SCRATCH_ORDER + ((<usize>index) << 2), <u32>job)
}

/** Of `count` jobs, how many the next portion takes. */
export function portion(count: i32): i32 {
  return count < MAX_JOBS ? count : MAX_JOBS
}
