// Anti-replay: the sliding window of RFC 4303 §3.4.3 as a ring of 64-bit words (RFC 6479), numbers always u64.
//
// The ring has more words than the window needs, so that moving on clears whole words and never shifts. Three calls
// in the order of a packet's way: full number -> check -> (ICV) -> update. Only update changes anything.

import { HOT_BITMAP, HOT_FLAG_ESN, HOT_FLAGS, HOT_SEQUENCE, HOT_WINDOW, HOT_WORD_MASK } from './abi.ts'

/** no 64-bit number fits the received half */
export const NO_SEQUENCE: u64 = 0

/** Words the bitmap of a window needs: a power of two above window / 64, so that the window is exact. */
export function wordsFor(window: u32): u32 {
  let words: u32 = 2
  while (words * 64 < window + 64) words <<= 1
  return words
}

/** The full number of a packet whose low half is `low` (RFC 4303 appendix A2.2); NO_SEQUENCE when there is none. */
export function fullSequence(hot: usize, low: u32): u64 {
  if ((load<u32>(hot + HOT_FLAGS) & HOT_FLAG_ESN) === 0) return <u64>low
  const top = load<u64>(hot + HOT_SEQUENCE)
  const window = load<u32>(hot + HOT_WINDOW)
  if (window === 0) return nearest(top, low)
  const topLow = <u32>top
  const high = top >> 32
  const bottom = topLow - (window - 1) // modulo 2^32
  if (topLow >= window - 1) return low >= bottom ? join(high, low) : join(high + 1, low) // case A
  if (low < bottom) return join(high, low) // case B
  return high === 0 ? NO_SEQUENCE : join(high - 1, low)
}

/** Without a window there is no bottom edge: the number closest to the highest seen. */
function nearest(top: u64, low: u32): u64 {
  const step = <i64>(<i32>(low - <u32>top))
  if (step < 0 && <u64>-step > top) return <u64>low
  return top + <u64>step
}

function join(high: u64, low: u32): u64 {
  return (high << 32) | <u64>low
}

/** False: zero, too old, or seen. With the window off everything passes. */
export function checkReplay(hot: usize, sequence: u64): bool {
  const window = load<u32>(hot + HOT_WINDOW)
  if (window === 0) return true
  if (sequence === 0) return false
  const top = load<u64>(hot + HOT_SEQUENCE)
  if (sequence > top) return true
  if (top - sequence >= <u64>window) return false
  return (load<u64>(wordOf(hot, sequence)) & bitOf(sequence)) === 0
}

/** Marks an authenticated packet. False when another packet of the same burst has marked it before. */
export function updateReplay(hot: usize, sequence: u64): bool {
  if (!checkReplay(hot, sequence)) return false
  const top = load<u64>(hot + HOT_SEQUENCE)
  if (sequence > top) {
    if (load<u32>(hot + HOT_WINDOW) !== 0) clearBetween(hot, top >> 6, sequence >> 6)
    store<u64>(hot + HOT_SEQUENCE, sequence)
  }
  if (load<u32>(hot + HOT_WINDOW) !== 0) {
    const word = wordOf(hot, sequence)
    store<u64>(word, load<u64>(word) | bitOf(sequence))
  }
  return true
}

/** Clears the words the window enters: at most all of them. */
function clearBetween(hot: usize, from: u64, to: u64): void {
  const words = <u64>load<u32>(hot + HOT_WORD_MASK) + 1
  const count = min<u64>(to - from, words)
  for (let i: u64 = 0; i < count; i++) store<u64>(wordOf(hot, (to - i) << 6), 0)
}

function wordOf(hot: usize, sequence: u64): usize {
  return hot + HOT_BITMAP + ((<usize>(sequence >> 6) & load<u32>(hot + HOT_WORD_MASK)) << 3)
}

function bitOf(sequence: u64): u64 {
  return (<u64>1) << (sequence & 63)
}
