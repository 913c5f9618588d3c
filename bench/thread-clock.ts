// CPU time of the calling thread: a busy machine takes time from us between two readings, this clock stands still
// meanwhile. process.threadCpuUsage() advances in scheduler ticks on some kernels, clock_gettime() does not.

import koffi from 'koffi'

const CLOCK_THREAD_CPUTIME_ID = 3
const time = new BigInt64Array(2)
const libc = koffi.load('libc.so.6')
const clockGettime: (clock: number, into: BigInt64Array) => number = libc.func(
  'int clock_gettime(int clock, _Out_ int64_t *into)',
)

/** Milliseconds of CPU time this thread has used. */
export function threadTime(): number {
  clockGettime(CLOCK_THREAD_CPUTIME_ID, time)
  return Number(time[0]) * 1000 + Number(time[1]) / 1e6
}
