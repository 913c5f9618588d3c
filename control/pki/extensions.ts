// Certificate extensions, RFC 5280 §4.2: the ones that path validation processes, as data.

import { type Der, readBoolean, readChildren, readOid, readSmall, readWhole, Tag } from '../wire/der.ts'
import {
  type GeneralName,
  type NameConstraints,
  readGeneralNames,
  readNameConstraints,
} from './general-name.ts'

export type Extensions = {
  basicConstraints: { ca: boolean; pathLength: number | null } | null
  keyUsage: Set<KeyUsage> | null
  extendedKeyUsage: string[] | null
  altNames: GeneralName[] | null
  nameConstraints: NameConstraints | null
  subjectKeyId: Uint8Array | null
  authorityKeyId: Uint8Array | null
  /** dotted id of the first critical extension that nobody processes, or null */
  unknownCritical: string | null
}

/** Bits of KeyUsage in their order (§4.2.1.3). */
const keyUsageBits = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
export type KeyUsage = (typeof keyUsageBits)[number]

export const extensionIds = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  altNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const

function readBasicConstraints(value: Uint8Array): Extensions['basicConstraints'] {
  const parts = readChildren(readWhole(value), Tag.SEQUENCE)
  if (!parts || parts.length > 2) return null
  const rest = [...parts]
  const ca = rest[0]?.tag === Tag.BOOLEAN ? readBoolean(rest.shift()!) : false
  const pathLength = rest.length > 0 ? readSmall(rest[0]) : null
  if (ca === null || rest.length > 1 || (rest.length === 1 && (pathLength === null || !ca))) return null
  return { ca, pathLength }
}

function readKeyUsage(value: Uint8Array): Set<KeyUsage> | null {
  const bits = readWhole(value, Tag.BIT_STRING)?.content
  if (!bits || bits.length < 2 || bits.length > 3 || bits[0] > 7) return null
  return new Set(keyUsageBits.filter((_, bit) => ((bits[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0))
}

function readUsages(value: Uint8Array): string[] | null {
  const oids = readChildren(readWhole(value), Tag.SEQUENCE)?.map(readOid)
  return oids?.length && !oids.includes(null) ? (oids as string[]) : null
}

function readAuthorityKeyId(value: Uint8Array): Uint8Array | null {
  const parts = readChildren(readWhole(value), Tag.SEQUENCE)
  if (!parts) return null
  return parts.find((part) => part.tag === 0x80)?.content ?? new Uint8Array(0)
}

type Reader = (value: Uint8Array, into: Extensions) => unknown

/** Extension id -> reader; a reader that returns null found its contents malformed. */
const readers: Record<string, Reader> = {
  [extensionIds.basicConstraints]: (value, into) => (into.basicConstraints = readBasicConstraints(value)),
  [extensionIds.keyUsage]: (value, into) => (into.keyUsage = readKeyUsage(value)),
  [extensionIds.extendedKeyUsage]: (value, into) => (into.extendedKeyUsage = readUsages(value)),
  [extensionIds.altNames]: (value, into) => (into.altNames = readGeneralNames(value)),
  [extensionIds.nameConstraints]: (value, into) => (into.nameConstraints = readNameConstraints(value)),
  [extensionIds.subjectKeyId]: (value, into) =>
    (into.subjectKeyId = readWhole(value, Tag.OCTET_STRING)?.content ?? null),
  [extensionIds.authorityKeyId]: (value, into) => (into.authorityKeyId = readAuthorityKeyId(value)),
  // any policy will do for us, so nothing has to be read of it (§6.1.1: user-initial-policy-set is any-policy)
  [extensionIds.certificatePolicies]: () => true,
}

/** Id, critical flag and contents of one Extension. */
export function readExtension(element: Der): { oid: string; critical: boolean; value: Uint8Array } | null {
  const parts = readChildren(element, Tag.SEQUENCE)
  const oid = readOid(parts?.[0])
  if (!parts || oid === null || parts.length < 2 || parts.length > 3) return null
  const critical = parts.length === 3 ? readBoolean(parts[1]) : false
  const value = parts[parts.length - 1]
  if (critical === null || value.tag !== Tag.OCTET_STRING) return null
  return { oid, critical, value: value.content }
}

export function noExtensions(): Extensions {
  return {
    basicConstraints: null,
    keyUsage: null,
    extendedKeyUsage: null,
    altNames: null,
    nameConstraints: null,
    subjectKeyId: null,
    authorityKeyId: null,
    unknownCritical: null,
  }
}

/** Reads the list inside Extensions; the id of a malformed or repeated one is the error text. */
export function readExtensions(elements: Der[]): Extensions | string {
  const extensions = noExtensions()
  const seen = new Set<string>()
  for (const element of elements) {
    const extension = readExtension(element)
    if (!extension) return 'extension'
    const { oid, critical, value } = extension
    if (seen.has(oid)) return `extension ${oid} twice`
    seen.add(oid)
    const reader = readers[oid]
    if (reader && reader(value, extensions) === null) return `extension ${oid}`
    if (!reader && critical) extensions.unknownCritical ??= oid
  }
  return extensions
}
