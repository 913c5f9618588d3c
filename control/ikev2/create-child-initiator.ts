// CREATE_CHILD_SA for Child SAs, as the end that asks (RFC 7296 §1.3.1, §1.3.3, §2.8).
//
//   HDR, SK {[N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr}  -->
//                                     <--  HDR, SK {SA, Nr, [KEr,] TSi, TSr}

import { checkPublicValue } from '../crypto/dh.ts'
import { wipe } from '../crypto/suite.ts'
import type { CryptoResult, DhGroup } from '../ports.ts'
import type { ChildSaId, PeerConfig, Reason } from '../sa/contract.ts'
import { nextRenewal } from '../sa/lifetimes.ts'
import { u16 } from '../wire/bytes.ts'
import { NotifyError, NotifyStatus } from '../wire/notify.ts'
import { describeChildSuite, spiBytes } from '../wire/proposals.ts'
import { Exchange, type Payload } from '../wire/types.ts'
import { type AcceptedAnswer, errorIn, judgeAnswer, makeOffer, offerPayloads } from './child-offer.ts'
import { dropChild, installChild } from './children.ts'
import { act, randomBelow, report } from './context.ts'
import { sendRequest } from './exchange.ts'
import { compute } from './jobs.ts'
import { releaseOffer, wipeDh } from './offers.ts'
import { MAX_KE_ROUNDS } from './options.ts'
import { espNotify, find, type Notify } from './payloads.ts'
import { peerNow } from './peers.ts'
import { reasonOfNotify, reportPeerError } from './reports.ts'
import type { ChildOffer, ChildSa, Context, IkeSa } from './state.ts'
import { offersGroup } from './suite.ts'
import { addTask } from './tasks.ts'

/** -- established: a further Child SA for a tunnel. */
export function beginCreateChild(
  context: Context,
  sa: IkeSa,
  peer: PeerConfig,
  keRounds: number,
  group: DhGroup | null,
): void {
  begin(context, sa, offerFor(context, peer, null, keRounds, group))
}

/** -- active -> (rekeying): a successor for this Child SA, unless it is gone or already cared for. */
export function beginRekeyChild(
  context: Context,
  sa: IkeSa,
  child: ChildSa,
  keRounds: number,
  group: DhGroup | null,
): void {
  if (child.rekeying || child.deleting || child.state === 'draining') return
  const peer = context.state.peers.get(child.tunnel) ?? peerNow(context, sa.peer!)
  child.rekeying = true
  begin(context, sa, offerFor(context, peer, child.id, keRounds, group))
}

function offerFor(
  context: Context,
  peer: PeerConfig,
  replaces: ChildSaId | null,
  keRounds: number,
  group: DhGroup | null,
): ChildOffer {
  const offer = makeOffer(context, peer, replaces, false, group ?? peer.childProposals[0].dhGroup)
  return { ...offer, keRounds }
}

/** With PFS a fresh key pair comes first (§1.3.1). */
function begin(context: Context, sa: IkeSa, offer: ChildOffer) {
  const { group } = offer
  if (group === null) return send(context, sa, offer)
  const go = (later: Context, result: CryptoResult) => {
    if (result.kind !== 'dh-generate') return fail(later, offer, 'no-answer')
    offer.dh = { group, publicValue: result.publicValue, privateValue: result.privateValue }
    send(later, sa, offer)
  }
  compute(context, sa, { kind: 'dh-generate', group }, go, (later) => releaseOffer(later, offer))
}

/** REKEY_SA names the SPI that we receive on (§1.3.3). */
function send(context: Context, sa: IkeSa, offer: ChildOffer) {
  const old = offer.replaces === null ? null : context.state.children.get(offer.replaces)
  if (offer.replaces !== null && !old) return releaseOffer(context, offer)
  const rekey = old ? [espNotify(NotifyStatus.REKEY_SA, spiBytes(old.spiIn))] : []
  const payloads = [...rekey, ...offerPayloads(offer)]
  sendRequest(context, sa, Exchange.CREATE_CHILD_SA, payloads, { kind: 'child', offer })
}

/** The authentic answer. */
export function receiveChildResponse(context: Context, sa: IkeSa, payloads: Payload[], offer: ChildOffer) {
  const error = errorIn(payloads)
  if (error) return receiveError(context, sa, error, offer)
  const answer = judgeAnswer(context, sa, offer, payloads)
  const nonce = find(payloads, 'NONCE')?.data.slice()
  if (!answer.ok || !nonce) return refuseAnswer(context, sa, offer, answer.ok ? 'no-proposal' : answer.reason)
  if (answer.suite.dhGroup === null) return install(context, sa, offer, answer, nonce, null)
  const ke = find(payloads, 'KE')
  const isBad = !ke || ke.group !== offer.dh?.group || ke.group !== answer.suite.dhGroup
  if (isBad || checkPublicValue(ke.group, ke.data)) return refuseAnswer(context, sa, offer, 'no-proposal')
  const { group, privateValue } = offer.dh!
  const job = { kind: 'dh-derive', group, privateValue, peerPublic: ke.data.slice() } as const
  const go = (later: Context, result: CryptoResult) => {
    if (result.kind !== 'dh-derive') return refuseAnswer(later, sa, offer, 'no-proposal')
    install(later, sa, offer, answer, nonce, result.secret)
  }
  compute(context, sa, job, go, (later) => releaseOffer(later, offer))
}

/** -- (rekeying) -> active: we send on it at once, the peer had it before it answered; then the old one is deleted (§2.8). */
function install(
  context: Context,
  sa: IkeSa,
  offer: ChildOffer,
  answer: AcceptedAnswer,
  nonce: Uint8Array,
  sharedSecret: Uint8Array | null,
): void {
  installChild(context, sa, {
    ...answer,
    peer: context.state.peers.get(offer.tunnel) ?? sa.peer!,
    spiIn: offer.spiIn,
    nonceInitiator: offer.nonce,
    nonceResponder: nonce,
    sharedSecret,
    initiated: true,
    replaces: offer.replaces,
    activate: true,
  })
  wipe(sharedSecret)
  wipeDh(offer.dh)
  const old = offer.replaces === null ? null : context.state.children.get(offer.replaces)
  if (!old) return
  old.state = 'replaced'
  old.deleting = true
  addTask(sa, { kind: 'delete-child', children: [old.id], spis: [] })
}

/** The peer refused. What to do depends on why (§1.3, §2.25). */
function receiveError(context: Context, sa: IkeSa, error: Notify, offer: ChildOffer) {
  const { type } = error
  if (type === NotifyError.INVALID_KE_PAYLOAD && retryWithGroup(context, sa, error, offer)) return
  if (type === NotifyError.TEMPORARY_FAILURE) return retryLater(context, sa, offer)
  if (type === NotifyError.CHILD_SA_NOT_FOUND && offer.replaces !== null)
    return replaceLost(context, sa, offer)
  const offered = offer.suites.map(describeChildSuite)
  const where = { tunnel: offer.tunnel, peer: sa.remote }
  reportPeerError(context, where, 'CREATE_CHILD_SA', type, { offered, authentic: true })
  fail(context, offer, reasonOfNotify(type))
}

/** §1.3: the peer wants another group; only one that we offered, and not for ever. */
function retryWithGroup(context: Context, sa: IkeSa, error: Notify, offer: ChildOffer): boolean {
  const group = error.data.length === 2 ? u16(error.data, 0) : 0
  const isUsable = offersGroup(offer.suites, group) && group !== offer.group && offer.keRounds < MAX_KE_ROUNDS
  if (!isUsable) return false
  repeat(sa, offer, offer.keRounds + 1, group, 0)
  releaseOffer(context, offer)
  return true
}

/** §2.25: the peer is busy with something that collides; a little later, not in step with it. */
function retryLater(context: Context, sa: IkeSa, offer: ChildOffer): void {
  const { temporaryFailureMs } = context.options
  const wait = temporaryFailureMs + randomBelow(context, temporaryFailureMs)
  repeat(sa, offer, 0, null, context.now + wait)
  releaseOffer(context, offer)
}

function repeat(sa: IkeSa, offer: ChildOffer, keRounds: number, group: DhGroup | null, notBefore: number) {
  const { replaces: child, tunnel } = offer
  const more = { keRounds, group }
  if (child === null) return addTask(sa, { kind: 'create-child', tunnel, ...more }, notBefore)
  const old = sa.children.get(child)
  if (old) old.rekeying = false
  addTask(sa, { kind: 'rekey-child', child, ...more }, notBefore)
}

/** §2.25.1: the peer has no such SA any more: a new one for the tunnel, the old one goes with it. */
function replaceLost(context: Context, sa: IkeSa, offer: ChildOffer): void {
  releaseOffer(context, offer)
  const old = context.state.children.get(offer.replaces!)
  addTask(sa, { kind: 'create-child', tunnel: offer.tunnel, keRounds: 0, group: null })
  report(context, {
    tunnel: offer.tunnel,
    level: 'warning',
    code: 'peer-deleted',
    text: 'the peer does not know the Child SA that was to be renewed; a new one is negotiated',
    peer: sa.remote,
  })
  if (old) dropChild(context, old, 'peer-deleted')
}

/** The peer has installed what we cannot accept: it is told to delete it. */
function refuseAnswer(context: Context, sa: IkeSa, offer: ChildOffer, reason: Reason): void {
  addTask(sa, { kind: 'delete-child', children: [], spis: [offer.spiIn] })
  fail(context, offer, reason)
}

/** No new Child SA. A renewal is tried again until the hard end; a first one is the gateway's to repeat. */
function fail(context: Context, offer: ChildOffer, reason: Reason): void {
  releaseOffer(context, offer)
  const old = offer.replaces === null ? null : context.state.children.get(offer.replaces)
  if (old) {
    old.rekeying = false
    old.softAt = nextRenewal(context.now, old.hardAt)
    return
  }
  act(context, { kind: 'failed', tunnel: offer.tunnel, reason })
}
