// Traffic selectors, RFC 7296 §3.13 on the wire and §2.9 in negotiation.

import type { TrafficSelector } from '../ports.ts'
import { addressText } from './address.ts'
import { compareBytes, concat, copy, u16, u16Bytes } from './bytes.ts'
import { malformed } from './reasons.ts'
import type { Decoded } from './types.ts'

const typeIpv4 = 7
const typeIpv6 = 8
const addressLength: Record<number, number> = { [typeIpv4]: 4, [typeIpv6]: 16 }

/** More entries than this are never answered; the count field holds 255. */
export const maxSelectors = 64

/** Decodes the body of a TSi or TSr payload. Entries of unknown type are left out: nothing is matched by them (§2.9). */
export function decodeSelectors(body: Uint8Array): Decoded<TrafficSelector[]> {
  if (body.length < 4) return malformed('ike-ts-payload')
  const selectors: TrafficSelector[] = []
  let at = 4
  for (let left = body[0]; left > 0; left--) {
    if (at + 8 > body.length) return malformed('ike-ts-payload', 'selector past its payload')
    const length = u16(body, at + 2)
    if (length < 8 || at + length > body.length)
      return malformed('ike-ts-payload', 'selector past its payload')
    const size = addressLength[body[at]]
    if (size !== undefined) {
      if (length !== 8 + 2 * size) return malformed('ike-ts-payload', 'selector of the wrong length')
      selectors.push(decodeSelector(body.subarray(at, at + length), size))
    }
    at += length
  }
  return at === body.length ? { ok: true, value: selectors } : malformed('ike-ts-payload', 'trailing bytes')
}

/** §3.13.1; the caller has checked the length. */
function decodeSelector(bytes: Uint8Array, size: number): TrafficSelector {
  return {
    family: size === 4 ? 4 : 6,
    protocol: bytes[1],
    startPort: u16(bytes, 4),
    endPort: u16(bytes, 6),
    start: copy(bytes.subarray(8, 8 + size)),
    end: copy(bytes.subarray(8 + size)),
  }
}

/** Encodes the body of a TSi or TSr payload; at most 255 selectors. */
export function encodeSelectors(selectors: TrafficSelector[]): Uint8Array {
  const parts = selectors.map((selector) =>
    concat(
      Uint8Array.of(selector.family === 4 ? typeIpv4 : typeIpv6, selector.protocol),
      u16Bytes(8 + 2 * selector.start.length),
      u16Bytes(selector.startPort),
      u16Bytes(selector.endPort),
      selector.start,
      selector.end,
    ),
  )
  return concat(Uint8Array.of(selectors.length, 0, 0, 0), ...parts)
}

const lower = (a: Uint8Array, b: Uint8Array) => (compareBytes(a, b) <= 0 ? a : b)
const higher = (a: Uint8Array, b: Uint8Array) => (compareBytes(a, b) >= 0 ? a : b)

/** What both selectors cover, or null. OPAQUE ports (65535-0, §3.13.1) and reversed ranges cover nothing here. */
export function intersectSelectors(a: TrafficSelector, b: TrafficSelector): TrafficSelector | null {
  if (a.family !== b.family) return null
  if (a.protocol !== b.protocol && a.protocol !== 0 && b.protocol !== 0) return null
  const start = higher(a.start, b.start)
  const end = lower(a.end, b.end)
  const startPort = Math.max(a.startPort, b.startPort)
  const endPort = Math.min(a.endPort, b.endPort)
  if (compareBytes(start, end) > 0 || startPort > endPort) return null
  return { family: a.family, protocol: a.protocol || b.protocol, startPort, endPort, start, end }
}

/** True when every packet that `inner` matches is matched by `outer`. */
export function coversSelector(outer: TrafficSelector, inner: TrafficSelector): boolean {
  return (
    outer.family === inner.family &&
    (outer.protocol === 0 || outer.protocol === inner.protocol) &&
    outer.startPort <= inner.startPort &&
    outer.endPort >= inner.endPort &&
    compareBytes(outer.start, inner.start) <= 0 &&
    compareBytes(outer.end, inner.end) >= 0
  )
}

/** True when `inner` is not empty and each of its entries lies within one entry of `outer`: the answer is no wider than the offer. */
export function selectorsWithin(inner: TrafficSelector[], outer: TrafficSelector[]): boolean {
  return inner.length > 0 && inner.every((entry) => outer.some((cover) => coversSelector(cover, entry)))
}

/**
 * The responder's answer of RFC 7296 §2.9: the union of all intersections of the offer with our policy, in the order
 * of the offer, without entries that another one covers. When the initiator put the packet's own selector first and
 * policy allows it, the answer includes it by construction; it stays first unless a wider entry already holds it.
 * null: nothing in common (TS_UNACCEPTABLE).
 */
export function narrowSelectors(
  offered: TrafficSelector[],
  allowed: TrafficSelector[],
): TrafficSelector[] | null {
  const kept: TrafficSelector[] = []
  for (const offer of offered) {
    for (const allow of allowed) {
      const common = intersectSelectors(offer, allow)
      if (!common || kept.some((other) => coversSelector(other, common))) continue
      if (kept.length === maxSelectors) return kept
      for (let at = kept.length - 1; at >= 0; at--) if (coversSelector(common, kept[at])) kept.splice(at, 1)
      kept.push(common)
    }
  }
  return kept.length === 0 ? null : kept
}

/** Whether some address lies in both lists, whatever protocols and ports they name. */
export function addressesMeet(a: TrafficSelector[], b: TrafficSelector[]): boolean {
  const anyPort = { protocol: 0, startPort: 0, endPort: 65535 }
  return a.some((one) =>
    b.some((other) => intersectSelectors({ ...one, ...anyPort }, { ...other, ...anyPort })),
  )
}

/** Shape test for prefixes: length when start and end are the ends of one prefix, else null. */
function prefixLength(start: Uint8Array, end: Uint8Array): number | null {
  let bits = 0
  while (bits < start.length * 8 && ((start[bits >> 3] ^ end[bits >> 3]) & (0x80 >> (bits & 7))) === 0) bits++
  for (let bit = bits; bit < start.length * 8; bit++) {
    const mask = 0x80 >> (bit & 7)
    if ((start[bit >> 3] & mask) !== 0 || (end[bit >> 3] & mask) === 0) return null
  }
  return bits
}

/** Text for log and show: `10.1.0.0/16`, `10.0.0.1-10.0.0.9`, with `[protocol/ports]` when limited. */
export function describeSelector(selector: TrafficSelector): string {
  const length = prefixLength(selector.start, selector.end)
  const start = addressText(selector.start)
  const range = length === null ? `${start}-${addressText(selector.end)}` : `${start}/${length}`
  const { protocol, startPort, endPort } = selector
  const anyPort = startPort === 0 && endPort === 65535
  if (protocol === 0 && anyPort) return range
  const ports = anyPort ? '' : startPort === endPort ? `/${startPort}` : `/${startPort}-${endPort}`
  return `${range}[${protocol || 'any'}${ports}]`
}
