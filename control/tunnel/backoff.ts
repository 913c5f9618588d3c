// When a tunnel that is down is tried again: for ever, 1 s doubling to 30 s, spread by jitter so that many
// tunnels to one peer do not knock in step.

const FIRST_MS = 1_000
const LONGEST_MS = 30_000
/** A missing route appears at any moment and asking the kernel costs nothing: look often. */
const LONGEST_NO_ROUTE_MS = 4_000

/**
 * Milliseconds to wait after `failures` failed attempts in a row (1 = the first failure).
 * `random` is one byte of entropy: the result lies in 75 % .. 125 % of the nominal delay.
 */
export function backoff(failures: number, random: number, noRoute = false): number {
  const longest = noRoute ? LONGEST_NO_ROUTE_MS : LONGEST_MS
  const doublings = Math.min(Math.max(failures - 1, 0), 16)
  const nominal = Math.min(longest, FIRST_MS * 2 ** doublings)
  return Math.round(nominal * (0.75 + random / 512))
}
