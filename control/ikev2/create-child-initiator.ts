// CREATE_CHILD_SA for Child SAs, as the end that asks (RFC 7296 §1.3.1, §1.3.3, §2.8).
//
//   HDR, SK {[N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr}  -->
//                                     <--  HDR, SK {SA, Nr, [KEr,] TSi, TSr}
//
// With additional key exchanges the new SA comes into being after the last of them (followup-initiator.ts).

import { checkPublicValue } from '../crypto/dh.ts'
import { wipe } from '../crypto/suite.ts'
import type { CryptoResult, DhGroup } from '../ports.ts'
import type { ChildSaId, PeerConfig } from '../sa/contract.ts'
import { NotifyStatus } from '../wire/notify.ts'
import { spiBytes } from '../wire/proposals.ts'
import { Exchange, type Payload } from '../wire/types.ts'
import { type AcceptedAnswer, errorIn, judgeAnswer, makeOffer, offerPayloads } from './child-offer.ts'
import { installChild, leaveToPeer } from './children.ts'
import { isLoser, livingRival } from './collision.ts'
import { endOffer, keepOld, receiveChildError, refuseAnswer } from './create-child-refused.ts'
import { sendRequest } from './exchange.ts'
import { beginFollowUp, linkIn } from './followup-initiator.ts'
import { compute } from './jobs.ts'
import { releaseOffer, wipeDh } from './offers.ts'
import { espNotify, find } from './payloads.ts'
import { peerNow } from './peers.ts'
import type { ChildOffer, ChildSa, Context, IkeSa } from './state.ts'
import { hasAdditional } from './suite.ts'
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

/**
 * -- active -> (rekeying): a successor for this Child SA, unless it is gone or already cared for. One that the peer has
 * asked for may not have reached it yet, and would be denied: that one waits until the peer uses it.
 */
export function beginRekeyChild(
  context: Context,
  sa: IkeSa,
  child: ChildSa,
  keRounds: number,
  group: DhGroup | null,
) {
  if (child.rekeying || child.deleting || child.state === 'draining') return
  if (child.state === 'fresh') {
    const at = context.now + context.options.temporaryFailureMs
    return addTask(sa, { kind: 'rekey-child', child: child.id, keRounds, group }, at)
  }
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
    if (result.kind !== 'dh-generate') return endOffer(later, offer, 'no-answer')
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
  if (error) return receiveChildError(context, sa, error, offer)
  sa.refusedSince = Number.POSITIVE_INFINITY
  const answer = judgeAnswer(context, sa, offer, payloads)
  const nonce = find(payloads, 'NONCE')?.data.slice()
  if (!answer.ok || !nonce) return refuseAnswer(context, sa, offer, answer.ok ? 'no-proposal' : answer.reason)
  if (offer.deletedByPeer.includes(answer.spiOut)) return deletedMeanwhile(context, sa, offer)
  if (answer.suite.dhGroup === null) return install(context, sa, offer, answer, nonce, [])
  const ke = find(payloads, 'KE')
  const isBad = !ke || ke.group !== offer.dh?.group || ke.group !== answer.suite.dhGroup
  if (isBad || checkPublicValue(ke.group, ke.data)) return refuseAnswer(context, sa, offer, 'no-proposal')
  const { group, privateValue } = offer.dh!
  const job = { kind: 'dh-derive', group, privateValue, peerPublic: ke.data.slice() } as const
  const go = (later: Context, result: CryptoResult) => {
    if (result.kind !== 'dh-derive') return refuseAnswer(later, sa, offer, 'no-proposal')
    if (!hasAdditional(answer.suite)) return install(later, sa, offer, answer, nonce, [result.secret])
    goOn(later, sa, offer, answer, nonce, result.secret, linkIn(payloads))
  }
  compute(context, sa, job, go, (later) => releaseOffer(later, offer))
}

/** The additional key exchanges; nothing of the new SA is there before they are done (RFC 9370 §2.2.4). */
function goOn(
  context: Context,
  sa: IkeSa,
  offer: ChildOffer,
  answer: AcceptedAnswer,
  nonce: Uint8Array,
  secret: Uint8Array,
  link: Uint8Array | null,
) {
  beginFollowUp(context, sa, { kind: 'child', offer }, answer.suite.additionalKe!, secret, link, {
    isLost: () => isLost(offer, nonce),
    standBack: (later) => standBack(later, sa, offer),
    finish: (later, secrets) =>
      offer.deletedByPeer.includes(answer.spiOut)
        ? deletedMeanwhile(later, sa, offer)
        : install(later, sa, offer, answer, nonce, secrets),
    fail: (later, error) =>
      error ? receiveChildError(later, sa, error, offer) : refuseAnswer(later, sa, offer, 'no-proposal'),
  })
}

function isLost({ nonce, rival }: ChildOffer, peerNonce: Uint8Array): boolean {
  return rival !== null && isLoser(nonce, peerNonce, rival.lowest)
}

/** -- (rekeying) -> active: the peer's exchange wins and ours has made nothing yet (§2.8.1). If it comes to nothing, we try again. */
function standBack(context: Context, sa: IkeSa, offer: ChildOffer) {
  releaseOffer(context, offer)
  if (offer.replaces !== null) return keepOld(context, offer)
  const task = { kind: 'create-child', tunnel: offer.tunnel, keRounds: 0, group: null } as const
  addTask(sa, task, context.now + context.options.followUpMs)
}

/** The peer's Delete of the new SA overtook its answer: the old one has no successor, and the peer wants none. */
function deletedMeanwhile(context: Context, sa: IkeSa, offer: ChildOffer): void {
  releaseOffer(context, offer)
  const old = oldOf(context, offer)
  if (!old || livingRival(context, offer)) return
  old.endReason = 'peer-deleted'
  deleteLater(sa, old)
}

function oldOf(context: Context, offer: ChildOffer): ChildSa | undefined {
  return offer.replaces === null ? undefined : context.state.children.get(offer.replaces)
}

/** -- (rekeying) -> active or replaced: installed in either case, for the peer may send on it; the nonces decide (§2.8.1). */
function install(
  context: Context,
  sa: IkeSa,
  offer: ChildOffer,
  answer: AcceptedAnswer,
  nonce: Uint8Array,
  secrets: Uint8Array[],
): void {
  const isOurs = !isLost(offer, nonce)
  const child = installChild(context, sa, {
    ...answer,
    peer: context.state.peers.get(offer.tunnel) ?? sa.peer!,
    spiIn: offer.spiIn,
    nonceInitiator: offer.nonce,
    nonceResponder: nonce,
    secrets,
    initiated: true,
    replaces: isOurs ? offer.replaces : null,
    activate: isOurs,
  })
  wipe(...secrets)
  wipeDh(offer.dh)
  if (isOurs) takeOver(context, sa, offer)
  else giveWay(context, sa, offer, child)
}

/** -- (rekeying) -> active: we send on the new one at once, the peer had it before it answered; the old one is deleted. */
function takeOver(context: Context, sa: IkeSa, offer: ChildOffer): void {
  const rival = livingRival(context, offer)
  if (rival) leaveToPeer(context, rival)
  const old = oldOf(context, offer)
  if (old && old.state !== 'draining') deleteLater(sa, old)
}

/** -- (rekeying) -> replaced: the peer's SA stays, ours goes; the old one is the peer's to delete. */
function giveWay(context: Context, sa: IkeSa, offer: ChildOffer, child: ChildSa): void {
  deleteLater(sa, child)
  if (!livingRival(context, offer)) keepOld(context, offer)
}

function deleteLater(sa: IkeSa, child: ChildSa): void {
  child.state = 'replaced'
  child.deleting = true
  child.softAt = Number.POSITIVE_INFINITY
  addTask(sa, { kind: 'delete-child', children: [child.id], spis: [] })
}
