// A Child SA from the side that asks for it: what we offer, and what of the answer we accept (RFC 7296 §1.3.1, §2.9).

import type { DhGroup, TrafficSelector } from '../ports.ts'
import type { ChildSaId, ChildSuite, PeerConfig, Reason } from '../sa/contract.ts'
import { u32 } from '../wire/bytes.ts'
import { isErrorNotify } from '../wire/notify.ts'
import { acceptChildAnswer, encodeChildProposals, spiBytes } from '../wire/proposals.ts'
import { selectorsWithin } from '../wire/selectors.ts'
import type { Payload } from '../wire/types.ts'
import { NONCE_LENGTH } from './options.ts'
import { find, findAll, type Notify } from './payloads.ts'
import { reportNoProposal, reportNoSelectors } from './reports.ts'
import type { ChildOffer, Context, IkeSa } from './state.ts'

/** What we ask for on behalf of a tunnel; withDh: in CREATE_CHILD_SA with PFS, never in IKE_AUTH (§1.2). */
export function makeOffer(
  context: Context,
  peer: PeerConfig,
  replaces: ChildSaId | null,
  inAuth: boolean,
  group: DhGroup | null = peer.childProposals[0].dhGroup,
): ChildOffer {
  return {
    tunnel: peer.tunnel,
    spiIn: context.environment.allocateSpi(peer.tunnel),
    suites: peer.childProposals,
    withDh: !inAuth,
    group: inAuth ? null : group,
    dh: null,
    nonce: inAuth ? new Uint8Array(0) : context.environment.random(NONCE_LENGTH),
    localSelectors: peer.localSelectors,
    remoteSelectors: peer.remoteSelectors,
    replaces,
    keRounds: 0,
    rival: null,
    followUp: null,
    deletedByPeer: [],
  }
}

/** SA, [Ni, [KEi]], TSi, TSr. The one who asks is the initiator of the exchange: TSi is our side (§2.9). */
export function offerPayloads(offer: ChildOffer): Payload[] {
  const { dh, nonce } = offer
  return [
    { kind: 'SA', proposals: encodeChildProposals(offer.suites, spiBytes(offer.spiIn), offer.withDh) },
    ...(nonce.length > 0 ? [{ kind: 'NONCE', data: nonce } as const] : []),
    ...(dh ? [{ kind: 'KE', group: dh.group, data: dh.publicValue } as const] : []),
    { kind: 'TSi', selectors: offer.localSelectors },
    { kind: 'TSr', selectors: offer.remoteSelectors },
  ]
}

/** The peer's error notification, if the answer is one. */
export function errorIn(payloads: Payload[]): Notify | undefined {
  return findAll(payloads, 'NOTIFY').find((each) => isErrorNotify(each.type))
}

export type AcceptedAnswer = {
  ok: true
  suite: ChildSuite
  spiOut: number
  localSelectors: TrafficSelector[]
  remoteSelectors: TrafficSelector[]
}

/** Judges an answer without error: one of our suites, selectors no wider than ours (§2.9). Reports what it refuses. */
export function judgeAnswer(
  context: Context,
  sa: IkeSa,
  offer: ChildOffer,
  payloads: Payload[],
): AcceptedAnswer | { ok: false; reason: Reason } {
  const where = { tunnel: offer.tunnel, peer: sa.remote }
  const [sas, tsi, tsr] = [find(payloads, 'SA'), find(payloads, 'TSi'), find(payloads, 'TSr')]
  if (!sas || !tsi || !tsr) return { ok: false, reason: 'no-proposal' }
  const choice = acceptChildAnswer(sas.proposals, offer.suites, offer.withDh)
  if (!choice.ok) {
    reportNoProposal(context, where, 'IPsec', choice.refusal, offer.suites)
    return { ok: false, reason: 'no-proposal' }
  }
  const isWithin =
    selectorsWithin(tsi.selectors, offer.localSelectors) &&
    selectorsWithin(tsr.selectors, offer.remoteSelectors)
  if (!isWithin) {
    const answered = { local: tsi.selectors, remote: tsr.selectors }
    reportNoSelectors(context, where, answered, [
      { local: offer.localSelectors, remote: offer.remoteSelectors },
    ])
    return { ok: false, reason: 'ts-unacceptable' }
  }
  const spiOut = u32(choice.proposal.spi, 0)
  return {
    ok: true,
    suite: choice.suite,
    spiOut,
    localSelectors: tsi.selectors,
    remoteSelectors: tsr.selectors,
  }
}
