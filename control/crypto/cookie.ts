// Stateless cookies, RFC 7296 §2.6: the responder remembers nothing but two secrets.
//
// Cookie = version of the secret (1 byte) | HMAC-SHA-256(secret, Ni | address | port | SPIi) (32 bytes).
// The secret rotates every period; the one before is still accepted, older ones are not (security B5).

import type { Endpoint } from '../ports.ts'
import { addressBytes } from '../wire/address.ts'
import { concat, u16Bytes, u64Bytes } from '../wire/bytes.ts'
import { equalSecrets, prf, wipe } from './suite.ts'

/** Monotonic milliseconds between two secrets. */
export const cookiePeriod = 60_000

/** The two living secrets; period is now / cookiePeriod rounded down. */
export type CookieSecrets = { period: number; current: Uint8Array; previous: Uint8Array }

/** Secrets of a gateway that just started; random gives fresh bytes of their own. */
export function createCookieSecrets(now: number, random: (length: number) => Uint8Array): CookieSecrets {
  return { period: Math.floor(now / cookiePeriod), current: random(32), previous: random(32) }
}

/** Moves to the period of `now`: call before makeCookie and checkCookie. Wipes what can no longer be used. */
export function rotateCookieSecrets(
  secrets: CookieSecrets,
  now: number,
  random: (length: number) => Uint8Array,
): void {
  const steps = Math.floor(now / cookiePeriod) - secrets.period
  if (steps <= 0) return
  wipe(secrets.previous)
  secrets.previous = secrets.current
  if (steps > 1) wipe(secrets.previous)
  if (steps > 1) secrets.previous = random(32)
  secrets.current = random(32)
  secrets.period += steps
}

function cookieOf(
  period: number,
  secret: Uint8Array,
  peer: Endpoint,
  spiI: bigint,
  ni: Uint8Array,
): Uint8Array {
  const address = addressBytes(peer.address) ?? new Uint8Array(0)
  const mac = prf('sha256', secret, ni, address, u16Bytes(peer.port), u64Bytes(spiI))
  return concat(Uint8Array.of(period & 0xff), mac)
}

/** 33 bytes for a COOKIE notify to this peer. */
export function makeCookie(secrets: CookieSecrets, peer: Endpoint, spiI: bigint, ni: Uint8Array): Uint8Array {
  return cookieOf(secrets.period, secrets.current, peer, spiI, ni)
}

/** True when the cookie was made for the same address, port, SPI and nonce in this period or the one before. */
export function checkCookie(
  secrets: CookieSecrets,
  cookie: Uint8Array,
  peer: Endpoint,
  spiI: bigint,
  ni: Uint8Array,
): boolean {
  const isCurrent = cookie[0] === (secrets.period & 0xff)
  const secret = isCurrent ? secrets.current : secrets.previous
  const period = isCurrent ? secrets.period : secrets.period - 1
  return equalSecrets(cookie, cookieOf(period, secret, peer, spiI, ni))
}
