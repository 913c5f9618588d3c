// Addresses and prefixes between text and network order bytes.

import ipaddr from 'ipaddr.js'
import type { Address } from '../control/ports.ts'

/** 4 or 16 bytes, network order. Throws on text that is no address. */
export function addressBytes(address: Address): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray())
}

/** Canonical text (RFC 5952) of 4 or 16 bytes. */
export function addressText(bytes: Uint8Array): Address {
  if (bytes.length === 4) return bytes.join('.')
  return new ipaddr.IPv6([...bytes]).toRFC5952String()
}

export const familyOf = (address: Address): 4 | 6 => (address.includes(':') ? 6 : 4)

/** ADDRESS/LENGTH as network order bytes and bits; a bare address is a host. Throws on anything else. */
export function parsePrefix(prefix: string): { address: Uint8Array; length: number } {
  const [text = '', bits] = prefix.split('/')
  const address = addressBytes(text)
  const length = bits === undefined ? address.length * 8 : Number(bits)
  if (!Number.isInteger(length) || length < 0 || length > address.length * 8)
    throw new Error(`'${prefix}' is no prefix: ADDRESS/LENGTH with a length of 0 to ${address.length * 8}`)
  return { address, length }
}

/** Whether the first `length` bits of both are equal; different families never match. */
export function samePrefix(one: Uint8Array, other: Uint8Array, length: number): boolean {
  if (one.length !== other.length) return false
  const whole = length >>> 3
  for (let index = 0; index < whole; index++) if (one[index] !== other[index]) return false
  const rest = length & 7
  return rest === 0 || (one[whole] ^ other[whole]) >> (8 - rest) === 0
}
