// The AUTH payload, ours and the peer's (RFC 7296 §2.15, RFC 7427). The method that the configuration demands of the
// peer is checked before any key is used (security C4).

import type { Identity } from '../config/model.ts'
import {
  AuthMethodId,
  authOctets,
  chooseSignature,
  decodeSignatureAuth,
  encodeSignatureAuth,
  pskAuth,
} from '../crypto/auth.ts'
import { intAuthOctets } from '../crypto/int-auth.ts'
import { equalSecrets, wipe } from '../crypto/suite.ts'
import type { SignatureAlgorithm } from '../ports.ts'
import type { PeerConfig } from '../sa/contract.ts'
import { describeIdentity } from '../wire/identity.ts'
import { describeMalformed } from '../wire/reasons.ts'
import type { Payload } from '../wire/types.ts'
import { judgeCertificates } from './certificates.ts'
import { compute } from './jobs.ts'
import { find } from './payloads.ts'
import type { AuthFault } from './reports.ts'
import type { Context, IkeSa } from './state.ts'
import { prfOf } from './suite.ts'

const SHA1_RSA: SignatureAlgorithm = { key: 'rsa-pkcs1', hash: 'sha1' }

/** Octets that our AUTH covers: our first message, the peer's nonce, our identity under our SK_p. */
function ownOctets(sa: IkeSa, idRaw: Uint8Array): Uint8Array {
  const { ownMessage, peerNonce } = sa.handshake!
  const { pi, pr } = sa.handshake!.proofKeys ?? sa.keys!
  const skP = sa.role === 'initiator' ? pi : pr
  return authOctets(ownMessage, peerNonce, prfOf(sa), skP, idRaw, intermediates(sa))
}

function peerOctets(sa: IkeSa, idRaw: Uint8Array): Uint8Array {
  const { peerMessage, nonce } = sa.handshake!
  const skP = sa.role === 'initiator' ? sa.keys!.pr : sa.keys!.pi
  return authOctets(peerMessage, nonce, prfOf(sa), skP, idRaw, intermediates(sa))
}

/** What the exchanges between IKE_SA_INIT and IKE_AUTH add, the same for both ends (RFC 9242 §3.3.2). */
function intermediates(sa: IkeSa): Uint8Array | undefined {
  const { intAuth } = sa.handshake!
  const authMessageId = 1 + (sa.suite!.additionalKe?.length ?? 0)
  return intAuth ? intAuthOctets(intAuth, authMessageId) : undefined
}

/** Our AUTH payload, or why there is none. */
export type OwnAuth = { ok: true; payload: Payload } | { ok: false; why: string }
type OwnDone = (context: Context, auth: OwnAuth) => void

/** Makes our AUTH with the tunnel's local method; idRaw is the body of our ID payload. Signatures are jobs. */
export function makeAuth(context: Context, sa: IkeSa, peer: PeerConfig, idRaw: Uint8Array, done: OwnDone) {
  if (peer.localAuth !== 'pre-shared-key') return makeSignature(context, sa, peer, idRaw, done)
  if (!peer.localPsk || peer.localPsk.length === 0)
    return done(context, { ok: false, why: 'no pre-shared key' })
  const octets = ownOctets(sa, idRaw)
  const data = pskAuth(prfOf(sa), peer.localPsk, octets)
  wipe(octets)
  done(context, { ok: true, payload: { kind: 'AUTH', method: AuthMethodId.PSK, data } })
}

/** What to sign with: method 14 where the peer announced hashes, else method 1, which is SHA-1 and gated. */
function signingAlgorithm(sa: IkeSa, peer: PeerConfig): SignatureAlgorithm | string {
  const { peerHashes } = sa.handshake!
  const { key } = peer.certificate!
  if (peerHashes) {
    const chosen = chooseSignature(key, peerHashes, peer.allowSha1Signatures)
    return chosen ?? `the peer announced no signature hash that we may use (${peerHashes.join(', ')})`
  }
  if (key.asymmetricKeyType === 'rsa' && peer.allowSha1Signatures) return SHA1_RSA
  return 'the peer knows only RSA signatures with SHA-1, which need legacy-crypto permit'
}

function makeSignature(context: Context, sa: IkeSa, peer: PeerConfig, idRaw: Uint8Array, done: OwnDone) {
  if (!peer.certificate) return done(context, { ok: false, why: 'no certificate of our own' })
  const algorithm = signingAlgorithm(sa, peer)
  if (typeof algorithm === 'string') return done(context, { ok: false, why: algorithm })
  const data = ownOctets(sa, idRaw)
  const isMethod14 = sa.handshake!.peerHashes !== null
  compute(context, sa, { kind: 'sign', key: peer.certificate.key, algorithm, data }, (later, result) => {
    wipe(data)
    if (result.kind !== 'sign') return done(later, { ok: false, why: 'our private key could not sign' })
    const payload = isMethod14
      ? { method: AuthMethodId.SIGNATURE, data: encodeSignatureAuth(algorithm, result.signature) }
      : { method: AuthMethodId.RSA, data: result.signature }
    done(later, { ok: true, payload: { kind: 'AUTH', ...payload } })
  })
}

/** null: the peer is who it says. Otherwise the operator's reason; the peer learns only that it failed. */
type PeerDone = (context: Context, fault: AuthFault | null) => void
type ReceivedAuth = Extract<Payload, { kind: 'AUTH' }>

/** Checks the peer's AUTH against the tunnel's remote method; idRaw as received. Signatures are jobs. */
export function checkAuth(
  context: Context,
  sa: IkeSa,
  peer: PeerConfig,
  payloads: Payload[],
  identity: Identity,
  idRaw: Uint8Array,
  done: PeerDone,
) {
  const auth = find(payloads, 'AUTH')!
  const isPsk = auth.method === AuthMethodId.PSK
  if (isPsk !== (peer.remoteAuth === 'pre-shared-key')) {
    const text = `it uses ${methodName(auth.method)} where remote-auth is ${peer.remoteAuth}`
    return done(context, faultOf(auth, 'method', text))
  }
  if (isPsk) {
    const text = `the pre-shared key differs from ours for ${describeIdentity(identity)}`
    const isEqual = checkPsk(sa, peer.remotePsk, auth, idRaw)
    return done(context, isEqual ? null : faultOf(auth, 'pre-shared-key', text))
  }
  checkSignature(context, sa, peer, payloads, auth, identity, idRaw, done)
}

function faultOf(auth: ReceivedAuth, fault: string, text: string): AuthFault {
  return { fault, text, method: methodName(auth.method) }
}

function methodName(method: number): string {
  if (method === AuthMethodId.PSK) return 'a pre-shared key'
  if (method === AuthMethodId.RSA) return 'an RSA signature with SHA-1'
  return method === AuthMethodId.SIGNATURE ? 'a digital signature' : `method ${method}`
}

/** Whether the peer has our key. Compared over all bytes; an unusable key of ours costs the same time as a wrong one (security C3). */
export function checkPsk(sa: IkeSa, psk: Uint8Array | null, auth: ReceivedAuth, idRaw: Uint8Array): boolean {
  const octets = peerOctets(sa, idRaw)
  const isUsable = psk !== null && psk.length > 0
  const expected = pskAuth(prfOf(sa), isUsable ? psk : new Uint8Array(32), octets)
  const isEqual = equalSecrets(expected, auth.data)
  wipe(octets, expected)
  return isEqual && isUsable
}

/** Algorithm of the received signature, or why it is not accepted. */
function receivedAlgorithm(
  peer: PeerConfig,
  auth: ReceivedAuth,
): { algorithm: SignatureAlgorithm; signature: Uint8Array } | string {
  if (auth.method === AuthMethodId.RSA) {
    return peer.allowSha1Signatures
      ? { algorithm: SHA1_RSA, signature: auth.data }
      : 'it signs with RSA and SHA-1 (method 1), which needs legacy-crypto permit'
  }
  if (auth.method !== AuthMethodId.SIGNATURE) return `it uses ${methodName(auth.method)}`
  const decoded = decodeSignatureAuth(auth.data)
  if (!decoded.ok) return describeMalformed(decoded)
  const { key, hash } = decoded.value.algorithm
  if (hash === 'sha1' && !peer.allowSha1Signatures)
    return 'it signs with SHA-1, which needs legacy-crypto permit'
  const isRsa = key === 'rsa-pkcs1' || key === 'rsa-pss'
  if (peer.remoteAuth === 'rsa-signature' && !isRsa)
    return `it signs with ${key} where remote-auth is rsa-signature`
  return decoded.value
}

function checkSignature(
  context: Context,
  sa: IkeSa,
  peer: PeerConfig,
  payloads: Payload[],
  auth: ReceivedAuth,
  identity: Identity,
  idRaw: Uint8Array,
  done: PeerDone,
) {
  const received = receivedAlgorithm(peer, auth)
  if (typeof received === 'string') return done(context, faultOf(auth, 'signature', received))
  const judged = judgeCertificates(context, peer, payloads, identity)
  if (!judged.ok) return done(context, faultOf(auth, judged.fault, judged.why))
  const data = peerOctets(sa, idRaw)
  const { algorithm, signature } = received
  const job = { kind: 'verify', spki: judged.spki, algorithm, data, signature: signature.slice() } as const
  compute(context, sa, job, (later, result) => {
    wipe(data)
    const isValid = result.kind === 'verify' && result.valid
    const text = 'its signature does not verify with its certificate'
    done(later, isValid ? null : faultOf(auth, 'signature', text))
  })
}
