// IKE_SA_INIT as responder (RFC 7296 §1.2, §2.6, §2.7, §2.23). The order is that of cost: nothing is remembered and
// nothing is exponentiated before parser, tunnel, load, proposal and public value have been judged.

import { acceptedHashes, decodeHashAlgorithms, encodeHashAlgorithms } from '../crypto/auth.ts'
import { checkPublicValue } from '../crypto/dh.ts'
import type { DhGroup, IkeDatagram } from '../ports.ts'
import type { IkeSuite, PeerConfig } from '../sa/contract.ts'
import { checkLegality } from '../wire/legality.ts'
import { encodeMessage } from '../wire/message.ts'
import { NotifyError, NotifyStatus } from '../wire/notify.ts'
import { type Choice, chooseIkeProposal } from '../wire/proposals.ts'
import { Exchange, type Header, type Message, type Payload, type Proposal } from '../wire/types.ts'
import { withoutIntermediate } from './additional-keys.ts'
import { certificateRequests } from './certificates.ts'
import { drop } from './context.ts'
import { digestOf, headerOf, keepResponse, sendAll } from './exchange.ts'
import { compute } from './jobs.ts'
import { mayAnswerInClear, mayReportInClear } from './limits.ts'
import { answerStateless, passesLoad } from './load.ts'
import { judgeNat, natNotifies } from './nat.ts'
import { NONCE_LENGTH } from './options.ts'
import { find, groupData, hasNotify, notifies, notify } from './payloads.ts'
import { candidatesFor } from './peers.ts'
import { reportNoProposal } from './reports.ts'
import { createIkeSa, forget, freshSpi } from './sas.ts'
import type { Context, Handshake, IkeSa } from './state.ts'
import { expectAdditional, hasAdditional } from './suite.ts'

const nothing = new Uint8Array(0)
const FRAGMENTATION = NotifyStatus.IKEV2_FRAGMENTATION_SUPPORTED
const INTERMEDIATE = NotifyStatus.INTERMEDIATE_EXCHANGE_SUPPORTED

/** What a request has to pass; each step refuses or hands on. `message` is well-formed, responder SPI zero. */
export function receiveInitRequest(context: Context, message: Message, datagram: IkeDatagram) {
  const source = datagram.remote
  const key = initKey(datagram)
  const known = context.state.byInit.get(key)
  if (known) return repeatAnswer(context, known, datagram)
  const illegal = checkLegality(message, false)
  if (illegal) return refuse(context, message.header, illegal, datagram)
  const peers = candidatesFor(context, datagram.local.address, source)
  if (peers.length === 0) return drop(context, 'ike-no-peer', source)
  if (!passesLoad(context, message, peers, datagram)) return
  const chosen = chooseSuite(context, message, peers, datagram)
  if (!chosen) return
  const ke = find(message.payloads, 'KE')!
  if (ke.group !== chosen.suite.dhGroup)
    return askForGroup(context, message.header, chosen.suite.dhGroup, datagram)
  const bad = checkPublicValue(ke.group, ke.data)
  if (bad) return drop(context, bad.reason, source)
  accept(context, message, chosen, datagram, key)
}

/** A repeated request is the same bytes from the same endpoint (§2.1: the whole message, not the SPI alone). */
function initKey(datagram: IkeDatagram): string {
  const { address, port } = datagram.remote
  return `${address} ${port} ${digestOf(datagram.data)}`
}

function repeatAnswer(context: Context, sa: IkeSa, datagram: IkeDatagram) {
  if (sa.answered?.messageId !== 0) return drop(context, 'ike-in-progress', datagram.remote)
  sendAll(context, datagram.local, datagram.remote, sa.answered.datagrams)
}

/** In clear only the unknown critical payload deserves an answer (§2.5); the rest is silence. */
function refuse(
  context: Context,
  header: Header,
  illegal: { reason: string; notify?: { type: number; data: Uint8Array } },
  datagram: IkeDatagram,
): void {
  drop(context, illegal.reason, datagram.remote)
  if (illegal.notify?.type !== NotifyError.UNSUPPORTED_CRITICAL_PAYLOAD) return
  if (mayAnswerInClear(context, datagram.remote.address)) {
    answerStateless(context, header, [notify(illegal.notify.type, illegal.notify.data)], datagram)
  }
}

type Chosen = { suite: IkeSuite; proposal: Proposal; peers: PeerConfig[] }

/** The first tunnel whose IKE proposals fit decides; those that allow the same suite stay candidates for IKE_AUTH. */
function chooseSuite(
  context: Context,
  message: Message,
  peers: PeerConfig[],
  datagram: IkeDatagram,
): Chosen | null {
  const offered = find(message.payloads, 'SA')!.proposals
  const knowsIntermediate = hasNotify(message.payloads, INTERMEDIATE)
  const choices = peers.map((peer) => ({
    peer,
    choice: choiceFor(offered, peer.ikeProposals, knowsIntermediate),
  }))
  const first = choices.find(({ choice }) => choice.ok)
  if (!first?.choice.ok) {
    refuseSuites(context, message.header, peers, choices[0].choice, datagram)
    return null
  }
  const { suite, proposal } = first.choice
  const same = JSON.stringify(suite)
  const others = peers.filter((peer) => peer.ikeProposals.some((each) => JSON.stringify(each) === same))
  return { suite, proposal, peers: others }
}

/** An additional key exchange is for peers that know IKE_INTERMEDIATE (RFC 9370 §2.2.1). */
function choiceFor(offered: Proposal[], suites: IkeSuite[], knowsIntermediate: boolean): Choice<IkeSuite> {
  const choice = chooseIkeProposal(offered, suites)
  if (!choice.ok || knowsIntermediate || !hasAdditional(choice.suite)) return choice
  const plain = chooseIkeProposal(
    offered,
    suites.filter((suite) => !hasAdditional(suite)),
  )
  return plain.ok ? plain : { ok: false, refusal: [withoutIntermediate(choice.proposal)] }
}

/** The report compares with the first tunnel, the one that the operator most likely means. */
function refuseSuites(
  context: Context,
  header: Header,
  peers: PeerConfig[],
  choice: Choice<IkeSuite>,
  datagram: IkeDatagram,
): void {
  const where = { tunnel: peers.length === 1 ? peers[0].tunnel : null, peer: datagram.remote }
  const allowed = peers.flatMap((peer) => peer.ikeProposals)
  if (!choice.ok && mayReportInClear(context, datagram.remote.address)) {
    reportNoProposal(context, where, 'IKE', choice.refusal, allowed)
  }
  drop(context, 'ike-refused', datagram.remote)
  answerStateless(context, header, [notify(NotifyError.NO_PROPOSAL_CHOSEN)], datagram)
}

/** §1.2: the group of the suite that we would choose; the initiator comes again, nothing is kept. */
function askForGroup(context: Context, header: Header, group: DhGroup, datagram: IkeDatagram): void {
  answerStateless(context, header, [notify(NotifyError.INVALID_KE_PAYLOAD, groupData(group))], datagram)
}

/** -- (nothing) -> init: a half-open SA; our key pair is computed. */
function accept(
  context: Context,
  message: Message,
  chosen: Chosen,
  datagram: IkeDatagram,
  key: string,
): void {
  const { suite, peers } = chosen
  const sa = createIkeSa(context, {
    role: 'responder',
    initiatorSpi: message.header.initiatorSpi,
    responderSpi: freshSpi(context),
    peer: null,
    local: datagram.local,
    remote: datagram.remote,
    handshake: newHandshake(context, message, chosen, datagram),
  })
  sa.suite = suite
  expectAdditional(sa.handshake!, suite)
  sa.endAt = context.now + context.options.halfOpenMs
  sa.workingOn = 0
  context.state.byInit.set(key, sa)
  context.state.halfOpen.add(sa)
  const found = judgeNat(
    message.payloads,
    peers[0].natTraversal,
    { ...sa, responderSpi: 0n },
    sa.local,
    sa.remote,
  )
  sa.handshake!.natDetection = found !== null
  sa.fragmentation = context.options.fragmentation && hasNotify(message.payloads, FRAGMENTATION)
  if (found) sa.nat = found
  compute(context, sa, { kind: 'dh-generate', group: suite.dhGroup }, (later, result) => {
    if (result.kind !== 'dh-generate') return forget(later, sa)
    const { publicValue, privateValue } = result
    sa.handshake!.dh = { group: suite.dhGroup, publicValue, privateValue }
    answer(later, sa, chosen, datagram)
  })
}

function newHandshake(context: Context, message: Message, chosen: Chosen, datagram: IkeDatagram): Handshake {
  const [hashes] = notifies(message.payloads, NotifyStatus.SIGNATURE_HASH_ALGORITHMS)
  return {
    suites: [chosen.suite],
    group: chosen.suite.dhGroup,
    dh: null,
    peerPublic: find(message.payloads, 'KE')!.data.slice(),
    nonce: context.environment.random(NONCE_LENGTH),
    peerNonce: find(message.payloads, 'NONCE')!.data.slice(),
    ownMessage: nothing,
    peerMessage: datagram.data.slice(),
    cookie: null,
    cookieRounds: 0,
    keRounds: 0,
    peerHashes: hashes ? decodeHashAlgorithms(hashes.data) : null,
    natDetection: false,
    usesPpk: hasNotify(message.payloads, NotifyStatus.USE_PPK) && chosen.peers.some(({ ppk }) => ppk),
    proofKeys: null,
    additional: [],
    intAuth: null,
    childless: false,
    clearError: null,
    candidates: chosen.peers,
  }
}

/** -- init -> auth: the answer goes out; the secret is computed when IKE_AUTH comes. */
function answer(context: Context, sa: IkeSa, chosen: Chosen, datagram: IkeDatagram): void {
  const handshake = sa.handshake!
  const fields = headerOf(sa, Exchange.IKE_SA_INIT, 0, true)
  handshake.ownMessage = encodeMessage(fields, answerPayloads(context, sa, chosen))
  sa.state = 'auth'
  keepResponse(context, sa, 0, [handshake.ownMessage], datagram)
}

function answerPayloads(context: Context, sa: IkeSa, chosen: Chosen): Payload[] {
  const { dh, nonce, natDetection, usesPpk } = sa.handshake!
  const { suite, proposal, peers } = chosen
  const allowSha1 = peers.some((peer) => peer.allowSha1Signatures)
  const hashes = encodeHashAlgorithms(acceptedHashes(allowSha1))
  return [
    { kind: 'SA', proposals: [{ ...proposal, spi: nothing }] },
    { kind: 'KE', group: dh!.group, data: dh!.publicValue },
    { kind: 'NONCE', data: nonce },
    ...(natDetection ? natNotifies(context, peers[0].natTraversal, sa, sa.local, sa.remote) : []),
    notify(NotifyStatus.SIGNATURE_HASH_ALGORITHMS, hashes),
    ...(sa.fragmentation ? [notify(FRAGMENTATION)] : []),
    ...(usesPpk ? [notify(NotifyStatus.USE_PPK)] : []),
    ...(hasAdditional(suite) ? [notify(INTERMEDIATE)] : []),
    notify(NotifyStatus.CHILDLESS_IKEV2_SUPPORTED),
    ...certificateRequests(peers),
  ]
}
