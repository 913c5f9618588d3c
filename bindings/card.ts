// The driver of the card: control's Card port over the ABI.
//
// Calls are synchronous for control. What they write lies in records that nobody else writes until the command that
// names them; the command then waits in the ring of the ASP that owns the tunnel, and everything about one tunnel
// goes through that one ring, in order. So addInbound() may return before the ASP has seen the SA: a command behind
// it finds it valid. The driver checks all the card will check, so an acknowledgement with an error is a fault: it
// is thrown where the ASP answers at once (the doorbell runs the mailbox), otherwise the SA is reported as ended.
// A number of an SA, tunnel or selector is given out again only after the card has acknowledged its deletion.

import type {
  AspStatus,
  Card,
  CardEvent,
  CardSa,
  CardTunnel,
  DropCounter,
  Encapsulation,
  Endpoint,
  FibEntry,
  IkeDatagram,
  PacketTrace,
  SaCounters,
  SaRef,
  StageCounter,
  TunnelRef,
} from '../control/ports.ts'
import {
  ABI_VERSION,
  AC_IN_PACKETS,
  AC_OUT_PACKETS,
  ASP_DROPS,
  ASP_HEARTBEAT,
  ASP_SCRATCH,
  ASP_SCRATCH_BYTES,
  ASP_STATE,
  ASP_STATE_DOWN,
  ASP_STATE_UP,
  ASP_WORK,
  HEADER_CANARY,
  HEADER_SA_COLD,
  HEADER_SPI_INDEX,
  HEADER_SPI_SLOTS,
  OP_ASP_SHUTDOWN,
  SPI_SLOT_BYTES,
} from '../dataplane-as/abi.ts'
import { TunnelCounters } from './card-counters.ts'
import { CardError } from './card-error.ts'
import { takeIke } from './card-events.ts'
import { FibTable } from './card-fib.ts'
import { CardLink, type Doorbell } from './card-link.ts'
import { CardReports } from './card-reports.ts'
import { SaTable } from './card-sas.ts'
import { TunnelTable } from './card-tunnels.ts'
import { DROP_REASONS } from './drops.ts'
import { refillEntropy } from './entropy-pool.ts'
import {
  type CardGeometry,
  CardMemory,
  createMemory,
  DEFAULT_GEOMETRY,
  defaultMemoryBytes,
  layOut,
} from './memory.ts'
import { cardBuild, instantiate, loadModule } from './wasm.ts'

export type CardOptions = Partial<CardGeometry> & {
  /** size of the card's memory, rounded up to 64 KiB */
  memoryBytes?: number
  /** the gateway build; read from build/ unless given */
  module?: WebAssembly.Module
  /** Wakes an ASP's loop after a command. Where the ASP lives in this thread: run its mailbox(). */
  doorbell?: Doorbell
  /** IKE messages that reached an ASP's socket, non-ESP marker removed */
  onIke?: (datagram: IkeDatagram) => void
}

/** an ASP without heartbeat for so long is down, ms */
const HEARTBEAT_LIMIT = 3000
const STOP_LIMIT = 300
const STOP_STEP = 10

export class CardDriver implements Card {
  readonly abiVersion = ABI_VERSION
  readonly build = cardBuild() ?? 'unknown'
  readonly aspCount: number
  /** for the ASP workers: instantiate(module, memory), then init(asp) */
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly cardMemory: CardMemory
  readonly #link: CardLink
  readonly #tunnels: TunnelTable
  readonly #sas: SaTable
  readonly #fib: FibTable
  readonly #counters: TunnelCounters
  readonly #reports: CardReports
  readonly #onIke: (datagram: IkeDatagram) => void
  #now = 0
  #stopped = false

  /** Makes and lays out the memory. Throws CardError when it is too small, Error when the card was not built. */
  constructor(options: CardOptions = {}) {
    const geometry = { ...DEFAULT_GEOMETRY, ...given(options) }
    this.aspCount = geometry.asps
    this.module = options.module ?? loadModule()
    this.memory = createMemory(options.memoryBytes ?? defaultMemoryBytes(geometry.asps))
    layOut(instantiate(this.module, this.memory), geometry)
    this.cardMemory = new CardMemory(this.memory)
    this.#onIke = options.onIke ?? (() => {})
    this.#reports = new CardReports(
      (asp) => this.#sas.lostWithRebuild(asp),
      (record) => this.#sas.refOf(record),
    )
    const doorbell = options.doorbell ?? (() => {})
    this.#link = new CardLink(this.cardMemory, geometry.asps, doorbell, (asp, event) =>
      this.#reports.take(asp, event),
    )
    this.#tunnels = new TunnelTable(this.cardMemory, this.#link, geometry)
    const refused = (sa: SaRef) => this.#reports.push({ kind: 'sa-hard', sa })
    this.#sas = new SaTable(this.cardMemory, this.#link, this.#tunnels, geometry, refused)
    this.#fib = new FibTable(this.cardMemory, this.#link)
    this.#counters = new TunnelCounters(this.cardMemory, geometry.asps)
    this.#fillEntropy()
  }

  // ---- tunnels

  setTunnel(tunnel: CardTunnel, ref?: TunnelRef): TunnelRef {
    if (ref === undefined) {
      const made = this.#tunnels.add({ ...tunnel })
      this.#counters.begin(made)
      return made
    }
    if (this.#tunnels.get(ref).asp !== tunnel.asp) this.#endSas(ref)
    this.#tunnels.change(ref, { ...tunnel })
    return ref
  }

  /** An SA lives and dies on one ASP: a tunnel that moves gets new ones. */
  #endSas(tunnel: TunnelRef): void {
    for (const sa of this.#sas.ofTunnel(tunnel)) {
      this.#sas.delete(sa)
      this.#reports.push({ kind: 'sa-hard', sa })
    }
  }

  deleteTunnel(ref: TunnelRef): void {
    for (const sa of this.#sas.ofTunnel(ref)) this.#sas.delete(sa)
    this.#reports.endTraces(ref)
    this.#tunnels.delete(ref)
  }

  setTunnelState(ref: TunnelRef, up: boolean): void {
    this.#tunnels.setState(ref, up)
  }

  setPeer(ref: TunnelRef, remote: Endpoint, encapsulation: Encapsulation): void {
    this.#tunnels.setPeer(ref, remote, encapsulation)
  }

  /** Number of a device in the card's tables, for whoever attaches it to the ASPs. */
  deviceNumber(name: string): number {
    return this.#tunnels.deviceNumber(name)
  }

  /** The device was removed; its number is free. */
  releaseDevice(name: string): void {
    this.#tunnels.releaseDevice(name)
  }

  // ---- SAs

  addInbound(sa: CardSa): SaRef {
    return this.#sas.add('in', sa)
  }

  addOutbound(sa: CardSa): SaRef {
    return this.#sas.add('out', sa)
  }

  activateOutbound(sa: SaRef): void {
    this.#sas.activate(sa)
  }

  deleteSa(sa: SaRef): void {
    this.#sas.delete(sa)
  }

  /** lastUsed is on the scale of heartbeat(); 0 = never. */
  saCounters(sa: SaRef): SaCounters {
    const counters = this.#sas.counters(sa)
    if (counters.packets === 0n) return { ...counters, lastUsed: 0 }
    return { ...counters, lastUsed: Math.max(0, this.#now - this.#sas.age(counters.lastUsed)) }
  }

  // ---- FIB

  setFib(entries: FibEntry[]): Promise<void> {
    return this.#fib.set(entries)
  }

  // ---- counters

  drops(): DropCounter[] {
    return DROP_REASONS.map(({ number, name, sentence }) => ({
      reason: name,
      sentence,
      packets: this.#sum(ASP_DROPS + number * 8),
    }))
  }

  #sum(offset: number): bigint {
    let total = 0n
    for (let asp = 1; asp <= this.aspCount; asp++)
      total += this.cardMemory.u64(this.cardMemory.block(asp) + offset)
    return total
  }

  stages(ref: TunnelRef): StageCounter[] {
    return this.#counters.stages(ref, this.#tunnels.get(ref).mode)
  }

  tunnelCounters(ref: TunnelRef): ReturnType<Card['tunnelCounters']> {
    this.#tunnels.get(ref)
    return this.#counters.traffic(ref)
  }

  asps(): AspStatus[] {
    return Array.from({ length: this.aspCount }, (_, index) => this.#aspStatus(index + 1))
  }

  #aspStatus(asp: number): AspStatus {
    const block = this.cardMemory.block(asp)
    const announced = this.cardMemory.load(block + ASP_STATE) === ASP_STATE_UP
    const heard = this.#sas.age(this.cardMemory.load(block + ASP_HEARTBEAT)) < HEARTBEAT_LIMIT
    const state = this.#link.alive(asp) && announced && heard ? 'up' : 'down'
    const packets = this.cardMemory.u64(block + AC_OUT_PACKETS) + this.cardMemory.u64(block + AC_IN_PACKETS)
    return { asp, state, role: 'active', packets }
  }

  trace(ref: TunnelRef, count: number): Promise<PacketTrace[]> {
    const traced = this.#reports.trace(ref, count, this.#now)
    this.#tunnels.trace(ref, count)
    return traced
  }

  // ---- the composition root's part

  onEvent(handler: (event: CardEvent) => void): void {
    this.#reports.onEvent(handler)
  }

  /** The card's clock (monotonic ms, one scale for all threads) and entropy; call at least every 100 ms. */
  heartbeat(now: number): void {
    this.#now = now
    this.cardMemory.setNow(now)
    this.#fillEntropy()
  }

  #fillEntropy(): void {
    const { words, bytes } = this.cardMemory
    for (let asp = 1; asp <= this.aspCount; asp++) refillEntropy(words, bytes, this.cardMemory.block(asp))
  }

  /** Takes what the ASPs say: acknowledgements, events, IKE messages. Call when control's wake-up fires. */
  poll(): void {
    this.#link.drain()
    this.#reports.expireTraces(this.#now)
    this.#reports.dispatch()
    for (let asp = 1; asp <= this.aspCount; asp++) {
      for (const message of takeIke(this.cardMemory, asp)) this.#onIke(message)
    }
  }

  /** An ASP's thread has ended for good: its SAs are wiped, its tunnels drop until control moves them. */
  failAsp(asp: number, reason: string): void {
    if (!this.#link.alive(asp)) return
    this.cardMemory.store(this.cardMemory.block(asp) + ASP_STATE, ASP_STATE_DOWN)
    this.#sas.lostWithAsp(asp)
    this.#wipeWork(asp)
    this.#link.giveUp(asp)
    const bytes = this.cardMemory.header(HEADER_SPI_SLOTS) * SPI_SLOT_BYTES
    const index = this.cardMemory.header(HEADER_SPI_INDEX) + (asp - 1) * bytes
    this.cardMemory.bytes.fill(0, index, index + bytes)
    this.#reports.push({ kind: 'asp-failed', asp, reason })
  }

  /** What an ASP that did not wipe it itself has left of round keys and salts: it may have ended in a burst. */
  #wipeWork(asp: number): void {
    const block = this.cardMemory.block(asp)
    this.cardMemory.bytes.fill(0, block + ASP_WORK, block + ASP_SCRATCH + ASP_SCRATCH_BYTES)
  }

  /** Has every ASP wipe its SAs and stop, waits a moment for it, then wipes all keys whatever they answered. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    for (const asp of this.#link.living()) this.#link.send(asp, { opcode: OP_ASP_SHUTDOWN, index: 0 })
    for (let waited = 0; this.#link.open > 0 && waited < STOP_LIMIT; waited += STOP_STEP) {
      await new Promise((resolve) => setTimeout(resolve, STOP_STEP))
      this.#link.drain()
    }
    this.#reports.endTraces()
    const { bytes } = this.cardMemory
    bytes.fill(0, this.cardMemory.header(HEADER_SA_COLD), this.cardMemory.header(HEADER_CANARY))
    for (let asp = 1; asp <= this.aspCount; asp++) this.#wipeWork(asp)
  }
}

function given(options: CardOptions): Partial<CardGeometry> {
  const { asps, sas, tunnels, devices, selectors, fibNodes } = options
  const entries = Object.entries({ asps, sas, tunnels, devices, selectors, fibNodes })
  for (const [name, value] of entries) {
    if (value !== undefined && !(Number.isInteger(value) && value > 0)) {
      throw new CardError(`card: ${name} must be a positive number, not ${value}`)
    }
  }
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}
