// Renewing an IKE SA as the end that is asked (RFC 7296 §1.3.2, §2.8.2, §2.25). A collision is answered as usual; the
// answer to our own request decides which of the two new SAs inherits (collision.ts).

import { checkPublicValue } from '../crypto/dh.ts'
import type { IkeDatagram } from '../ports.ts'
import type { IkeSuite } from '../sa/contract.ts'
import { u64, u64Bytes } from '../wire/bytes.ts'
import { NotifyError } from '../wire/notify.ts'
import { chooseIkeProposal, encodeIkeProposals } from '../wire/proposals.ts'
import type { Message, Payload, Proposal } from '../wire/types.ts'
import { livingIkeRival, lowestNonce } from './collision.ts'
import { exchangeKeys } from './create-child-responder.ts'
import { isChildWork, sendResponse } from './exchange.ts'
import { createHeir, inherit } from './inherit.ts'
import { NONCE_LENGTH } from './options.ts'
import { find, groupData, notify } from './payloads.ts'
import { peerNow } from './peers.ts'
import { reportNoProposal } from './reports.ts'
import { freshSpi, tunnelOf } from './sas.ts'
import type { Context, DhPair, IkeSa } from './state.ts'

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

/** -- established -> replaced; or, in a collision, still established with a fresh SA beside it. */
function accept(
  context: Context,
  sa: IkeSa,
  { message, datagram }: Request,
  { suite, proposal }: Chosen,
  dh: DhPair,
  secret: Uint8Array,
): void {
  const nr = context.environment.random(NONCE_LENGTH)
  const ni = find(message.payloads, 'NONCE')!.data
  const responderSpi = freshSpi(context)
  const [answer] = encodeIkeProposals([suite], u64Bytes(responderSpi))
  const payloads: Payload[] = [
    { kind: 'SA', proposals: [{ ...answer, number: proposal.number }] },
    { kind: 'NONCE', data: nr },
    { kind: 'KE', group: dh.group, data: dh.publicValue },
  ]
  sendResponse(context, sa, message.header, payloads, datagram)
  const initiatorSpi = u64(proposal.spi, 0)
  const agreed = { role: 'responder' as const, suite, initiatorSpi, responderSpi, ni, nr }
  const heir = createHeir(context, sa, agreed, secret)
  const purpose = sa.exchange?.purpose
  if (purpose?.kind === 'rekey-ike') purpose.offer.rival = { sa: heir.id, lowest: lowestNonce(ni, nr) }
  else inherit(context, sa, heir)
}
