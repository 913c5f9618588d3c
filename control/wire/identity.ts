// Identities, RFC 7296 §3.5: configuration <-> ID payloads, and when two are the same.
//
// Types are never coerced: the name "192.0.2.1" is not the address 192.0.2.1 (security C8).

import type { Identity } from '../config/model.ts'
import { addressBytes, addressText } from './address.ts'
import { equalBytes, fromHex, hex } from './bytes.ts'
import { dnText, encodeDn, matchesDn, parseDnText, readDn } from './dn.ts'
import { malformed } from './reasons.ts'
import type { Decoded } from './types.ts'

/** ID types of §3.5. */
export const IdType = {
  IPV4_ADDR: 1,
  FQDN: 2,
  RFC822_ADDR: 3,
  IPV6_ADDR: 5,
  DER_ASN1_DN: 9,
  DER_ASN1_GN: 10,
  KEY_ID: 11,
} as const

const typeOfKind = { fqdn: IdType.FQDN, 'user-fqdn': IdType.RFC822_ADDR, 'key-id': IdType.KEY_ID } as const
const maxNameLength = 255
const maxDnLength = 4096 // bytes of DER; longer ones are no name but a load
const nameCharacters = /^[\x21-\x7e]+$/

/**
 * ID payload fields of a configured identity; null when its text does not fit its kind.
 * subject: DER of our certificate's subject. A dn that equals it is sent in exactly that encoding,
 * because a peer may compare bytes.
 */
export function encodeIdentity(
  identity: Identity,
  subject?: Uint8Array,
): { idType: number; data: Uint8Array } | null {
  if (identity.kind === 'address') {
    const data = addressBytes(identity.value)
    return data && { idType: data.length === 4 ? IdType.IPV4_ADDR : IdType.IPV6_ADDR, data }
  }
  if (identity.kind === 'dn') {
    const dn = parseDnText(identity.value)
    if (!dn) return null
    const own = subject && readDn(subject)
    const data = own && matchesDn(dn, own) ? subject : encodeDn(dn)
    return { idType: IdType.DER_ASN1_DN, data }
  }
  const idType = typeOfKind[identity.kind]
  if (identity.kind === 'key-id') {
    if (!/^([0-9a-fA-F]{2})+$/.test(identity.value)) return null
    return { idType, data: fromHex(identity.value) }
  }
  if (!nameCharacters.test(identity.value)) return null
  return { idType, data: new TextEncoder().encode(identity.value) }
}

/** The body of an ID payload as AUTH covers it when we send it: type, 3 zero bytes, data (§2.15 RestOfIDPayload). */
export function idBody(idType: number, data: Uint8Array): Uint8Array {
  const body = new Uint8Array(4 + data.length)
  body[0] = idType
  body.set(data, 4)
  return body
}

function decodeName(kind: 'fqdn' | 'user-fqdn', data: Uint8Array): Identity | null {
  if (data.length === 0 || data.length > maxNameLength) return null
  if (!data.every((byte) => byte > 0x20 && byte < 0x7f)) return null
  return { kind, value: String.fromCharCode(...data) }
}

function decodeData(idType: number, data: Uint8Array): Identity | null {
  switch (idType) {
    case IdType.IPV4_ADDR:
      return data.length === 4 ? { kind: 'address', value: addressText(data)! } : null
    case IdType.IPV6_ADDR:
      return data.length === 16 ? { kind: 'address', value: addressText(data)! } : null
    case IdType.FQDN:
      return decodeName('fqdn', data)
    case IdType.RFC822_ADDR:
      return decodeName('user-fqdn', data)
    case IdType.DER_ASN1_DN: {
      const dn = data.length <= maxDnLength ? readDn(data) : null
      return dn && dn.length > 0 ? { kind: 'dn', value: dnText(dn) } : null
    }
    case IdType.KEY_ID:
      return data.length > 0 && data.length <= 1024 ? { kind: 'key-id', value: hex(data) } : null
    default:
      return null
  }
}

/** Identity of a received ID payload; control characters, spaces and NUL in names, wrong lengths and unknown types are refused. */
export function decodeIdentity(idType: number, data: Uint8Array): Decoded<Identity> {
  const value = decodeData(idType, data)
  return value ? { ok: true, value } : malformed('ike-identity', `type ${idType}, ${data.length} bytes`)
}

const lowerAscii = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

/** `*` in a configured name stands for one or more characters; as a whole label or local part it is meant for on-demand peers. */
function matchesPattern(pattern: string, actual: string): boolean {
  if (!pattern.includes('*')) return pattern === actual
  const parts = pattern.split('*').map((part) => part.replace(/[^A-Za-z0-9]/g, '\\$&'))
  return new RegExp(`^${parts.join('[^@]+')}$`).test(actual)
}

function matchesDnTexts(pattern: string, actual: string): boolean {
  const wanted = parseDnText(pattern)
  const found = parseDnText(actual)
  return wanted !== null && found !== null && matchesDn(wanted, found, true)
}

/**
 * True when a peer's identity is the configured one. Same kind only; names without regard to ASCII case
 * (RFC 4343), addresses and key ids by their bytes, dn as a sequence of relative names (RFC 5280 §7.1).
 * `*` in the configured value: one dn attribute value, or one or more characters of a name.
 */
export function matchesIdentity(configured: Identity | 'any', actual: Identity): boolean {
  if (configured === 'any') return true
  if (configured.kind !== actual.kind) return false
  if (configured.kind === 'address') {
    const wanted = addressBytes(configured.value)
    const found = addressBytes(actual.value)
    return wanted !== null && found !== null && equalBytes(wanted, found)
  }
  if (configured.kind === 'dn') return matchesDnTexts(configured.value, actual.value)
  return matchesPattern(lowerAscii(configured.value), lowerAscii(actual.value))
}

/** True when the configured identity stands for more than one peer. */
export function hasWildcard(identity: Identity | 'any'): boolean {
  return (
    identity === 'any' ||
    (identity.kind !== 'address' && identity.kind !== 'key-id' && identity.value.includes('*'))
  )
}

/** `fqdn pe1.example.net`: the form of the configuration, for log and show. */
export function describeIdentity(identity: Identity | 'any'): string {
  return identity === 'any' ? 'any' : `${identity.kind} ${identity.value}`
}
