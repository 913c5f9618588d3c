// What the gateway asks for: start a tunnel, clear it, forget it, stop everything.

import type { Address } from '../ports.ts'
import type { PeerConfig, Reason } from '../sa/contract.ts'
import { dropChild } from './children.ts'
import { act, report } from './context.ts'
import { beginDelete, sendDelete } from './delete.ts'
import { beginInit } from './init-initiator.ts'
import { peerNow, sharesIkeSa } from './peers.ts'
import { abandonExchange, forget, leave, tunnelOf } from './sas.ts'
import type { Context, IkeSa } from './state.ts'
import { addTask } from './tasks.ts'
import { runTasks } from './timers.ts'

/** Starts a tunnel: on an IKE SA that fits it and is up or coming up, else on a new one. */
export function initiateTunnel(context: Context, tunnel: string, local: Address) {
  const peer = context.state.peers.get(tunnel)
  const refusal = whyNot(peer)
  if (!peer || refusal) return refuse(context, tunnel, refusal ?? '')
  if (context.state.sending.has(tunnel)) return
  const sa = fittingSa(context, peer)
  if (!sa) return void beginInit(context, peer, local)
  if (sa.state === 'established') {
    addTask(sa, { kind: 'create-child', tunnel, keRounds: 0, group: null })
    return runTasks(context, sa)
  }
  if (tunnelOf(sa) !== tunnel && !sa.wanted.includes(tunnel)) sa.wanted.push(tunnel)
}

function whyNot(peer: PeerConfig | undefined): string | null {
  if (!peer) return 'no such tunnel with IKEv2'
  if (peer.role === 'responder') return 'its role is responder: the peer has to begin'
  return peer.remote === null ? 'its remote end point is any: the peer has to begin' : null
}

function refuse(context: Context, tunnel: string, why: string): void {
  const text = `the tunnel cannot be started from here: ${why}`
  report(context, { tunnel, level: 'error', code: 'not-initiator', text })
}

/** An IKE SA for equal end points, identities and IKE policy; attempts of the peer do not count. */
function fittingSa(context: Context, peer: PeerConfig): IkeSa | null {
  let coming: IkeSa | null = null
  for (const sa of context.state.sas.values()) {
    if (!sa.peer || !sharesIkeSa(sa.peer, peer)) continue
    if (sa.state === 'established') return sa
    const isComing = sa.role === 'initiator' && (sa.state === 'init' || sa.state === 'auth')
    if (isComing) coming = sa
  }
  return coming
}

/** Ends every SA of the tunnel with Deletes. An IKE SA that other tunnels use stays. */
export function clearTunnel(context: Context, tunnel: string, reason: Reason): void {
  for (const sa of [...context.state.sas.values()]) {
    if (sa.state === 'init' || sa.state === 'auth') clearAttempt(context, sa, tunnel)
    else if (sa.state === 'established') clearSa(context, sa, tunnel, reason)
  }
}

/** An attempt has nothing to delete at the peer that would not time out there. */
function clearAttempt(context: Context, sa: IkeSa, tunnel: string): void {
  sa.wanted = sa.wanted.filter((each) => each !== tunnel)
  if (sa.role !== 'initiator' || tunnelOf(sa) !== tunnel) return
  for (const other of sa.wanted) act(context, { kind: 'failed', tunnel: other, reason: 'no-answer' })
  forget(context, sa)
}

function clearSa(context: Context, sa: IkeSa, tunnel: string, reason: Reason) {
  sa.tasks = sa.tasks.filter((task) => task.kind !== 'create-child' || task.tunnel !== tunnel)
  const isOwn = tunnelOf(sa) === tunnel
  const mine = [...sa.children.values()].filter((child) => child.tunnel === tunnel)
  const others = [...sa.children.values()].filter((child) => child.tunnel !== tunnel)
  if (others.length === 0) {
    if (isOwn || mine.length > 0) beginDelete(context, sa, reason)
    return runTasks(context, sa)
  }
  for (const child of mine) dropChild(context, child, reason)
  const spis = mine.filter((child) => child.state !== 'draining').map((child) => child.spiIn)
  if (spis.length > 0) addTask(sa, { kind: 'delete-child', children: [], spis })
  if (isOwn) sa.peer = context.state.peers.get(others[0].tunnel) ?? sa.peer
  runTasks(context, sa)
}

/** Last words: one Delete per IKE SA, not repeated; every key is wiped. */
export function shutDown(context: Context): void {
  for (const sa of [...context.state.sas.values()]) {
    if (sa.state === 'established' || sa.state === 'fresh') {
      leave(context, sa, 'shutdown')
      abandonExchange(context, sa)
      sendDelete(context, sa)
    }
    forget(context, sa)
  }
}

/** Operator: renew this IKE SA now. */
export function renewIkeSa(context: Context, sa: IkeSa): void {
  if (sa.state !== 'established' || !sa.peer || !peerNow(context, sa.peer)) return
  addTask(sa, { kind: 'rekey-ike', keRounds: 0, group: null })
  runTasks(context, sa)
}
