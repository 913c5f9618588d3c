// An authentic, new request of the peer: who deals with it in which state (RFC 7296 §1.4, §2.21, §2.25).

import type { IkeDatagram } from '../ports.ts'
import { NotifyError } from '../wire/notify.ts'
import { describeMalformed } from '../wire/reasons.ts'
import { Exchange, type Header, type Malformed, type Message, ProtocolId } from '../wire/types.ts'
import { receiveAuthRequest } from './auth-responder.ts'
import { drop, report } from './context.ts'
import { receiveChildRequest } from './create-child-responder.ts'
import { sendResponse } from './exchange.ts'
import { receiveFollowUpRequest } from './followup-responder.ts'
import { receiveInformational } from './informational.ts'
import { receiveIntermediateRequest } from './intermediate-responder.ts'
import { follow, mayFollow } from './mobility.ts'
import { find, findAll, notify } from './payloads.ts'
import { receiveRekeyRequest } from './rekey-ike-responder.ts'
import { leave, linger, tunnelOf } from './sas.ts'
import type { Context, IkeSa, Received } from './state.ts'

const SET_UP = new Set<number>([Exchange.IKE_AUTH, Exchange.IKE_INTERMEDIATE])

/** IKE_AUTH comes when every key exchange that was agreed on has been made (RFC 9370 §2.2.2). */
function nextOf(sa: IkeSa): number {
  return sa.handshake!.additional.length > 0 ? Exchange.IKE_INTERMEDIATE : Exchange.IKE_AUTH
}

/** A half-open SA takes what comes next only, an authenticated one everything else (security C9). */
function isAllowed(sa: IkeSa, exchange: number): boolean {
  if (sa.state === 'auth') return sa.role === 'responder' && exchange === nextOf(sa)
  return sa.state !== 'init' && !SET_UP.has(exchange)
}

/** Child SAs are deleted on the SA that has inherited them: until we know which one that is, the peer has to repeat (§2.8.2). */
function comesTooSoon(sa: IkeSa, { payloads }: Message): boolean {
  return sa.state === 'fresh' && findAll(payloads, 'DELETE').some((each) => each.protocol !== ProtocolId.IKE)
}

/** Dispatch by exchange. The message is authentic, legal and new. */
export function receiveRequest(context: Context, sa: IkeSa, message: Received, datagram: IkeDatagram) {
  const { exchange, messageId } = message.header
  const mayPass = isAllowed(sa, exchange) && !comesTooSoon(sa, message)
  if (!mayPass) return drop(context, 'ike-state', datagram.remote)
  sa.workingOn = messageId
  noteLife(context, sa, datagram)
  if (exchange === Exchange.IKE_INTERMEDIATE)
    return receiveIntermediateRequest(context, sa, message, datagram)
  if (exchange === Exchange.IKE_AUTH) return receiveAuthRequest(context, sa, message, datagram)
  if (exchange === Exchange.IKE_FOLLOWUP_KE) return receiveFollowUpRequest(context, sa, message, datagram)
  if (exchange === Exchange.INFORMATIONAL) return receiveInformational(context, sa, message, datagram)
  receiveCreateChild(context, sa, message, datagram)
}

/** CREATE_CHILD_SA makes or renews a Child SA, or renews the IKE SA: the protocol of the offer tells (§1.3). */
function receiveCreateChild(context: Context, sa: IkeSa, message: Message, datagram: IkeDatagram) {
  if (sa.state !== 'established') {
    return sendResponse(context, sa, message.header, [notify(NotifyError.TEMPORARY_FAILURE)], datagram)
  }
  const { proposals } = find(message.payloads, 'SA')!
  if (proposals[0].protocol === ProtocolId.IKE) {
    return receiveRekeyRequest(context, sa, message, proposals, datagram)
  }
  if (find(message.payloads, 'TSi')) return receiveChildRequest(context, sa, message, datagram)
  const bad = { ok: false as const, reason: 'ike-payload-missing', notify: syntaxError }
  refuseRequest(context, sa, message.header, bad, datagram)
}

const syntaxError = { type: NotifyError.INVALID_SYNTAX, data: new Uint8Array(0) }

/** Authentic and new: the peer lives, and behind a NAT this is where it is now (§2.23). */
export function noteLife(context: Context, sa: IkeSa, datagram: IkeDatagram): void {
  sa.lastInbound = context.now
  if (sa.state === 'established') sa.confirmed = true
  if (mayFollow(context, sa, datagram.remote)) follow(context, sa, datagram.local, datagram.remote)
}

/**
 * An authentic request that is no sense: the answer names the fault. INVALID_SYNTAX ends the IKE SA at both ends
 * without a further word (§2.21.3); before IKE_AUTH it is not set up (§2.21.2).
 */
export function refuseRequest(
  context: Context,
  sa: IkeSa,
  header: Header,
  bad: Malformed,
  datagram: IkeDatagram,
): void {
  drop(context, bad.reason, datagram.remote)
  const { type, data } = bad.notify ?? syntaxError
  report(context, {
    tunnel: tunnelOf(sa) || null,
    level: 'error',
    code: bad.reason,
    text: `the peer sent a request that is malformed inside its protection: ${describeMalformed(bad)}`,
    advice: 'see the peer’s log and version',
    peer: datagram.remote,
  })
  sendResponse(context, sa, header, [notify(type, data)], datagram)
  if (type !== NotifyError.INVALID_SYNTAX && sa.state !== 'auth') return
  leave(context, sa, 'peer-deleted')
  linger(context, sa)
}
