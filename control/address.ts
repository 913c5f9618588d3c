// IP addresses, prefixes and ranges as bytes, and traffic selectors as text.
//
// Addresses are 4 or 16 bytes in network order wherever they are compared or sent, and canonical text
// (dotted decimal, RFC 5952) wherever they are shown or used as a key. Parsing never throws: text that is
// no address gives null.

import ipaddr from 'ipaddr.js'
import type { Address, TrafficSelector } from './ports.ts'

export type Family = 4 | 6
/** An address with a prefix length; the host bits may be set (`ip address 10.0.0.1/24`). */
export type Prefix = { family: Family; address: Uint8Array; length: number }
/** Inclusive range of addresses of one family, network order. */
export type AddressRange = { family: Family; start: Uint8Array; end: Uint8Array }

const DOTTED_QUAD = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/
const LONGEST_TEXT = 45 // INET6_ADDRSTRLEN without the terminator

/** Bytes of an address in text form, 4 (IPv4, four decimal parts) or 16 (IPv6 without zone); null if it is none. */
export function parseAddress(text: string): Uint8Array | null {
  if (text.length > LONGEST_TEXT) return null
  return text.includes(':') ? parseV6(text) : parseV4(text)
}

function parseV4(text: string): Uint8Array | null {
  if (!DOTTED_QUAD.test(text)) return null
  const parts = text.split('.').map(Number)
  return parts.every((part) => part <= 255) ? Uint8Array.from(parts) : null
}

/** ipaddr.js takes octal quads, zones and five-digit groups, and reads ::1.2.3.4 as IPv4-mapped; none of that is RFC 4291 §2.2. */
function parseV6(text: string): Uint8Array | null {
  const groups = quadToGroups(text)
  if (groups === null || !/^[0-9a-fA-F:]+$/.test(groups) || /[0-9a-fA-F]{5}/.test(groups)) return null
  if (!ipaddr.IPv6.isValid(groups)) return null
  return Uint8Array.from(ipaddr.IPv6.parse(groups).toByteArray())
}

/** RFC 4291 §2.2 form 3: the last 32 bits as a dotted quad, rewritten as two hexadecimal groups. */
function quadToGroups(text: string): string | null {
  if (!text.includes('.')) return text
  const cut = text.lastIndexOf(':') + 1
  const quad = parseV4(text.slice(cut))
  if (quad === null) return null
  const group = (at: number) => ((quad[at] << 8) | quad[at + 1]).toString(16)
  return `${text.slice(0, cut)}${group(0)}:${group(2)}`
}

/** Canonical text of 4 or 16 bytes: dotted decimal, or RFC 5952. Any other length is a programming error and throws. */
export function formatAddress(bytes: Uint8Array): Address {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`)
  return new ipaddr.IPv6(Array.from(bytes)).toRFC5952String()
}

/** The canonical spelling of an address in text form, or null. */
export function canonicalAddress(text: string): Address | null {
  const bytes = parseAddress(text)
  return bytes && formatAddress(bytes)
}

/** 4 or 6 for an address in text form, null if it is none. */
export function addressFamily(text: string): Family | null {
  const bytes = parseAddress(text)
  return bytes && familyOf(bytes)
}

/** Family of 4 or 16 address bytes. */
export function familyOf(bytes: Uint8Array): Family {
  return bytes.length === 4 ? 4 : 6
}

/** `ADDR/LENGTH`, length 0-32 or 0-128; null if it is no prefix. */
export function parsePrefix(text: string): Prefix | null {
  const [head, tail, ...rest] = text.split('/')
  const address = parseAddress(head)
  if (address === null || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(tail ?? '')) return null
  const length = Number(tail)
  return length <= address.length * 8 ? { family: familyOf(address), address, length } : null
}

/** `ADDR/LENGTH` with the address as it stands. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`
}

/** First and last address of a prefix. */
export function prefixRange(prefix: Prefix): AddressRange {
  const start = prefix.address.slice()
  const end = prefix.address.slice()
  for (let at = 0; at < start.length; at++) {
    const hostMask = 0xff >> Math.min(8, Math.max(0, prefix.length - at * 8))
    start[at] &= ~hostMask
    end[at] |= hostMask
  }
  return { family: prefix.family, start, end }
}

/** The prefix with its host bits cleared, canonical text; null if the text is no prefix. */
export function networkOf(text: string): string | null {
  const prefix = parsePrefix(text)
  return prefix && formatPrefix({ ...prefix, address: prefixRange(prefix).start })
}

/** The prefix that is exactly this range, or null when the range is none. */
export function rangePrefix(range: AddressRange): Prefix | null {
  const length = commonBits(range.start, range.end)
  const prefix = { family: range.family, address: range.start, length }
  const whole = prefixRange(prefix)
  const exact = compareBytes(whole.start, range.start) === 0 && compareBytes(whole.end, range.end) === 0
  return exact ? prefix : null
}

/** The fewest prefixes that make up a range, in order; at most two for each bit of an address. */
export function rangePrefixes({ family, start, end }: AddressRange): Prefix[] {
  const bits = family === 4 ? 32n : 128n
  const last = toBigInt(end)
  const prefixes: Prefix[] = []
  for (let at = toBigInt(start); at <= last; ) {
    let free = at === 0n ? bits : trailingZeros(at)
    while (at + (1n << free) - 1n > last) free -= 1n
    prefixes.push({ family, address: fromBigInt(at, start.length), length: Number(bits - free) })
    at += 1n << free
  }
  return prefixes
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

function fromBigInt(value: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => Number((value >> BigInt(8 * (length - 1 - at))) & 0xffn))
}

function trailingZeros(value: bigint): bigint {
  let count = 0n
  while (((value >> count) & 1n) === 0n) count += 1n
  return count
}

function commonBits(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < a.length; at++) {
    if (a[at] !== b[at]) return at * 8 + Math.clz32(a[at] ^ b[at]) - 24
  }
  return a.length * 8
}

/** Numeric order of two byte strings in network order: negative, 0 or positive; the shorter family sorts first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return a.length - b.length
  for (let at = 0; at < a.length; at++) {
    if (a[at] !== b[at]) return a[at] - b[at]
  }
  return 0
}

/** Whether the address (bytes) lies in the range; never across families. */
export function rangeContains(range: AddressRange, address: Uint8Array): boolean {
  return compareBytes(range.start, address) <= 0 && compareBytes(address, range.end) <= 0
}

/** Whether the prefix (text) contains the address (text); false when either is none. */
export function prefixContains(prefix: string, address: Address): boolean {
  const network = parsePrefix(prefix)
  const bytes = parseAddress(address)
  return network !== null && bytes !== null && rangeContains(prefixRange(network), bytes)
}

/** IPv4 class D (RFC 5771) or IPv6 ff00::/8 (RFC 4291 §2.7). */
export function isMulticast(address: Uint8Array): boolean {
  return address.length === 4 ? address[0] >> 4 === 0xe : address[0] === 0xff
}

/** 0.0.0.0 or ::. */
export function isUnspecified(address: Uint8Array): boolean {
  return address.every((byte) => byte === 0)
}

/** Every address of a family. */
export function wholeRange(family: Family): AddressRange {
  const size = family === 4 ? 4 : 16
  return { family, start: new Uint8Array(size), end: new Uint8Array(size).fill(0xff) }
}

/** IANA protocol numbers that the configuration language names; 0 is `ip`, any protocol (RFC 7296 §3.13.1). */
export const PROTOCOLS: Readonly<Record<string, number>> = {
  ip: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmp6: 58,
  sctp: 132,
}

/** The language's word for a protocol number, else its decimal number. */
export function protocolName(protocol: number): string {
  return Object.keys(PROTOCOLS).find((name) => PROTOCOLS[name] === protocol) ?? String(protocol)
}

/** A selector as an operator reads it: `10.1.0.0/24`, `10.0.0.1-10.0.0.9 tcp 80`, `::/0`. */
export function describeSelector(selector: TrafficSelector): string {
  const parts = [describeRange(selector)]
  const ports = describePorts(selector)
  if (selector.protocol !== 0 || ports !== '') parts.push(protocolName(selector.protocol))
  if (ports !== '') parts.push(ports)
  return parts.join(' ')
}

function describePorts(selector: TrafficSelector): string {
  const { startPort, endPort } = selector
  if (startPort === 0 && endPort === 65535) return ''
  if (startPort === 65535 && endPort === 0) return 'opaque' // RFC 4301 §4.4.1.1, on the wire as RFC 7296 §3.13.1
  return startPort === endPort ? String(startPort) : `${startPort}-${endPort}`
}

/** A range as text: the prefix it is, a single address, or both ends. */
export function describeRange(range: AddressRange): string {
  const prefix = rangePrefix(range)
  if (prefix === null) return `${formatAddress(range.start)}-${formatAddress(range.end)}`
  if (prefix.length === 0) return range.family === 4 ? '0.0.0.0/0' : '::/0'
  return prefix.length === range.start.length * 8 ? formatAddress(range.start) : formatPrefix(prefix)
}
