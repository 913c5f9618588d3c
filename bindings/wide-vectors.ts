// Vectors of 256 bits for the card. WebAssembly has 128; V8 can join equal operations on neighbouring vectors into one
// AVX2 instruction when it is asked to (--experimental-wasm-revectorize). The card's kernels for it are written so that
// it can, and do about twice the work in the same time. What they compute is the same either way, and V8's part in it
// is tested as all of the card is: every suite against node:crypto.
//
// ASEGATE_VECTORS=128 in the environment keeps V8 as it is.

import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

let known: boolean | undefined

/** Whether V8 joins vectors once `joinVectors` was called, in this thread or another of this process. */
export function joinsVectors(): boolean {
  known ??= process.env.ASEGATE_VECTORS !== '128' && process.arch === 'x64' && hasAvx2()
  return known
}

/** Asks V8 to join vectors if this processor can; to be called before the card is compiled. */
export function joinVectors(): void {
  if (joinsVectors()) setFlagsFromString('--experimental-wasm-revectorize')
}

function hasAvx2(): boolean {
  try {
    return /^flags\s*:.*\bavx2\b/m.test(readFileSync('/proc/cpuinfo', 'latin1'))
  } catch {
    return false
  }
}
