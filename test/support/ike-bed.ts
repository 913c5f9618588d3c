// Two IKE engines in one process: a wire that the test holds in its hands, virtual time, and a gateway that only
// keeps books. Nothing here runs by itself; a test delivers messages one by one or lets the bed run until it is quiet.

import assert from 'node:assert/strict'
import { runCryptoJob } from '../../control/crypto/jobs.ts'
import { createIkev2Engine } from '../../control/ikev2/engine.ts'
import type { EngineOptions } from '../../control/ikev2/options.ts'
import type {
  Address,
  CryptoJob,
  CryptoResult,
  Encapsulation,
  Endpoint,
  IkeDatagram,
} from '../../control/ports.ts'
import type {
  Action,
  ChildInstall,
  ChildSaId,
  Engine,
  IkeSaId,
  PeerConfig,
  Reason,
  Report,
} from '../../control/sa/contract.ts'
import { seeded } from './seeded.ts'

/** A Child SA as the books of one gateway have it; keys are copies, the originals are wiped as a gateway does. */
export type Installed = ChildInstall
export type Removed = { child: ChildSaId; reason: Reason | 'replaced' }
export type Down = { ikeSa: IkeSaId; tunnel: string; reason: Reason }
type PendingJob = { ikeSa: IkeSaId; token: number; job: CryptoJob }

/** One gateway: its engine and what the engine told it. */
export class Side {
  readonly name: string
  readonly address: Address
  readonly engine: Engine
  readonly bed: IkeBed
  readonly installed = new Map<ChildSaId, Installed>()
  readonly sending = new Map<string, ChildSaId>()
  readonly removed: Removed[] = []
  readonly up = new Map<IkeSaId, string>()
  readonly downs: Down[] = []
  readonly failed: { tunnel: string; reason: Reason }[] = []
  readonly reports: Report[] = []
  readonly drops: string[] = []
  readonly moved: Endpoint[] = []
  /** changes of path by MOBIKE */
  readonly moves: { local: Address; remote: Endpoint; encapsulation: Encapsulation }[] = []
  readonly keepalives: { at: number; local: Endpoint; remote: Endpoint }[] = []
  readonly spis = new Set<number>()
  readonly jobs: PendingJob[] = []
  readonly jobKinds: string[] = []
  /** random values of 32 bytes (nonces) that a test prescribes; then the bed's own again */
  readonly nonces: Uint8Array[] = []
  installs = 0
  activations = 0
  sent = 0

  constructor(
    bed: IkeBed,
    name: string,
    address: Address,
    options: Partial<EngineOptions>,
    wall: () => number,
  ) {
    this.bed = bed
    this.name = name
    this.address = address
    let nextSpi = name === 'a' ? 0xa000_0000 : 0xb000_0000
    const allocateSpi = () => {
      nextSpi++
      this.spis.add(nextSpi)
      return nextSpi
    }
    const releaseSpi = (spi: number) => assert.ok(this.spis.delete(spi), `${name}: SPI ${spi} released twice`)
    const random = (length: number) => (length === 32 ? this.nonces.shift() : undefined) ?? bed.random(length)
    this.engine = createIkev2Engine({ random, allocateSpi, releaseSpi, wall }, options)
  }

  /** Starts a tunnel and runs what the engine wants. */
  initiate(tunnel = 't'): this {
    return this.do(this.engine.initiate(tunnel, this.address, this.bed.now))
  }

  /** Executes actions as a gateway would. */
  do(actions: Action[]): this {
    for (const action of actions) this.#execute(action)
    return this
  }

  #execute(action: Action) {
    switch (action.kind) {
      case 'send':
        this.sent++
        return this.bed.transmit(this, action.datagram)
      case 'compute':
        this.jobKinds.push(action.job.kind)
        this.jobs.push(action)
        return
      case 'install':
        return this.#install(action.child)
      case 'activate':
        return this.#activate(action.child)
      case 'remove':
        return this.#remove(action)
      case 'ike-up':
        this.up.set(action.ikeSa, action.tunnel)
        return
      case 'ike-down':
        assert.ok(this.up.delete(action.ikeSa), `${this.name}: ike-down of an SA that was not up`)
        this.downs.push(action)
        return
      case 'ike-rekeyed':
        assert.ok(this.up.delete(action.from), `${this.name}: ike-rekeyed from an SA that was not up`)
        this.up.set(action.to, action.tunnel)
        return
      case 'moved':
        this.moved.push(action.remote)
        if (action.local !== undefined) {
          const { local, remote, encapsulation = 'udp' } = action
          this.moves.push({ local, remote, encapsulation })
        }
        return
      case 'keepalive':
        this.keepalives.push({ at: this.bed.now, local: action.local, remote: action.remote })
        return
      case 'failed':
        this.failed.push(action)
        return
      case 'report':
        this.reports.push(action.report)
        return
      case 'drop':
        this.drops.push(action.reason)
        return
    }
  }

  #install(child: ChildInstall): void {
    const copy = {
      ...child,
      inbound: { ...mapKeys(child.inbound) },
      outbound: { ...mapKeys(child.outbound) },
    }
    assert.ok(this.spis.has(child.spiIn), 'the SPI was allocated')
    this.installed.set(child.child, copy)
    if (!this.bed.answeredBy.has(pairOf(child))) this.bed.answeredBy.set(pairOf(child), this)
    this.installs++
    if (child.activateOutbound) this.sending.set(child.tunnel, child.child)
  }

  #activate(id: ChildSaId): void {
    const child = this.installed.get(id)
    assert.ok(child, `${this.name}: activate of an SA that is not installed`)
    this.activations++
    this.sending.set(child.tunnel, id)
  }

  #remove(action: Removed): void {
    const child = this.installed.get(action.child)
    assert.ok(child, `${this.name}: remove of an SA that is not installed`)
    this.installed.delete(action.child)
    this.spis.delete(child.spiIn)
    if (this.sending.get(child.tunnel) === action.child) this.sending.delete(child.tunnel)
    this.removed.push(action)
  }

  /** Child SA on which the tunnel sends now. */
  sender(tunnel = 't'): Installed {
    const id = this.sending.get(tunnel)
    const child = id === undefined ? undefined : this.installed.get(id)
    assert.ok(child, `${this.name}: tunnel ${tunnel} has no sending SA`)
    return child
  }

  /** Ids of established IKE SAs. */
  ikeIds(): IkeSaId[] {
    return this.engine
      .ikeSas(this.bed.now)
      .filter((sa) => sa.state === 'established')
      .map((sa) => sa.id)
  }
}

/** One name for a Child SA at both ends. */
export function pairOf(child: { spiIn: number; spiOut: number }): string {
  return [child.spiIn, child.spiOut].sort((x, y) => x - y).join(' ')
}

function mapKeys(keys: { encryptionKey: Uint8Array; integrityKey: Uint8Array }) {
  const copy = { encryptionKey: keys.encryptionKey.slice(), integrityKey: keys.integrityKey.slice() }
  keys.encryptionKey.fill(0)
  keys.integrityKey.fill(0)
  return copy
}

/** A datagram on its way. `to` is decided by the destination address at delivery. */
export type Flight = { at: number; order: number; from: Side; datagram: IkeDatagram }

/** What the wire does to a datagram: the delays after which copies arrive, ms; empty = lost. */
export type Impairment = (datagram: IkeDatagram, from: Side) => number[]

/** A NAT in front of side a: its source becomes `address` and port + shift; null: none. */
export type Nat = { address: Address; shift: number }

export type BedOptions = {
  seed?: number
  a?: Partial<EngineOptions>
  b?: Partial<EngineOptions>
  wall?: () => number
  nat?: Nat | null
}

export class IkeBed {
  now = 1_000
  readonly random: (length: number) => Uint8Array
  readonly a: Side
  readonly b: Side
  readonly log: IkeDatagram[] = []
  /** by pairOf: who had it first, the end that was asked for it */
  readonly answeredBy = new Map<string, Side>()
  flights: Flight[] = []
  impairment: Impairment = () => [0]
  nat: Nat | null
  #order = 0

  constructor(options: BedOptions = {}) {
    const random = seeded(options.seed ?? 1)
    this.random = (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256))
    this.nat = options.nat ?? null
    const wall = options.wall ?? (() => Date.UTC(2026, 10, 23))
    this.a = new Side(this, 'a', '192.0.2.1', options.a ?? {}, wall)
    this.b = new Side(this, 'b', '192.0.2.2', options.b ?? {}, wall)
  }

  other(side: Side): Side {
    return side === this.a ? this.b : this.a
  }

  /** The wire takes a datagram; a NAT has rewritten its source by then. */
  transmit(from: Side, datagram: IkeDatagram): void {
    this.log.push(datagram)
    for (const delay of this.impairment(datagram, from)) {
      const copy = { ...datagram, data: datagram.data.slice() }
      this.flights.push({ at: this.now + delay, order: this.#order++, from, datagram: copy })
    }
  }

  /** A message as its receiver sees it: local is the receiver. null: the NAT has no such mapping (any more). */
  arriving(flight: Flight): IkeDatagram | null {
    const { local, remote, data } = flight.datagram
    if (!this.nat) return { local: remote, remote: local, data }
    if (flight.from === this.a) {
      const source = { address: this.nat.address, port: local.port + this.nat.shift }
      return { local: remote, remote: source, data }
    }
    const inside = { address: this.a.address, port: remote.port - this.nat.shift }
    return [500, 4500].includes(inside.port) ? { local: inside, remote: local, data } : null
  }

  /** Delivers the first datagram on the wire, if any, and returns it as it arrived. */
  deliver(): IkeDatagram | null {
    const flight = this.#next()
    return flight && this.arrive(flight)
  }

  /** Takes the oldest datagram of one side off the wire: to be lost, or to arrive later. */
  take(from: Side): Flight {
    const flight = this.flights.find((each) => each.from === from)
    assert.ok(flight, `nothing from ${from.name} is on the wire`)
    this.flights = this.flights.filter((each) => each !== flight)
    return flight
  }

  /** Lets a datagram arrive now, whether it is still on the wire or was taken off it. */
  arrive(flight: Flight): IkeDatagram | null {
    this.flights = this.flights.filter((each) => each !== flight)
    this.now = Math.max(this.now, flight.at)
    const datagram = this.arriving(flight)
    const to = this.other(flight.from)
    if (datagram) to.do(to.engine.receive(datagram, this.now))
    return datagram
  }

  #next(): Flight | null {
    let best: Flight | null = null
    for (const flight of this.flights) {
      if (best === null || flight.at < best.at || (flight.at === best.at && flight.order < best.order))
        best = flight
    }
    return best
  }

  /** Finishes the oldest public-key job of a side; false when there is none. */
  compute(side: Side, result?: CryptoResult): boolean {
    const pending = side.jobs.shift()
    if (!pending) return false
    const { ikeSa, token, job } = pending
    side.do(side.engine.computed(ikeSa, token, result ?? runCryptoJob(job), this.now))
    return true
  }

  /** All jobs of both sides, and what follows from them. */
  computeAll(): void {
    while (this.compute(this.a) || this.compute(this.b));
  }

  /** Delivers and computes until nothing is on the wire that is due now: time stands still. */
  settle(): this {
    for (let left = 10_000; left > 0; left--) {
      this.computeAll()
      const next = this.#next()
      if (!next || next.at > this.now) return this
      this.deliver()
    }
    throw new Error('the bed does not settle')
  }

  /** Lets time pass: datagrams, timers and jobs in their order until `until`. */
  run(ms: number): this {
    const until = this.now + ms
    for (let left = 200_000; left > 0; left--) {
      this.settle()
      const next = Math.min(this.#next()?.at ?? Infinity, this.a.engine.deadline(), this.b.engine.deadline())
      if (next > until) {
        this.now = until
        return this
      }
      this.now = Math.max(this.now, next)
      for (const side of [this.a, this.b]) {
        if (side.engine.deadline() <= this.now) side.do(side.engine.tick(this.now))
      }
    }
    throw new Error('the bed does not come to rest')
  }

  /** Runs until `isDone`, at most `ms`; true when it came true. */
  runUntil(isDone: () => boolean, ms: number, step = 50): boolean {
    for (const until = this.now + ms; this.now < until; ) {
      if (isDone()) return true
      this.run(step)
    }
    return isDone()
  }

  /** Sends traffic both ways: each receiver tells its engine which Child SA it came in on. */
  traffic(tunnel = 't'): this {
    for (const side of [this.a, this.b]) {
      const { spiOut } = side.sender(tunnel)
      const to = this.other(side)
      const inbound = [...to.installed.values()].find((child) => child.spiIn === spiOut)
      assert.ok(inbound, `${side.name} sends on an SPI that ${to.name} does not have`)
      to.do(to.engine.activity(inbound.child, this.now))
    }
    return this
  }

  configure(a: PeerConfig | PeerConfig[], b: PeerConfig | PeerConfig[]): this {
    for (const peer of [a].flat()) this.a.engine.setPeer(peer)
    for (const peer of [b].flat()) this.b.engine.setPeer(peer)
    return this
  }
}

/**
 * Both gateways hold the same Child SAs of a tunnel, mirrored: SPIs, keys, selectors, encapsulation; and each sends on
 * an SA that the other receives on. Returns how many pairs there are.
 */
export function assertMirrored(bed: IkeBed, tunnel = 't'): number {
  const ofA = [...bed.a.installed.values()].filter((child) => child.tunnel === tunnel)
  const ofB = [...bed.b.installed.values()].filter((child) => child.tunnel === tunnel)
  assert.equal(ofA.length, ofB.length, 'both ends have as many Child SAs')
  for (const child of ofA) {
    const twin = ofB.find((each) => each.spiIn === child.spiOut)
    assert.ok(twin, `b receives on ${child.spiOut}`)
    assert.equal(twin.spiOut, child.spiIn)
    assert.deepEqual(twin.inbound, child.outbound)
    assert.deepEqual(twin.outbound, child.inbound)
    assert.notDeepEqual(child.inbound, child.outbound)
    assert.deepEqual(twin.localSelectors, child.remoteSelectors)
    assert.deepEqual(twin.remoteSelectors, child.localSelectors)
    assert.deepEqual([twin.cipher, twin.integrity, twin.esn], [child.cipher, child.integrity, child.esn])
    assert.equal(twin.encapsulation, child.encapsulation)
  }
  for (const side of ofA.length > 0 ? [bed.a, bed.b] : []) {
    const { spiOut } = side.sender(tunnel)
    const received = [...bed.other(side).installed.values()].some((child) => child.spiIn === spiOut)
    assert.ok(received, `${side.name} sends on an SPI that the other end receives on`)
  }
  return ofA.length
}

/** One mirrored Child SA and one IKE SA at each end, nothing left over. */
export function assertUp(bed: IkeBed, tunnel = 't'): void {
  assert.equal(assertMirrored(bed, tunnel), 1)
  for (const side of [bed.a, bed.b]) {
    assert.equal(side.up.size, 1, `${side.name} has one IKE SA`)
    assert.equal(side.ikeIds().length, 1)
    assert.equal(side.spis.size, side.installed.size, `${side.name} holds no forgotten SPI`)
  }
}
