// Why a certificate, a chain or a file of the store is refused: stable names and operator sentences.

export const pkiReasons = {
  'certificate-malformed': 'the certificate is not well-formed DER of RFC 5280',
  'certificate-count': 'more certificates than accepted were presented',
  'certificate-signature': 'the signature of the certificate does not verify with its issuer',
  'certificate-algorithm': 'the certificate is signed with an algorithm that is never accepted',
  'certificate-sha1': 'the certificate is signed with SHA-1, which needs legacy-crypto permit',
  'certificate-key': 'the public key of the certificate is not acceptable',
  'certificate-key-short': 'the RSA key is shorter than 2048 bits, which needs legacy-crypto permit',
  'certificate-not-yet-valid': 'the certificate is not valid yet',
  'certificate-expired': 'the certificate has expired',
  'certificate-not-ca': 'the issuer is no certificate authority (basicConstraints, keyUsage)',
  'certificate-path-length': 'the path is longer than a certificate authority in it allows',
  'certificate-critical': 'the certificate has a critical extension that is not processed',
  'certificate-names': 'a name of the certificate violates the name constraints of its authority',
  'certificate-usage': 'keyUsage or extendedKeyUsage of the certificate does not allow IKE',
  'certificate-revoked': 'the certificate is revoked by a fresh CRL of its issuer',
  'certificate-no-crl': 'there is no fresh CRL of the issuer, and revocation is checked strictly',
  'certificate-untrusted': 'no path leads from the certificate to a trusted CA',
  'identity-mismatch': 'the identity is not in the certificate',
  'store-name': 'the name cannot be a name in the store',
  'store-missing': 'there is no such entry, neither configured nor in the store',
  'store-file': 'a file of the store cannot be read',
  'store-content': 'a file of the store does not hold what it should',
  'store-mismatch': 'private key and certificate do not belong together',
  'store-exists': 'it exists already and is not overwritten; delete it first',
  'store-write': 'the store cannot be written',
  'key-parameters': 'no key pair of this kind is made',
  'request-subject': 'the subject is no distinguished name; write it like "O=Provider, CN=pe1"',
  'request-alt-name': 'this cannot be a name in a certificate',
  'crl-signature': 'the CRL does not verify with the CA of its issuer',
  'pkcs12-content': 'the PKCS#12 file does not hold what it should',
  'pkcs12-passphrase': 'the PKCS#12 file does not open with this passphrase',
} as const

export type PkiReason = keyof typeof pkiReasons

/** A refusal as data; sentence is for the operator and names the object. */
export type Refusal = { ok: false; reason: PkiReason; sentence: string }
export type Result<T> = { ok: true; value: T } | Refusal

/** Builds a refusal; subject says which object, detail what was found. */
export function refuse(reason: PkiReason, subject: string, detail?: string): Refusal {
  const found = detail === undefined ? '' : ` (${detail})`
  return { ok: false, reason, sentence: `${subject}: ${pkiReasons[reason]}${found}` }
}
