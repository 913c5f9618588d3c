// IKE_AUTH as responder (RFC 7296 §1.2, §2.15, §2.21.2). Whatever fails in authentication ends in one answer,
// AUTHENTICATION_FAILED; what the operator needs to know goes into the report.

import type { Identity } from '../config/model.ts'
import type { IkeDatagram } from '../ports.ts'
import type { PeerConfig } from '../sa/contract.ts'
import { decodeIdentity, describeIdentity, hasWildcard, idBody, matchesIdentity } from '../wire/identity.ts'
import { NotifyError, NotifyStatus } from '../wire/notify.ts'
import type { Message, Payload } from '../wire/types.ts'
import { checkAuth, checkPsk, makeAuth } from './authenticate.ts'
import { certificatePayloads, ownIdentity } from './certificates.ts'
import { answerPayloads, chooseChild } from './child-answer.ts'
import { installChild } from './children.ts'
import { report } from './context.ts'
import { sendResponse } from './exchange.ts'
import { establish, finishHandshake, honourInitialContact } from './handshake.ts'
import { mobikeNotify } from './mobike.ts'
import { find, hasNotify, notify } from './payloads.ts'
import { tunnelsOn } from './peers.ts'
import { choosePpk } from './ppk.ts'
import {
  type AuthFault,
  MALFORMED_IDENTITY,
  reportAuthFailed,
  reportIdentity,
  reportOwnAuth,
} from './reports.ts'
import { linger } from './sas.ts'
import type { Context, IkeSa } from './state.ts'

/** The authentic IKE_AUTH request of a half-open SA. */
export function receiveAuthRequest(context: Context, sa: IkeSa, message: Message, datagram: IkeDatagram) {
  const { payloads } = message
  sa.workingOn = message.header.messageId
  adoptPath(sa, datagram)
  const idi = find(payloads, 'IDi')!
  const identity = decodeIdentity(idi.idType, idi.data)
  if (!identity.ok) return refuse(context, sa, message, datagram, MALFORMED_IDENTITY, null)
  const peer = choosePeer(sa, identity.value, payloads)
  if (!peer) {
    const candidates = sa.handshake!.candidates
    const where = { tunnel: onlyName(candidates), peer: sa.remote }
    reportIdentity(context, where, identity.value, candidates)
    checkPsk(sa, null, find(payloads, 'AUTH')!, idi.raw)
    return refuse(context, sa, message, datagram, null, null)
  }
  sa.peer = peer
  const judged = choosePpk(sa, peer, payloads)
  if (!judged.ok) return refuse(context, sa, message, datagram, judged.fault, identity.value)
  checkAuth(context, sa, peer, judged.payloads, identity.value, idi.raw, (later, fault) => {
    if (fault !== null) return refuse(later, sa, message, datagram, fault, identity.value)
    sa.remoteId = describeIdentity(identity.value)
    proveOurselves(later, sa, message, datagram, identity.value)
  })
}

/** The initiator may have moved to port 4500 meanwhile: this authentic message says where it is (§2.23). */
function adoptPath(sa: IkeSa, datagram: IkeDatagram): void {
  sa.local = datagram.local
  sa.remote = datagram.remote
}

const onlyName = (peers: PeerConfig[]): string | null => (peers.length === 1 ? peers[0].tunnel : null)

/** By the initiator's identity and, if it names one, ours; exact matches before patterns, then order of configuration. */
function choosePeer(sa: IkeSa, identity: Identity, payloads: Payload[]): PeerConfig | null {
  const idr = find(payloads, 'IDr')
  const wanted = idr ? decodeIdentity(idr.idType, idr.data) : null
  if (wanted && !wanted.ok) return null
  const fitting = sa.handshake!.candidates.filter(
    (peer) =>
      matchesIdentity(peer.remoteId, identity) &&
      (!wanted?.ok || matchesIdentity(peer.localId, wanted.value)),
  )
  return fitting.find((peer) => !hasWildcard(peer.remoteId)) ?? fitting[0] ?? null
}

/** -- auth -> lingering: one text for every reason (security C3). */
function refuse(
  context: Context,
  sa: IkeSa,
  message: Message,
  datagram: IkeDatagram,
  fault: AuthFault | null,
  identity: Identity | null,
): void {
  const tunnels = sa.peer ? [sa.peer] : sa.handshake!.candidates
  const where = { tunnel: onlyName(tunnels), peer: datagram.remote }
  if (fault !== null) reportAuthFailed(context, where, fault, identity, tunnels)
  sendResponse(context, sa, message.header, [notify(NotifyError.AUTHENTICATION_FAILED)], datagram)
  linger(context, sa)
}

/** The fault is ours; the peer sees the same answer. */
function refuseOurselves(
  context: Context,
  sa: IkeSa,
  message: Message,
  datagram: IkeDatagram,
  why: string,
): void {
  reportOwnAuth(context, { tunnel: sa.peer!.tunnel, peer: datagram.remote }, why)
  refuse(context, sa, message, datagram, null, null)
}

/** The peer is who it says; now our own AUTH, after a signature job where the method needs one. */
function proveOurselves(
  context: Context,
  sa: IkeSa,
  message: Message,
  datagram: IkeDatagram,
  theirs: Identity,
) {
  const peer = sa.peer!
  const identity = ownIdentity(peer)
  if (!identity) return refuseOurselves(context, sa, message, datagram, 'our local-id cannot be sent')
  const raw = idBody(identity.idType, identity.data)
  makeAuth(context, sa, peer, raw, (later, auth) => {
    if (!auth.ok) return refuseOurselves(later, sa, message, datagram, auth.why)
    if (!admit(later, sa, theirs)) return refuse(later, sa, message, datagram, null, null)
    accept(later, sa, message, datagram, [
      { kind: 'IDr', ...identity, raw },
      ...certificatePayloads(peer),
      auth.payload,
      ...(sa.hasPpk ? [notify(NotifyStatus.PPK_IDENTITY)] : []),
    ])
  })
}

/** On-demand: everything is proven, so the peer gets a tunnel of its own, if the gateway has room for it. */
function admit(context: Context, sa: IkeSa, identity: Identity): boolean {
  const peer = sa.peer!
  const { state, environment } = context
  if (peer.remote !== null || !environment.admit) return true
  const { local, remote } = sa
  const admission = environment.admit(peer.tunnel, { identity, local, remote })
  if (!admission.ok) {
    report(context, admission.report)
    return false
  }
  sa.peer = admission.peer
  state.peers.set(sa.peer.tunnel, sa.peer)
  return true
}

/** By then our answer has arrived, or the tunnel waits for its repetition. */
const ANSWER_MS = 1_000

/** -- auth -> established, with the first Child SA or the reason why not; the IKE SA stays either way (§1.2). */
function accept(
  context: Context,
  sa: IkeSa,
  message: Message,
  datagram: IkeDatagram,
  proof: Payload[],
): void {
  establish(context, sa)
  const isMobile = sa.peer!.mobike === true && hasNotify(message.payloads, NotifyStatus.MOBIKE_SUPPORTED)
  if (isMobile) sa.mobike = 'responder'
  const child = answerChild(context, sa, message.payloads)
  sendResponse(context, sa, message.header, [...proof, ...child, ...mobikeNotify(isMobile)], datagram)
  if (hasNotify(message.payloads, NotifyStatus.INITIAL_CONTACT)) honourInitialContact(context, sa)
  finishHandshake(context, sa)
}

/** USE_TRANSPORT_MODE is not echoed: tunnel mode it is (§1.3.1). Nothing was asked for: nothing is made (RFC 6023). */
function answerChild(context: Context, sa: IkeSa, payloads: Payload[]): Payload[] {
  if (!find(payloads, 'SA')) return []
  const tunnels = tunnelsOn(context, sa)
  const prefers = (peer: PeerConfig) => !context.state.sending.has(peer.tunnel)
  const chosen = chooseChild(context, tunnels, payloads, false, sa.remote, prefers)
  if (!chosen.ok) return [chosen.error]
  const spiIn = context.environment.allocateSpi(chosen.peer.tunnel)
  const { nonce, peerNonce } = sa.handshake!
  installChild(context, sa, {
    ...chosen,
    spiIn,
    nonceInitiator: peerNonce,
    nonceResponder: nonce,
    secrets: [],
    initiated: false,
    replaces: null,
    // the peer cannot receive on it before our answer has come: where another SA of the tunnel sends, that one goes on
    activate: !context.state.sending.has(chosen.peer.tunnel),
    activateAfter: ANSWER_MS,
  })
  return answerPayloads(chosen, spiIn, null, null)
}
