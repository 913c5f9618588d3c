// Ends of the path that change or must not be forgotten (RFC 7296 §2.23, RFC 3948 §4): a peer behind a NAT is followed
// to where its authentic packets come from, and our own NAT is kept from forgetting us.

import type { Endpoint } from '../ports.ts'
import { act, sameEndpoint } from './context.ts'
import { tunnelOf } from './sas.ts'
import type { Context, IkeSa } from './state.ts'

/**
 * May an authentic, new message or packet from `remote` move the peer? Only one that is behind a NAT, and only if we are
 * not behind one ourselves: whoever forwards such packets from elsewhere would redirect the tunnel (§2.23).
 */
export function mayFollow(context: Context, sa: IkeSa, remote: Endpoint): boolean {
  if (sa.state !== 'established' || sameEndpoint(sa.remote, remote)) return false
  const isOursFree = !sa.nat.local || sa.peer?.natTraversal === 'force'
  return sa.nat.remote && isOursFree && context.now - sa.movedAt >= context.options.moveMs
}

/** The peer is at `remote` now, IKE and protected packets alike: its NAT maps one port for both. */
export function follow(context: Context, sa: IkeSa, local: Endpoint, remote: Endpoint): void {
  sa.local = local
  sa.remote = remote
  sa.movedAt = context.now
  act(context, { kind: 'moved', ikeSa: sa.id, tunnel: tunnelOf(sa), remote })
}

/** The card saw an authentic packet of the tunnel, in its replay window, from a new endpoint. */
export function followPackets(context: Context, tunnel: string, remote: Endpoint): void {
  if (remote.port === 0) return // native ESP passes no NAT that maps ports
  for (const sa of context.state.sas.values()) {
    const isCarrier = [...sa.children.values()].some((child) => child.tunnel === tunnel)
    if (isCarrier && mayFollow(context, sa, remote)) follow(context, sa, sa.local, remote)
  }
}

/** When our NAT has to be reminded, monotonic ms: only behind one, only on the port that floats (RFC 3948 §4). */
export function keepaliveAt({ options }: Pick<Context, 'options'>, sa: IkeSa): number {
  const isNeeded = sa.state === 'established' && sa.nat.local && sa.local.port !== options.ikePort
  if (!isNeeded) return Number.POSITIVE_INFINITY
  const chosen = sa.peer?.natKeepalive
  return sa.lastOutbound + (chosen === undefined ? options.keepaliveMs : chosen * 1000)
}

/** One byte, no IKE message, no answer (RFC 3948 §2.3). */
export function keepAlive(context: Context, sa: IkeSa): void {
  sa.lastOutbound = context.now
  act(context, { kind: 'keepalive', local: sa.local, remote: sa.remote })
}
