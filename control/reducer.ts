// The gateway as a reducer: (event, now) -> effects. It joins the IKE engine with the life of the tunnels and
// touches no machine: the gateway performs the effects and reports what came of them as further events.

import type { Config } from './config/model.ts'
import type { Effect, GatewayEvent, TunnelEvent } from './effects.ts'
import { hexSpi, REASONS, renderEndpoint } from './explain.ts'
import { childGates, ikeGates } from './manage/gates.ts'
import type { Address, Endpoint } from './ports.ts'
import type {
  Action,
  Admission,
  Applicant,
  ChildInstall,
  ChildSaId,
  Engine,
  IkeSaId,
  Reason,
  Report,
} from './sa/contract.ts'
import { Lifecycle, type Surroundings } from './tunnel/lifecycle.ts'
import { Members } from './tunnel/members.ts'
import { type Member, memberTunnel } from './tunnel/on-demand.ts'
import { wipePeers } from './tunnel/peer.ts'
import { enter, newTunnel, recordDeath, type Tunnel } from './tunnel/record.ts'
import { Tally } from './tunnel/tally.ts'

export class Reducer {
  readonly tally = new Tally()
  readonly #engine: Engine
  readonly #env: Surroundings
  readonly #life: Lifecycle
  readonly #members: Members
  #tunnels = new Map<string, Tunnel>()
  readonly #tunnelOfChild = new Map<ChildSaId, string>()
  #effects: Effect[] = []
  #stopped = false

  constructor(engine: Engine, env: Surroundings, config: Config) {
    const emit = (effect: Effect) => void this.#effects.push(effect)
    const run = (actions: Action[], now: number) => this.#run(actions, now)
    this.#engine = engine
    this.#env = env
    this.#life = new Lifecycle(config, engine, env, emit, run)
    this.#members = new Members(engine, this.#life, { tunnels: () => this.#tunnels, emit, run })
  }

  get tunnels(): ReadonlyMap<string, Tunnel> {
    return this.#tunnels
  }

  get config(): Config {
    return this.#life.config
  }

  /** The configuration as the machine has it: on-demand tunnels replaced by those of their peers. */
  get machine(): Config {
    return this.#members.machine()
  }

  /** EngineEnvironment.admit: asked by the engine in the middle of an event. */
  admit(template: string, applicant: Applicant, now: number): Admission {
    return this.#members.admit(template, applicant, now)
  }

  /** One event in, everything to be done out, in order. */
  handle(event: GatewayEvent, now: number): Effect[] {
    if (this.#stopped) return []
    this.#effects = []
    this.#dispatch(event, now)
    if (event.kind === 'commit') return this.#effects // nothing begins before the machine is laid out: the next tick
    for (const tunnel of this.#tunnels.values()) if (tunnel.retryAt <= now) this.#life.begin(tunnel, now)
    return this.#effects
  }

  /** Monotonic ms at which a tick is wanted; Infinity when idle. */
  deadline(): number {
    if (this.#stopped) return Number.POSITIVE_INFINITY
    let earliest = this.#engine.deadline()
    for (const tunnel of this.#tunnels.values()) earliest = Math.min(earliest, tunnel.retryAt)
    return earliest
  }

  #dispatch(event: GatewayEvent, now: number) {
    switch (event.kind) {
      case 'commit':
        return this.#commit(event, now)
      case 'datagram':
        return this.#run(this.#engine.receive(event.datagram, now), now)
      case 'computed':
        return this.#run(this.#engine.computed(event.ikeSa, event.token, event.result, now), now)
      case 'tick':
        return this.#run(this.#engine.tick(now), now)
      case 'activity':
        for (const child of event.children) this.#run(this.#engine.activity(child, now), now)
        return
      case 'roam':
        for (const tunnel of this.#tunnels.values()) this.#life.roam(tunnel, now)
        return
      case 'sent':
        for (const child of event.children) this.#run(this.#engine.sent?.(child, now) ?? [], now)
        return
      case 'rekey':
        return this.#run(this.#engine.rekeyChild(event.child, now), now)
      case 'rekey-ike':
        return this.#run(this.#engine.rekeyIke(event.ikeSa, now), now)
      case 'shutdown':
        return this.#shutdown(now)
      default:
        return this.#tunnelEvent(event, now)
    }
  }

  #tunnelEvent(event: TunnelEvent, now: number) {
    const tunnel = this.#tunnels.get(event.tunnel)
    if (tunnel === undefined) return
    switch (event.kind) {
      case 'resolved':
        return this.#life.resolved(tunnel, event.addresses, now)
      case 'acquire':
        return this.#life.acquire(tunnel, now)
      case 'clear':
        for (const each of this.#meant(tunnel)) this.#life.clear(each, 'cleared', now)
        return
      case 'refused':
        return this.#life.refused(tunnel, event.text, now)
      case 'sa-expired':
        return this.#life.expired(tunnel, event.child, now)
      case 'peer-address':
        return this.#run(this.#engine.peerAddress?.(event.tunnel, event.remote, now) ?? [], now)
      case 'asp':
        return this.#life.asp(tunnel, event.up, now)
    }
  }

  /** Who names an on-demand tunnel means its peers. */
  #meant(tunnel: Tunnel): Tunnel[] {
    const { kind, name } = tunnel.config
    return kind === 'on-demand' && tunnel.member === null ? this.#members.of(name) : [tunnel]
  }

  // Changed tunnels end under the old machine, then the machine changes, then the new ones begin.
  #commit(event: Extract<GatewayEvent, { kind: 'commit' }>, now: number) {
    const old = this.#tunnels
    const stays = ({ config, member }: Tunnel) => event.keep.has(member?.template ?? config.name)
    this.#members.together(() => {
      for (const tunnel of old.values()) if (!stays(tunnel)) this.#life.retire(tunnel, now)
    })
    const templates = this.#life.peers
    this.#life.config = event.config
    this.#life.peers = event.peers
    this.#engine.setCookieThreshold?.(event.config.cookieThreshold)
    this.#tunnels = new Map()
    for (const wanted of event.config.tunnels.values()) {
      const kept = event.keep.has(wanted.name) ? old.get(wanted.name) : undefined
      if (kept !== undefined) kept.config = wanted
      this.#tunnels.set(wanted.name, kept ?? startingTunnel(wanted, now))
    }
    for (const tunnel of old.values()) if (tunnel.member !== null && stays(tunnel)) this.#keepMember(tunnel)
    this.#effects.push({ kind: 'machine', config: this.#members.machine() })
    for (const tunnel of this.#tunnels.values())
      if (old.has(tunnel.config.name) && stays(tunnel)) this.#life.offer(tunnel)
    for (const name of old.keys()) if (!this.#tunnels.has(name)) this.tally.forget(name)
    wipePeers(templates.values())
  }

  #keepMember(tunnel: Tunnel) {
    const member = tunnel.member as Member
    const template = this.config.tunnels.get(member.template) as Tunnel['config']
    tunnel.config = memberTunnel(template, member)
    this.#tunnels.set(tunnel.config.name, tunnel)
  }

  #shutdown(now: number) {
    for (const tunnel of this.#tunnels.values()) tunnel.config = { ...tunnel.config, shutdown: true }
    this.#members.together(() => {
      this.#run(this.#engine.shutdown(now), now)
      for (const tunnel of this.#tunnels.values()) this.#life.retire(tunnel, now)
    })
    wipePeers(this.#life.peers.values())
    this.#stopped = true
  }

  // ---- actions of the engine

  #run(actions: Action[], now: number) {
    for (const action of actions) this.#action(action, now)
  }

  #action(action: Action, now: number) {
    switch (action.kind) {
      case 'compute':
        this.tally.add('public_key_jobs', { kind: action.job.kind })
        this.#effects.push(action)
        return
      case 'send':
      case 'keepalive':
        this.#effects.push(action)
        return
      case 'drop':
        this.#effects.push({ kind: 'drop', reason: action.reason })
        return
      case 'install':
        return this.#install(action.child, now)
      case 'activate':
        return this.#activate(action.child, now)
      case 'remove':
        return this.#remove(action.child, action.reason, now)
      case 'report':
        return this.#life.reported(this.#concerned(action.report), action.report)
      case 'failed':
        return this.#failed(action.tunnel, action.reason, now)
      default:
        return this.#ikeAction(action, now)
    }
  }

  /** The tunnel that a report names; before the engine knows which one is meant, those to that peer. */
  #concerned({ tunnel, peer }: Report): Tunnel[] {
    const named = this.#tunnels.get(tunnel ?? '')
    if (named !== undefined || tunnel !== null) return named === undefined ? [] : [named]
    const all = [...this.#tunnels.values()]
    const known = all.filter((each) => each.remote !== null && each.remote === peer?.address)
    const templates = all.filter(({ config, member }) => config.kind === 'on-demand' && member === null)
    return known.length > 0 ? known : templates
  }

  #ikeAction(
    action: Extract<Action, { kind: 'ike-up' | 'ike-down' | 'ike-rekeyed' | 'moved' }>,
    now: number,
  ) {
    const { tunnel } = action
    const record = this.#tunnels.get(tunnel)
    switch (action.kind) {
      case 'ike-up':
        if (record !== undefined) this.#members.ikeUp(record, action.ikeSa)
        this.tally.add('ike_sa_setups', { tunnel })
        this.#gatedIke(tunnel, action.ikeSa, now)
        return this.#life.log('info', 'IKE SA up', { tunnel, ikeSa: action.ikeSa })
      case 'ike-rekeyed':
        this.#effects.push({ kind: 'inherit', from: action.from, to: action.to })
        if (record !== undefined) this.#members.inherited(record, action.from, action.to)
        this.tally.add('ike_sa_rekeys', { tunnel })
        this.#gatedIke(tunnel, action.to, now)
        return this.#life.log('info', 'IKE SA rekeyed', { tunnel, ikeSa: action.to })
      case 'moved':
        this.#effects.push(action)
        return this.#logMoved(tunnel, action.local, action.remote)
      case 'ike-down':
        return this.#ikeDown(tunnel, action.ikeSa, action.reason, now)
    }
  }

  /** Behind a NAT only the peer moves; with MOBIKE the end that began may. */
  #logMoved(tunnel: string, local: Address | undefined, end: Endpoint) {
    const remote = renderEndpoint(end)
    if (local === undefined) this.#life.log('info', 'the peer moved', { tunnel, remote })
    else this.#life.log('info', 'the path of the tunnel changed', { tunnel, local, remote })
  }

  #ikeDown(name: string, ikeSa: number, reason: Reason, now: number) {
    const tunnel = this.#tunnels.get(name)
    if (tunnel) recordDeath(tunnel, { kind: 'ike', id: ikeSa, reason, at: this.#env.wall() })
    this.#life.log('info', `IKE SA down: ${REASONS[reason].meaning}`, { tunnel: name, reason, ikeSa })
    this.tally.add('sa_ends', { tunnel: name, kind: 'ike', reason })
    if (tunnel) this.#members.ikeDown(tunnel, ikeSa, now)
  }

  #install(child: ChildInstall, now: number) {
    const tunnel = this.#tunnels.get(child.tunnel)
    if (tunnel?.member && !this.#members.prepare(tunnel, child, now)) return
    this.#effects.push({ kind: 'install', child })
    this.#tunnelOfChild.set(child.child, child.tunnel)
    if (tunnel === undefined) return
    tunnel.children.set(child.child, false)
    tunnel.local = child.local
    tunnel.encapsulation = child.encapsulation
    this.#logInstall(child)
    if (child.activateOutbound) this.#sends(tunnel, child.child, now)
  }

  #logInstall(child: ChildInstall) {
    const { tunnel, encapsulation, ikeSa } = child
    const suite = `${child.cipher}${child.integrity === null ? '' : ` ${child.integrity}`}`
    const spis = { spiIn: hexSpi(child.spiIn), spiOut: hexSpi(child.spiOut) }
    const what = child.replaces === null ? 'Child SA installed' : 'Child SA rekeyed'
    this.#life.log('info', what, { tunnel, ...spis, suite, encapsulation, ikeSa })
    this.tally.add(child.replaces === null ? 'child_sa_setups' : 'child_sa_rekeys', { tunnel })
    this.#gated(tunnel, childGates(child))
  }

  /** An IKE SA with weak cryptography is as loud as a Child SA (config language §5). */
  #gatedIke(tunnel: string, ikeSa: IkeSaId, now: number) {
    if (!this.config.legacyCrypto && this.config.insecureCrypto === null) return
    const sa = this.#engine.ikeSas(now).find(({ id }) => id === ikeSa)
    if (sa !== undefined) this.#gated(tunnel, ikeGates(sa))
  }

  #gated(tunnel: string, gates: string[]) {
    if (gates.length === 0) return
    for (const [gate, ...item] of gates.map((each) => each.split(' ')))
      this.tally.add('gated_sa_setups', { gate, item: item.join(' ') })
    const why = this.config.insecureCrypto === null ? {} : { permittedFor: this.config.insecureCrypto }
    this.#life.log('warning', `weak cryptography in use: ${gates.join(', ')}`, {
      tunnel,
      reason: 'gated',
      ...why,
    })
  }

  #activate(child: ChildSaId, now: number) {
    const tunnel = this.#tunnels.get(this.#tunnelOfChild.get(child) ?? '')
    this.#effects.push({ kind: 'activate', child })
    if (tunnel !== undefined) this.#sends(tunnel, child, now)
  }

  #sends(tunnel: Tunnel, child: ChildSaId, now: number) {
    tunnel.children.set(child, true)
    if (tunnel.phase !== 'up') this.tally.add('tunnel_ups', { tunnel: tunnel.config.name })
    this.#life.up(tunnel, now)
  }

  #remove(child: ChildSaId, reason: Reason | 'replaced', now: number) {
    const tunnel = this.#tunnels.get(this.#tunnelOfChild.get(child) ?? '')
    this.#tunnelOfChild.delete(child)
    this.#effects.push({ kind: 'remove', child })
    if (tunnel === undefined || !tunnel.children.delete(child)) return
    recordDeath(tunnel, { kind: 'child', id: child, reason, at: this.#env.wall() })
    this.tally.add('sa_ends', { tunnel: tunnel.config.name, kind: 'child', reason })
    this.#life.log('debug', 'Child SA removed', { tunnel: tunnel.config.name, reason, child })
    if (reason !== 'replaced' && ![...tunnel.children.values()].includes(true))
      this.#life.down(tunnel, reason, now)
  }

  #failed(name: string, reason: Reason, now: number) {
    const tunnel = this.#tunnels.get(name)
    if (tunnel !== undefined) this.tally.add('negotiation_failures', { tunnel: name, reason })
    if (tunnel?.phase === 'negotiating') this.#life.fail(tunnel, reason, now)
  }
}

function startingTunnel(config: Tunnel['config'], now: number): Tunnel {
  const tunnel = newTunnel(config, now)
  enter(tunnel, 'waiting', now)
  tunnel.retryAt = now
  return tunnel
}
