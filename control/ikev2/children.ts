// Child SAs: installing, switching over, removing. Make before break (RFC 7296 §2.8): the old SA receives until
// the new one is proven, and the sender switches in one step.

import { type ChildKeys, childKeymat } from '../crypto/keys.ts'
import type { TrafficSelector } from '../ports.ts'
import type { ChildInstall, ChildSaId, ChildSuite, PeerConfig, Reason } from '../sa/contract.ts'
import { deadlines, nextRenewal } from '../sa/lifetimes.ts'
import { collidingOffer } from './collision.ts'
import { act, randomByte } from './context.ts'
import { encapsulationOf, espRemote } from './nat.ts'
import type { ChildSa, Context, IkeSa } from './state.ts'
import { prfOf } from './suite.ts'

/** Everything that two ends agreed on for one Child SA. Nonces are those of the exchange that made it (§2.17). */
export type AgreedChild = {
  peer: PeerConfig
  spiIn: number
  spiOut: number
  suite: ChildSuite
  localSelectors: TrafficSelector[]
  remoteSelectors: TrafficSelector[]
  nonceInitiator: Uint8Array
  nonceResponder: Uint8Array
  /** of the key exchanges, Diffie-Hellman first; none without PFS */
  secrets: Uint8Array[]
  /** we began the exchange */
  initiated: boolean
  replaces: ChildSaId | null
  /** send on it at once */
  activate: boolean
  /** if not at once: after so many ms, used by the peer or not */
  activateAfter?: number
}

/** -- agreed -> active or fresh: derives KEYMAT and hands both directions to the card. */
export function installChild(context: Context, sa: IkeSa, agreed: AgreedChild): ChildSa {
  const child = recordOf(context, sa, agreed)
  const keymat = childKeymat({
    prf: prfOf(sa),
    skD: sa.keys!.d,
    ni: agreed.nonceInitiator,
    nr: agreed.nonceResponder,
    sharedSecret: agreed.secrets[0] ?? null,
    additional: agreed.secrets.slice(1),
    cipher: agreed.suite.cipher,
    integrity: agreed.suite.integrity,
  })
  const { initiatorToResponder: forward, responderToInitiator: back } = keymat
  const [outbound, inbound] = agreed.initiated ? [forward, back] : [back, forward]
  sa.children.set(child.id, child)
  context.state.children.set(child.id, child)
  act(context, { kind: 'install', child: installOf(context, sa, child, agreed, inbound, outbound) })
  if (agreed.activate) sendOn(context, child)
  return child
}

function recordOf(context: Context, sa: IkeSa, agreed: AgreedChild): ChildSa {
  const { peer, suite, spiIn, spiOut, localSelectors, remoteSelectors } = agreed
  const role = agreed.initiated ? 'initiator' : 'responder'
  const { seconds } = peer.childLifetime
  return {
    id: context.state.nextId++,
    createdAt: context.now,
    ikeSa: sa.id,
    tunnel: peer.tunnel,
    state: 'fresh',
    spiIn,
    spiOut,
    suite,
    localSelectors,
    remoteSelectors,
    encapsulation: encapsulationOf(sa),
    ...deadlines(context.now, seconds, peer.rekeyMargin, role, randomByte(context)),
    removeAt: Number.POSITIVE_INFINITY,
    activateAt: context.now + (agreed.activateAfter ?? Number.POSITIVE_INFINITY),
    rekeying: false,
    deleting: false,
    replaces: agreed.replaces,
    endReason: 'expired',
  }
}

function installOf(
  context: Context,
  sa: IkeSa,
  child: ChildSa,
  agreed: AgreedChild,
  inbound: ChildKeys,
  outbound: ChildKeys,
): ChildInstall {
  const { peer, suite } = agreed
  return {
    child: child.id,
    ikeSa: sa.id,
    tunnel: child.tunnel,
    spiIn: child.spiIn,
    spiOut: child.spiOut,
    protocol: 'esp',
    cipher: suite.cipher,
    integrity: suite.integrity,
    esn: suite.esn,
    dhGroup: agreed.secrets.length > 0 ? suite.dhGroup : null,
    inbound,
    outbound,
    localSelectors: child.localSelectors,
    remoteSelectors: child.remoteSelectors,
    encapsulation: child.encapsulation,
    local: sa.local.address,
    remote: espRemote(sa),
    replayWindow: peer.replayWindow,
    lifetime: peer.childLifetime,
    softSeconds: Number.isFinite(child.softAt) ? (child.softAt - context.now) / 1000 : 0,
    activateOutbound: agreed.activate,
    replaces: agreed.replaces,
  }
}

function sendOn(context: Context, child: ChildSa): void {
  child.state = 'active'
  child.activateAt = Number.POSITIVE_INFINITY
  context.state.sending.set(child.tunnel, child.id)
}

/** -- fresh -> active: the peer uses the new SA, or the old one goes. */
export function activateChild(context: Context, child: ChildSa): void {
  if (child.state !== 'fresh') return
  act(context, { kind: 'activate', child: child.id })
  sendOn(context, child)
}

/** The youngest SA of a tunnel that may take over from `leaving`. */
function successorOf(context: Context, leaving: ChildSa): ChildSa | null {
  let best: ChildSa | null = null
  for (const each of context.state.children.values()) {
    const isUsable = each.state === 'fresh' || each.state === 'active'
    if (each === leaving || each.tunnel !== leaving.tunnel || !isUsable || each.deleting) continue
    if (best === null || each.id > best.id) best = each
  }
  return best
}

/** Lets another SA of the tunnel send before this one stops; false when there is none. */
function handOver(context: Context, leaving: ChildSa): boolean {
  const successor = successorOf(context, leaving)
  const isSender = context.state.sending.get(leaving.tunnel) === leaving.id
  if (!isSender) return successor !== null || leaving.state === 'draining'
  context.state.sending.delete(leaving.tunnel)
  if (!successor) return false
  act(context, { kind: 'activate', child: successor.id })
  sendOn(context, successor)
  return true
}

/** -- any -> gone, now. Where another SA of the tunnel takes over, that is the reason the gateway hears. */
export function dropChild(context: Context, child: ChildSa, reason: Reason): void {
  const isCovered = handOver(context, child)
  context.state.children.delete(child.id)
  context.state.sas.get(child.ikeSa)?.children.delete(child.id)
  reopen(context, child)
  act(context, { kind: 'remove', child: child.id, reason: isCovered ? 'replaced' : reason })
}

/**
 * -- any -> draining: both ends have agreed to delete it. With a successor it still receives what is on the way;
 * without one it goes at once for `reason`.
 */
export function drainChild(context: Context, child: ChildSa, reason: Reason) {
  if (!handOver(context, child)) return dropChild(context, child, reason)
  beginDraining(context, child, reason)
  reopen(context, child)
}

function beginDraining(context: Context, child: ChildSa, reason: Reason): void {
  child.state = 'draining'
  child.activateAt = Number.POSITIVE_INFINITY
  child.endReason = reason
  child.softAt = child.hardAt = Number.POSITIVE_INFINITY
  child.removeAt = context.now + context.options.overlapMs
}

/**
 * -- active -> draining, still sending: the peer has deleted the SA that our request in flight renews. If its answer
 * brings the new one there is no gap; if not, or not in time, the SA goes.
 */
export function awaitSuccessor(context: Context, child: ChildSa): void {
  beginDraining(context, child, 'peer-deleted')
}

/**
 * -- active -> replaced: a successor stands; the end that made it deletes this one, and if it does not, we do after
 * a while. It goes on receiving.
 */
export function leaveToPeer(context: Context, child: ChildSa): void {
  child.state = 'replaced'
  child.activateAt = Number.POSITIVE_INFINITY
  child.softAt = Number.POSITIVE_INFINITY
  child.hardAt = Math.min(child.hardAt, context.now + context.options.replacedMs)
}

/** A successor has gone before the SA that it was to replace: that one may be renewed again. */
function reopen(context: Context, gone: ChildSa): void {
  const old = gone.replaces === null ? undefined : context.state.children.get(gone.replaces)
  if (old) allowRenewal(context, old)
}

/** What was to renew this one has come to nothing; unless it is on its way out, or our own renewal is still open. */
export function allowRenewal(context: Context, old: ChildSa): void {
  const sa = context.state.sas.get(old.ikeSa)
  if (!sa || old.deleting || old.state === 'draining' || old.state === 'replaced') return
  if (collidingOffer(sa, old.tunnel, old)) return
  old.rekeying = false
  old.softAt = nextRenewal(context.now, old.hardAt)
}

/** Child SA of this IKE SA that the peer names by its own inbound SPI (our outbound one), §1.4.1, §2.8. */
export function childByPeerSpi(sa: IkeSa, spi: number): ChildSa | undefined {
  for (const child of sa.children.values())
    if (child.spiOut === spi && child.state !== 'draining') return child
  return undefined
}

/** Child SAs of a tunnel on this IKE SA that are not on their way out. */
export function livingChildren(sa: IkeSa, tunnel: string): ChildSa[] {
  return [...sa.children.values()].filter(
    (child) =>
      child.tunnel === tunnel && !child.deleting && (child.state === 'fresh' || child.state === 'active'),
  )
}
