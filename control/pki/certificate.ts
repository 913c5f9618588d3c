// X.509 certificates (RFC 5280 §4.1) as data. A strict reader: what is not DER of the RFC is a refusal with a
// reason, never an exception. Nothing is judged here; validate.ts does.

import { decodeAlgorithm } from '../crypto/auth.ts'
import type { SignatureAlgorithm } from '../ports.ts'
import { equalBytes } from '../wire/bytes.ts'
import {
  context,
  type Der,
  readBitBytes,
  readChildren,
  readOid,
  readSmall,
  readUnsigned,
  readWhole,
  Tag,
} from '../wire/der.ts'
import { type Dn, dnText, readDn } from '../wire/dn.ts'
import { type Extensions, noExtensions, readExtensions } from './extensions.ts'
import { type Refusal, type Result, refuse } from './reasons.ts'

/** Signature of a certificate or CRL: the algorithm (null when we know none for the id), what it covers, its bytes. */
export type SignatureOf = {
  algorithm: SignatureAlgorithm | null
  oid: string
  covered: Uint8Array
  bytes: Uint8Array
}

export type Name = { der: Uint8Array; dn: Dn; text: string }

/** Times are milliseconds since 1970; byte fields are views of der. */
export type Certificate = {
  der: Uint8Array
  serial: Uint8Array // magnitude
  issuer: Name
  subject: Name
  notBefore: number
  notAfter: number
  spki: Uint8Array
  extensions: Extensions
  signature: SignatureOf
}

/** A longer certificate is no certificate of a gateway (security C11, L11). */
export const maxCertificateBytes = 32 * 1024

/** RFC 5280 §4.1.2.5: UTCTime or GeneralizedTime with seconds and Z. */
export function readTime(element: Der | undefined): number | null {
  if (element?.tag !== Tag.UTC_TIME && element?.tag !== Tag.GENERALIZED_TIME) return null
  const text = String.fromCharCode(...element.content.subarray(0, 16))
  const digits = element.tag === Tag.UTC_TIME ? /^\d{12}Z$/ : /^\d{14}Z$/
  if (!digits.test(text) || text.length !== element.content.length) return null
  const century = element.tag === Tag.UTC_TIME ? (text < '5' ? '20' : '19') : ''
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(century + text)!
  const iso = `${parts[0]}-${parts[1]}-${parts[2]}T${parts[3]}:${parts[4]}:${parts[5]}.000Z`
  const time = Date.parse(iso)
  return Number.isNaN(time) || new Date(time).toISOString() !== iso ? null : time
}

/** A Name with its text. Empty names are legal for subjects. */
export function readName(element: Der | undefined): Name | null {
  const dn = element && readDn(element.full)
  return dn ? { der: element.full, dn, text: dnText(dn) } : null
}

/** SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }: the frame of certificates and CRLs; innerAlgorithm is compared by the caller. */
export function readSigned(der: Uint8Array): { tbs: Der; algorithm: Der; signature: SignatureOf } | null {
  const parts = readChildren(readWhole(der), Tag.SEQUENCE)
  if (parts?.length !== 3) return null
  const [tbs, algorithm] = parts
  const bytes = readBitBytes(parts[2])
  const oid = readOid(readChildren(algorithm, Tag.SEQUENCE)?.[0])
  if (!bytes || oid === null) return null
  return {
    tbs,
    algorithm,
    signature: { algorithm: decodeAlgorithm(algorithm.full), oid, covered: tbs.full, bytes },
  }
}

function readExtensionList(element: Der | undefined): Extensions | string {
  if (!element) return noExtensions()
  const list = readChildren(readWhole(element.content), Tag.SEQUENCE)
  return list?.length ? readExtensions(list) : 'extensions'
}

const uniqueIds = [context(1, false), context(2, false)]

const malformed = (detail: string): Refusal => refuse('certificate-malformed', 'certificate', detail)

/** Fields of TBSCertificate in order; version 3 comes with extensions, version 1 without. */
function readTbs(tbs: Der): { fields: Der[]; extensions: Der | undefined } | null {
  const fields = readChildren(tbs, Tag.SEQUENCE)
  if (!fields) return null
  const version = fields[0]?.tag === context(0) ? readSmall(readWhole(fields.shift()!.content)) : 0
  const extensions = fields.at(-1)?.tag === context(3) ? fields.pop() : undefined
  const plain = fields.filter((field) => !uniqueIds.includes(field.tag))
  if (version === null || version > 2 || plain.length !== 6) return null
  if (extensions && version !== 2) return null
  return { fields: plain, extensions }
}

/** Reads one certificate. Signature, validity and constraints are not judged. */
export function readCertificate(der: Uint8Array): Result<Certificate> {
  if (der.length > maxCertificateBytes) return malformed(`${der.length} bytes`)
  const signed = readSigned(der)
  const tbs = signed && readTbs(signed.tbs)
  if (!signed || !tbs) return malformed('structure')
  const [serialField, algorithm, issuerField, validity, subjectField, spki] = tbs.fields
  const serial = readUnsigned(serialField)
  const issuer = readName(issuerField)
  const subject = readName(subjectField)
  const times = readChildren(validity, Tag.SEQUENCE)
  const [notBefore, notAfter] = [readTime(times?.[0]), readTime(times?.[1])]
  if (!serial) return malformed('serial number')
  if (!issuer || issuer.dn.length === 0 || !subject) return malformed('name')
  if (times?.length !== 2 || notBefore === null || notAfter === null) return malformed('validity')
  if (!equalBytes(algorithm.full, signed.algorithm.full))
    return malformed('signature algorithm differs inside and outside')
  if (spki.tag !== Tag.SEQUENCE) return malformed('public key')
  const extensions = readExtensionList(tbs.extensions)
  if (typeof extensions === 'string') return malformed(extensions)
  const { signature } = signed
  const value = { der, serial, issuer, subject, notBefore, notAfter, spki: spki.full, extensions, signature }
  return { ok: true, value }
}

/** DER of the subject, for encodeIdentity; null when the certificate is malformed. */
export function certificateSubject(der: Uint8Array): Uint8Array | null {
  const read = readCertificate(der)
  return read.ok ? read.value.subject.der : null
}

/** How sentences call a certificate: its subject, or its serial number where the subject is empty. */
export function certificateText(certificate: Certificate): string {
  const { subject, serial } = certificate
  const text = subject.text || `serial ${Buffer.from(serial).toString('hex')}`
  return `certificate "${text.length > 200 ? `${text.slice(0, 197)}...` : text}"`
}
