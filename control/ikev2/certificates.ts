// Certificates in IKE messages: what we send, what we ask for, what we believe (RFC 7296 §3.6, §3.7).

import type { Identity } from '../config/model.ts'
import { certificateSubject } from '../pki/certificate.ts'
import { certificateRequest, x509Signature } from '../pki/certreq.ts'
import { validateChain } from '../pki/validate.ts'
import type { PeerConfig } from '../sa/contract.ts'
import { encodeIdentity, hasWildcard } from '../wire/identity.ts'
import type { Payload } from '../wire/types.ts'
import { findAll } from './payloads.ts'
import type { Context } from './state.ts'

/** ID payload fields of our local-id; a dn equal to our certificate's subject is sent in that encoding. */
export function ownIdentity(peer: PeerConfig): { idType: number; data: Uint8Array } | null {
  const subject = peer.certificate ? certificateSubject(peer.certificate.chain[0]) : null
  return encodeIdentity(peer.localId, subject ?? undefined)
}

/** The identity that we want to talk to, for IDr; none where several would do (§1.2). */
export function wantedIdentity(peer: PeerConfig): { idType: number; data: Uint8Array } | null {
  return peer.remoteId === 'any' || hasWildcard(peer.remoteId) ? null : encodeIdentity(peer.remoteId)
}

/** Our certificate first, then what leads to the CA. None with a pre-shared key. */
export function certificatePayloads(peer: PeerConfig): Payload[] {
  if (peer.localAuth === 'pre-shared-key' || !peer.certificate) return []
  return peer.certificate.chain.map((data) => ({ kind: 'CERT', encoding: x509Signature, data }))
}

/** One CERTREQ with the SHA-1 hashes of the public keys of all CAs we trust (§3.7); none where only keys are shared. */
export function certificateRequests(peers: PeerConfig[]): Payload[] {
  const anchors = peers.filter((peer) => peer.remoteAuth !== 'pre-shared-key').flatMap((peer) => peer.trust)
  const different = anchors.filter((each, at) => anchors.findIndex((one) => one.name === each.name) === at)
  const data = certificateRequest(different)
  return data.length === 0 ? [] : [{ kind: 'CERTREQ', encoding: x509Signature, data }]
}

export type JudgedCertificates =
  | { ok: true; spki: Uint8Array }
  /** fault: a reason of pki/reasons.ts, or `certificate-missing` */
  | { ok: false; fault: string; why: string }

/**
 * The public key that speaks for the identity: the first certificate, if a path leads to a CA of this tunnel. Other
 * encodings, hash-and-URL above all, are never followed (security C10).
 */
export function judgeCertificates(
  context: Context,
  peer: PeerConfig,
  payloads: Payload[],
  identity: Identity,
): JudgedCertificates {
  const [leaf, ...intermediates] = findAll(payloads, 'CERT')
    .filter((each) => each.encoding === x509Signature)
    .map((each) => each.data)
  if (!leaf) return { ok: false, fault: 'certificate-missing', why: 'it sent no X.509 certificate' }
  const chain = validateChain({
    leaf,
    intermediates,
    trust: peer.trust,
    crls: peer.crls,
    now: context.environment.wall(),
    allowSha1: peer.allowSha1Signatures,
    identity,
  })
  if (chain.ok) return { ok: true, spki: chain.spki.slice() }
  return { ok: false, fault: chain.reason, why: chain.sentence }
}
