// Makes certificate revocation lists (RFC 5280 §5): for the lab and for tests. Version 2, complete, with CRL number.

import type { KeyObject } from 'node:crypto'
import type { SignatureHash } from '../ports.ts'
import { context, der, derSequence, derUnsigned, Tag } from '../wire/der.ts'
import { readCertificate } from './certificate.ts'
import { authorityKeyId, extension, signedDer, spkiOf, timeDer } from './encode.ts'
import { extensionIds } from './extensions.ts'
import { encodePem } from './pem.ts'

/** Reason codes of §5.3.1 that a list of ours may give. */
export const revocationReasons = {
  'key-compromise': 1,
  'ca-compromise': 2,
  'affiliation-changed': 3,
  superseded: 4,
  'cessation-of-operation': 5,
  'certificate-hold': 6,
} as const

export type Revoked = {
  /** magnitude of the serial number: serialOf(certificate) */
  serial: Uint8Array
  /** milliseconds since 1970; thisUpdate when left out */
  at?: number
  reason?: keyof typeof revocationReasons
}

export type CrlOptions = {
  /** certificate (DER) and private key of the CA */
  ca: { der: Uint8Array; key: KeyObject }
  revoked: Revoked[]
  /** thisUpdate, milliseconds since 1970 */
  now: number
  /** days until nextUpdate, 30; null leaves it out, as RFC 5280 §5.1.2.5 forbids */
  days?: number | null
  number?: number
  hash?: SignatureHash
  /** further Extension elements, for lists that must be refused */
  extensions?: Uint8Array[]
}

const dayMs = 86_400_000
const reasonId = '2.5.29.21'
const enumerated = 0x0a

/** Serial number of a certificate in DER. Throws RangeError when it is none. */
export function serialOf(certificate: Uint8Array): Uint8Array {
  const read = readCertificate(certificate)
  if (!read.ok) throw new RangeError(read.sentence)
  return read.value.serial
}

function entry(revoked: Revoked, now: number): Uint8Array {
  const { serial, at = now, reason } = revoked
  const code = reason === undefined ? [] : [der(enumerated, Uint8Array.of(revocationReasons[reason]))]
  const extensions = code.map((value) => derSequence(extension(reasonId, false, value)))
  return derSequence(derUnsigned(serial), timeDer(at), ...extensions)
}

/** A signed list, as PEM and DER. Throws RangeError when ca.der is no certificate. */
export function createCrl(options: CrlOptions): { crl: string; der: Uint8Array } {
  const { ca, revoked, now, days = 30, number = 1 } = options
  const issuer = readCertificate(ca.der)
  if (!issuer.ok) throw new RangeError(issuer.sentence)
  const entries = revoked.map((each) => entry(each, now))
  const extensions = [
    extension(extensionIds.authorityKeyId, false, authorityKeyId(spkiOf(ca.key))),
    extension(extensionIds.crlNumber, false, derUnsigned(Uint8Array.of(number >>> 8, number))),
    ...(options.extensions ?? []),
  ]
  const list = signedDer(ca.key, options.hash, (identifier) =>
    derSequence(
      der(Tag.INTEGER, Uint8Array.of(1)),
      identifier,
      issuer.value.subject.der,
      timeDer(now),
      ...(days === null ? [] : [timeDer(now + days * dayMs)]),
      ...(entries.length > 0 ? [derSequence(...entries)] : []), // an empty list is left out (§5.1.2.6)
      der(context(0), derSequence(...extensions)),
    ),
  )
  return { crl: encodePem('X509 CRL', list), der: list }
}
