// Does a certificate speak for an IKE identity? (RFC 4945 §3.1, §5.1)
//
// fqdn, user-fqdn and address must be a subjectAltName of the same form; dn must be the subject. The common name
// is never looked at, wildcards in certificates match nothing, and a key-id is in no certificate.

import type { Identity } from '../config/model.ts'
import { addressBytes } from '../wire/address.ts'
import { equalBytes } from '../wire/bytes.ts'
import { matchesDn, parseDnText } from '../wire/dn.ts'
import { type Certificate, readCertificate } from './certificate.ts'
import type { GeneralName } from './general-name.ts'

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

function altNameMatches(name: GeneralName, identity: Identity): boolean {
  if (identity.kind === 'fqdn') {
    return name.kind === 'dns' && !name.value.includes('*') && sameName(name.value, identity.value)
  }
  if (identity.kind === 'user-fqdn') return name.kind === 'email' && sameName(name.value, identity.value)
  if (identity.kind !== 'address' || name.kind !== 'address') return false
  const wanted = addressBytes(identity.value)
  return wanted !== null && equalBytes(wanted, name.value)
}

/** True when the certificate names the identity. */
export function certificateHasIdentity(certificate: Certificate, identity: Identity): boolean {
  if (identity.kind === 'dn') {
    const wanted = parseDnText(identity.value)
    return wanted !== null && matchesDn(wanted, certificate.subject.dn)
  }
  return certificate.extensions.altNames?.some((name) => altNameMatches(name, identity)) ?? false
}

/** The default local-id with a certificate: its subject as dn; null when the subject is empty or the DER malformed. */
export function certificateIdentity(der: Uint8Array): Identity | null {
  const read = readCertificate(der)
  return read.ok && read.value.subject.text !== '' ? { kind: 'dn', value: read.value.subject.text } : null
}
