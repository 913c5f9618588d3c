// Which of the card's artefacts a test works on: kernels and cards made without saying so take the one set here.

import type { Simd } from '../bindings/wasm.ts'

export const ALL_SIMD: readonly Simd[] = ['plain', 'relaxed']

let current: Simd | undefined

/** The instruction set in use; undefined: whatever the runtime prefers. */
export function currentSimd(): Simd | undefined {
  return current
}

/** Until the next call, kernels and cards are made of the artefact with this instruction set. */
export function useSimd(simd: Simd | undefined): void {
  current = simd
}
