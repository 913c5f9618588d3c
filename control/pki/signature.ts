// Signatures on certificates and CRLs: what is acceptable, and whether it verifies.

import { runCryptoJob } from '../crypto/jobs.ts'
import { publicKeyFault, readRsaKey } from '../crypto/public-key.ts'
import type { Certificate, SignatureOf } from './certificate.ts'
import { type Refusal, refuse } from './reasons.ts'

/** A gated item that a path uses: goes into `gate` of show output and the counter of gated set-ups. */
export type Gate = 'sha1-signature' | 'rsa-below-2048'

/** Refuses MD5 and unknown algorithms always, SHA-1 unless allowed (security L6). */
export function judgeAlgorithm(signature: SignatureOf, who: string, allowSha1: boolean): Refusal | null {
  if (!signature.algorithm) return refuse('certificate-algorithm', who, signature.oid)
  return isSha1(signature) && !allowSha1 ? refuse('certificate-sha1', who) : null
}

const isSha1 = (signature: SignatureOf): boolean => signature.algorithm?.hash === 'sha1'

/** Bits of an RSA key, or null for keys of other kinds. */
function rsaBits(spki: Uint8Array): number | null {
  const rsa = readRsaKey(spki)
  return rsa && rsa !== 'malformed' ? rsa.modulusBits : null
}

/** Refuses broken and tiny keys always, RSA of 1024-2047 bits unless allowed. */
export function judgeKey(spki: Uint8Array, who: string, allowShortRsa: boolean): Refusal | null {
  const fault = publicKeyFault(spki)
  if (fault) return refuse('certificate-key', who, fault)
  const bits = rsaBits(spki)
  if (bits === null || bits >= 2048 || allowShortRsa) return null
  return refuse('certificate-key-short', who, `${bits} bits`)
}

/** The gated items of a valid path; the anchor's signature over itself says nothing and counts for nothing. */
export function gatesOf(path: Certificate[]): Gate[] {
  const gates: Gate[] = []
  if (path.slice(0, -1).some((each) => isSha1(each.signature))) gates.push('sha1-signature')
  if (path.some((each) => (rsaBits(each.spki) ?? 2048) < 2048)) gates.push('rsa-below-2048')
  return gates
}

/** True when the signature verifies with the issuer's key; a key of another kind or a broken one is false. */
export function verifies(signature: SignatureOf, issuerSpki: Uint8Array): boolean {
  if (!signature.algorithm) return false
  const result = runCryptoJob({
    kind: 'verify',
    spki: issuerSpki,
    algorithm: signature.algorithm,
    data: signature.covered,
    signature: signature.bytes,
  })
  return result.kind === 'verify' && result.valid
}
