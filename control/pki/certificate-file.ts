// Files with certificates or CRLs, in PEM or DER: which blocks count, and each of them well-formed.

import { equalBytes } from '../wire/bytes.ts'
import { type Certificate, readCertificate } from './certificate.ts'
import { readDerObjects } from './pem.ts'
import { type Result, refuse } from './reasons.ts'

export const certificateLabels = ['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE']
export const crlLabels = ['X509 CRL', 'CRL']

/** All certificates of a file, in order, each once. `path` is for sentences. */
export function readCertificateFile(content: Uint8Array, path: string): Result<Certificate[]> {
  const list = readDerObjects(content, certificateLabels)
  if (!list?.length) return refuse('store-content', path, 'no certificate')
  const found: Certificate[] = []
  for (const der of list) {
    const read = readCertificate(der)
    if (!read.ok) return { ...read, sentence: `${path}: ${read.sentence}` }
    if (!found.some((each) => equalBytes(each.der, der))) found.push(read.value)
  }
  return { ok: true, value: found }
}
