// When a request is sent again and when its peer counts as dead (RFC 7296 §2.4). Only the initiator of an
// exchange repeats; a response goes out again only when its request comes again (§2.1).

import type { RetransmitSchedule } from './options.ts'

/**
 * Wait after transmission number `attempt` (1 = the first), in ms, with jitter so that two gateways that
 * lost the same link do not answer in step. `random` is one byte of entropy.
 */
export function waitAfter(attempt: number, schedule: RetransmitSchedule, random: number): number {
  const plain = Math.min(schedule.baseMs * schedule.factor ** (attempt - 1), schedule.capMs)
  const swing = ((random & 0xff) / 127.5 - 1) * schedule.jitter
  return Math.round(plain * (1 + swing))
}

/**
 * How long an exchange on an established SA may stay unanswered: a dead peer is found within
 * interval x retries, of which the first interval passed before the probe. Seconds in, ms out.
 */
export function giveUpAfter(dpd: { interval: number; retries: number } | null, schedule: RetransmitSchedule) {
  if (dpd === null) return schedule.giveUpMs
  return Math.max(dpd.interval * (dpd.retries - 1) * 1000, MINIMUM_MS)
}

/** Even `dpd 1 1` lets three transmissions pass. */
const MINIMUM_MS = 2_000
