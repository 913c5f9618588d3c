// IKE_SA_INIT as initiator (RFC 7296 §1.2, §2.6, §2.6.1, §2.21.1).
//
//   HDR, [N(COOKIE)], SAi1, KEi, Ni, N(NAT..) x2, N(SIGNATURE_HASH)  -->
//                                    <--  HDR, SAr1, KEr, Nr, N(NAT..) x2, N(SIGNATURE_HASH), [CERTREQ]
//
// An answer in clear proves nothing: what does not fit is counted and the initiator goes on waiting.

import { acceptedHashes, decodeHashAlgorithms, encodeHashAlgorithms } from '../crypto/auth.ts'
import { checkPublicValue } from '../crypto/dh.ts'
import { deriveIkeKeys } from '../crypto/keys.ts'
import { wipe } from '../crypto/suite.ts'
import type { Address, DhGroup, IkeDatagram } from '../ports.ts'
import type { PeerConfig, RefusedOffer } from '../sa/contract.ts'
import { equalBytes, u16 } from '../wire/bytes.ts'
import { checkLegality } from '../wire/legality.ts'
import { encodeMessage } from '../wire/message.ts'
import { isErrorNotify, NotifyError, NotifyStatus } from '../wire/notify.ts'
import {
  acceptIkeAnswer,
  describeIkeSuite,
  encodeIkeProposals,
  type ProposalRefusal,
} from '../wire/proposals.ts'
import { Exchange, type Message, type Payload } from '../wire/types.ts'
import { withoutIntermediate } from './additional-keys.ts'
import { drop } from './context.ts'
import { headerOf, launch } from './exchange.ts'
import { failHandshake } from './handshake.ts'
import { goOnWithKeys } from './intermediate-initiator.ts'
import { compute } from './jobs.ts'
import { mayReportInClear } from './limits.ts'
import { floatPorts, judgeNat, natNotifies } from './nat.ts'
import { wipeDh } from './offers.ts'
import { MAX_COOKIE_ROUNDS, MAX_KE_ROUNDS, NONCE_LENGTH } from './options.ts'
import { find, findAll, hasNotify, type Notify, notifies, notify } from './payloads.ts'
import { reasonOfNotify, reportNoProposal, reportPeerError } from './reports.ts'
import { createIkeSa, freshSpi } from './sas.ts'
import type { Context, Handshake, IkeSa } from './state.ts'
import { expectAdditional, hasAdditional, hashOf, offersGroup } from './suite.ts'

const nothing = new Uint8Array(0)
const FRAGMENTATION = NotifyStatus.IKEV2_FRAGMENTATION_SUPPORTED
const INTERMEDIATE = NotifyStatus.INTERMEDIATE_EXCHANGE_SUPPORTED

/** -- (nothing) -> init: a new IKE SA for the tunnel; the key pair is computed first. */
export function beginInit(context: Context, peer: PeerConfig, local: Address): IkeSa {
  const { ikePort } = context.options
  const sa = createIkeSa(context, {
    role: 'initiator',
    initiatorSpi: freshSpi(context),
    responderSpi: 0n,
    peer,
    local: { address: local, port: ikePort },
    remote: peer.remote!,
    handshake: newHandshake(context, peer),
  })
  generateAndSend(context, sa)
  return sa
}

function newHandshake(context: Context, peer: PeerConfig): Handshake {
  return {
    suites: peer.ikeProposals,
    group: peer.ikeProposals[0].dhGroup,
    dh: null,
    peerPublic: null,
    nonce: context.environment.random(NONCE_LENGTH),
    peerNonce: nothing,
    ownMessage: nothing,
    peerMessage: nothing,
    cookie: null,
    cookieRounds: 0,
    keRounds: 0,
    peerHashes: null,
    natDetection: false,
    usesPpk: false,
    proofKeys: null,
    additional: [],
    intAuth: null,
    childless: false,
    clearError: null,
    candidates: [],
  }
}

/** A fresh key pair for the current group, then the request. */
function generateAndSend(context: Context, sa: IkeSa): void {
  const { group } = sa.handshake!
  compute(context, sa, { kind: 'dh-generate', group }, (later, result) => {
    if (result.kind !== 'dh-generate') return failHandshake(later, sa, 'no-answer')
    wipeDh(sa.handshake!.dh)
    sa.handshake!.dh = { group, publicValue: result.publicValue, privateValue: result.privateValue }
    sendInit(later, sa)
  })
}

/** The request as it stands; AUTH will cover exactly these bytes (§2.15). Message id 0 in every round. */
function sendInit(context: Context, sa: IkeSa): void {
  const handshake = sa.handshake!
  handshake.ownMessage = encodeMessage(
    headerOf(sa, Exchange.IKE_SA_INIT, 0, false),
    initPayloads(context, sa),
  )
  launch(context, sa, Exchange.IKE_SA_INIT, 0, [handshake.ownMessage], { kind: 'init' })
  sa.nextRequestId = 1
}

function initPayloads(context: Context, sa: IkeSa): Payload[] {
  const { cookie, suites, dh, nonce } = sa.handshake!
  const peer = sa.peer!
  const hashes = encodeHashAlgorithms(acceptedHashes(peer.allowSha1Signatures))
  return [
    ...(cookie ? [notify(NotifyStatus.COOKIE, cookie)] : []),
    { kind: 'SA', proposals: encodeIkeProposals(suites, nothing) },
    { kind: 'KE', group: dh!.group, data: dh!.publicValue },
    { kind: 'NONCE', data: nonce },
    ...natNotifies(context, peer.natTraversal, sa, sa.local, sa.remote),
    notify(NotifyStatus.SIGNATURE_HASH_ALGORITHMS, hashes),
    ...(context.options.fragmentation ? [notify(FRAGMENTATION)] : []),
    ...(peer.ppk ? [notify(NotifyStatus.USE_PPK)] : []),
    ...(suites.some(hasAdditional) ? [notify(INTERMEDIATE)] : []),
  ]
}

/** An answer to our IKE_SA_INIT; `message` is well-formed. */
export function receiveInitResponse(context: Context, sa: IkeSa, message: Message, datagram: IkeDatagram) {
  if (sa.state !== 'init' || sa.exchange?.purpose.kind !== 'init') {
    return drop(context, 'ike-unexpected-response', datagram.remote)
  }
  const illegal = checkLegality(message, false)
  if (illegal) return drop(context, illegal.reason, datagram.remote)
  const error = findAll(message.payloads, 'NOTIFY').find((each) => isErrorNotify(each.type))
  if (error) return receiveError(context, sa, error, datagram)
  const [cookie] = notifies(message.payloads, NotifyStatus.COOKIE)
  if (cookie) return receiveCookie(context, sa, cookie, datagram)
  receiveAnswer(context, sa, message, datagram)
}

/** -- init -> init: the responder wants proof of our address; the same request goes again with the cookie in front (§2.6). */
function receiveCookie(context: Context, sa: IkeSa, cookie: Notify, datagram: IkeDatagram) {
  const handshake = sa.handshake!
  const isBad = cookie.data.length < 1 || cookie.data.length > 64
  const isRepeated = handshake.cookie !== null && equalBytes(handshake.cookie, cookie.data)
  if (isBad || isRepeated || handshake.cookieRounds >= MAX_COOKIE_ROUNDS) {
    return drop(context, 'ike-round-limit', datagram.remote)
  }
  handshake.cookieRounds++
  handshake.cookie = cookie.data.slice()
  resend(sa, () => sendInit(context, sa))
}

/** A new request replaces the one in flight, within the patience that is left. */
function resend(sa: IkeSa, send: () => void): void {
  const { giveUpAt } = sa.exchange!
  sa.exchange = null
  send()
  if (sa.exchange) (sa.exchange as { giveUpAt: number }).giveUpAt = giveUpAt
}

function receiveError(context: Context, sa: IkeSa, error: Notify, datagram: IkeDatagram) {
  if (error.type === NotifyError.INVALID_KE_PAYLOAD) return receiveInvalidKe(context, sa, error, datagram)
  noteClearError(context, sa, error.type, datagram)
  drop(context, 'ike-clear-error', datagram.remote)
}

/** -- init -> init: another group, if we offered it (§1.2); twice at most. */
function receiveInvalidKe(context: Context, sa: IkeSa, error: Notify, datagram: IkeDatagram) {
  const handshake = sa.handshake!
  const group = error.data.length === 2 ? u16(error.data, 0) : 0
  const isUsable = offersGroup(handshake.suites, group) && group !== handshake.group
  if (!isUsable || handshake.keRounds >= MAX_KE_ROUNDS) {
    noteClearError(context, sa, error.type, datagram, group)
    return drop(context, 'ike-round-limit', datagram.remote)
  }
  handshake.keRounds++
  handshake.group = group as DhGroup
  sa.exchange = null
  generateAndSend(context, sa)
}

/** §2.21.1: the true answer may still come; the attempt ends sooner, and with this reason. */
function noteClearError(
  context: Context,
  sa: IkeSa,
  type: number,
  datagram: IkeDatagram,
  wantedGroup: number | null = null,
): void {
  const handshake = sa.handshake!
  const exchange = sa.exchange!
  exchange.giveUpAt = Math.min(exchange.giveUpAt, context.now + context.options.errorGraceMs)
  if (handshake.clearError === type) return
  handshake.clearError = type
  const where = { tunnel: sa.peer!.tunnel, peer: datagram.remote }
  const offered = handshake.suites.map(describeIkeSuite)
  const sent: RefusedOffer =
    reasonOfNotify(type) === 'no-proposal'
      ? { what: 'proposals', proposals: offered, wantedGroup }
      : { what: 'other' }
  reportPeerError(context, where, 'IKE_SA_INIT', type, { offered, authentic: false, sent })
}

/** -- init -> auth: suite, public value and nonce are good; the secret is computed. */
function receiveAnswer(context: Context, sa: IkeSa, message: Message, datagram: IkeDatagram) {
  const handshake = sa.handshake!
  const { header, payloads } = message
  const choice = acceptIkeAnswer(find(payloads, 'SA')!.proposals, handshake.suites)
  if (!choice.ok) return refuseSuite(context, sa, choice.refusal, datagram)
  if (hasAdditional(choice.suite) && !hasNotify(payloads, INTERMEDIATE))
    return refuseSuite(context, sa, [withoutIntermediate(choice.proposal)], datagram)
  const ke = find(payloads, 'KE')!
  if (header.responderSpi === 0n || ke.group !== choice.suite.dhGroup || ke.group !== handshake.group) {
    return drop(context, 'ike-direction', datagram.remote)
  }
  const bad = checkPublicValue(ke.group, ke.data)
  if (bad) return drop(context, bad.reason, datagram.remote)
  sa.exchange = null
  sa.state = 'auth'
  sa.suite = choice.suite
  sa.responderSpi = header.responderSpi
  sa.lastInbound = context.now
  sa.fragmentation = context.options.fragmentation && hasNotify(payloads, FRAGMENTATION)
  keepAnswer(handshake, payloads, datagram)
  expectAdditional(handshake, choice.suite)
  judgePath(context, sa, payloads, datagram)
  deriveAndGoOn(context, sa)
}

/** The answer names what we did not offer: as useless as an error, and as little proof (§2.21.1). */
function refuseSuite(context: Context, sa: IkeSa, refusal: ProposalRefusal[], datagram: IkeDatagram): void {
  const { handshake, exchange } = sa
  handshake!.clearError ??= NotifyError.NO_PROPOSAL_CHOSEN
  exchange!.giveUpAt = Math.min(exchange!.giveUpAt, context.now + context.options.errorGraceMs)
  const where = { tunnel: sa.peer!.tunnel, peer: datagram.remote }
  if (mayReportInClear(context, datagram.remote.address)) {
    reportNoProposal(context, where, 'IKE', refusal, handshake!.suites)
  }
  drop(context, 'ike-refused', datagram.remote)
}

function keepAnswer(handshake: Handshake, payloads: Payload[], datagram: IkeDatagram): void {
  const [hashes] = notifies(payloads, NotifyStatus.SIGNATURE_HASH_ALGORITHMS)
  handshake.peerPublic = find(payloads, 'KE')!.data.slice()
  handshake.peerNonce = find(payloads, 'NONCE')!.data.slice()
  handshake.peerMessage = datagram.data.slice()
  handshake.usesPpk = hasNotify(payloads, NotifyStatus.USE_PPK)
  handshake.childless = hasNotify(payloads, NotifyStatus.CHILDLESS_IKEV2_SUPPORTED)
  handshake.peerHashes = hashes ? decodeHashAlgorithms(hashes.data) : null
}

/** NAT between us? Then IKE_AUTH goes to port 4500 already (§2.23). */
function judgePath(context: Context, sa: IkeSa, payloads: Payload[], datagram: IkeDatagram): void {
  const peer = sa.peer!
  const found = judgeNat(payloads, peer.natTraversal, sa, datagram.local, datagram.remote)
  sa.handshake!.natDetection = found !== null
  if (found) sa.nat = found
  floatPorts(sa, context.options.ikePort, peer.natTPort)
}

function deriveAndGoOn(context: Context, sa: IkeSa): void {
  const { dh, peerPublic } = sa.handshake!
  const { group, privateValue } = dh!
  const job = { kind: 'dh-derive', group, privateValue, peerPublic: peerPublic! } as const
  compute(context, sa, job, (later, result) => {
    if (result.kind !== 'dh-derive') return failHandshake(later, sa, 'no-answer')
    deriveKeys(sa, result.secret)
    goOnWithKeys(later, sa)
  })
}

/** SKEYSEED and the seven keys (§2.14); g^ir and our private value are gone afterwards. */
export function deriveKeys(sa: IkeSa, sharedSecret: Uint8Array): void {
  const { nonce, peerNonce, dh } = sa.handshake!
  const [ni, nr] = sa.role === 'initiator' ? [nonce, peerNonce] : [peerNonce, nonce]
  const { encryption: cipher, integrity } = sa.suite!
  const spis = { spiI: sa.initiatorSpi, spiR: sa.responderSpi }
  sa.keys = deriveIkeKeys({ prf: hashOf(sa.suite!), integrity, cipher, ni, nr, ...spis, sharedSecret })
  wipe(sharedSecret)
  wipeDh(dh)
}
