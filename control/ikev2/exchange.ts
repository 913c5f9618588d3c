// Requests and responses on one IKE SA: message ids, the window of one, retransmission (RFC 7296 §2.1-§2.4).

import { createHash } from 'node:crypto'
import { protect, type SkKeys } from '../crypto/sk.ts'
import { messageLimit, protectFragments } from '../crypto/skf.ts'
import type { Endpoint, IkeDatagram } from '../ports.ts'
import { Exchange as ExchangeType, type Header, type HeaderFields, type Payload } from '../wire/types.ts'
import { act, randomByte } from './context.ts'
import { giveUpAfter, waitAfter } from './retransmit.ts'
import type { Context, Exchange, IkeSa, Purpose } from './state.ts'

/** Keys of what we send (§2.14: SK_ei and SK_ai belong to the original initiator). */
export function sendKeys(sa: IkeSa): SkKeys {
  return sa.role === 'initiator' ? initiatorKeys(sa) : responderKeys(sa)
}

/** Keys of what the peer sends. */
export function receiveKeys(sa: IkeSa): SkKeys {
  return sa.role === 'initiator' ? responderKeys(sa) : initiatorKeys(sa)
}

function initiatorKeys(sa: IkeSa): SkKeys {
  const { encryption: cipher, integrity } = sa.suite!
  return { cipher, integrity, encryptionKey: sa.keys!.ei, integrityKey: sa.keys!.ai }
}

function responderKeys(sa: IkeSa): SkKeys {
  const { encryption: cipher, integrity } = sa.suite!
  return { cipher, integrity, encryptionKey: sa.keys!.er, integrityKey: sa.keys!.ar }
}

/** Header of a message of ours; flag I says that we are the original initiator (§3.1). */
export function headerOf(sa: IkeSa, exchange: number, messageId: number, response: boolean): HeaderFields {
  const { initiatorSpi, responderSpi } = sa
  return { initiatorSpi, responderSpi, exchange, messageId, response, initiator: sa.role === 'initiator' }
}

/** SHA-256 of a datagram, to recognise a repetition without keeping it. */
export function digestOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('base64')
}

/** One datagram, or two and more fragments where the peer takes them and the path is narrow (RFC 7383). */
function seal(context: Context, sa: IkeSa, fields: HeaderFields, payloads: Payload[]): Uint8Array[] {
  const random = (length: number) => context.environment.random(length)
  if (!sa.fragmentation) return [protect(fields, payloads, sendKeys(sa), random)]
  const { pathMtu, ikePort } = context.options
  const family = sa.remote.address.includes(':') ? 6 : 4
  const limit = messageLimit(pathMtu, family, sa.local.port !== ikePort)
  return protectFragments(fields, payloads, sendKeys(sa), random, limit)
}

/** Sends a protected request and waits for its response. The caller has seen that no other one is in flight. */
export function sendRequest(
  context: Context,
  sa: IkeSa,
  exchange: number,
  payloads: Payload[],
  purpose: Purpose,
): void {
  const messageId = sa.nextRequestId++
  const datagrams = seal(context, sa, headerOf(sa, exchange, messageId, false), payloads)
  launch(context, sa, exchange, messageId, datagrams, purpose)
}

/** Sends the first transmission of a finished request and starts its retransmission. */
export function launch(
  context: Context,
  sa: IkeSa,
  exchange: number,
  messageId: number,
  datagrams: Uint8Array[],
  purpose: Purpose,
): void {
  sa.exchange = {
    purpose,
    exchange,
    messageId,
    datagrams,
    attempt: 0,
    nextAt: context.now,
    giveUpAt: context.now + patience(context, sa, purpose),
  }
  transmit(context, sa, sa.exchange)
}

/** How long this request may stay unanswered, ms. */
function patience(context: Context, sa: IkeSa, purpose: Purpose): number {
  const { retransmit } = context.options
  if (isSetUp(purpose)) return retransmit.giveUpMs
  if (purpose.kind === 'delete-ike' || purpose.kind === 'auth-failed') return DELETE_PATIENCE_MS
  return giveUpAfter(sa.peer?.dpd ?? null, retransmit)
}

/** True for the exchanges of an IKE SA that is not up yet. */
export function isSetUp({ kind }: Purpose): boolean {
  return kind === 'init' || kind === 'intermediate' || kind === 'auth'
}

/** An IKE SA that we leave is not worth more: three transmissions or four. */
const DELETE_PATIENCE_MS = 4_000

/** One more transmission of the request in flight, all its fragments. */
export function transmit(context: Context, sa: IkeSa, exchange: Exchange): void {
  exchange.attempt++
  const wait = waitAfter(exchange.attempt, context.options.retransmit, randomByte(context))
  exchange.nextAt = Math.min(context.now + wait, exchange.giveUpAt)
  sa.lastOutbound = context.now
  sendAll(context, sa.local, sa.remote, exchange.datagrams)
}

export function sendTo(context: Context, local: Endpoint, remote: Endpoint, data: Uint8Array): void {
  act(context, { kind: 'send', datagram: { local, remote, data } })
}

export function sendAll(context: Context, local: Endpoint, remote: Endpoint, datagrams: Uint8Array[]): void {
  for (const data of datagrams) sendTo(context, local, remote, data)
}

/** Answers back the way the request came (§2.23) and keeps the answer for its repetition. */
export function sendResponse(
  context: Context,
  sa: IkeSa,
  request: Header,
  payloads: Payload[],
  cause: IkeDatagram,
): void {
  const fields = headerOf(sa, request.exchange, request.messageId, true)
  keepResponse(context, sa, request.messageId, seal(context, sa, fields, payloads), cause)
}

/** Sends a finished response and moves the window on: this request will not be processed again. */
export function keepResponse(
  context: Context,
  sa: IkeSa,
  messageId: number,
  datagrams: Uint8Array[],
  cause: IkeDatagram,
): void {
  const first = sa.firstFragment?.messageId === messageId ? sa.firstFragment.digest : null
  sa.answered = { messageId, digest: first ?? digestOf(cause.data), datagrams }
  sa.expectedRequestId = messageId + 1
  sa.workingOn = null
  sa.lastOutbound = context.now
  sendAll(context, cause.local, cause.remote, datagrams)
}

/** True for exchanges that make or renew Child SAs: a rekey of the IKE SA has to wait for them (§2.25.2). */
export function isChildWork(exchange: Exchange | null): boolean {
  const kind = exchange?.purpose.kind
  return kind === 'child' || kind === 'delete-child'
}

export { ExchangeType }
