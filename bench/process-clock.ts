// CPU time of the whole process: jobs of the thread pool count, time that other programs took does not.

import koffi from 'koffi'

const CLOCK_PROCESS_CPUTIME_ID = 2
const time = new BigInt64Array(2)
const libc = koffi.load('libc.so.6')
const clockGettime: (clock: number, into: BigInt64Array) => number = libc.func(
  'int clock_gettime(int clock, _Out_ int64_t *into)',
)

/** Milliseconds of CPU time all threads of this process have used. */
export function processTime(): number {
  clockGettime(CLOCK_PROCESS_CPUTIME_ID, time)
  return Number(time[0]) * 1000 + Number(time[1]) / 1e6
}
