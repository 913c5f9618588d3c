// Certificate requests (RFC 7296 §3.7): which CAs we trust, as a hint to the peer which certificate to send.

import { digest } from '../crypto/suite.ts'
import type { TrustAnchor } from '../sa/contract.ts'
import { concat } from '../wire/bytes.ts'
import { readCertificate } from './certificate.ts'

/** Certificate encoding 4, X.509 Certificate - Signature, of CERT and CERTREQ payloads (§3.6). */
export const x509Signature = 4

/** Data of a CERTREQ payload: SHA-1 of each trusted CA's SubjectPublicKeyInfo, joined. Malformed anchors are left out. */
export function certificateRequest(trust: TrustAnchor[]): Uint8Array {
  const hashes = trust
    .map(({ der }) => readCertificate(der))
    .map((read) => (read.ok ? digest('sha1', read.value.spki) : new Uint8Array(0)))
  return concat(...hashes)
}
