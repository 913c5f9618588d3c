// What the main thread and an ASP's worker thread say to each other.

import type { AspFailure } from './asp-loop.ts'
import type { AspLoan } from './linux/asp-io.ts'

/** words shared by both: the main thread sets STOP; the worker sets BUSY while a turn runs */
export const ASP_STOP = 0
export const ASP_BUSY = 1
export const ASP_WORDS = 16

export type AspStart = {
  module: WebAssembly.Module
  memory: WebAssembly.Memory
  asp: number
  loan: AspLoan
  words: Int32Array
}

export type AspReport =
  | { kind: 'failed'; failure: AspFailure }
  /** the kernel refused a datagram of this tunnel (its number in the card): larger than the path carries */
  | { kind: 'too-big'; tunnel: number }
  | { kind: 'stopped' }
