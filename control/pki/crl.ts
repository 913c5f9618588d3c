// Certificate revocation lists (RFC 5280 §5), complete ones only.

import { equalBytes } from '../wire/bytes.ts'
import {
  context,
  type Der,
  readChildren,
  readElement,
  readSmall,
  readUnsigned,
  readWhole,
  Tag,
} from '../wire/der.ts'
import { type Name, readName, readSigned, readTime, type SignatureOf } from './certificate.ts'
import { readExtension } from './extensions.ts'

/** Byte fields are views of the DER. `entries` are the encoded revokedCertificates, walked on look-up. */
export type Crl = {
  der: Uint8Array
  issuer: Name
  thisUpdate: number
  nextUpdate: number | null
  entries: Uint8Array
  signature: SignatureOf
}

/** A list with a critical extension is partial (delta, one distribution point): taken as no list at all. */
function hasCriticalExtension(field: Der | undefined): boolean | null {
  if (!field) return false
  const list = readChildren(readWhole(field.content), Tag.SEQUENCE)?.map(readExtension)
  if (!list || list.includes(null)) return null
  return list.some((extension) => extension!.critical)
}

/** Reads a CRL; null when malformed, version 1 with extensions, or partial. Signature and dates are not judged. */
export function readCrl(der: Uint8Array): Crl | null {
  const signed = readSigned(der)
  const fields = signed && readChildren(signed.tbs, Tag.SEQUENCE)
  if (!signed || !fields) return null
  const version = fields[0]?.tag === Tag.INTEGER ? readSmall(fields.shift()) : 0
  const extensions = fields.at(-1)?.tag === context(0) ? fields.pop() : undefined
  const [algorithm, issuerField, thisField, ...rest] = fields
  const issuer = readName(issuerField)
  const thisUpdate = readTime(thisField)
  const isTime = rest[0]?.tag === Tag.UTC_TIME || rest[0]?.tag === Tag.GENERALIZED_TIME
  const nextUpdate = isTime ? readTime(rest.shift()) : null
  const list = rest.shift()
  if ((version !== 0 && version !== 1) || !issuer || thisUpdate === null || (isTime && nextUpdate === null))
    return null
  if (!equalBytes(algorithm.full, signed.algorithm.full) || rest.length > 0) return null
  if ((list && list.tag !== Tag.SEQUENCE) || hasCriticalExtension(extensions) !== false) return null
  const entries = list?.content ?? new Uint8Array(0)
  return { der, issuer, thisUpdate, nextUpdate, entries, signature: signed.signature }
}

/** True from thisUpdate until nextUpdate: a list without an end is never fresh (§5.1.2.5). now: milliseconds since 1970. */
export function isFresh(crl: Crl, now: number): boolean {
  return crl.thisUpdate <= now && crl.nextUpdate !== null && now < crl.nextUpdate
}

/** Revoked serial numbers of the list; null when it is malformed. */
export function revokedSerials(crl: Crl): Uint8Array[] | null {
  const serials: Uint8Array[] = []
  for (let at = 0; at < crl.entries.length; ) {
    const entry = readElement(crl.entries, at)
    const serial = entry?.tag === Tag.SEQUENCE ? readUnsigned(readElement(entry.content)) : null
    if (!entry || !serial) return null
    serials.push(serial)
    at += entry.full.length
  }
  return serials
}

/** Looks a serial number up: true revoked, false not on the list, null when the list is malformed (§5.3: hold counts as revoked). */
export function isOnCrl(crl: Crl, serial: Uint8Array): boolean | null {
  for (let at = 0; at < crl.entries.length; ) {
    const entry = readElement(crl.entries, at)
    const found = entry?.tag === Tag.SEQUENCE ? readUnsigned(readElement(entry.content)) : null
    if (!entry || !found) return null
    if (equalBytes(found, serial)) return true
    at += entry.full.length
  }
  return false
}
