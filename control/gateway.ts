// One gateway: the reducer decides, this file performs. It owns the order of things (one event at a time, its
// effects in order, then the next), the one timer, and what outlives a reload.
//
// `asegate run`, the in-process lab and the tests use it alike; only the ports differ.

import { CardEvents } from './card-events.ts'
import type { CheckResult, Config, Finding } from './config/model.ts'
import type { GatewayEvent } from './effects.ts'
import { Executor } from './executor.ts'
import { createIkev2Engine } from './ikev2/engine.ts'
import { AlarmWatch } from './manage/alarm-watch.ts'
import { Commits } from './manage/commits.ts'
import { CommandError } from './manage/error.ts'
import { type Answer, execute } from './manage/exec.ts'
import type { MemoryLog } from './manage/log.ts'
import type {
  Card,
  Clock,
  CryptoJobs,
  Entropy,
  Files,
  PacketTrace,
  Resolver,
  Routes,
  Sockets,
} from './ports.ts'
import { Reducer } from './reducer.ts'
import type { ChildSaId, Engine, EngineEnvironment, IkeSaId, IkeSaView } from './sa/contract.ts'
import { Changes, keptTunnels, type ReloadResult } from './tunnel/changes.ts'
import { Dataplane, messageOf } from './tunnel/dataplane.ts'
import { manualSpis } from './tunnel/manual.ts'
import { buildPeers, suitesOf } from './tunnel/peer.ts'
import { SpiAllocator } from './tunnel/spi.ts'
import type { Tally } from './tunnel/tally.ts'

/** The machine, and the log. `log` keeps the ring that `show log` prints. */
export type GatewayPorts = {
  card: Card
  sockets: Sockets
  routes: Routes
  clock: Clock
  entropy: Entropy
  cryptoJobs: CryptoJobs
  files: Files
  resolver: Resolver
  log: MemoryLog
}

export type GatewayOptions = {
  version: string
  node: string
  /** reads and checks a configuration file, for plan */
  load?: (file: string) => CheckResult
  /** a configuration took effect after the first one */
  committed?: () => void
  /** counters of the machine itself, by name, for show counters drop */
  counters?: () => Record<string, number>
  /** another engine for tests; IKEv2 otherwise */
  createEngine?: (environment: EngineEnvironment, config: Config) => Engine
}

/** How often the inbound counters of SAs are read: while a rekeyed SA waits for its first packet, and else. */
const WATCH_SWITCH_MS = 100
const WATCH_TRAFFIC_MS = 2_000
/** `trace packet` answers after this long with what it has. */
const TRACE_MS = 10_000

export class Gateway {
  readonly ports: GatewayPorts
  readonly options: GatewayOptions
  readonly dataplane: Dataplane
  /** card counters at the last `clear counters` */
  readonly baseline = new Map<string, bigint>()
  readonly alarms: AlarmWatch
  readonly commits = new Commits(this)
  readonly #engine: Engine
  readonly #reducer: Reducer
  readonly #spis: SpiAllocator
  readonly #executor: Executor
  readonly #queue: GatewayEvent[] = []
  readonly #changes: Changes
  #startedAt: number | null = null
  #working = false
  #stopped = false
  #watchAt = Number.POSITIVE_INFINITY
  #traceWaits: { at: number; done: () => void }[] = []

  constructor(ports: GatewayPorts, config: Config, options: GatewayOptions) {
    this.ports = ports
    this.options = options
    this.#spis = new SpiAllocator(ports.entropy, manualSpis(config))
    this.#engine = (options.createEngine ?? defaultEngine)(this.#engineEnvironment(), config)
    this.#changes = new Changes(ports.files, config)
    this.#reducer = new Reducer(this.#engine, this.#surroundings(), config)
    this.dataplane = new Dataplane(ports.card, ports.routes, ports.log, (tunnel) =>
      suitesOf(this.config, tunnel),
    )
    this.alarms = new AlarmWatch(this)
    this.#executor = new Executor(ports, this.dataplane, this.#spis, {
      config: () => this.config,
      submit: (event) => this.#submit(event),
      installed: () => this.#watchSoon(),
    })
  }

  get stopped(): boolean {
    return this.#stopped
  }

  get config(): Config {
    return this.#reducer.config
  }

  /** The configuration as the machine has it: on-demand tunnels replaced by those of their peers. */
  get machineConfig(): Config {
    return this.#reducer.machine
  }

  /** IKE datagrams that changed nothing, by reason. */
  get ikeDrops(): ReadonlyMap<string, bigint> {
    return this.#executor.drops
  }

  /** What happened since the start. */
  get tally(): Tally {
    return this.#reducer.tally
  }

  /** Wall clock of start(), ms since 1970; null before. */
  get startedAt(): number | null {
    return this.#startedAt
  }

  get tunnels() {
    return this.#reducer.tunnels
  }

  now(): number {
    return this.ports.clock.now()
  }

  ikeSas(): IkeSaView[] {
    return this.#engine.ikeSas(this.now())
  }

  // ---- life

  /** Commits the configuration and begins. Throws ConfigError or a sentence when the machine refuses. */
  start() {
    const { card, sockets, routes, log } = this.ports
    for (const finding of routes.hostFindings()) log.log('warning', finding, { reason: 'host' })
    const events = new CardEvents(this.ports, this.dataplane, {
      submit: (event) => this.#submit(event),
      changed: () => this.#alarm(),
    })
    card.onEvent((event) => events.take(event))
    routes.onChange?.(() => this.#machineChanged())
    sockets.onDatagram((datagram) => this.#submit({ kind: 'datagram', datagram }))
    this.#watchAt = this.now() + WATCH_TRAFFIC_MS
    this.#commit(this.config, new Set())
    this.#alarm()
    this.#startedAt = this.ports.clock.wall()
  }

  /** Replaces the configuration; a refused one changes nothing. Unchanged tunnels keep their SAs. */
  reload(config: Config): ReloadResult {
    const before = this.config
    const plan = this.#changes.plan(before, config)
    if (plan.refused.length > 0) return { ok: false, errors: plan.refused }
    try {
      this.#commit(config, keptTunnels(plan.changes))
      this.#changes.committed(config)
      this.#alarm()
      return { ok: true, plan: plan.findings }
    } catch (error) {
      if (this.config !== before)
        this.#commit(before, keptTunnels(this.#changes.plan(config, before).changes))
      return { ok: false, errors: [{ line: 0, code: 'machine', message: messageOf(error) }] }
    }
  }

  /** Secrets are read before anything changes; nothing begins before the machine is laid out. */
  #commit(config: Config, keep: ReadonlySet<string>) {
    const peers = buildPeers(config, this.ports.files)
    this.#spis.reserve(manualSpis(config))
    this.#submit({ kind: 'commit', config, peers, keep })
    this.#submit({ kind: 'tick' })
  }

  /** What committing the file would do: keep, change, add or delete each tunnel. Throws CommandError when it is refused. */
  plan(file: string): Finding[] {
    const load = this.options.load
    if (load === undefined) throw new CommandError('unsupported', 'this gateway reads no files')
    const { config, errors } = load(file)
    if (errors.length > 0) throw new CommandError('refused', `${file} is refused: ${errors[0].message}`)
    const { findings, refused } = this.planFor(config)
    return [...refused, ...findings]
  }

  /** The same for a configuration that has passed the checks; `refused`: what only a restart can change. */
  planFor(config: Config) {
    return this.#changes.plan(this.config, config)
  }

  /** Devices this gateway has made. */
  deviceNames(): Set<string> {
    return this.dataplane.devices.names()
  }

  /** Deletes to the peers, keys out of the card, devices and routes gone; the guards stay. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#submit({ kind: 'shutdown' })
    this.#stopped = true
    for (const wait of this.#traceWaits) wait.done()
    this.ports.clock.wakeAt(Number.POSITIVE_INFINITY, () => {})
    await this.dataplane.removeAll()
  }

  /** One exec command of the command language. */
  command(line: string): Promise<Answer> {
    return execute(this, line)
  }

  // ---- what commands may do

  clearTunnel(tunnel: string) {
    this.#submit({ kind: 'clear', tunnel })
  }

  /** The tunnels of an ASP get new SAs. Returns their names; null: there is no such ASP. */
  clearAsp(asp: number): string[] | null {
    if (!this.ports.card.asps().some((status) => status.asp === asp)) return null
    const tunnels = this.dataplane.tunnelsOf(asp)
    for (const tunnel of tunnels) this.clearTunnel(tunnel)
    return tunnels
  }

  rekeyChild(child: ChildSaId) {
    this.#submit({ kind: 'rekey', child })
  }

  rekeyIke(ikeSa: IkeSaId) {
    this.#submit({ kind: 'rekey-ike', ikeSa })
  }

  /** Guards that no configured route wants are removed; those in use stay, or their traffic could leave in clear. */
  clearGuards(): { cleared: string[]; kept: string[] } {
    const wanted = new Set(this.dataplane.devices.guards().map(({ prefix }) => prefix))
    const stale = this.ports.routes.listGuards().filter(({ prefix }) => !wanted.has(prefix))
    for (const guard of stale) this.ports.routes.deleteRoute(guard)
    return { cleared: stale.map(({ prefix }) => prefix), kept: [...wanted] }
  }

  /** The ways of the next `count` packets of a tunnel; fewer when they do not come in time. */
  async trace(tunnel: string, count: number): Promise<PacketTrace[]> {
    const slot = this.dataplane.slot(tunnel)
    if (slot === undefined) return []
    let seen: PacketTrace[] = []
    const traced = this.ports.card.trace(slot.ref, count).then((traces) => {
      seen = traces
    })
    await Promise.race([traced, this.after(TRACE_MS)])
    return seen
  }

  /** Resolves when so much time has passed, or the gateway stops. */
  after(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#traceWaits.push({ at: this.now() + milliseconds, done: resolve })
    this.#arm()
    return promise
  }

  // ---- events in

  #submit(event: GatewayEvent) {
    if (this.#stopped) return
    this.#queue.push(event)
    if (!this.#working) this.#work()
  }

  /** An effect may cause the next event (a refusal of the card): it waits until this one is done. */
  #work() {
    this.#working = true
    try {
      for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
        for (const effect of this.#reducer.handle(event, this.now())) this.#executor.perform(effect)
        this.#executor.settle()
      }
    } finally {
      this.#working = false
    }
    this.#arm()
  }

  #arm() {
    const waits = this.#traceWaits.map(({ at }) => at)
    const alarm = this.alarms.alarms.deadline()
    const deadline = Math.min(this.#reducer.deadline(), this.#watchAt, alarm, ...waits)
    if (!this.#stopped) this.ports.clock.wakeAt(deadline, () => this.#wake())
  }

  #wake() {
    const now = this.now()
    if (this.#watchAt <= now) this.#watch(now)
    for (const wait of this.#traceWaits) if (wait.at <= now) wait.done()
    this.#traceWaits = this.#traceWaits.filter(({ at }) => at > now)
    this.#submit({ kind: 'tick' })
    this.#alarm()
  }

  /** Faults are looked for at every wake, at least each two seconds, and when an ASP or the configuration changed. */
  #alarm() {
    if (this.#stopped) return
    this.alarms.look()
    this.#arm()
  }

  /**
   * Liveness needs no probe where traffic arrives (RFC 7296 §2.4); a rekeyed SA is switched to (§2.8); a NAT needs no
   * keepalive where traffic leaves (RFC 3948 §4); and our own address may be another by now (RFC 4555).
   */
  #watch(now: number) {
    const children = this.dataplane.children.active()
    if (children.length > 0) this.#submit({ kind: 'activity', children })
    const senders = this.dataplane.children.sentOn()
    if (senders.length > 0) this.#submit({ kind: 'sent', children: senders })
    this.#submit({ kind: 'roam' })
    const switching = [...this.tunnels.values()].some((tunnel) =>
      [...tunnel.children.values()].includes(false),
    )
    this.#watchAt = now + (switching ? WATCH_SWITCH_MS : WATCH_TRAFFIC_MS)
  }

  /** A new SA may wait for its first packet before it is switched to. */
  #watchSoon() {
    this.#watchAt = Math.min(this.#watchAt, this.now() + WATCH_SWITCH_MS)
  }

  /** Somebody changed devices, addresses or our routes: ours are put back, and we may be at another address. */
  #machineChanged() {
    if (this.#stopped) return
    this.dataplane.devices.repair()
    this.dataplane.fib.learn()
    this.#submit({ kind: 'roam' })
  }

  // ---- what engine and reducer may ask

  #engineEnvironment(): EngineEnvironment {
    return {
      random: (length) => this.ports.entropy.bytes(length),
      wall: () => this.ports.clock.wall(),
      allocateSpi: () => this.#spis.allocate(),
      releaseSpi: (spi) => this.#spis.release(spi),
      admit: (template, applicant) => this.#reducer.admit(template, applicant, this.now()),
    }
  }

  #surroundings() {
    return {
      random: (length: number) => this.ports.entropy.bytes(length),
      wall: () => this.ports.clock.wall(),
      sourceFor: (remote: string) => this.ports.sockets.sourceFor(remote),
      recursive: (remote: string, device: string) => this.ports.routes.leadsInto?.(remote, device) ?? false,
      aspUp: (tunnel: string) => this.#aspUp(tunnel),
    }
  }

  #aspUp(tunnel: string): boolean {
    const asp = this.dataplane.slot(tunnel)?.asp
    if (asp === undefined || asp === null) return false
    return this.ports.card.asps().some((status) => status.asp === asp && status.state === 'up')
  }
}

/** A gateway over the given machine. Call start(); then reload(), command() and at last stop(). */
export function createGateway(ports: GatewayPorts, config: Config, options: GatewayOptions): Gateway {
  return new Gateway(ports, config, options)
}

function defaultEngine(environment: EngineEnvironment, config: Config): Engine {
  return createIkev2Engine(environment, { ikePort: config.ikePort, cookieThreshold: config.cookieThreshold })
}
