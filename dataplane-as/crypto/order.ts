/** Ordering of jobs by shell sort: few jobs, no recursion, no memory beyond two arrays in scratch. */
import { MAX_JOBS, SCRATCH_ORDER, SCRATCH_SORT_KEYS } from './scratch.ts'

/**
 * Writes the addresses of `count` (<= MAX_JOBS) job records to SCRATCH_ORDER, ordered by the u32 field at
 * `field`: descending if `descending`, else ascending.
 */
export function orderJobs(
  jobs: usize,
  count: i32,
  stride: usize,
  field: usize,
  descending: bool,
  scratch: usize,
): void {
  const order = scratch + SCRATCH_ORDER
  const keys = scratch + SCRATCH_SORT_KEYS
  const flip: u32 = descending ? 0xffffffff : 0
  for (let i = 0; i < count; i++) {
    const at = (<usize>i) << 2
    const job = jobs + <usize>i * stride
    store<u32>(order + at, <u32>job)
    store<u32>(keys + at, load<u32>(job + field) ^ flip)
  }
  for (let gap = 127; gap > 0; gap >>= 1) sortWithGap(order, keys, count, gap)
}

/** One pass of shell sort: insertion sort of every `gap`-th element. */
function sortWithGap(order: usize, keys: usize, count: i32, gap: i32): void {
  const step = (<usize>gap) << 2
  for (let i = gap; i < count; i++) {
    let at = (<usize>i) << 2
    const key = load<u32>(keys + at)
    const job = load<u32>(order + at)
    while (at >= step && load<u32>(keys + at - step) > key) {
      store<u32>(keys + at, load<u32>(keys + at - step))
      store<u32>(order + at, load<u32>(order + at - step))
      at -= step
    }
    store<u32>(keys + at, key)
    store<u32>(order + at, job)
  }
}

/** The address of job `index` in the order made by `orderJobs`. */
export function orderedJob(scratch: usize, index: i32): usize {
  return <usize>load<u32>(scratch + SCRATCH_ORDER + ((<usize>index) << 2))
}

/** Of `count` jobs, how many the next portion takes. */
export function portion(count: i32): i32 {
  return count < MAX_JOBS ? count : MAX_JOBS
}
