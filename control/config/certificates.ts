// What the commit checks ask about certificates; the answer comes from the store, which this room does not read.

import type { Config } from './model.ts'

/** A certificate as the checks judge it. Times are wall clock, milliseconds since 1970. */
export type CertificateFacts = {
  /** RFC 4514 text */
  subject: string
  notAfter: number
  /** bits of an RSA modulus, null for other keys */
  rsaBits: number | null
  /** hash of the signature over the certificate; null when there is none (Ed25519) or it is a trust anchor's own */
  signatureHash: string | null
}

/** Facts by the names that `identity` and `trust` use, or a sentence saying why there are none. */
export interface PkiFacts {
  identity(config: Config, name: string): { keyMatches: boolean; certificate: CertificateFacts } | string
  trust(config: Config, name: string): CertificateFacts[] | string
}
