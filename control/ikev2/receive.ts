// One datagram's way into the engine, in the order of cost (RFC 7296 §2.1-§2.5, §2.21):
//   1 parse the clear part      2 find the SA by our SPI      3 window       4 integrity
//   5 parse the inside          6 legality                    7 the exchange's own file
// Up to and with step 4 a refusal is one counted drop and nothing else changes.

import { receivedOctets } from '../crypto/int-auth.ts'
import { open } from '../crypto/sk.ts'
import type { IkeDatagram } from '../ports.ts'
import { checkClearPayloads, checkLegality } from '../wire/legality.ts'
import { decodeHeader, decodeMessage, encodeMessage, isFragment, isProtected } from '../wire/message.ts'
import { NotifyError } from '../wire/notify.ts'
import {
  type Decoded,
  Exchange,
  type Header,
  type Malformed,
  type Message,
  type Payload,
  type ProtectedMessage,
} from '../wire/types.ts'
import { drop } from './context.ts'
import { digestOf, receiveKeys, sendAll, sendTo } from './exchange.ts'
import { receiveFragment } from './fragments.ts'
import { receiveInitResponse } from './init-initiator.ts'
import { receiveInitRequest } from './init-responder.ts'
import { deriveThen } from './late-keys.ts'
import { mayAnswerInClear } from './limits.ts'
import { notify } from './payloads.ts'
import { receiveRequest, refuseRequest } from './requests.ts'
import { receiveResponse, refuseResponse } from './responses.ts'
import { ownSpi, peerSpi } from './sas.ts'
import type { Context, IkeSa } from './state.ts'

/** Entry for every datagram; the non-ESP marker is gone already. */
export function receiveDatagram(context: Context, datagram: IkeDatagram) {
  const decoded = decodeMessage(datagram.data)
  if (isFragment(decoded)) return receiveFragment(context, datagram)
  if (!decoded.ok) return refuseMalformed(context, decoded, datagram)
  const message = decoded.value
  const { header } = message
  if (header.exchange === Exchange.IKE_SA_INIT) return receiveInit(context, message, datagram)
  const sa = findSa(context, header)
  if (!sa) return refuseUnknown(context, header, datagram)
  if (sa.state === 'lingering') return repeatLast(context, sa, datagram)
  if (!isProtected(message)) return drop(context, 'ike-payload-clear', datagram.remote)
  receiveProtected(context, sa, message, datagram)
}

/** §2.5: a higher major version is told so, once in a while; everything else is silence. */
function refuseMalformed(context: Context, refused: Malformed, datagram: IkeDatagram): void {
  drop(context, refused.reason, datagram.remote)
  const header = decodeHeader(datagram.data)
  if (!header.ok || header.value.majorVersion <= 2 || header.value.response) return
  if (!mayAnswerInClear(context, datagram.remote.address)) return
  answerInClear(context, header.value, NotifyError.INVALID_MAJOR_VERSION, datagram)
}

/** An error outside any SA: header as in the request, nothing else (§1.5). */
function answerInClear(context: Context, header: Header, error: number, datagram: IkeDatagram): void {
  const { initiatorSpi, responderSpi, exchange, messageId } = header
  const fields = {
    initiatorSpi,
    responderSpi,
    exchange,
    messageId,
    response: true,
    initiator: !header.initiator,
  }
  sendTo(context, datagram.local, datagram.remote, encodeMessage(fields, [notify(error)]))
}

/** IKE_SA_INIT has message id 0; a request comes from the initiator and knows no responder SPI (§3.1). */
function receiveInit(context: Context, message: Message | ProtectedMessage, datagram: IkeDatagram) {
  const { header } = message
  const isSane = header.messageId === 0 && header.initiator !== header.response
  if (!isSane || (!header.response && header.responderSpi !== 0n)) {
    return drop(context, 'ike-direction', datagram.remote)
  }
  if (isProtected(message)) return drop(context, 'ike-payload-clear', datagram.remote)
  if (!header.response && context.state.bySpi.get(header.initiatorSpi)?.role === 'initiator') {
    return drop(context, 'ike-direction', datagram.remote) // our own request, reflected
  }
  if (!header.response) return receiveInitRequest(context, message, datagram)
  const sa = context.state.bySpi.get(header.initiatorSpi)
  if (sa?.role !== 'initiator') return drop(context, 'ike-unknown-spi', datagram.remote)
  receiveInitResponse(context, sa, message, datagram)
}

/** Flag I says who the sender is, so it says which SPI is ours (§3.1); both SPIs have to fit. */
export function findSa(context: Context, header: Header): IkeSa | null {
  const ours = header.initiator ? header.responderSpi : header.initiatorSpi
  const theirs = header.initiator ? header.initiatorSpi : header.responderSpi
  const sa = context.state.bySpi.get(ours)
  const fits =
    sa && ownSpi(sa) === ours && peerSpi(sa) === theirs && header.initiator === (sa.role === 'responder')
  return fits ? sa : null
}

/** §1.5, §2.21.4: INVALID_IKE_SPI only if switched on, never for a response, and rarely. */
export function refuseUnknown(context: Context, header: Header, datagram: IkeDatagram): void {
  drop(context, 'ike-unknown-spi', datagram.remote)
  if (!context.options.answerUnknownSpi || header.response) return
  if (!mayAnswerInClear(context, datagram.remote.address)) return
  answerInClear(context, header, NotifyError.INVALID_IKE_SPI, datagram)
}

/** The SA has ended, or its keys have changed since; only the very same request gets the very same answer once more (§2.1). */
export function repeatLast(context: Context, sa: IkeSa, datagram: IkeDatagram) {
  const { answered } = sa
  if (answered?.digest !== digestOf(datagram.data)) return drop(context, 'ike-state', datagram.remote)
  sendAll(context, datagram.local, datagram.remote, answered.datagrams)
}

/** Steps 3 and 4. A half-open responder computes its keys when the first IKE_AUTH comes; that message waits. */
function receiveProtected(context: Context, sa: IkeSa, message: ProtectedMessage, datagram: IkeDatagram) {
  const refused = judgeWindow(sa, message.header)
  if (refused) return drop(context, refused, datagram.remote)
  if (!sa.keys) return deriveThen(context, sa, datagram)
  if (sa.state === 'auth' && isRepeated(sa, message.header)) return repeatLast(context, sa, datagram)
  const inside = open(datagram.data, message.sk, receiveKeys(sa))
  if (!inside.ok && !inside.notify) return drop(context, inside.reason, datagram.remote)
  if (sa.jobs.length > 0) return hold(context, sa, message.header, datagram)
  const clear = checkClearPayloads(message.payloads)
  const isCovered = inside.ok && message.header.exchange === Exchange.IKE_INTERMEDIATE
  const octets = isCovered ? receivedOctets(datagram.data, message.sk.offset, inside.inner) : null
  deliver(context, sa, message.header, clear ?? inside, datagram, octets)
}

/** Steps 6 and 7 for the inside of an authentic message, or for what is wrong with it; octets: of IKE_INTERMEDIATE, what AUTH covers of it. */
export function deliver(
  context: Context,
  sa: IkeSa,
  header: Header,
  inside: Decoded<Payload[]>,
  datagram: IkeDatagram,
  octets: Uint8Array | null = null,
) {
  const payloads = inside.ok ? inside.value : []
  const bad = inside.ok ? checkLegality({ header, payloads }, true) : inside
  if (header.response) {
    if (bad) return refuseResponse(context, sa, bad, datagram)
    return receiveResponse(context, sa, { header, payloads, octets }, datagram)
  }
  if (isRepeated(sa, header)) return repeatAnswer(context, sa, datagram)
  if (bad) return refuseRequest(context, sa, header, bad, datagram)
  receiveRequest(context, sa, { header, payloads, octets }, datagram)
}

/** §2.2, §2.3: the next request, the one before it (again), or the response that is waited for. */
export function judgeWindow(sa: IkeSa, header: Header): string | null {
  if (header.response) {
    const { exchange } = sa
    const isAwaited = exchange?.messageId === header.messageId && exchange.exchange === header.exchange
    return isAwaited ? null : 'ike-unexpected-response'
  }
  if (header.messageId === sa.expectedRequestId || isRepeated(sa, header)) return null
  return 'ike-window'
}

export function isRepeated(sa: IkeSa, header: Header): boolean {
  return sa.answered !== null && header.messageId === sa.answered.messageId
}

/** The request was answered: the same answer again, to where it came from now (§2.1). */
export function repeatAnswer(context: Context, sa: IkeSa, datagram: IkeDatagram): void {
  sendAll(context, datagram.local, datagram.remote, sa.answered!.datagrams)
}

/** A public-key operation is under way: an authentic message waits, its repetitions do not pile up. */
export function hold(context: Context, sa: IkeSa, header: Header, datagram: IkeDatagram) {
  if (!header.response && header.messageId === sa.workingOn)
    return drop(context, 'ike-in-progress', datagram.remote)
  holdDatagram(context, sa, datagram)
}

/** Keeps a datagram until the job queue is empty. */
export function holdDatagram(context: Context, sa: IkeSa, datagram: IkeDatagram) {
  const digest = digestOf(datagram.data)
  if (sa.held.some((each) => digestOf(each.data) === digest)) {
    return drop(context, 'ike-in-progress', datagram.remote)
  }
  const bytes = sa.held.reduce((sum, each) => sum + each.data.length, datagram.data.length)
  const isFull = sa.held.length >= context.options.maxHeld || bytes > context.options.maxHeldBytes
  if (isFull) return drop(context, 'ike-held-full', datagram.remote)
  sa.held.push({ ...datagram, data: datagram.data.slice() })
}

/** The job queue has run empty: what waited goes its way, as long as no new job begins. */
export function releaseHeld(context: Context, sa: IkeSa): void {
  while (sa.held.length > 0 && sa.jobs.length === 0 && context.state.sas.has(sa.id)) {
    receiveDatagram(context, sa.held.shift()!)
  }
}
