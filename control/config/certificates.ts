// What the commit checks ask about certificates; the answer comes from the store, which this room does not read.

import type { Pki } from './model.ts'

/** A certificate as the checks judge it. Times are wall clock, milliseconds since 1970. */
export type CertificateFacts = {
  /** RFC 4514 text */
  subject: string
  notBefore: number
  notAfter: number
  /** bits of an RSA modulus, null for other keys */
  rsaBits: number | null
  /** hash of the signature over the certificate (`md5`, `sha1`, ...); null when it is not relied on or has none of its own */
  signatureHash: string | null
}

/** Facts by the names that `identity` and `trust` use, or a sentence saying why there are none. */
export interface PkiFacts {
  /** own certificate first; a private key that does not belong to it is a sentence */
  identity(pki: Pki, name: string): CertificateFacts[] | string
  trust(pki: Pki, name: string): CertificateFacts[] | string
  /** why some CRL is unusable, null when all are good */
  crlFault(pki: Pki): string | null
}
