// What an outbound SA may still send, and what it has sent.

import {
  DROP_NONE,
  DROP_SA_EXPIRED,
  DROP_SEQUENCE_EXHAUSTED,
  EVENT_SA_SOFT,
  EVENT_SEQ_NEAR_WRAP,
  HOT_BYTES,
  HOT_DEADLINE,
  HOT_FLAG_SOFT_RAISED,
  HOT_FLAG_WRAP_RAISED,
  HOT_HARD_BYTES,
  HOT_HARD_PACKETS,
  HOT_LAST_USED,
  HOT_NEAR_WRAP,
  HOT_PACKETS,
  HOT_SEQUENCE,
  HOT_SEQUENCE_LIMIT,
  HOT_SOFT_BYTES,
  HOT_SOFT_PACKETS,
} from './abi.ts'
import { clock, now } from './machine.ts'
import { expireSa, raiseOnce } from './sa.ts'

/** Numbers never wrap (RFC 4303 §2.2, RFC 4302 §2.5); time, bytes and packets end at their hard limit. */
export function withinLimits(sa: u32, hot: usize, inner: u32): u32 {
  if (load<u64>(hot + HOT_SEQUENCE) >= load<u64>(hot + HOT_SEQUENCE_LIMIT)) {
    expireSa(sa, hot)
    return DROP_SEQUENCE_EXHAUSTED
  }
  const bytes = load<u64>(hot + HOT_BYTES) + inner
  const spent =
    clock >= load<u64>(hot + HOT_DEADLINE) ||
    bytes > load<u64>(hot + HOT_HARD_BYTES) ||
    load<u64>(hot + HOT_PACKETS) >= load<u64>(hot + HOT_HARD_PACKETS)
  if (!spent) return DROP_NONE
  expireSa(sa, hot)
  return DROP_SA_EXPIRED
}

/** True when none of the next `packets` packets, of `inner` bytes together, meets a limit. */
export function allWithinLimits(hot: usize, packets: u32, inner: u32): bool {
  const sequence = load<u64>(hot + HOT_SEQUENCE)
  const limit = load<u64>(hot + HOT_SEQUENCE_LIMIT)
  return (
    sequence < limit &&
    limit - sequence >= <u64>packets && // a sum might wrap
    clock < load<u64>(hot + HOT_DEADLINE) &&
    load<u64>(hot + HOT_BYTES) + inner <= load<u64>(hot + HOT_HARD_BYTES) &&
    load<u64>(hot + HOT_PACKETS) + packets <= load<u64>(hot + HOT_HARD_PACKETS)
  )
}

/** The next number of an SA within its limits. */
export function takeNumber(hot: usize): u64 {
  const sequence = load<u64>(hot + HOT_SEQUENCE) + 1
  store<u64>(hot + HOT_SEQUENCE, sequence)
  return sequence
}

/** Counts `packets` packets of `inner` bytes together, the last of which was given the number HOT_SEQUENCE stands at. */
export function spend(sa: u32, hot: usize, packets: u32, inner: u32): void {
  const bytes = load<u64>(hot + HOT_BYTES) + inner
  const sent = load<u64>(hot + HOT_PACKETS) + packets
  store<u64>(hot + HOT_BYTES, bytes)
  store<u64>(hot + HOT_PACKETS, sent)
  store<u32>(hot + HOT_LAST_USED, now)
  const soft = bytes >= load<u64>(hot + HOT_SOFT_BYTES) || sent >= load<u64>(hot + HOT_SOFT_PACKETS)
  if (soft) raiseOnce(sa, hot, HOT_FLAG_SOFT_RAISED, EVENT_SA_SOFT)
  if (load<u64>(hot + HOT_SEQUENCE) >= load<u64>(hot + HOT_NEAR_WRAP))
    raiseOnce(sa, hot, HOT_FLAG_WRAP_RAISED, EVENT_SEQ_NEAR_WRAP)
}
