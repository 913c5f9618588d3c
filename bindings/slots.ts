// Numbers of table records: handed out lowest first, and ranges of them for lists that must lie together.

/** Free indices 0..size-1. */
export class Slots {
  readonly #free: number[]

  constructor(size: number) {
    this.#free = Array.from({ length: size }, (_, index) => size - 1 - index)
  }

  /** A free index, or -1. */
  take(): number {
    return this.#free.pop() ?? -1
  }

  give(index: number): void {
    this.#free.push(index)
  }

  get left(): number {
    return this.#free.length
  }
}

type Range = { first: number; count: number }

/** Contiguous ranges of 0..size-1, first fit; neighbours are joined when they come back. */
export class Ranges {
  #free: Range[]

  constructor(size: number) {
    this.#free = [{ first: 0, count: size }]
  }

  /** First index of `count` free ones, or -1. A range of none begins anywhere. */
  take(count: number): number {
    if (count === 0) return 0
    const range = this.#free.find((candidate) => candidate.count >= count)
    if (range === undefined) return -1
    const first = range.first
    range.first += count
    range.count -= count
    return first
  }

  give(first: number, count: number): void {
    if (count === 0) return
    const sorted = [...this.#free, { first, count }].filter((range) => range.count > 0)
    sorted.sort((a, b) => a.first - b.first)
    this.#free = []
    for (const range of sorted) {
      const last = this.#free.at(-1)
      if (last !== undefined && last.first + last.count === range.first) last.count += range.count
      else this.#free.push(range)
    }
  }
}
