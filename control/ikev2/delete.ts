// Deleting Child SAs and IKE SAs (RFC 7296 §1.4.1, §2.25). ESP SAs exist in pairs: each end names the SPIs on which it
// receives, and the answer names those of the other direction.

import type { IkeDatagram } from '../ports.ts'
import type { ChildSaId, Reason } from '../sa/contract.ts'
import { u32 } from '../wire/bytes.ts'
import { spiBytes } from '../wire/proposals.ts'
import { Exchange, type Message, type Payload, ProtocolId } from '../wire/types.ts'
import { awaitSuccessor, childByPeerSpi, drainChild } from './children.ts'
import { collidingOffer, livingIkeRival, livingRival } from './collision.ts'
import { sendRequest, sendResponse } from './exchange.ts'
import { inherit } from './inherit.ts'
import { cancelJobs } from './jobs.ts'
import { findAll } from './payloads.ts'
import { leave, leaveToSibling, linger } from './sas.ts'
import type { ChildSa, Context, IkeSa } from './state.ts'
import { addTask } from './tasks.ts'

/** More SPIs in one message than any gateway has on one IKE SA are not looked at (security D8). */
const MAX_SPIS = 1_024
/** Nor does a peer delete more than this while its answer is on the way. */
const MAX_NOTED = 16

/** -- replaced, expired -> (deleting): Delete for our inbound SPIs; `spis` are those of SAs that never came up here. */
export function beginDeleteChildren(
  context: Context,
  sa: IkeSa,
  children: ChildSaId[],
  spis: number[],
): void {
  const known = children.map((id) => sa.children.get(id)).filter((child) => child !== undefined)
  for (const child of known) child.deleting = true
  const named = [...known.map((child) => child.spiIn), ...spis]
  if (named.length === 0) return
  const payloads = [espDelete(named)]
  sendRequest(context, sa, Exchange.INFORMATIONAL, payloads, { kind: 'delete-child', children })
}

function espDelete(spis: number[]): Payload {
  return { kind: 'DELETE', protocol: ProtocolId.ESP, spis: spis.map(spiBytes) }
}

/** The peer has deleted its half too; what it named in its answer is the other direction of the same pairs. */
export function receiveDeleteResponse(context: Context, sa: IkeSa, children: ChildSaId[]): void {
  for (const id of children) {
    const child = sa.children.get(id)
    if (child) drainChild(context, child, child.endReason)
  }
}

/**
 * -- any -> deleting: children and ike-down at once; the Delete goes out when the exchange in flight has ended. What
 * the peer made of a renewal meanwhile ends too.
 */
export function beginDelete(context: Context, sa: IkeSa, reason: Reason): void {
  const rival = livingIkeRival(context, sa)
  leave(context, sa, reason)
  cancelJobs(context, sa)
  discard(context, sa)
  if (rival) discard(context, rival)
}

/** -- any -> deleting, for an SA without Child SAs that the gateway does not know or has been told about. */
export function discard(context: Context, sa: IkeSa): void {
  sa.state = 'deleting'
  sa.tasks = []
  sa.held = []
  sa.softAt = sa.hardAt = sa.duplicateAt = Number.POSITIVE_INFINITY
  sa.endAt = context.now + context.options.lingerMs
  addTask(sa, { kind: 'delete-ike' })
}

/** The Delete itself; protocol IKE has no SPI (§3.11). */
export function sendDelete(context: Context, sa: IkeSa): void {
  const payloads: Payload[] = [{ kind: 'DELETE', protocol: ProtocolId.IKE, spis: [] }]
  sendRequest(context, sa, Exchange.INFORMATIONAL, payloads, { kind: 'delete-ike' })
}

/** Delete payloads of a request. Returns our answer, or null when the IKE SA itself was deleted and answered. */
export function receiveDeletes(
  context: Context,
  sa: IkeSa,
  message: Message,
  datagram: IkeDatagram,
): Payload[] | null {
  const deletes = findAll(message.payloads, 'DELETE')
  if (deletes.some((each) => each.protocol === ProtocolId.IKE)) {
    endByPeer(context, sa, message, datagram)
    return null
  }
  const named = deletes
    .filter((each) => each.protocol === ProtocolId.ESP)
    .flatMap((each) => each.spis)
    .slice(0, MAX_SPIS)
  const ours = named.map((spi) => deletePair(context, sa, u32(spi, 0))).filter((spi) => spi !== null)
  return ours.length > 0 ? [espDelete(ours)] : []
}

/**
 * One SPI of the peer's Delete: it must be one that the peer receives on, so unknown ones and our own are ignored.
 * Returns our SPI of the pair for the answer; null where our own Delete has named it already (§2.25.1).
 */
function deletePair(context: Context, sa: IkeSa, spi: number): number | null {
  const child: ChildSa | undefined = childByPeerSpi(sa, spi)
  if (!child) return noteUnknown(sa, spi)
  const { spiIn } = child
  const isCrossing =
    sa.exchange?.purpose.kind === 'delete-child' && sa.exchange.purpose.children.includes(child.id)
  const offer = collidingOffer(sa, child.tunnel, child)
  if (offer && !livingRival(context, offer)) awaitSuccessor(context, child)
  else drainChild(context, child, 'peer-deleted')
  return isCrossing ? null : spiIn
}

/** The peer may have made and deleted an SA whose answer has not reached us: the answer must not bring it up. */
function noteUnknown(sa: IkeSa, spi: number): null {
  const purpose = sa.exchange?.purpose
  if (purpose?.kind !== 'child') return null
  const { deletedByPeer } = purpose.offer
  if (deletedByPeer.length < MAX_NOTED) deletedByPeer.push(spi)
  return null
}

/**
 * -- any -> lingering: an empty answer, then nothing is left but that answer (§1.4.1). If the peer has renewed the SA
 * and we were about to, it did not notice: our own renewal is forgotten, its SA inherits (§2.8.2).
 */
function endByPeer(context: Context, sa: IkeSa, message: Message, datagram: IkeDatagram): void {
  const rival = livingIkeRival(context, sa)
  sendResponse(context, sa, message.header, [], datagram)
  if (rival) inherit(context, sa, rival)
  leaveToSibling(context, sa, 'peer-deleted')
  leave(context, sa, 'peer-deleted')
  linger(context, sa)
}
