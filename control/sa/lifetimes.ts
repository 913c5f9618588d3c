// When an SA is renewed and when it ends (RFC 7296 §2.8: lifetimes are local, never negotiated).

/** Monotonic ms; Infinity = never. */
export type Deadlines = { softAt: number; hardAt: number }

/** No SA is renewed more often than this, whatever the configuration or the peer say, seconds. */
export const MINIMUM_LIFETIME = 5

/**
 * Soft and hard end of an SA that starts now. The margin is at most a quarter of the lifetime; fuzz (percent of the
 * margin) spreads renewals. The SA's responder waits half the margin longer, so that two gateways with equal
 * settings do not renew the same SA at once (§2.8.1). `random` is one byte of entropy.
 */
export function deadlines(
  now: number,
  seconds: number,
  rekeyMargin: { seconds: number; fuzz: number },
  role: 'initiator' | 'responder',
  random: number,
): Deadlines {
  if (seconds === 0) return { softAt: Number.POSITIVE_INFINITY, hardAt: Number.POSITIVE_INFINITY }
  const life = Math.max(seconds, MINIMUM_LIFETIME) * 1000
  const margin = Math.min(rekeyMargin.seconds * 1000, life / 4)
  const fuzz = (margin * Math.min(rekeyMargin.fuzz, 100) * (random & 0xff)) / 25_500
  const early = role === 'initiator' ? margin + fuzz : margin / 2
  return { softAt: Math.round(now + life - early), hardAt: now + life }
}

/** Next attempt after a renewal that was refused: a quarter of what is left, at least five seconds. */
export function nextRenewal(now: number, hardAt: number): number {
  return now + Math.max((hardAt - now) / 4, 5_000)
}
