// A test bed for gateways: ports made by hand that record what is done to them, time that only the test moves,
// and a wire between gateways on which the test delivers, drops and counts every IKE datagram.

import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { PoolCryptoJobs } from '../bindings/crypto-jobs.ts'
import { loadConfig } from '../control/config/load.ts'
import type { CheckResult, Config } from '../control/config/model.ts'
import { createGateway, type Gateway } from '../control/gateway.ts'
import { createLog, type LogEntry, type MemoryLog } from '../control/manage/log.ts'
import type {
  Address,
  Card,
  CardEvent,
  CardSa,
  CardTunnel,
  Clock,
  CryptoJob,
  CryptoJobs,
  CryptoResult,
  Encapsulation,
  Endpoint,
  FibEntry,
  Files,
  IkeDatagram,
  LearnedRoute,
  PacketTrace,
  Route,
  Routes,
  SaRef,
  Sockets,
  TunnelRef,
} from '../control/ports.ts'
import type { Engine, EngineEnvironment } from '../control/sa/contract.ts'

/** Monotonic time that stands still until the test moves it. */
export class BedClock implements Clock {
  time = 1_000
  #deadline = Number.POSITIVE_INFINITY
  #handler: () => void = () => {}

  now = () => this.time
  wall = () => Date.UTC(2026, 10, 23) + this.time

  wakeAt(deadline: number, handler: () => void) {
    this.#deadline = deadline
    this.#handler = handler
  }

  /** The next moment at which somebody wants to be woken. */
  get deadline(): number {
    return this.#deadline
  }

  fire() {
    if (this.#deadline > this.time) return
    this.#deadline = Number.POSITIVE_INFINITY
    this.#handler()
  }
}

export type BedSa = { direction: 'in' | 'out'; sa: CardSa; active: boolean; packets: bigint }

/** A card that keeps what it is told; `refuse` makes it refuse SAs. */
export class BedCard implements Card {
  readonly abiVersion = 1
  readonly build = 'bed'
  readonly tunnels = new Map<TunnelRef, CardTunnel & { up: boolean }>()
  readonly sas = new Map<SaRef, BedSa>()
  readonly history: string[] = []
  fib: FibEntry[] = []
  refuse: string | null = null
  aspStates: ('up' | 'down')[] = ['up', 'up']
  #next = 1
  #emit: (event: CardEvent) => void = () => {}

  setTunnel(tunnel: CardTunnel, ref: TunnelRef = this.#next++): TunnelRef {
    this.tunnels.set(ref, { ...tunnel, up: this.tunnels.get(ref)?.up ?? false })
    return ref
  }
  deleteTunnel(ref: TunnelRef) {
    if (!this.tunnels.delete(ref)) throw new Error(`no tunnel ${ref}`)
  }
  setTunnelState(ref: TunnelRef, up: boolean) {
    const tunnel = this.tunnels.get(ref)
    if (tunnel === undefined) throw new Error(`no tunnel ${ref}`)
    if (tunnel.up !== up) this.history.push(`${tunnel.name} ${up ? 'up' : 'down'}`)
    tunnel.up = up
  }
  setPeer(ref: TunnelRef, remote: Endpoint, encapsulation: Encapsulation) {
    Object.assign(this.tunnels.get(ref) ?? {}, { remote, encapsulation })
  }
  addInbound(sa: CardSa): SaRef {
    return this.#add('in', sa)
  }
  addOutbound(sa: CardSa): SaRef {
    return this.#add('out', sa)
  }
  #add(direction: 'in' | 'out', sa: CardSa): SaRef {
    if (this.refuse !== null) throw new Error(this.refuse)
    const ref = this.#next++
    const { encryptionKey, integrityKey } = sa
    const keys = {
      encryptionKey: Uint8Array.from(encryptionKey),
      integrityKey: Uint8Array.from(integrityKey),
    }
    const copy = { ...sa, ...keys }
    this.sas.set(ref, { direction, sa: copy, active: false, packets: 0n })
    return ref
  }
  activateOutbound(ref: SaRef) {
    const chosen = this.sas.get(ref)
    if (chosen === undefined) throw new Error(`no SA ${ref}`)
    for (const one of this.sas.values()) if (one.sa.tunnel === chosen.sa.tunnel) one.active = false
    chosen.active = true
  }
  deleteSa(ref: SaRef) {
    if (!this.sas.delete(ref)) throw new Error(`no SA ${ref}`)
  }
  saCounters(ref: SaRef) {
    const packets = this.sas.get(ref)?.packets ?? 0n
    return { bytes: packets * 100n, packets, sequence: packets, lastUsed: 0 }
  }
  async setFib(entries: FibEntry[]) {
    this.fib = entries
  }
  drops = () => [{ reason: 'tunnel-down', sentence: 'the tunnel is down', packets: 3n }]
  stages = () => [{ stage: 'loop', packets: 7n }]
  tunnelCounters = () => ({ rxPackets: 5n, rxBytes: 500n, txPackets: 7n, txBytes: 700n, drops: 3n })
  asps = () => this.aspStates.map((state, i) => ({ asp: i + 1, state, role: 'active' as const, packets: 0n }))
  async trace(ref: TunnelRef): Promise<PacketTrace[]> {
    const stages = ['ippa', 'ase', 'egress', 'port']
    return [{ tunnel: ref, direction: 'out', stages, length: 84, drop: null }]
  }
  onEvent(handler: (event: CardEvent) => void) {
    this.#emit = handler
  }
  async stop() {}

  raise(event: CardEvent) {
    this.#emit(event)
  }
  /** SAs of a tunnel by direction. */
  of(direction: 'in' | 'out'): BedSa[] {
    return [...this.sas.values()].filter((one) => one.direction === direction)
  }
  refOf(name: string): TunnelRef {
    for (const [ref, tunnel] of this.tunnels) if (tunnel.name === name) return ref
    throw new Error(`the card has no tunnel ${name}`)
  }
}

function sameText(one: Route, other: Route): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

export class BedRoutes implements Routes {
  readonly devices = new Map<string, { mtu: number; up: boolean; addresses: string[]; multicast: boolean }>()
  readonly routes: Route[] = []
  readonly history: string[] = []
  /** a device that the kernel refuses to make */
  refused: string | null = null
  /** whether the host's route to the peer leads into the tunnel */
  recursive = false
  leadsInto = () => this.recursive
  /** prefix of a route that the kernel refuses */
  refusedRoute: string | null = null
  /** somebody else changed devices, addresses or routes */
  changed: () => void = () => {}

  createDevice(name: string, { mtu, multicast }: { mtu: number; multicast: boolean }) {
    if (name === this.refused) throw new Error(`${name}: the kernel says no`)
    this.devices.set(name, { mtu, up: false, addresses: [], multicast })
    this.history.push(`device ${name}`)
  }
  deleteDevice(name: string) {
    this.devices.delete(name)
    for (const route of this.routes.filter(({ device }) => device === name))
      this.routes.splice(this.routes.indexOf(route), 1)
  }
  addAddress(device: string, prefix: string) {
    this.devices.get(device)?.addresses.push(prefix)
  }
  setMtu(device: string, mtu: number) {
    Object.assign(this.devices.get(device) ?? {}, { mtu })
  }
  setOperational(device: string, up: boolean) {
    Object.assign(this.devices.get(device) ?? {}, { up })
  }
  addRoute(route: Route) {
    if (route.prefix === this.refusedRoute && !route.blackhole) throw new Error('the kernel says no')
    this.routes.push(route)
    this.history.push(`${route.blackhole ? 'blackhole' : 'route'} ${route.prefix}`)
  }
  deleteRoute(route: Route) {
    const at = this.routes.findIndex((one) => sameText(one, route))
    if (at < 0) throw new Error(`no route ${JSON.stringify(route)}`)
    this.routes.splice(at, 1)
  }
  /** what a routing daemon put on a device */
  foreign: LearnedRoute[] = []
  learned = () => this.foreign
  listRoutes = (device: string) => this.routes.filter((route) => route.device === device)
  listGuards = () => this.routes.filter((route) => route.blackhole)
  missing = (routes: Route[]) => routes.filter((route) => !this.routes.some((one) => sameText(one, route)))
  onChange(handler: () => void) {
    this.changed = handler
  }
  hostFindings = () => ['net.ipv4.ip_forward is 0: packets are not forwarded']
  removeAll() {}
}

/** IKE datagrams between beds; `deliver` false holds them, `tap` sees each. */
export class BedWire {
  readonly sent: IkeDatagram[] = []
  cut = false
  readonly #ends = new Map<Address, (datagram: IkeDatagram) => void>()
  readonly #waiting: IkeDatagram[] = []

  attach(address: Address, handler: (datagram: IkeDatagram) => void) {
    this.#ends.set(address, handler)
  }
  detach(address: Address) {
    this.#ends.delete(address)
  }
  send(datagram: IkeDatagram) {
    this.sent.push(datagram)
    if (!this.cut) this.#waiting.push({ ...datagram, data: datagram.data.slice() })
  }
  /** Hands over one datagram; false when none waits. */
  step(): boolean {
    const datagram = this.#waiting.shift()
    if (datagram === undefined) return false
    const { local, remote, data } = datagram
    this.#ends.get(remote.address)?.({ local: remote, remote: local, data })
    return true
  }
}

/** Real public-key work; `pending` says how many jobs run. */
class BedJobs implements CryptoJobs {
  pending = 0
  readonly #jobs = new PoolCryptoJobs()

  async run(job: CryptoJob): Promise<CryptoResult> {
    this.pending += 1
    try {
      return await this.#jobs.run(job)
    } finally {
      this.pending -= 1
    }
  }
}

/** Files that exist only here; every one of them may be a secret. */
export class BedFiles implements Files {
  readonly contents = new Map<string, Uint8Array>()
  read = (path: string) => this.#get(path)
  readSecret = (path: string) => this.#get(path)
  list = () => []
  exists = (path: string) => this.contents.has(path)
  set(path: string, text: string) {
    this.contents.set(path, new TextEncoder().encode(text))
  }
  #get(path: string): Uint8Array {
    const content = this.contents.get(path)
    if (content === undefined) throw new Error(`${path}: no such file`)
    return content.slice()
  }
}

export type BedOptions = {
  address?: Address
  wire?: BedWire
  clock?: BedClock
  files?: BedFiles
  createEngine?: (environment: EngineEnvironment) => Engine
}

/** One gateway on ports of its own. */
export class Bed {
  readonly card = new BedCard()
  readonly routes = new BedRoutes()
  readonly jobs = new BedJobs()
  readonly clock: BedClock
  readonly wire: BedWire
  readonly files: BedFiles
  readonly lines: string[] = []
  readonly keepalives: { local: Endpoint; remote: Endpoint }[] = []
  readonly log: MemoryLog
  readonly gateway: Gateway
  readonly address: Address
  /** what the kernel would answer; null: no route */
  source: Address | null
  names = new Map<string, Address[]>()

  constructor(text: string, options: BedOptions = {}) {
    this.clock = options.clock ?? new BedClock()
    this.wire = options.wire ?? new BedWire()
    this.files = options.files ?? new BedFiles()
    this.address = options.address ?? '198.51.100.1'
    this.source = this.address
    const write = (line: string) => void this.lines.push(line)
    this.log = createLog({ level: 'debug', format: 'text', write, clock: this.clock })
    const { createEngine } = options
    const load = (file: string) => this.load(new TextDecoder().decode(this.files.read(file)))
    this.gateway = createGateway(
      {
        card: this.card,
        sockets: this.#sockets(),
        routes: this.routes,
        clock: this.clock,
        entropy: { bytes: (length) => new Uint8Array(randomBytes(length)) },
        cryptoJobs: this.jobs,
        files: this.files,
        resolver: { resolve: async (name) => this.names.get(name) ?? [] },
        log: this.log,
      },
      this.config(text),
      { version: '0', node: 'bed', load, ...(createEngine && { createEngine }) },
    )
  }

  #sockets(): Sockets {
    return {
      send: (datagram) => this.wire.send(datagram),
      keepalive: (local, remote) => void this.keepalives.push({ local, remote }),
      onDatagram: (handler) => this.wire.attach(this.address, handler),
      sourceFor: () => this.source,
    }
  }

  load(text: string): CheckResult {
    return loadConfig('/etc/asegate/test.conf', text, this.files, { privateFile: true })
  }

  /** A configuration that has no errors. */
  config(text: string): Config {
    const { config, errors } = this.load(text)
    if (errors.length > 0) throw new Error(JSON.stringify(errors))
    return config
  }

  /** `data` of an answer; throws its error as `code: message`. */
  async ask<T = Record<string, unknown>[]>(command: string): Promise<T> {
    const answer = await this.gateway.command(command)
    if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message}`)
    return answer.data as T
  }

  entries(): LogEntry[] {
    return this.log.entries(1000)
  }
}

/** Delivers datagrams and finishes public-key work until nothing moves any more at this moment. */
export async function settle(wire: BedWire, ...beds: Bed[]) {
  for (let quiet = 0; quiet < 3; ) {
    await turn()
    const moved = wire.step() || beds.some(({ jobs }) => jobs.pending > 0)
    quiet = moved ? 0 : quiet + 1
  }
}

/** Moves time to each wanted moment in turn, at most `milliseconds` in all. */
export async function pass(milliseconds: number, wire: BedWire, ...beds: Bed[]) {
  const clocks = [...new Set(beds.map(({ clock }) => clock))]
  const end = clocks[0].time + milliseconds
  await settle(wire, ...beds)
  for (;;) {
    const next = Math.min(...clocks.map(({ deadline }) => deadline))
    if (next > end) break
    for (const clock of clocks) clock.time = Math.max(clock.time, next)
    for (const clock of clocks) clock.fire()
    await settle(wire, ...beds)
  }
  for (const clock of clocks) clock.time = end
}
