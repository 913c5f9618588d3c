// Renewing an IKE SA as the end that asks (RFC 7296 §1.3.2, §2.8, §2.18): the new one inherits the Child SAs, starts its
// message ids at zero, and its initiator is who began the renewal. That end deletes the old one.
//
//   HDR, SK {SA, Ni, KEi}  -->
//                          <--  HDR, SK {SA, Nr, KEr}
//
// With additional key exchanges the new SA comes into being after the last of them (RFC 9370 §2.2.4).

import { checkPublicValue } from '../crypto/dh.ts'
import type { DhGroup } from '../ports.ts'
import { nextRenewal } from '../sa/lifetimes.ts'
import { u16, u64, u64Bytes } from '../wire/bytes.ts'
import { NotifyError } from '../wire/notify.ts'
import { acceptIkeAnswer, describeIkeSuite, encodeIkeProposals } from '../wire/proposals.ts'
import { Exchange, type Payload } from '../wire/types.ts'
import { errorIn } from './child-offer.ts'
import { isLoser } from './collision.ts'
import { beginDelete, discard } from './delete.ts'
import { sendRequest } from './exchange.ts'
import { beginFollowUp, linkIn, PASSING } from './followup-initiator.ts'
import { type AgreedIke, createHeir, inherit } from './inherit.ts'
import { compute } from './jobs.ts'
import { wipeDh, wipeIkeOffer } from './offers.ts'
import { MAX_KE_ROUNDS, NONCE_LENGTH } from './options.ts'
import { find, type Notify } from './payloads.ts'
import { peerNow } from './peers.ts'
import { reportNoProposal, reportPeerError } from './reports.ts'
import { freshSpi, tunnelOf } from './sas.ts'
import type { Context, IkeOffer, IkeSa } from './state.ts'
import { hasAdditional, offersGroup } from './suite.ts'
import { addTask } from './tasks.ts'
import { retryAt } from './temporary.ts'

/** -- established -> (rekeying). The group in use first: the peer has agreed to it once. */
export function beginRekeyIke(context: Context, sa: IkeSa, keRounds: number, wanted: DhGroup | null): void {
  const suites = peerNow(context, sa.peer!).ikeProposals
  const inUse = sa.suite!.dhGroup
  const group = wanted ?? (offersGroup(suites, inUse) ? inUse : suites[0].dhGroup)
  const nonce = context.environment.random(NONCE_LENGTH)
  const offer: IkeOffer = {
    spi: freshSpi(context),
    suites,
    group,
    dh: null,
    nonce,
    keRounds,
    rival: null,
    followUp: null,
  }
  compute(context, sa, { kind: 'dh-generate', group }, (later, result) => {
    if (result.kind !== 'dh-generate') return fail(later, sa, offer)
    offer.dh = { group, publicValue: result.publicValue, privateValue: result.privateValue }
    const payloads = offerPayloads(offer)
    sendRequest(later, sa, Exchange.CREATE_CHILD_SA, payloads, { kind: 'rekey-ike', offer })
  })
}

function offerPayloads({ spi, suites, nonce, dh }: IkeOffer): Payload[] {
  return [
    { kind: 'SA', proposals: encodeIkeProposals(suites, u64Bytes(spi)) },
    { kind: 'NONCE', data: nonce },
    { kind: 'KE', group: dh!.group, data: dh!.publicValue },
  ]
}

/** The authentic answer to our renewal. */
export function receiveRekeyResponse(context: Context, sa: IkeSa, payloads: Payload[], offer: IkeOffer) {
  const error = errorIn(payloads)
  if (error) return receiveError(context, sa, error, offer)
  sa.refusedSince = Number.POSITIVE_INFINITY
  const [answer, nonce, ke] = [find(payloads, 'SA'), find(payloads, 'NONCE'), find(payloads, 'KE')]
  if (!answer || !nonce || !ke) return fail(context, sa, offer)
  const choice = acceptIkeAnswer(answer.proposals, offer.suites, 8)
  if (!choice.ok) {
    const where = { tunnel: tunnelOf(sa), peer: sa.remote }
    reportNoProposal(context, where, 'IKE', choice.refusal, offer.suites)
    return fail(context, sa, offer)
  }
  const peerSpi = u64(choice.proposal.spi, 0)
  const isBad = ke.group !== offer.group || ke.group !== choice.suite.dhGroup || peerSpi === 0n
  if (isBad || checkPublicValue(ke.group, ke.data)) return fail(context, sa, offer)
  const { group, privateValue } = offer.dh!
  const nr = nonce.data.slice()
  const job = { kind: 'dh-derive', group, privateValue, peerPublic: ke.data.slice() } as const
  compute(context, sa, job, (later, result) => {
    if (result.kind !== 'dh-derive') return fail(later, sa, offer)
    wipeDh(offer.dh)
    const { suite } = choice
    const spis = { initiatorSpi: offer.spi, responderSpi: peerSpi }
    const agreed = { role: 'initiator' as const, suite, ...spis, ni: offer.nonce, nr }
    if (!hasAdditional(suite))
      return decide(later, sa, createHeir(later, sa, agreed, [result.secret]), offer, nr)
    goOn(later, sa, offer, agreed, result.secret, linkIn(payloads))
  })
}

/** The additional key exchanges; nothing of the new SA is there before they are done. */
function goOn(
  context: Context,
  sa: IkeSa,
  offer: IkeOffer,
  agreed: AgreedIke,
  secret: Uint8Array,
  link: Uint8Array | null,
) {
  beginFollowUp(context, sa, { kind: 'rekey-ike', offer }, agreed.suite.additionalKe!, secret, link, {
    isLost: () => sa.state !== 'established' || isLost(offer, agreed.nr),
    standBack: (later) => fail(later, sa, offer), // the peer's inherits; if it comes to nothing, we try again
    finish: (later, secrets) => decide(later, sa, createHeir(later, sa, agreed, secrets), offer, agreed.nr),
    fail: (later, error) => (error ? receiveError(later, sa, error, offer) : fail(later, sa, offer)),
  })
}

function isLost({ nonce, rival }: IkeOffer, nr: Uint8Array): boolean {
  return rival !== null && isLoser(nonce, nr, rival.lowest)
}

/** The old SA may be on its way out meanwhile; in a collision the nonces of both exchanges decide (§2.8.2). */
function decide(context: Context, sa: IkeSa, heir: IkeSa, offer: IkeOffer, nr: Uint8Array) {
  const rival = rivalOf(context, offer)
  if (sa.state !== 'established') return discard(context, heir)
  if (isLost(offer, nr)) return giveWay(context, sa, heir, rival)
  inherit(context, sa, heir)
  addTask(sa, { kind: 'delete-ike' })
  if (rival) leaveToPeer(context, rival, heir)
}

function rivalOf(context: Context, offer: IkeOffer): IkeSa | null {
  const found = offer.rival?.sa ? context.state.sas.get(offer.rival.sa) : undefined
  return found?.state === 'fresh' ? found : null
}

/** -- fresh -> deleting: the peer's SA inherits and the peer deletes the old one; if it has deleted both, all ends here. */
function giveWay(context: Context, sa: IkeSa, heir: IkeSa, rival: IkeSa | null) {
  discard(context, heir)
  if (rival) inherit(context, sa, rival)
  else beginDelete(context, sa, 'peer-deleted')
}

/** -- fresh -> replaced: its maker deletes it. */
function leaveToPeer(context: Context, rival: IkeSa, heir: IkeSa): void {
  rival.state = 'replaced'
  rival.replacedBy = heir.id
  rival.endAt = context.now + context.options.replacedMs
}

/**
 * Refused: another group, later, or when a part of the remaining life has passed; until the hard end. If the peer has
 * renewed it meanwhile, its SA inherits: it did not notice the collision (§2.8.2).
 */
function receiveError(context: Context, sa: IkeSa, error: Notify, offer: IkeOffer) {
  const rival = rivalOf(context, offer)
  wipeIkeOffer(offer)
  if (sa.state !== 'established') return
  if (rival) {
    return inherit(context, sa, rival)
  }
  const group = error.data.length === 2 ? u16(error.data, 0) : 0
  const isOtherGroup = error.type === NotifyError.INVALID_KE_PAYLOAD && offersGroup(offer.suites, group)
  if (isOtherGroup && group !== offer.group && offer.keRounds < MAX_KE_ROUNDS) {
    return addTask(sa, { kind: 'rekey-ike', keRounds: offer.keRounds + 1, group: group as DhGroup })
  }
  if (PASSING.has(error.type)) return retryLater(context, sa)
  sa.refusedSince = Number.POSITIVE_INFINITY
  const offered = offer.suites.map(describeIkeSuite)
  const where = { tunnel: tunnelOf(sa), peer: sa.remote }
  reportPeerError(context, where, 'the renewal of the IKE SA', error.type, { offered, authentic: true })
  fail(context, sa, offer)
}

/** §2.25: the peer is busy with something that collides; or it has forgotten what our key exchange belongs to (RFC 9370 §2.2.4). */
function retryLater(context: Context, sa: IkeSa): void {
  const at = retryAt(context, sa)
  if (at !== null) addTask(sa, { kind: 'rekey-ike', keRounds: 0, group: null }, at)
}

/** No new SA from us: the peer's inherits if there is one, else the renewal is tried again. */
function fail(context: Context, sa: IkeSa, offer: IkeOffer) {
  wipeIkeOffer(offer)
  const rival = rivalOf(context, offer)
  if (sa.state !== 'established') return
  if (rival) return inherit(context, sa, rival)
  sa.softAt = nextRenewal(context.now, sa.hardAt)
}
