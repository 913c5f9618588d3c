// Renewing an IKE SA (RFC 7296 §1.3.2, §2.8, §2.18): the new one inherits the Child SAs, starts its message ids at
// zero, and its initiator is who began the renewal. That end deletes the old one.
//
//   HDR, SK {SA, Ni, KEi}  -->
//                          <--  HDR, SK {SA, Nr, KEr}

import { checkPublicValue } from '../crypto/dh.ts'
import { deriveRekeyedIkeKeys } from '../crypto/keys.ts'
import { wipe } from '../crypto/suite.ts'
import type { DhGroup, IkeDatagram } from '../ports.ts'
import type { IkeSuite } from '../sa/contract.ts'
import { nextRenewal } from '../sa/lifetimes.ts'
import { u16, u64, u64Bytes } from '../wire/bytes.ts'
import { NotifyError } from '../wire/notify.ts'
import {
  acceptIkeAnswer,
  chooseIkeProposal,
  describeIkeSuite,
  encodeIkeProposals,
} from '../wire/proposals.ts'
import { Exchange, type Message, type Payload, type Proposal } from '../wire/types.ts'
import { errorIn } from './child-offer.ts'
import { act, randomBelow } from './context.ts'
import { exchangeKeys } from './create-child-responder.ts'
import { settleDuplicates } from './duplicates.ts'
import { isChildWork, sendRequest, sendResponse } from './exchange.ts'
import { startLifetimes } from './handshake.ts'
import { compute } from './jobs.ts'
import { wipeDh } from './offers.ts'
import { MAX_KE_ROUNDS, NONCE_LENGTH } from './options.ts'
import { find, groupData, type Notify, notify } from './payloads.ts'
import { peerNow } from './peers.ts'
import { reportNoProposal, reportPeerError } from './reports.ts'
import { createIkeSa, freshSpi, tunnelOf } from './sas.ts'
import type { Context, IkeOffer, IkeSa } from './state.ts'
import { offersGroup, prfOf } from './suite.ts'
import { addTask } from './tasks.ts'

/** -- established -> (rekeying). The group in use first: the peer has agreed to it once. */
export function beginRekeyIke(context: Context, sa: IkeSa, keRounds: number, wanted: DhGroup | null): void {
  const suites = peerNow(context, sa.peer!).ikeProposals
  const inUse = sa.suite!.dhGroup
  const group = wanted ?? (offersGroup(suites, inUse) ? inUse : suites[0].dhGroup)
  const nonce = context.environment.random(NONCE_LENGTH)
  const offer: IkeOffer = { spi: freshSpi(context), suites, group, dh: null, nonce, keRounds }
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
    const agreed = {
      suite: choice.suite,
      initiatorSpi: offer.spi,
      responderSpi: peerSpi,
      ni: offer.nonce,
      nr,
    }
    wipeDh(offer.dh)
    succeed(later, sa, 'initiator', agreed, result.secret)
    addTask(sa, { kind: 'delete-ike' })
  })
}

/** Refused: another group, later, or when a part of the remaining life has passed; until the hard end. */
function receiveError(context: Context, sa: IkeSa, error: Notify, offer: IkeOffer) {
  const group = error.data.length === 2 ? u16(error.data, 0) : 0
  const isOtherGroup = error.type === NotifyError.INVALID_KE_PAYLOAD && offersGroup(offer.suites, group)
  if (isOtherGroup && group !== offer.group && offer.keRounds < MAX_KE_ROUNDS) {
    wipeDh(offer.dh)
    return addTask(sa, { kind: 'rekey-ike', keRounds: offer.keRounds + 1, group: group as DhGroup })
  }
  if (error.type === NotifyError.TEMPORARY_FAILURE) {
    const { temporaryFailureMs } = context.options
    wipeDh(offer.dh)
    const wait = temporaryFailureMs + randomBelow(context, temporaryFailureMs)
    return addTask(sa, { kind: 'rekey-ike', keRounds: 0, group: null }, context.now + wait)
  }
  const offered = offer.suites.map(describeIkeSuite)
  const where = { tunnel: tunnelOf(sa), peer: sa.remote }
  reportPeerError(context, where, 'the renewal of the IKE SA', error.type, { offered, authentic: true })
  fail(context, sa, offer)
}

function fail(context: Context, sa: IkeSa, offer: IkeOffer): void {
  wipeDh(offer.dh)
  sa.softAt = nextRenewal(context.now, sa.hardAt)
}

/** The peer renews the IKE SA; `offered` are its proposals for protocol IKE. */
export function receiveRekeyRequest(
  context: Context,
  sa: IkeSa,
  message: Message,
  offered: Proposal[],
  datagram: IkeDatagram,
) {
  const refuse = (error: Payload) => sendResponse(context, sa, message.header, [error], datagram)
  if (isBusy(sa)) return refuse(notify(NotifyError.TEMPORARY_FAILURE))
  const suites = peerNow(context, sa.peer!).ikeProposals
  const choice = chooseIkeProposal(offered, suites, 8)
  if (!choice.ok) {
    reportNoProposal(context, { tunnel: tunnelOf(sa), peer: datagram.remote }, 'IKE', choice.refusal, suites)
    return refuse(notify(NotifyError.NO_PROPOSAL_CHOSEN))
  }
  const { suite, proposal } = choice
  const ke = find(message.payloads, 'KE')
  if (ke?.group !== suite.dhGroup)
    return refuse(notify(NotifyError.INVALID_KE_PAYLOAD, groupData(suite.dhGroup)))
  const peerSpi = u64(proposal.spi, 0)
  if (peerSpi === 0n || checkPublicValue(ke.group, ke.data)) return refuse(notify(NotifyError.INVALID_SYNTAX))
  exchangeKeys(context, sa, suite.dhGroup, ke.data.slice(), (later, dh, secret) => {
    if (!dh || !secret)
      return sendResponse(later, sa, message.header, [notify(NotifyError.NO_PROPOSAL_CHOSEN)], datagram)
    const nr = later.environment.random(NONCE_LENGTH)
    const ni = find(message.payloads, 'NONCE')!.data
    const spi = freshSpi(later)
    const [answer] = encodeIkeProposals([suite], u64Bytes(spi))
    const payloads: Payload[] = [
      { kind: 'SA', proposals: [{ ...answer, number: proposal.number }] },
      { kind: 'NONCE', data: nr },
      { kind: 'KE', group: dh.group, data: dh.publicValue },
    ]
    sendResponse(later, sa, message.header, payloads, datagram)
    succeed(later, sa, 'responder', { suite, initiatorSpi: peerSpi, responderSpi: spi, ni, nr }, secret)
    sa.endAt = later.now + later.options.replacedMs
  })
}

/** §2.25.2: our own renewal, or work on a Child SA, is under way. */
function isBusy(sa: IkeSa): boolean {
  return sa.exchange?.purpose.kind === 'rekey-ike' || isChildWork(sa.exchange)
}

type Agreed = { suite: IkeSuite; initiatorSpi: bigint; responderSpi: bigint; ni: Uint8Array; nr: Uint8Array }

/** -- established -> replaced: keys of the new SA from SK_d of the old one (§2.18); Child SAs and open tasks move. */
function succeed(
  context: Context,
  old: IkeSa,
  role: 'initiator' | 'responder',
  agreed: Agreed,
  sharedSecret: Uint8Array,
): void {
  const { suite, initiatorSpi, responderSpi, ni, nr } = agreed
  const peer = peerNow(context, old.peer!)
  const { local, remote } = old
  const sa = createIkeSa(context, { role, initiatorSpi, responderSpi, peer, local, remote, handshake: null })
  const { encryption: cipher, integrity } = suite
  sa.suite = suite
  const input = {
    prf: prfOf(sa),
    integrity,
    cipher,
    ni,
    nr,
    spiI: initiatorSpi,
    spiR: responderSpi,
    sharedSecret,
  }
  sa.keys = deriveRekeyedIkeKeys(prfOf(old), old.keys!.d, input)
  wipe(sharedSecret)
  sa.state = 'established'
  sa.confirmed = true
  sa.nat = old.nat
  sa.remoteId = old.remoteId
  startLifetimes(context, sa)
  moveChildren(old, sa)
  retire(context, old, sa)
  settleDuplicates(context, sa)
}

function moveChildren(from: IkeSa, to: IkeSa): void {
  for (const child of from.children.values()) {
    child.ikeSa = to.id
    to.children.set(child.id, child)
  }
  from.children.clear()
  to.tasks = from.tasks.filter((task) => task.kind !== 'rekey-ike' && task.kind !== 'probe')
  from.tasks = []
}

function retire(context: Context, old: IkeSa, sa: IkeSa): void {
  old.state = 'replaced'
  old.replacedBy = sa.id
  old.softAt = old.hardAt = old.duplicateAt = Number.POSITIVE_INFINITY
  act(context, { kind: 'ike-rekeyed', from: old.id, to: sa.id, tunnel: tunnelOf(sa) })
}
