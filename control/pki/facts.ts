// The store as the commit checks see it: facts about the certificates that a configuration uses.

import type { CertificateFacts, PkiFacts } from '../config/certificates.ts'
import { readRsaKey } from '../crypto/public-key.ts'
import type { Files } from '../ports.ts'
import { type Certificate, readCertificate, type SignatureOf } from './certificate.ts'
import { loadCrls, loadIdentity, loadTrust } from './store.ts'

/** RFC 8017 A.2.4: md5WithRSAEncryption. */
const md5WithRsa = '1.2.840.113549.1.1.4'

/** Answers from the files that the configuration and its store name. Keys are read and forgotten. */
export function pkiFacts(files: Pick<Files, 'read' | 'readSecret' | 'exists' | 'list'>): PkiFacts {
  return {
    identity(pki, name) {
      const identity = loadIdentity(pki, name, files)
      return identity.ok
        ? identity.value.chain.flatMap((der) => factsOf(der, signatureHash))
        : identity.sentence
    },
    trust(pki, name) {
      const trust = loadTrust(pki, name, files)
      // an anchor is trusted by configuration: nobody relies on the signature over it
      return trust.ok ? trust.value.flatMap(({ der }) => factsOf(der, () => null)) : trust.sentence
    },
    crlFault(pki) {
      const crls = loadCrls(pki, files)
      return crls.ok ? null : crls.sentence
    },
  }
}

function factsOf(der: Uint8Array, hashOf: (signature: SignatureOf) => string | null): CertificateFacts[] {
  const read = readCertificate(der)
  return read.ok ? [facts(read.value, hashOf(read.value.signature))] : []
}

function facts(
  { subject, notBefore, notAfter, spki }: Certificate,
  signatureHash: string | null,
): CertificateFacts {
  const rsa = readRsaKey(spki)
  const rsaBits = rsa && rsa !== 'malformed' ? rsa.modulusBits : null
  return { subject: subject.text, notBefore, notAfter, rsaBits, signatureHash }
}

function signatureHash({ algorithm, oid }: SignatureOf): string | null {
  if (oid === md5WithRsa) return 'md5'
  return algorithm === null || algorithm.hash === 'identity' ? null : algorithm.hash
}
