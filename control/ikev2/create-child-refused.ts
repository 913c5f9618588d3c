// A CREATE_CHILD_SA of ours for a Child SA that came to nothing: what to do depends on why (RFC 7296 §1.3, §2.25), and
// on whether the peer has done the same work meanwhile (§2.8.1).

import type { DhGroup } from '../ports.ts'
import type { Reason } from '../sa/contract.ts'
import { nextRenewal } from '../sa/lifetimes.ts'
import { u16 } from '../wire/bytes.ts'
import { NotifyError } from '../wire/notify.ts'
import { describeChildSuite } from '../wire/proposals.ts'
import { dropChild } from './children.ts'
import { livingRival } from './collision.ts'
import { act, report } from './context.ts'
import { PASSING } from './followup-initiator.ts'
import { releaseOffer } from './offers.ts'
import { MAX_KE_ROUNDS } from './options.ts'
import type { Notify } from './payloads.ts'
import { reasonOfNotify, reportPeerError, sentFor } from './reports.ts'
import type { ChildOffer, ChildSa, Context, IkeSa } from './state.ts'
import { offersGroup } from './suite.ts'
import { addTask } from './tasks.ts'
import { retryAt } from './temporary.ts'

/** The peer refused. With an SA of its own exchange there is nothing left to do; without the old SA, nobody to do it for. */
export function receiveChildError(context: Context, sa: IkeSa, error: Notify, offer: ChildOffer) {
  const { type } = error
  const isSettled = livingRival(context, offer) !== null || isOldLeaving(context, offer)
  if (isSettled) return endOffer(context, offer, 'peer-deleted')
  if (type === NotifyError.INVALID_KE_PAYLOAD && retryWithGroup(context, sa, error, offer)) return
  if (PASSING.has(type)) return retryLater(context, sa, offer)
  sa.refusedSince = Number.POSITIVE_INFINITY
  if (type === NotifyError.CHILD_SA_NOT_FOUND && offer.replaces !== null)
    return replaceLost(context, sa, offer)
  const offered = offer.suites.map(describeChildSuite)
  const sides = { local: offer.localSelectors, remote: offer.remoteSelectors }
  const sent = sentFor(type, offered, sides, { what: 'other' })
  const where = { tunnel: offer.tunnel, peer: sa.remote }
  const own = sent.what === 'proposals' ? { offered } : {}
  reportPeerError(context, where, 'CREATE_CHILD_SA', type, { ...own, authentic: true, sent })
  endOffer(context, offer, reasonOfNotify(type))
}

function oldOf(context: Context, offer: ChildOffer): ChildSa | undefined {
  return offer.replaces === null ? undefined : context.state.children.get(offer.replaces)
}

/** The peer has deleted meanwhile what we wanted to renew. */
function isOldLeaving(context: Context, offer: ChildOffer): boolean {
  const old = oldOf(context, offer)
  return offer.replaces !== null && (!old || old.state === 'draining')
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

/**
 * §2.25: the peer is busy with something that collides, or it has forgotten what our key exchange belongs to (RFC 9370
 * §2.2.4): a little later, not in step with it.
 */
function retryLater(context: Context, sa: IkeSa, offer: ChildOffer): void {
  releaseOffer(context, offer)
  const at = retryAt(context, sa)
  if (at !== null) repeat(sa, offer, 0, null, at)
}

function repeat(sa: IkeSa, offer: ChildOffer, keRounds: number, group: DhGroup | null, notBefore: number) {
  const { replaces: child, tunnel } = offer
  const more = { keRounds, group }
  if (child === null) return addTask(sa, { kind: 'create-child', tunnel, ...more }, notBefore)
  const old = sa.children.get(child)
  if (old) old.rekeying = false
  addTask(sa, { kind: 'rekey-child', child, ...more }, notBefore)
}

/** §2.25: the peer has no such SA any more: a new one for the tunnel, the old one goes with it. */
function replaceLost(context: Context, sa: IkeSa, offer: ChildOffer): void {
  releaseOffer(context, offer)
  const old = oldOf(context, offer)
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
export function refuseAnswer(context: Context, sa: IkeSa, offer: ChildOffer, reason: Reason): void {
  addTask(sa, { kind: 'delete-child', children: [], spis: [offer.spiIn] })
  endOffer(context, offer, reason)
}

/**
 * No new Child SA from us. The peer's own one will do; else a renewal is tried again until the hard end, and a first
 * one is the gateway's to repeat. An old SA that only waited for the new one goes.
 */
export function endOffer(context: Context, offer: ChildOffer, reason: Reason) {
  releaseOffer(context, offer)
  if (livingRival(context, offer)) return
  if (offer.replaces === null) return act(context, { kind: 'failed', tunnel: offer.tunnel, reason })
  keepOld(context, offer)
}

/** The old SA goes on alone and may be renewed again; one that the peer has deleted goes. */
export function keepOld(context: Context, offer: ChildOffer) {
  const old = oldOf(context, offer)
  if (!old) return
  if (old.state === 'draining') return dropWaiting(context, old)
  old.rekeying = false
  old.softAt = nextRenewal(context.now, old.hardAt)
}

/** One that another SA has taken over from drains in peace. */
function dropWaiting(context: Context, old: ChildSa): void {
  if (context.state.sending.get(old.tunnel) === old.id) dropChild(context, old, old.endReason)
}
