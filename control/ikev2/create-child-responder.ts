// CREATE_CHILD_SA for Child SAs, as the end that is asked (RFC 7296 §1.3.1, §1.3.3, §2.8, §2.25).
//
// A collision, both ends renewing the same SA at once, is answered as usual; what came of it is noted in our own
// request in flight, whose answer decides (§2.8.1, collision.ts).

import { checkPublicValue } from '../crypto/dh.ts'
import { wipe } from '../crypto/suite.ts'
import type { DhGroup, IkeDatagram } from '../ports.ts'
import type { PeerConfig } from '../sa/contract.ts'
import { u32 } from '../wire/bytes.ts'
import { NotifyError, NotifyStatus } from '../wire/notify.ts'
import { type Header, type Message, type Payload, ProtocolId } from '../wire/types.ts'
import { answerPayloads, type ChosenChild, chooseChild } from './child-answer.ts'
import { type AgreedChild, allowRenewal, childByPeerSpi, installChild, livingChildren } from './children.ts'
import { collidingOffer, lowestNonce } from './collision.ts'
import { report } from './context.ts'
import { sendResponse } from './exchange.ts'
import { awaitFollowUp } from './followup-responder.ts'
import { compute } from './jobs.ts'
import { NONCE_LENGTH } from './options.ts'
import { espNotify, find, groupData, hasNotify, notifies, notify } from './payloads.ts'
import { tunnelsOn } from './peers.ts'
import type { ChildSa, Context, DhPair, IkeSa } from './state.ts'
import { hasAdditional } from './suite.ts'
import { addTask } from './tasks.ts'

type Request = { header: Header; payloads: Payload[]; datagram: IkeDatagram }

/** An authentic request for a Child SA on an established IKE SA. */
export function receiveChildRequest(context: Context, sa: IkeSa, message: Message, datagram: IkeDatagram) {
  const request = { ...message, datagram }
  const old = rekeyedChild(context, sa, request)
  if (old === 'answered') return
  const busy = busyWith(context, sa, old)
  if (busy !== null) return refuse(context, sa, request, notify(busy))
  const tunnels = old
    ? tunnelsOn(context, sa).filter((peer) => peer.tunnel === old.tunnel)
    : tunnelsOn(context, sa)
  const prefers = (peer: PeerConfig) => livingChildren(sa, peer.tunnel).length === 0
  const chosen = chooseChild(context, tunnels, request.payloads, true, datagram.remote, prefers)
  if (!chosen.ok) return refuse(context, sa, request, chosen.error)
  if (!old && isForResource(context, sa, request, chosen))
    return refuse(context, sa, request, notify(NotifyError.TS_MAX_QUEUE))
  withKeyExchange(context, sa, request, chosen, old)
}

function refuse(context: Context, sa: IkeSa, request: Request, error: Payload): void {
  sendResponse(context, sa, request.header, [error], request.datagram)
}

/**
 * One more Child SA for a processor of the peer (RFC 9611). A tunnel here has one, on one ASP: the peer is told that
 * these selectors have all they get, so that it goes on with what it has and asks no more (§3).
 */
function isForResource(context: Context, sa: IkeSa, request: Request, { peer }: ChosenChild): boolean {
  const isOneMore = livingChildren(sa, peer.tunnel).length > 0
  if (!isOneMore || !hasNotify(request.payloads, NotifyStatus.SA_RESOURCE_INFO)) return false
  report(context, {
    tunnel: peer.tunnel,
    level: 'info',
    code: 'one-child-sa',
    text: 'the peer asked for a further Child SA for another of its processors; a tunnel here has one',
    peer: sa.remote,
  })
  return true
}

/** The SA that REKEY_SA names by the peer's inbound SPI; null: no rekey. An unknown one is answered here (§2.25). */
function rekeyedChild(context: Context, sa: IkeSa, request: Request): ChildSa | null | 'answered' {
  const [rekey] = notifies(request.payloads, NotifyStatus.REKEY_SA)
  if (!rekey) return null
  const isEsp = rekey.protocol === ProtocolId.ESP && rekey.spi.length === 4
  const old = isEsp ? childByPeerSpi(sa, u32(rekey.spi, 0)) : undefined
  if (old) return old
  refuse(context, sa, request, espNotify(NotifyError.CHILD_SA_NOT_FOUND, rekey.spi))
  return 'answered'
}

/** Why not now (§2.25): error type, or null. */
function busyWith(context: Context, sa: IkeSa, old: ChildSa | null): number | null {
  if (sa.exchange?.purpose.kind === 'rekey-ike') return NotifyError.TEMPORARY_FAILURE
  if (old && (old.deleting || old.state === 'replaced')) return NotifyError.TEMPORARY_FAILURE
  if (old && hasSuccessor(sa, old)) return NotifyError.TEMPORARY_FAILURE
  return sa.children.size >= context.options.maxChildren ? NotifyError.NO_ADDITIONAL_SAS : null
}

/** The peer has renewed it already and has yet to delete it: a second successor would be left over. */
function hasSuccessor(sa: IkeSa, old: ChildSa): boolean {
  return livingChildren(sa, old.tunnel).some((each) => each.replaces === old.id)
}

/** With PFS: the peer's value is judged, then both public-key steps are jobs (§1.3.1). */
function withKeyExchange(
  context: Context,
  sa: IkeSa,
  request: Request,
  chosen: ChosenChild,
  old: ChildSa | null,
) {
  const group = chosen.suite.dhGroup
  if (group === null) return accept(context, sa, request, chosen, old, null, null)
  const ke = find(request.payloads, 'KE')
  if (ke?.group !== group) {
    return refuse(context, sa, request, notify(NotifyError.INVALID_KE_PAYLOAD, groupData(group)))
  }
  if (checkPublicValue(group, ke.data))
    return refuse(context, sa, request, notify(NotifyError.INVALID_SYNTAX))
  exchangeKeys(context, sa, group, ke.data.slice(), (later, dh, secret) => {
    if (!dh || !secret) return refuse(later, sa, request, notify(NotifyError.NO_PROPOSAL_CHOSEN))
    accept(later, sa, request, chosen, old, dh, secret)
  })
}

/** Our key pair, then the shared secret; both null when the peer's value leads to none. The private value is wiped. */
export function exchangeKeys(
  context: Context,
  sa: IkeSa,
  group: DhGroup,
  peerPublic: Uint8Array,
  done: (context: Context, dh: DhPair | null, secret: Uint8Array | null) => void,
): void {
  compute(context, sa, { kind: 'dh-generate', group }, (later, pair) => {
    if (pair.kind !== 'dh-generate') return done(later, null, null)
    const { publicValue, privateValue } = pair
    compute(later, sa, { kind: 'dh-derive', group, privateValue, peerPublic }, (last, result) => {
      wipe(privateValue)
      const secret = result.kind === 'dh-derive' ? result.secret : null
      done(last, { group, publicValue, privateValue }, secret)
    })
  })
}

/** The answer; the SA comes with it, or after the additional key exchanges (RFC 9370 §2.2.4). */
function accept(
  context: Context,
  sa: IkeSa,
  request: Request,
  chosen: ChosenChild,
  old: ChildSa | null,
  dh: DhPair | null,
  sharedSecret: Uint8Array | null,
): void {
  const spiIn = context.environment.allocateSpi(chosen.peer.tunnel)
  const nonce = context.environment.random(NONCE_LENGTH)
  const peerNonce = find(request.payloads, 'NONCE')!.data.slice()
  const agreed = { ...chosen, spiIn, nonceInitiator: peerNonce, nonceResponder: nonce }
  const ke = dh ? { group: dh.group, data: dh.publicValue } : null
  const payloads = answerPayloads(chosen, spiIn, nonce, ke)
  const secrets = sharedSecret ? [sharedSecret] : []
  if (!sharedSecret || !hasAdditional(chosen.suite)) bringUp(context, sa, agreed, old, secrets)
  else payloads.push(...waitFor(context, sa, agreed, old, sharedSecret))
  sendResponse(context, sa, request.header, payloads, request.datagram)
}

type Agreed = ChosenChild & Pick<AgreedChild, 'spiIn' | 'nonceInitiator' | 'nonceResponder'>

function waitFor(
  context: Context,
  sa: IkeSa,
  agreed: Agreed,
  old: ChildSa | null,
  secret: Uint8Array,
): Payload[] {
  noteRival(sa, agreed, old, null)
  if (old) old.rekeying = true
  return awaitFollowUp(context, sa, 'child', agreed.suite.additionalKe!, secret, {
    finish: (later, secrets) => bringUp(later, sa, agreed, old, secrets),
    abandon: (later) => {
      later.environment.releaseSpi?.(agreed.spiIn)
      if (old && later.state.children.has(old.id)) allowRenewal(later, old)
    },
  })
}

/** -- (nothing) -> fresh or active: a renewed SA receives at once; we go on sending on the old one until the peer uses it (§2.8). */
function bringUp(
  context: Context,
  sa: IkeSa,
  agreed: Agreed,
  old: ChildSa | null,
  secrets: Uint8Array[],
): void {
  const isStillThere = old !== null && context.state.children.has(old.id)
  const earlier = old ? [] : livingChildren(sa, agreed.peer.tunnel)
  const child = installChild(context, sa, {
    ...agreed,
    secrets,
    initiated: false,
    replaces: isStillThere ? old.id : null,
    activate: !context.state.sending.has(agreed.peer.tunnel),
  })
  wipe(...secrets)
  if (isStillThere) old.rekeying = true
  noteRival(sa, agreed, old, child)
  for (const each of earlier) deleteForgotten(context, sa, each)
}

/** Our own request for the same SA is under way: its answer decides which of the two stays (§2.8.1). */
function noteRival(sa: IkeSa, agreed: Agreed, old: ChildSa | null, child: ChildSa | null): void {
  const offer = collidingOffer(sa, agreed.peer.tunnel, old)
  if (!offer) return
  const lowest = lowestNonce(agreed.nonceInitiator, agreed.nonceResponder)
  offer.rival = { child: child?.id ?? null, lowest }
}

/** A tunnel has one Child SA: an older one that the peer did not name is left over, unless both ends began at once. */
function deleteForgotten(context: Context, sa: IkeSa, child: ChildSa): void {
  if (context.now - child.createdAt < context.options.duplicateMs) return
  child.deleting = true
  addTask(sa, { kind: 'delete-child', children: [child.id], spis: [] })
}
