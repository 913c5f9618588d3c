// IKEv2 (RFC 7296) without input and output: events and time in, actions out. This file only opens and closes a call;
// every transition lives in the file of its exchange:
//
//   init-initiator  init-responder   IKE_SA_INIT          auth-initiator  auth-responder   IKE_AUTH
//   create-child-initiator, -responder, child-offer, child-answer   CREATE_CHILD_SA for Child SAs
//   rekey-ike       CREATE_CHILD_SA for the IKE SA        informational  delete            INFORMATIONAL
//   receive  requests  responses   a datagram's way       exchange  retransmit  tasks  timers   ids, window, time

import { Reassembly } from '../crypto/reassembly.ts'
import { wipe } from '../crypto/suite.ts'
import type { Address, CryptoResult, Endpoint, IkeDatagram } from '../ports.ts'
import type {
  Action,
  ChildSaId,
  Engine,
  EngineEnvironment,
  IkeSaId,
  IkeSaView,
  PeerConfig,
  Reason,
} from '../sa/contract.ts'
import { activateChild } from './children.ts'
import { clearTunnel, initiateTunnel, renewIkeSa, shutDown } from './commands.ts'
import { continueJob } from './jobs.ts'
import { moveOurselves } from './mobike.ts'
import { followPackets } from './mobility.ts'
import { DEFAULT_OPTIONS, type EngineOptions } from './options.ts'
import { receiveDatagram, releaseHeld } from './receive.ts'
import type { ChildSa, Context, EngineState, IkeSa } from './state.ts'
import { assertBuilt } from './suite.ts'
import { addTask } from './tasks.ts'
import { expireChild, runTasks, saDeadline, tickSa } from './timers.ts'
import { viewOf } from './view.ts'

/** An engine without any SA. Options left out have their defaults (options.ts). */
export function createIkev2Engine(
  environment: EngineEnvironment,
  options: Partial<EngineOptions> = {},
): Engine {
  return new Ikev2Engine(environment, { ...DEFAULT_OPTIONS, ...options })
}

function emptyState(): EngineState {
  return {
    peers: new Map(),
    sas: new Map(),
    bySpi: new Map(),
    byInit: new Map(),
    halfOpen: new Set(),
    children: new Map(),
    sending: new Map(),
    cookies: null,
    reassembly: new Reassembly(),
    clearAnswers: new Map(),
    clearReports: new Map(),
    nextId: 1,
    nextToken: 1,
  }
}

class Ikev2Engine implements Engine {
  readonly #state = emptyState()
  readonly #environment: EngineEnvironment
  #options: EngineOptions

  constructor(environment: EngineEnvironment, options: EngineOptions) {
    this.#environment = environment
    this.#options = options
  }

  /** Runs one event and returns what it led to; SAs whose exchange has ended go on with their tasks. */
  #run(now: number, event: (context: Context) => void): Action[] {
    const context = {
      state: this.#state,
      environment: this.#environment,
      options: this.#options,
      now,
      actions: [],
    }
    event(context)
    for (const sa of this.#state.sas.values()) if (sa.tasks.length > 0) runTasks(context, sa)
    return context.actions
  }

  #withSa(id: IkeSaId, now: number, event: (context: Context, sa: IkeSa) => void): Action[] {
    const sa = this.#state.sas.get(id)
    return sa ? this.#run(now, (context) => event(context, sa)) : []
  }

  #withChild(
    id: ChildSaId,
    now: number,
    event: (context: Context, sa: IkeSa, child: ChildSa) => void,
  ): Action[] {
    const child = this.#state.children.get(id)
    return child ? this.#withSa(child.ikeSa, now, (context, sa) => event(context, sa, child)) : []
  }

  setPeer(peer: PeerConfig): void {
    assertBuilt(peer)
    this.#state.peers.set(peer.tunnel, peer)
  }

  removePeer(tunnel: string, now: number): Action[] {
    return this.#run(now, (context) => {
      this.#state.peers.delete(tunnel)
      clearTunnel(context, tunnel, 'shutdown')
    })
  }

  setCookieThreshold(count: number): void {
    this.#options = { ...this.#options, cookieThreshold: count }
  }

  initiate(tunnel: string, local: Address, now: number): Action[] {
    return this.#run(now, (context) => initiateTunnel(context, tunnel, local))
  }

  receive(datagram: IkeDatagram, now: number): Action[] {
    return this.#run(now, (context) => receiveDatagram(context, datagram))
  }

  computed(ikeSa: IkeSaId, token: number, result: CryptoResult, now: number): Action[] {
    return this.#run(now, (context) => {
      const idle = continueJob(context, ikeSa, token, result)
      if (idle) releaseHeld(context, idle)
    })
  }

  tick(now: number): Action[] {
    return this.#run(now, (context) => {
      this.#state.reassembly.expire(now)
      for (const sa of [...this.#state.sas.values()]) if (saDeadline(context, sa) <= now) tickSa(context, sa)
    })
  }

  deadline(): number {
    const context = { options: this.#options }
    let earliest = Number.POSITIVE_INFINITY
    for (const sa of this.#state.sas.values()) earliest = Math.min(earliest, saDeadline(context, sa))
    return earliest
  }

  activity(child: ChildSaId, now: number): Action[] {
    return this.#withChild(child, now, (context, sa, found) => {
      sa.lastInbound = now
      sa.confirmed = true
      activateChild(context, found)
    })
  }

  sent(child: ChildSaId, now: number): Action[] {
    return this.#withChild(child, now, (_context, sa) => {
      sa.lastOutbound = now
    })
  }

  peerAddress(tunnel: string, remote: Endpoint, now: number): Action[] {
    return this.#run(now, (context) => followPackets(context, tunnel, remote))
  }

  localAddress(tunnel: string, local: Address, now: number): Action[] {
    return this.#run(now, (context) => moveOurselves(context, tunnel, local))
  }

  rekeyChild(child: ChildSaId, now: number): Action[] {
    return this.#withChild(child, now, (_context, sa, found) => {
      addTask(sa, { kind: 'rekey-child', child: found.id, keRounds: 0, group: null })
    })
  }

  expireChild(child: ChildSaId, now: number): Action[] {
    return this.#withChild(child, now, expireChild)
  }

  rekeyIke(ikeSa: IkeSaId, now: number): Action[] {
    return this.#withSa(ikeSa, now, renewIkeSa)
  }

  clear(tunnel: string, reason: Reason, now: number): Action[] {
    return this.#run(now, (context) => clearTunnel(context, tunnel, reason))
  }

  ikeSas(now: number): IkeSaView[] {
    const shown = [...this.#state.sas.values()].filter((sa) => sa.state !== 'lingering')
    return shown.map((sa) => viewOf(sa, now))
  }

  shutdown(now: number): Action[] {
    return this.#run(now, (context) => {
      shutDown(context)
      const { cookies } = this.#state
      wipe(cookies?.current, cookies?.previous)
      this.#state.cookies = null
    })
  }
}
