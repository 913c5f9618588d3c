// Time of an in-process network: real, or virtual for tests that must give the same result every time.

import { monotonic } from '../clock.ts'

const LONGEST_TIMER = 0x7fffffff // setTimeout fires at once beyond 2^31 - 1 ms

export type Cancel = () => void

export interface FakeTime {
  /** monotonic milliseconds */
  now(): number
  /** calls handler once at or after `when`; equal times in the order of their calls */
  at(when: number, handler: () => void): Cancel
}

export class RealTime implements FakeTime {
  now(): number {
    return monotonic()
  }

  at(when: number, handler: () => void): Cancel {
    const wait = when - monotonic()
    if (wait <= 0) {
      const immediate = setImmediate(handler)
      return () => clearImmediate(immediate)
    }
    if (wait === Number.POSITIVE_INFINITY) return () => {}
    const again = () => {
      if (monotonic() >= when) handler()
      else timer = setTimeout(again, Math.min(when - monotonic(), LONGEST_TIMER))
    }
    let timer = setTimeout(again, Math.min(wait, LONGEST_TIMER))
    return () => clearTimeout(timer)
  }
}

type Entry = { when: number; order: number; handler: () => void }

/** Stands still until advance(); then handlers run in order of time, each at exactly its own time. */
export class VirtualTime implements FakeTime {
  #now: number
  #order = 0
  #entries: Entry[] = []
  #busy = 0

  constructor(start = 1000) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  at(when: number, handler: () => void): Cancel {
    const entry = { when: Math.max(when, this.#now), order: this.#order++, handler }
    this.#insert(entry)
    return () => {
      const index = this.#entries.indexOf(entry)
      if (index >= 0) this.#entries.splice(index, 1)
    }
  }

  /** Latest first, so that the next one is popped from the end. */
  #insert(entry: Entry): void {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (later(this.#entries[middle], entry)) low = middle + 1
      else high = middle
    }
    this.#entries.splice(low, 0, entry)
  }

  /** Work outside of virtual time (the thread pool): time does not pass while it runs. */
  async hold<T>(work: Promise<T>): Promise<T> {
    this.#busy++
    try {
      return await work
    } finally {
      this.#busy--
    }
  }

  /** Lets `milliseconds` pass: runs everything due, and waits for held work before time goes on. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    for (;;) {
      await this.#settle()
      const next = this.#entries.at(-1)
      if (next === undefined || next.when > end) break
      this.#entries.pop()
      this.#now = next.when
      next.handler()
    }
    this.#now = end
  }

  /** Advances in steps until condition holds; false when it does not within `limit` milliseconds. */
  async until(condition: () => boolean, limit: number, step = 1): Promise<boolean> {
    for (let passed = 0; passed < limit && !condition(); passed += step) await this.advance(step)
    return condition()
  }

  async #settle(): Promise<void> {
    do await new Promise<void>((resolve) => setImmediate(resolve))
    while (this.#busy > 0)
  }
}

function later(one: Entry, other: Entry): boolean {
  return one.when !== other.when ? one.when > other.when : one.order > other.order
}
