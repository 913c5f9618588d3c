// IKE_AUTH as initiator (RFC 7296 §1.2, §2.15, §2.21.2).
//
//   HDR, SK {IDi, [CERT,] [CERTREQ,] [IDr,] AUTH, SAi2, TSi, TSr, [N(INITIAL_CONTACT)]}  -->
//                                            <--  HDR, SK {IDr, [CERT,] AUTH, SAr2, TSi, TSr}
//
// Without SA, TSi and TSr in both, where both ends take that: the Child SA follows in CREATE_CHILD_SA (RFC 6023).

import type { Identity } from '../config/model.ts'
import type { Reason } from '../sa/contract.ts'
import { decodeIdentity, describeIdentity, idBody, matchesIdentity } from '../wire/identity.ts'
import { NotifyError, NotifyStatus } from '../wire/notify.ts'
import { describeChildSuite } from '../wire/proposals.ts'
import { Exchange, type Payload } from '../wire/types.ts'
import { checkAuth } from './authenticate.ts'
import { certificatePayloads, certificateRequests, ownIdentity, wantedIdentity } from './certificates.ts'
import { errorIn, judgeAnswer, makeOffer, offerPayloads } from './child-offer.ts'
import { installChild } from './children.ts'
import { act } from './context.ts'
import { ownProof } from './differences.ts'
import { sendRequest } from './exchange.ts'
import { establish, failHandshake, finishHandshake, isInitialContact, waitingTunnels } from './handshake.ts'
import { mobikeNotify } from './mobike.ts'
import { releaseOffer } from './offers.ts'
import { find, hasNotify, notify } from './payloads.ts'
import { NO_PPK, prove, settlePpk } from './ppk.ts'
import {
  type AuthFault,
  MALFORMED_IDENTITY,
  reasonOfNotify,
  reportAuthFailed,
  reportIdentity,
  reportOwnAuth,
  reportPeerError,
  sentFor,
} from './reports.ts'
import { forget } from './sas.ts'
import type { ChildOffer, Context, IkeSa } from './state.ts'
import { addTask } from './tasks.ts'

/** -- auth: keys are there; our identity is proven, after a signature job where the method needs one. */
export function beginAuth(context: Context, sa: IkeSa) {
  const peer = sa.peer!
  const identity = ownIdentity(peer)
  if (!identity) return fail(context, sa, 'our local-id cannot be sent', 'no-certificate')
  if (peer.ppk?.required && !sa.handshake!.usesPpk) return fail(context, sa, NO_PPK, 'auth-failed')
  prove(context, sa, peer, idBody(identity.idType, identity.data), (later, auth, more) => {
    if (!auth.ok) return fail(later, sa, auth.why, 'no-certificate')
    const isChildless = peer.childless === true && sa.handshake!.childless
    const child = isChildless ? null : makeOffer(later, peer, null, true)
    const payloads = [...requestPayloads(later, sa, identity, auth.payload, child), ...more]
    sendRequest(later, sa, Exchange.IKE_AUTH, payloads, { kind: 'auth', child })
  })
}

function requestPayloads(
  context: Context,
  sa: IkeSa,
  identity: { idType: number; data: Uint8Array },
  auth: Payload,
  child: ChildOffer | null,
): Payload[] {
  const peer = sa.peer!
  const wantedId = wantedIdentity(peer)
  return [
    { kind: 'IDi', ...identity, raw: idBody(identity.idType, identity.data) },
    ...certificatePayloads(peer),
    ...certificateRequests([peer]),
    ...(wantedId ? [{ kind: 'IDr', ...wantedId, raw: idBody(wantedId.idType, wantedId.data) } as const] : []),
    auth,
    ...(child ? offerPayloads(child) : []),
    ...(isInitialContact(context, sa) ? [notify(NotifyStatus.INITIAL_CONTACT)] : []),
    notify(NotifyStatus.ESP_TFC_PADDING_NOT_SUPPORTED),
    ...mobikeNotify(peer.mobike === true),
  ]
}

/** -- auth -> gone, before the peer has seen an identity of ours. */
function fail(context: Context, sa: IkeSa, why: string, reason: Reason): void {
  reportOwnAuth(context, { tunnel: sa.peer!.tunnel, peer: sa.remote }, why)
  failHandshake(context, sa, reason)
}

/** The authentic answer to IKE_AUTH; `child` is what we had asked for in it. */
export function receiveAuthResponse(
  context: Context,
  sa: IkeSa,
  payloads: Payload[],
  child: ChildOffer | null,
) {
  const auth = find(payloads, 'AUTH')
  const idr = find(payloads, 'IDr')
  const error = errorIn(payloads)
  if (!auth || !idr)
    return refusedByPeer(context, sa, error?.type ?? NotifyError.AUTHENTICATION_FAILED, child)
  const identity = decodeIdentity(idr.idType, idr.data)
  if (!identity.ok) return refusePeer(context, sa, MALFORMED_IDENTITY, null, child)
  const peer = sa.peer!
  if (!matchesIdentity(peer.remoteId, identity.value)) {
    reportIdentity(context, { tunnel: peer.tunnel, peer: sa.remote }, identity.value, [peer])
    return refusePeer(context, sa, null, null, child)
  }
  const unused = settlePpk(sa, peer, payloads)
  if (unused) return refusePeer(context, sa, unused, identity.value, child)
  checkAuth(context, sa, peer, payloads, identity.value, idr.raw.slice(), (later, fault) => {
    if (fault !== null) return refusePeer(later, sa, fault, identity.value, child)
    sa.remoteId = describeIdentity(identity.value)
    establish(later, sa)
    if (peer.mobike && hasNotify(payloads, NotifyStatus.MOBIKE_SUPPORTED)) sa.mobike = 'initiator'
    if (child) finishChild(later, sa, payloads, child)
    else addTask(sa, { kind: 'create-child', tunnel: peer.tunnel, keRounds: 0, group: null })
    finishHandshake(later, sa)
  })
}

/** -- auth -> gone: the responder did not accept us, or says why nothing can come of it. */
function refusedByPeer(context: Context, sa: IkeSa, type: number, child: ChildOffer | null): void {
  if (child) releaseOffer(context, child)
  reportRefusal(context, sa, type, child)
  failHandshake(context, sa, reasonOfNotify(type))
}

/** What the peer's error is about: our identity and its proof, or the Child SA that we asked for. */
function reportRefusal(context: Context, sa: IkeSa, type: number, child: ChildOffer | null): void {
  const peer = sa.peer!
  const proposals = (child?.suites ?? []).map(describeChildSuite)
  const sides = { local: child?.localSelectors ?? [], remote: child?.remoteSelectors ?? [] }
  const sent = sentFor(type, proposals, sides, ownProof(peer))
  const where = { tunnel: peer.tunnel, peer: sa.remote }
  const offered = sent.what === 'proposals' ? { offered: proposals } : {}
  reportPeerError(context, where, 'IKE_AUTH', type, { ...offered, authentic: true, sent })
}

/** -- auth -> deleting: the responder thinks that the SA is up, so it is told in an exchange of its own (§2.21.2). */
function refusePeer(
  context: Context,
  sa: IkeSa,
  fault: AuthFault | null,
  identity: Identity | null,
  child: ChildOffer | null,
): void {
  if (child) releaseOffer(context, child)
  const peer = sa.peer!
  if (fault !== null)
    reportAuthFailed(context, { tunnel: peer.tunnel, peer: sa.remote }, fault, identity, [peer])
  for (const tunnel of waitingTunnels(sa)) act(context, { kind: 'failed', tunnel, reason: 'auth-failed' })
  sa.wanted = []
  sa.state = 'deleting'
  const payloads = [notify(NotifyError.AUTHENTICATION_FAILED)]
  if (sa.keys) sendRequest(context, sa, Exchange.INFORMATIONAL, payloads, { kind: 'auth-failed' })
  else forget(context, sa)
}

/** The first Child SA. If it is refused the IKE SA stays and the tunnel is tried again on it (§1.2). */
function finishChild(context: Context, sa: IkeSa, payloads: Payload[], child: ChildOffer) {
  const peer = sa.peer!
  const error = errorIn(payloads)
  if (error) {
    releaseOffer(context, child)
    reportRefusal(context, sa, error.type, child)
    return act(context, { kind: 'failed', tunnel: peer.tunnel, reason: reasonOfNotify(error.type) })
  }
  const answer = judgeAnswer(context, sa, child, payloads)
  if (!answer.ok) return refuseChild(context, sa, child, answer.reason)
  const { nonce, peerNonce } = sa.handshake!
  installChild(context, sa, {
    ...answer,
    peer,
    spiIn: child.spiIn,
    nonceInitiator: nonce,
    nonceResponder: peerNonce,
    secrets: [],
    initiated: true,
    replaces: null,
    activate: true,
  })
}

/** The responder has installed what we cannot accept: it is told to delete it. */
function refuseChild(context: Context, sa: IkeSa, child: ChildOffer, reason: Reason): void {
  releaseOffer(context, child)
  sa.tasks.push({ kind: 'delete-child', children: [], spis: [child.spiIn], notBefore: 0 })
  act(context, { kind: 'failed', tunnel: child.tunnel, reason })
}
