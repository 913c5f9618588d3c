// IP addresses between text (RFC 5952) and network-order bytes.

import ipaddr from 'ipaddr.js'
import type { Address } from '../ports.ts'

/** 4 or 16 bytes of an address in text form, or null when the text is no address (a zone is refused). */
export function addressBytes(address: Address): Uint8Array | null {
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) && !ipaddr.IPv6.isValid(address)) return null
  if (address.includes('%')) return null
  return Uint8Array.from(ipaddr.parse(address).toByteArray())
}

/** Canonical text of 4 or 16 bytes; null for any other length. */
export function addressText(bytes: Uint8Array): Address | null {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) return null
  return new ipaddr.IPv6(Array.from(bytes)).toRFC5952String()
}
