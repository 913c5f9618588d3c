// Time for the control plane and for every ASP: one monotonic scale for all threads.
//
// performance.now() counts from the start of its own thread, so each thread adds the offset that makes
// it CLOCK_MONOTONIC; then a time stamp taken by an ASP compares with one taken by the control plane.

import type { Clock } from '../control/ports.ts'

const LONGEST_TIMER = 0x7fffffff // setTimeout fires at once beyond 2^31 - 1 ms

const offset = Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now()

/** Monotonic milliseconds (CLOCK_MONOTONIC), equal in every thread of the process; allocates nothing. */
export function monotonic(): number {
  return performance.now() + offset
}

/** The machine's clock: CLOCK_MONOTONIC, wall time and one timer. */
export class SystemClock implements Clock {
  #timer: ReturnType<typeof setTimeout> | null = null

  now(): number {
    return monotonic()
  }

  wall(): number {
    return Date.now()
  }

  wakeAt(deadline: number, handler: () => void): void {
    this.stop()
    const wait = Math.min(Math.max(0, Math.ceil(deadline - monotonic())), LONGEST_TIMER)
    this.#timer = setTimeout(() => {
      this.#timer = null
      if (monotonic() < deadline) this.wakeAt(deadline, handler)
      else handler()
    }, wait)
  }

  /** Forgets the pending deadline, so that nothing keeps the process alive. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
