// Renewing an IKE SA as the end that is asked (RFC 7296 §1.3.2, §2.8.2, §2.25). A collision is answered as usual; the
// answer to our own request decides which of the two new SAs inherits (collision.ts).

import { checkPublicValue } from '../crypto/dh.ts'
import type { IkeDatagram } from '../ports.ts'
import type { IkeSaId, IkeSuite } from '../sa/contract.ts'
import { u64, u64Bytes } from '../wire/bytes.ts'
import { NotifyError } from '../wire/notify.ts'
import { chooseIkeProposal } from '../wire/proposals.ts'
import type { Message, Payload, Proposal } from '../wire/types.ts'
import { livingIkeRival, lowestNonce } from './collision.ts'
import { exchangeKeys } from './create-child-responder.ts'
import { isChildWork, sendResponse } from './exchange.ts'
import { awaitFollowUp } from './followup-responder.ts'
import { type AgreedIke, createHeir, inherit } from './inherit.ts'
import { NONCE_LENGTH } from './options.ts'
import { find, groupData, notify } from './payloads.ts'
import { peerNow } from './peers.ts'
import { reportNoProposal } from './reports.ts'
import { freshSpi, tunnelOf } from './sas.ts'
import type { Context, DhPair, IkeSa } from './state.ts'
import { hasAdditional } from './suite.ts'

type Request = { message: Message; datagram: IkeDatagram }
type Chosen = { suite: IkeSuite; proposal: Proposal }

/** The peer renews the IKE SA; `offered` are its proposals for protocol IKE. */
export function receiveRekeyRequest(
  context: Context,
  sa: IkeSa,
  message: Message,
  offered: Proposal[],
  datagram: IkeDatagram,
) {
  const request = { message, datagram }
  if (isBusy(context, sa)) return refuse(context, sa, request, notify(NotifyError.TEMPORARY_FAILURE))
  const suites = peerNow(context, sa.peer!).ikeProposals
  const choice = chooseIkeProposal(offered, suites, 8)
  if (!choice.ok) {
    reportNoProposal(context, { tunnel: tunnelOf(sa), peer: datagram.remote }, 'IKE', choice.refusal, suites)
    return refuse(context, sa, request, notify(NotifyError.NO_PROPOSAL_CHOSEN))
  }
  exchangeKeysFor(context, sa, request, choice)
}

function refuse(context: Context, sa: IkeSa, { message, datagram }: Request, error: Payload): void {
  sendResponse(context, sa, message.header, [error], datagram)
}

/** §2.25.1: work on a Child SA is under way, or the peer has renewed this SA once already. */
function isBusy(context: Context, sa: IkeSa): boolean {
  return isChildWork(sa.exchange) || livingIkeRival(context, sa) !== null
}

/** The peer's group and value are judged, then both public-key steps are jobs. */
function exchangeKeysFor(context: Context, sa: IkeSa, request: Request, chosen: Chosen) {
  const { dhGroup } = chosen.suite
  const ke = find(request.message.payloads, 'KE')
  if (ke?.group !== dhGroup)
    return refuse(context, sa, request, notify(NotifyError.INVALID_KE_PAYLOAD, groupData(dhGroup)))
  if (u64(chosen.proposal.spi, 0) === 0n || checkPublicValue(ke.group, ke.data))
    return refuse(context, sa, request, notify(NotifyError.INVALID_SYNTAX))
  exchangeKeys(context, sa, dhGroup, ke.data.slice(), (later, dh, secret) => {
    if (!dh || !secret) return refuse(later, sa, request, notify(NotifyError.NO_PROPOSAL_CHOSEN))
    accept(later, sa, request, chosen, dh, secret)
  })
}

/** The answer; the new SA comes with it, or after the additional key exchanges (RFC 9370 §2.2.4). */
function accept(
  context: Context,
  sa: IkeSa,
  { message, datagram }: Request,
  { suite, proposal }: Chosen,
  dh: DhPair,
  secret: Uint8Array,
): void {
  const nr = context.environment.random(NONCE_LENGTH)
  const ni = find(message.payloads, 'NONCE')!.data.slice()
  const responderSpi = freshSpi(context)
  const initiatorSpi = u64(proposal.spi, 0)
  const agreed = { role: 'responder' as const, suite, initiatorSpi, responderSpi, ni, nr }
  const payloads: Payload[] = [
    { kind: 'SA', proposals: [{ ...proposal, spi: u64Bytes(responderSpi) }] },
    { kind: 'NONCE', data: nr },
    { kind: 'KE', group: dh.group, data: dh.publicValue },
  ]
  const more = hasAdditional(suite) ? waitFor(context, sa, agreed, secret) : []
  sendResponse(context, sa, message.header, [...payloads, ...more], datagram)
  if (more.length === 0) bringUp(context, sa, agreed, [secret])
  else noteRival(sa, null, agreed)
}

function waitFor(context: Context, sa: IkeSa, agreed: AgreedIke, secret: Uint8Array): Payload[] {
  const additional = agreed.suite.additionalKe!
  return awaitFollowUp(context, sa, 'ike', additional, secret, {
    finish: (later, secrets) => bringUp(later, sa, agreed, secrets),
    abandon: () => {},
  })
}

/** -- established -> replaced; or, in a collision, still established with a fresh SA beside it. */
function bringUp(context: Context, sa: IkeSa, agreed: AgreedIke, secrets: Uint8Array[]): void {
  const heir = createHeir(context, sa, agreed, secrets)
  if (!noteRival(sa, heir.id, agreed)) inherit(context, sa, heir)
}

/** Our own renewal is under way: its answer decides which of the two stays (§2.8.2). False: there is none. */
function noteRival(sa: IkeSa, heir: IkeSaId | null, { ni, nr }: AgreedIke): boolean {
  const purpose = sa.exchange?.purpose
  if (purpose?.kind !== 'rekey-ike') return false
  purpose.offer.rival = { sa: heir, lowest: lowestNonce(ni, nr) }
  return true
}
