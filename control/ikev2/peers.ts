// Which tunnel is meant: by end points at IKE_SA_INIT, by identities at IKE_AUTH, by selectors at a Child SA.

import { equalSecrets } from '../crypto/suite.ts'
import type { Address, Endpoint } from '../ports.ts'
import type { PeerConfig } from '../sa/contract.ts'
import type { Context, IkeSa } from './state.ts'

/** Tunnels that may answer a request between these end points, in order of configuration. */
export function candidatesFor(context: Context, local: Address, remote: Endpoint): PeerConfig[] {
  const fitting = [...context.state.peers.values()].filter(
    (peer) =>
      peer.template === undefined && // those are reached through their template, which knows them by identity
      peer.role !== 'initiator' &&
      (peer.local === 'any' || peer.local === local) &&
      (peer.remote === null || peer.remote.address === remote.address),
  )
  return fitting.map((peer) => atEndPoint(peer, local))
}

/** An on-demand tunnel at any address of ours, with that address as its identity: now it is known. */
function atEndPoint(peer: PeerConfig, local: Address): PeerConfig {
  const { localId } = peer
  const isOpen = peer.local === 'any' && localId.kind === 'address' && localId.value === UNSPECIFIED
  return isOpen ? { ...peer, localId: { kind: 'address', value: local } } : peer
}

const UNSPECIFIED = '0.0.0.0'

/** A configuration is replaced, never changed: its shape is spelled out once, however many tunnels are compared. */
const shapes = new WeakMap<PeerConfig, string>()

function shape(peer: PeerConfig): string {
  let known = shapes.get(peer)
  if (known === undefined) {
    known = spellOut(peer)
    shapes.set(peer, known)
  }
  return known
}

const spellOut = (peer: PeerConfig) =>
  JSON.stringify([
    peer.local,
    peer.remote,
    peer.localId,
    peer.remoteId,
    peer.localAuth,
    peer.remoteAuth,
    peer.ikeProposals,
    peer.natTraversal,
    peer.natTPort,
    peer.role,
    peer.dpd,
    peer.mobike,
    peer.ppk?.id,
    peer.ppk?.required,
  ])

const sameSecret = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === null || b === null ? a === b : equalSecrets(a, b)

/** Equal end points, identities and IKE policy: such tunnels share one IKE SA. */
export function sharesIkeSa(a: PeerConfig, b: PeerConfig): boolean {
  return (
    shape(a) === shape(b) &&
    sameSecret(a.localPsk, b.localPsk) &&
    sameSecret(a.remotePsk, b.remotePsk) &&
    sameSecret(a.ppk?.key ?? null, b.ppk?.key ?? null) &&
    (a.certificate?.key ?? null) === (b.certificate?.key ?? null)
  )
}

/** The configuration as it is now; the one that authenticated the SA when the tunnel is gone. */
export function peerNow(context: Context, peer: PeerConfig): PeerConfig {
  return context.state.peers.get(peer.tunnel) ?? peer
}

/** Tunnels whose Child SAs may live on this IKE SA; its own first. */
export function tunnelsOn(context: Context, sa: IkeSa): PeerConfig[] {
  if (!sa.peer) return []
  const own = sa.peer
  if (own.template !== undefined) return [peerNow(context, own)]
  const others = [...context.state.peers.values()].filter(
    (peer) => peer.tunnel !== own.tunnel && sharesIkeSa(peer, own),
  )
  return [peerNow(context, own), ...others]
}
