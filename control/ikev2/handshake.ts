// How an IKE SA comes up and how an attempt ends: common to both roles and to both ways of authentication.

import type { Reason } from '../sa/contract.ts'
import { deadlines } from '../sa/lifetimes.ts'
import { act, randomByte } from './context.ts'
import { settleDuplicates } from './duplicates.ts'
import { tunnelsOn } from './peers.ts'
import { dropHandshake, endIkeSa, forget, tunnelOf } from './sas.ts'
import type { Context, IkeSa } from './state.ts'
import { addTask } from './tasks.ts'

/** -- init, auth -> gone. Tunnels that waited for it are told; the gateway tries again. */
export function failHandshake(context: Context, sa: IkeSa, reason: Reason): void {
  for (const tunnel of waitingTunnels(sa)) act(context, { kind: 'failed', tunnel, reason })
  forget(context, sa)
}

/** Only an initiator has promised anything to a tunnel. */
export function waitingTunnels(sa: IkeSa): string[] {
  return sa.role === 'initiator' && sa.peer ? [sa.peer.tunnel, ...sa.wanted] : []
}

/** -- auth -> established: lifetimes start, the secrets of the handshake are wiped, waiting tunnels get their Child SAs. */
export function establish(context: Context, sa: IkeSa): void {
  sa.state = 'established'
  context.state.halfOpen.delete(sa)
  sa.confirmed = sa.role === 'initiator'
  startLifetimes(context, sa)
  act(context, { kind: 'ike-up', ikeSa: sa.id, tunnel: tunnelOf(sa) })
  for (const tunnel of sa.wanted) addTask(sa, { kind: 'create-child', tunnel, keRounds: 0, group: null })
  sa.wanted = []
}

/** To be called when the first Child SA has been dealt with: it still needs the nonces. */
export function finishHandshake(context: Context, sa: IkeSa): void {
  dropHandshake(sa)
  settleDuplicates(context, sa)
}

/** Lifetimes are local and never negotiated (RFC 7296 §2.8). */
export function startLifetimes(context: Context, sa: IkeSa): void {
  const { ikeLifetime, rekeyMargin } = sa.peer!
  const times = deadlines(context.now, ikeLifetime, rekeyMargin, sa.role, randomByte(context))
  sa.establishedAt = context.now
  sa.lastInbound = context.now
  sa.softAt = times.softAt
  sa.hardAt = times.hardAt
  sa.endAt = Number.POSITIVE_INFINITY
}

/**
 * INITIAL_CONTACT (§2.4): the authenticated peer says that it has no other IKE SA. Older ones of the same identity
 * that were up before this one began are gone at its end: no Delete is sent. Others stay: two ends that start at
 * once send it both.
 */
export function honourInitialContact(context: Context, sa: IkeSa): void {
  const names = new Set(tunnelsOn(context, sa).map((peer) => peer.tunnel))
  for (const other of [...context.state.sas.values()]) {
    const isOlder = other !== sa && other.establishedAt < sa.createdAt
    const isSame = other.remoteId === sa.remoteId && names.has(tunnelOf(other))
    if (isOlder && isSame && other.state !== 'lingering') endIkeSa(context, other, 'peer-deleted')
  }
}

/** True when we have no other IKE SA to this identity: then we may say INITIAL_CONTACT. */
export function isInitialContact(context: Context, sa: IkeSa): boolean {
  for (const other of context.state.sas.values()) {
    const isLiving = other.state === 'established' || other.state === 'replaced'
    if (other !== sa && isLiving && tunnelOf(other) === tunnelOf(sa)) return false
  }
  return true
}
