/**
 * Whether the engine joins equal operations on neighbouring 128-bit vectors into one on 256 bits. A module cannot
 * see that, the host says so. The kernels that are written for it do twice the work a step; without it they
 * are slower than those for 128 bits, which is all that is lost if the host is wrong.
 */
let wide = false

/** Chooses the kernels: `on` not 0 for an engine that joins vectors. Off until it is called. */
export function useWideVectors(on: u32): void {
  wide = on !== 0
}

/** Whether kernels for joined vectors are to be used. */
export function wideVectors(): bool {
  return wide
}
