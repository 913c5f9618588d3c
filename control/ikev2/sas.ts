// Making, finding and ending IKE SAs. Ending wipes everything secret on every path.

import { wipeIkeKeys } from '../crypto/keys.ts'
import { wipePpkKeys } from '../crypto/ppk.ts'
import { wipe } from '../crypto/suite.ts'
import type { Endpoint } from '../ports.ts'
import type { PeerConfig, Reason } from '../sa/contract.ts'
import { u64 } from '../wire/bytes.ts'
import { drainChild, dropChild } from './children.ts'
import { act } from './context.ts'
import { cancelJobs } from './jobs.ts'
import { abandonPending, releaseOffer, wipeDh, wipeIkeOffer } from './offers.ts'
import { sharesIkeSa } from './peers.ts'
import type { Context, Exchange, Handshake, IkeSa } from './state.ts'

/** A random SPI that no SA of ours has and that is not zero (RFC 7296 §2.6). */
export function freshSpi(context: Context): bigint {
  for (;;) {
    const spi = u64(context.environment.random(8), 0)
    if (spi !== 0n && !context.state.bySpi.has(spi)) return spi
  }
}

export type NewIkeSa = {
  role: 'initiator' | 'responder'
  initiatorSpi: bigint
  responderSpi: bigint
  peer: PeerConfig | null
  local: Endpoint
  remote: Endpoint
  handshake: Handshake | null
}

/** A new record, found by our own SPI from now on. */
export function createIkeSa(context: Context, fields: NewIkeSa): IkeSa {
  const never = Number.POSITIVE_INFINITY
  const sa: IkeSa = {
    id: context.state.nextId++,
    ...fields,
    state: 'init',
    wanted: [],
    suite: null,
    keys: null,
    nat: { local: false, remote: false },
    mobike: null,
    hasPpk: false,
    fragmentation: false,
    firstFragment: null,
    remoteId: null,
    nextRequestId: 0,
    expectedRequestId: 0,
    answered: null,
    workingOn: null,
    exchange: null,
    pending: null,
    tasks: [],
    jobs: [],
    held: [],
    children: new Map(),
    createdAt: context.now,
    establishedAt: never,
    lastInbound: context.now,
    lastOutbound: context.now,
    movedAt: Number.NEGATIVE_INFINITY,
    softAt: never,
    hardAt: never,
    endAt: never,
    refusedSince: never,
    replacedBy: null,
    confirmed: false,
    duplicateAt: never,
  }
  context.state.sas.set(sa.id, sa)
  context.state.bySpi.set(ownSpi(sa), sa)
  return sa
}

export function ownSpi(sa: IkeSa): bigint {
  return sa.role === 'initiator' ? sa.initiatorSpi : sa.responderSpi
}

export function peerSpi(sa: IkeSa): bigint {
  return sa.role === 'initiator' ? sa.responderSpi : sa.initiatorSpi
}

/** Name for actions and reports: the tunnel whose configuration the SA uses. */
export function tunnelOf(sa: IkeSa): string {
  return sa.peer?.tunnel ?? ''
}

export function isUp(sa: IkeSa): boolean {
  return sa.state === 'established'
}

/** Secrets of IKE_SA_INIT and IKE_AUTH: not needed once established, nor after a failure. */
export function dropHandshake(sa: IkeSa): void {
  const { handshake } = sa
  if (!handshake) return
  wipeDh(handshake.dh)
  wipe(handshake.nonce, handshake.cookie, handshake.intAuth?.i, handshake.intAuth?.r)
  if (handshake.proofKeys) wipePpkKeys(handshake.proofKeys)
  sa.handshake = null
}

/** The exchange in flight ends without an answer: what it had prepared is given back. */
export function abandonExchange(context: Context, sa: IkeSa): void {
  const { exchange } = sa
  sa.exchange = null
  if (!exchange) return
  wipeExchange(context, exchange)
}

function wipeExchange(context: Context, exchange: Exchange): void {
  const { purpose } = exchange
  if (purpose.kind === 'intermediate') wipeDh(purpose.pair)
  if (purpose.kind === 'auth' && purpose.child) releaseOffer(context, purpose.child)
  if (purpose.kind === 'child') releaseOffer(context, purpose.offer)
  if (purpose.kind === 'rekey-ike') wipeIkeOffer(purpose.offer)
}

/**
 * -- any -> gone, without a word to the peer. Children are removed for `reason`. The gateway hears ike-down if the SA
 * was up, or that another SA to the same peer goes on.
 */
export function endIkeSa(context: Context, sa: IkeSa, reason: Reason): void {
  leave(context, sa, reason)
  forget(context, sa)
}

/** The part of the end that the gateway sees: children removed, ike-down said; the record stays. */
export function leave(context: Context, sa: IkeSa, reason: Reason): void {
  for (const child of [...sa.children.values()]) dropChild(context, child, reason)
  if (!isUp(sa)) return
  const sibling = siblingOf(context, sa)
  if (sibling) act(context, { kind: 'ike-rekeyed', from: sa.id, to: sibling.id, tunnel: tunnelOf(sa) })
  else act(context, { kind: 'ike-down', ikeSa: sa.id, tunnel: tunnelOf(sa), reason })
}

/**
 * One of two equal IKE SAs goes, and both ends know: its Child SAs give way to those of the other one, and receive what
 * is on the way, under that one, for as long as after a rekey.
 */
export function leaveToSibling(context: Context, sa: IkeSa, reason: Reason): void {
  const sibling = isUp(sa) ? siblingOf(context, sa) : null
  if (sibling === null) return
  for (const child of [...sa.children.values()]) {
    sa.children.delete(child.id)
    child.ikeSa = sibling.id
    sibling.children.set(child.id, child)
    drainChild(context, child, reason)
  }
}

/** Another established IKE SA between the same identities for the same tunnels. */
export function siblingOf(context: Context, sa: IkeSa): IkeSa | null {
  for (const other of context.state.sas.values()) {
    if (other === sa || !isUp(other) || !other.peer || !sa.peer) continue
    if (other.remoteId === sa.remoteId && sharesIkeSa(other.peer, sa.peer)) return other
  }
  return null
}

/** Wipes and removes the record itself; its children must be gone or moved. */
export function forget(context: Context, sa: IkeSa): void {
  silence(context, sa)
  context.state.sas.delete(sa.id)
  context.state.bySpi.delete(ownSpi(sa))
  for (const [key, each] of context.state.byInit) if (each === sa) context.state.byInit.delete(key)
}

/** No secret and no pending work is left in the record. */
function silence(context: Context, sa: IkeSa): void {
  context.state.halfOpen.delete(sa)
  abandonExchange(context, sa)
  abandonPending(context, sa)
  dropHandshake(sa)
  cancelJobs(context, sa)
  sa.held = []
  sa.tasks = []
  context.state.reassembly.forget(sa)
  if (sa.keys) wipeIkeKeys(sa.keys)
  sa.keys = null
}

/**
 * -- any -> lingering: the peer may have missed our last answer and ask again (§2.1), so the answer outlives the
 * keys for a while. Children must be gone; ike-down has been said.
 */
export function linger(context: Context, sa: IkeSa): void {
  silence(context, sa)
  sa.state = 'lingering'
  sa.endAt = context.now + context.options.lingerMs
  sa.softAt = sa.hardAt = sa.duplicateAt = Number.POSITIVE_INFINITY
}
