// What IKE_SA_INIT of strangers may cost (RFC 7296 §2.6; security B5, B7, R1, R2). In order:
//   from `cookieThreshold` half-open SAs on: nothing without a valid cookie, no state and no exponentiation
//   per address: a few half-open SAs        in all: a cap, and a cap on those that wait for a key pair
// An address that a tunnel names has its own share: strangers cannot fill it, for they cannot answer from there.

import { checkCookie, createCookieSecrets, makeCookie, rotateCookieSecrets } from '../crypto/cookie.ts'
import type { Address, IkeDatagram } from '../ports.ts'
import type { PeerConfig } from '../sa/contract.ts'
import { addressBytes } from '../wire/address.ts'
import { hex } from '../wire/bytes.ts'
import { encodeMessage } from '../wire/message.ts'
import { NotifyStatus } from '../wire/notify.ts'
import { Exchange, type Header, type Message, type Payload } from '../wire/types.ts'
import { drop } from './context.ts'
import { sendTo } from './exchange.ts'
import { find, notifies, notify } from './payloads.ts'
import { forget } from './sas.ts'
import type { Context, IkeSa } from './state.ts'

/** An answer that leaves nothing behind: responder SPI zero. */
export function answerStateless(
  context: Context,
  header: Header,
  payloads: Payload[],
  datagram: IkeDatagram,
): void {
  const fields = {
    initiatorSpi: header.initiatorSpi,
    responderSpi: 0n,
    exchange: Exchange.IKE_SA_INIT,
    messageId: 0,
    response: true,
    initiator: false,
  }
  sendTo(context, datagram.local, datagram.remote, encodeMessage(fields, payloads))
}

/** May this well-formed request cost a key pair and a half-open SA? The answer is counted. `peers`: whom it may be for. */
export function passesLoad(
  context: Context,
  message: Message,
  peers: PeerConfig[],
  datagram: IkeDatagram,
): boolean {
  const { halfOpen } = context.state
  const isLoaded = halfOpen.size >= context.options.cookieThreshold
  if (isLoaded && !hasValidCookie(context, message, datagram)) {
    demandCookie(context, message, datagram)
    drop(context, 'ike-cookie', datagram.remote)
    return false
  }
  const hasRoom = hasShare(context, peers, datagram) && hasRoomInAll(context, peers, datagram)
  if (!hasRoom) drop(context, 'ike-half-open', datagram.remote)
  return hasRoom
}

/** Five half-open SAs an address, or two for each tunnel that it may be for. */
function hasShare(context: Context, peers: PeerConfig[], { remote }: IkeDatagram): boolean {
  const network = networkOf(remote.address)
  let count = 0
  for (const sa of context.state.halfOpen) if (networkOf(sa.remote.address) === network) count++
  return count < Math.max(context.options.halfOpenPerAddress, 2 * peers.length)
}

/** Who has one IPv6 address has 2^64 of them. */
function networkOf(address: Address): string {
  if (!address.includes(':')) return address
  return hex((addressBytes(address) ?? new Uint8Array(0)).subarray(0, 8))
}

function hasRoomInAll(context: Context, peers: PeerConfig[], datagram: IkeDatagram): boolean {
  if (peers.some((peer) => peer.remote?.address === datagram.remote.address)) return true
  const { halfOpenLimit, halfOpenJobs } = context.options
  const strangers = [...context.state.halfOpen].filter(isStranger)
  if (strangers.filter((sa) => sa.state === 'init').length >= halfOpenJobs) return false
  return strangers.length < halfOpenLimit || makeRoom(context, strangers[0])
}

/** Only a tunnel for any remote end point could be meant. */
function isStranger(sa: IkeSa): boolean {
  return !sa.handshake?.candidates.some((peer) => peer.remote?.address === sa.remote.address)
}

/** -- auth -> gone: the oldest, if it had time enough to go on and did not. */
function makeRoom(context: Context, oldest: IkeSa): boolean {
  const isStale = context.now - oldest.createdAt >= context.options.halfOpenLoadMs && oldest.jobs.length === 0
  if (isStale) forget(context, oldest)
  return isStale
}

function cookieSecrets(context: Context) {
  const random = (length: number) => context.environment.random(length)
  context.state.cookies ??= createCookieSecrets(context.now, random)
  rotateCookieSecrets(context.state.cookies, context.now, random)
  return context.state.cookies
}

function hasValidCookie(context: Context, message: Message, datagram: IkeDatagram): boolean {
  const [cookie] = notifies(message.payloads, NotifyStatus.COOKIE)
  if (!cookie) return false
  const nonce = find(message.payloads, 'NONCE')!.data
  return checkCookie(cookieSecrets(context), cookie.data, datagram.remote, message.header.initiatorSpi, nonce)
}

function demandCookie(context: Context, message: Message, datagram: IkeDatagram): void {
  const nonce = find(message.payloads, 'NONCE')!.data
  const cookie = makeCookie(cookieSecrets(context), datagram.remote, message.header.initiatorSpi, nonce)
  answerStateless(context, message.header, [notify(NotifyStatus.COOKIE, cookie)], datagram)
}
