// The life of one tunnel, one transition a function:
//
//   waiting -> resolving | negotiating | idle | shutdown | up (manual)   begin
//   negotiating -> waiting                                              fail
//   any -> up                                                           up
//   up -> waiting                                                       down
//
// A tunnel that is wanted and not up is always in one of three places: an attempt runs, a time is set for the
// next one, or an event of the peer or of the card is awaited. It is never given up.

import { addressFamily } from '../address.ts'
import type { Config, TunnelConfig } from '../config/model.ts'
import type { Effect } from '../effects.ts'
import { REASONS, renderReport } from '../explain.ts'
import type { Address, Endpoint, LogFields, LogLevel } from '../ports.ts'
import type { Action, ChildSaId, Engine, PeerConfig, Reason, Report } from '../sa/contract.ts'
import { backoff } from './backoff.ts'
import type { Member } from './on-demand.ts'
import { finishMember, finishPeer, type PeerTemplate } from './peer.ts'
import { deviceOf } from './plan.ts'
import { enter, recordDeath, recordReport, type Tunnel } from './record.ts'

/** What the control plane may ask while it decides; all synchronous. */
export type Surroundings = {
  random(length: number): Uint8Array
  /** wall clock, ms since 1970 */
  wall(): number
  /** source address towards remote, null without a route */
  sourceFor(remote: Address): Address | null
  /** whether the host's route to remote leads into the tunnel's own device */
  recursive(remote: Address, device: string): boolean
  /** whether the ASP that carries the tunnel works */
  aspUp(tunnel: string): boolean
}

/** The kernel's source address is not known before the peer has come. */
function localOf({ local }: TunnelConfig): Address {
  return local === undefined || local === 'any' ? UNSPECIFIED : local
}

const UNSPECIFIED = '0.0.0.0'
/** What the next look at the kernel's routes may end. */
const ROUTE_REASONS: ReadonlySet<Reason> = new Set(['no-route', 'recursive-route'])
/** An attempt that reports neither success nor failure is begun again: longer than any honest one takes. */
const NEGOTIATING_LIMIT_MS = 120_000
const RESOLVING_LIMIT_MS = 30_000
/** Up for this long, a tunnel counts as healthy and its next failure starts the backoff anew. */
const HELD_LONG_ENOUGH_MS = 10_000

export class Lifecycle {
  config: Config
  peers = new Map<string, PeerTemplate>()
  readonly #engine: Engine
  readonly #env: Surroundings
  readonly #emit: (effect: Effect) => void
  readonly #run: (actions: Action[], now: number) => void

  constructor(
    config: Config,
    engine: Engine,
    env: Surroundings,
    emit: (effect: Effect) => void,
    run: (actions: Action[], now: number) => void,
  ) {
    this.config = config
    this.#engine = engine
    this.#env = env
    this.#emit = emit
    this.#run = run
  }

  // ---- waiting -> ...

  begin(tunnel: Tunnel, now: number) {
    const { config } = tunnel
    if (config.shutdown) return this.#rest(tunnel, 'shutdown', 'shutdown', now)
    if (config.mode === 'circuit' && config.bind === undefined)
      return this.#rest(tunnel, 'idle', 'not-bound', now)
    if (config.kind === 'on-demand') return this.#await(tunnel, now)
    if (!this.#env.aspUp(config.name)) return this.fail(tunnel, 'no-asp', now)
    if (config.remote === undefined) return this.#rest(tunnel, 'idle', null, now)
    if (addressFamily(config.remote) !== null) return this.#reach(tunnel, config.remote, now)
    enter(tunnel, 'resolving', now)
    tunnel.retryAt = now + RESOLVING_LIMIT_MS
    this.#emit({ kind: 'resolve', tunnel: config.name, name: config.remote })
  }

  /** On-demand: the peers begin, each for itself. */
  #await(tunnel: Tunnel, now: number) {
    this.offer(tunnel)
    this.#rest(tunnel, 'idle', null, now)
  }

  resolved(tunnel: Tunnel, addresses: Address[], now: number) {
    if (tunnel.phase !== 'resolving') return
    const reachable = addresses.find((address) => this.#env.sourceFor(address) !== null) ?? addresses[0]
    if (reachable !== undefined) return this.#reach(tunnel, reachable, now)
    this.#report(tunnel, 'no-route', `the name ${tunnel.config.remote} does not resolve to an address`)
    this.fail(tunnel, 'no-route', now)
  }

  /** The peer's address is known: is there a way, and who starts? */
  #reach(tunnel: Tunnel, remote: Address, now: number) {
    const { config } = tunnel
    const source = this.#env.sourceFor(remote)
    if (source === null) return this.#noRoute(tunnel, remote, now)
    if (this.#env.recursive(remote, deviceOf(config))) return this.#recursive(tunnel, remote, now)
    tunnel.remote = remote
    tunnel.local = config.local === undefined || config.local === 'any' ? source : config.local
    if (config.kind === 'manual') return this.#loadManual(tunnel, tunnel.local, remote, now)
    this.offer(tunnel)
    if (!this.#mayInitiate(tunnel)) return this.#rest(tunnel, 'idle', null, now)
    enter(tunnel, 'negotiating', now)
    tunnel.retryAt = now + NEGOTIATING_LIMIT_MS
    tunnel.triggered = false
    this.#run(this.#engine.initiate(config.name, tunnel.local, now), now)
  }

  /** A tunnel that may move and names no address of ours: is the kernel's source another one by now? (RFC 4555 §3.5) */
  roam(tunnel: Tunnel, now: number) {
    const { config, local, remote } = tunnel
    const isFixed = config.local !== undefined && config.local !== 'any'
    const isMobile = this.config.ikePolicies.get(config.ikePolicy ?? '')?.mobike === true
    if (tunnel.phase !== 'up' || isFixed || !isMobile || remote === null) return
    const source = this.#env.sourceFor(remote)
    if (source === null || source === local) return
    tunnel.local = source
    this.#run(this.#engine.localAddress?.(config.name, source, now) ?? [], now)
  }

  #mayInitiate(tunnel: Tunnel): boolean {
    const policy = this.config.ikePolicies.get(tunnel.config.ikePolicy ?? '')
    if (policy?.role === 'responder') return false
    return tunnel.config.start === 'immediate' || tunnel.triggered
  }

  /** Tells the engine the tunnel's present end points and parameters; from now on it also answers the peer. */
  offer(tunnel: Tunnel) {
    const { config, member } = tunnel
    if (member !== null) return this.#engine.setPeer(this.memberPeer(tunnel, member))
    const template = this.peers.get(config.name)
    if (config.kind === 'on-demand' && template !== undefined)
      return this.#engine.setPeer(finishPeer(template, localOf(config), null))
    if (template === undefined || tunnel.local === null || tunnel.remote === null) return
    const remote = { address: tunnel.remote, port: this.config.ikePort }
    this.#engine.setPeer(finishPeer(template, tunnel.local, remote))
  }

  /** What the engine needs for an accepted peer. The template is there as long as it has members. */
  memberPeer(tunnel: Tunnel, member: Member): PeerConfig {
    return finishMember(this.peers.get(member.template) as PeerTemplate, tunnel.config.name, member)
  }

  #loadManual(tunnel: Tunnel, local: Address, address: Address, now: number) {
    const { name, natTraversal } = tunnel.config
    const forced = natTraversal === 'force'
    const encapsulation = forced ? ('udp' as const) : ('raw' as const)
    const remote: Endpoint = { address, port: forced ? this.config.natTPort : 0 }
    this.#emit({ kind: 'end-points', tunnel: name, local, remote, encapsulation })
    this.#emit({ kind: 'load-manual', tunnel: name })
    tunnel.encapsulation = encapsulation
    this.up(tunnel, now)
  }

  /** The first packet of a tunnel with `start traffic`. */
  acquire(tunnel: Tunnel, now: number) {
    if (tunnel.config.start !== 'traffic' || tunnel.phase !== 'idle') return
    tunnel.triggered = true
    tunnel.retryAt = now
  }

  // ---- any -> up

  up(tunnel: Tunnel, now: number) {
    if (tunnel.phase === 'up') return
    enter(tunnel, 'up', now)
    this.#emit({ kind: 'carrier', tunnel: tunnel.config.name, up: true })
    this.log('info', 'tunnel up', { tunnel: tunnel.config.name })
  }

  // ---- up -> waiting

  /** Any other phase keeps its plan. */
  down(tunnel: Tunnel, reason: Reason, now: number) {
    if (tunnel.phase !== 'up') return
    if (now - tunnel.since >= HELD_LONG_ENOUGH_MS) tunnel.failures = 0
    tunnel.encapsulation = null
    this.#emit({ kind: 'carrier', tunnel: tunnel.config.name, up: false })
    this.log('warning', `tunnel down: ${REASONS[reason].meaning}`, { tunnel: tunnel.config.name, reason })
    if (tunnel.member !== null) return this.#rest(tunnel, 'idle', reason, now)
    this.#retry(tunnel, reason, now)
  }

  /** A cleared, dead or expired tunnel is tried at once; one that the peer took down or that flaps, after a pause. */
  #retry(tunnel: Tunnel, reason: Reason, now: number) {
    const healthy = (reason === 'peer-dead' || reason === 'expired') && tunnel.failures === 0
    const atOnce = reason === 'cleared' || healthy
    tunnel.failures += atOnce ? 0 : 1
    tunnel.reason = reason
    enter(tunnel, 'waiting', now)
    tunnel.retryAt = atOnce ? now : now + backoff(tunnel.failures, this.#env.random(1)[0])
  }

  // ---- negotiating -> waiting

  fail(tunnel: Tunnel, reason: Reason, now: number) {
    const changed = tunnel.reason !== reason
    tunnel.failures += 1
    tunnel.reason = reason
    enter(tunnel, 'waiting', now)
    const wait = backoff(tunnel.failures, this.#env.random(1)[0], ROUTE_REASONS.has(reason))
    tunnel.retryAt = now + wait
    const text = `${REASONS[reason].meaning}; next attempt in ${(wait / 1000).toFixed(1)} s`
    this.log(changed ? 'warning' : 'debug', text, {
      tunnel: tunnel.config.name,
      reason,
      failures: tunnel.failures,
    })
  }

  #noRoute(tunnel: Tunnel, remote: Address, now: number) {
    if (tunnel.reason !== 'no-route') this.#report(tunnel, 'no-route', `the host has no route to ${remote}`)
    this.fail(tunnel, 'no-route', now)
  }

  /** Outer packets would come back into the tunnel for ever. */
  #recursive(tunnel: Tunnel, remote: Address, now: number) {
    const text = `the route to ${remote} leads into ${deviceOf(tunnel.config)}, the tunnel itself`
    if (tunnel.reason !== 'recursive-route') this.#report(tunnel, 'recursive-route', text)
    this.fail(tunnel, 'recursive-route', now)
  }

  #rest(tunnel: Tunnel, phase: 'idle' | 'shutdown', reason: Reason | null, now: number) {
    tunnel.reason = reason ?? (tunnel.failures > 0 ? tunnel.reason : null)
    enter(tunnel, phase, now)
  }

  // ---- ended from here

  /** Ends what the tunnel has and starts anew. */
  clear(tunnel: Tunnel, reason: Reason, now: number) {
    if (tunnel.config.kind === 'manual') this.#unloadManual(tunnel, reason, now)
    else this.#run(this.#engine.clear(tunnel.config.name, reason, now), now)
    if (tunnel.phase === 'negotiating' || tunnel.phase === 'waiting') this.#retry(tunnel, reason, now)
  }

  #unloadManual(tunnel: Tunnel, reason: Reason, now: number) {
    this.#emit({ kind: 'unload-manual', tunnel: tunnel.config.name })
    if (tunnel.phase === 'up') recordDeath(tunnel, { kind: 'manual', id: 0, reason, at: this.#env.wall() })
    this.down(tunnel, reason, now)
  }

  /** Deleted or changed by configuration: Deletes to the peer, SAs out of the card. */
  retire(tunnel: Tunnel, now: number) {
    const { name, kind } = tunnel.config
    if (kind === 'manual') this.#emit({ kind: 'unload-manual', tunnel: name })
    else this.#run(this.#engine.removePeer(name, now), now)
    if (tunnel.phase === 'up') this.#emit({ kind: 'carrier', tunnel: name, up: false })
    this.#rest(tunnel, 'shutdown', 'shutdown', now)
  }

  /** The card refused an SA: give up this attempt and try again later. */
  refused(tunnel: Tunnel, text: string, now: number) {
    this.#report(tunnel, 'no-asp', `the card refused the SA: ${text}`)
    this.clear(tunnel, 'no-asp', now)
  }

  /** Hard limit: the card has stopped the SA already, the peer is told and a new one is made. */
  expired(tunnel: Tunnel, child: ChildSaId | null, now: number) {
    if (child !== null) return this.#run(this.#engine.expireChild(child, now), now)
    if (tunnel.phase !== 'up') return
    this.#report(
      tunnel,
      'expired',
      'the manual key reached 1 GiB, the limit of a 64-bit cipher: change the keys',
    )
    this.#unloadManual(tunnel, 'expired', now)
    this.#rest(tunnel, 'idle', 'expired', now)
  }

  /** A reset ASP has lost its SAs: never again the same key with restarted numbers, so IKE makes new ones. */
  asp(tunnel: Tunnel, up: boolean, now: number) {
    if (tunnel.phase === 'shutdown') return
    if (!up) this.clear(tunnel, 'no-asp', now)
    else if (tunnel.phase === 'waiting') tunnel.retryAt = now
  }

  // ---- words

  /** Keeps the report with the tunnels it concerns and writes its line; a mere repetition is for those who debug. */
  reported(tunnels: Tunnel[], report: Report) {
    const at = this.#env.wall()
    const news = tunnels.map((tunnel) => recordReport(tunnel, report, at))
    for (const tunnel of tunnels) if (tunnel.member !== null) this.#noteReason(tunnel, report.code)
    const repeats = news.length > 0 && !news.includes(true)
    const names = tunnels.map(({ config }) => config.name).join(' ') || report.tunnel
    const fields = { ...(names === null ? {} : { tunnel: names }), reason: report.code }
    this.log(repeats ? 'debug' : report.level, renderReport(report), fields)
  }

  /** An accepted peer is never retried from here, so the report is all that says why its tunnel is not up. */
  #noteReason(tunnel: Tunnel, code: string) {
    if (tunnel.phase === 'idle' && Object.hasOwn(REASONS, code)) tunnel.reason = code as Reason
  }

  #report(tunnel: Tunnel, code: Reason, text: string) {
    const { name } = tunnel.config
    this.reported([tunnel], { tunnel: name, level: 'warning', code, text, advice: REASONS[code].advice })
  }

  log(level: LogLevel, message: string, fields: LogFields) {
    this.#emit({ kind: 'log', level, message, fields })
  }
}
