// Events of the card in control's words, kept until poll() hands them out; and packet traces while they gather.

import type { CardEvent, PacketTrace, SaRef, TunnelRef } from '../control/ports.ts'
import {
  DIRECTION_OUT,
  EVENT_ACQUIRE,
  EVENT_FAULT,
  EVENT_PEER_ADDR_CHANGED,
  EVENT_READY,
  EVENT_SA_HARD,
  EVENT_SA_SOFT,
  EVENT_SEQ_NEAR_WRAP,
  EVENT_TRACE,
  EVENT_UNKNOWN_SPI,
  FAULT_CANARY,
} from '../dataplane-as/abi.ts'
import { type RawEvent, stageNames } from './card-events.ts'
import { dropName } from './drops.ts'

type Trace = {
  tunnel: TunnelRef
  count: number
  until: number
  seen: PacketTrace[]
  done: (seen: PacketTrace[]) => void
}

/** a trace that has not seen all its packets after this long answers with those it has, ms */
const TRACE_LIMIT = 8000

export class CardReports {
  readonly #rebuilt: (asp: number) => void
  readonly #refOf: (record: number) => SaRef | null
  readonly #handlers: ((event: CardEvent) => void)[] = []
  readonly #faults = new Set<number>()
  #queue: CardEvent[] = []
  #traces: Trace[] = []

  constructor(rebuilt: (asp: number) => void, refOf: (record: number) => SaRef | null) {
    this.#rebuilt = rebuilt
    this.#refOf = refOf
  }

  onEvent(handler: (event: CardEvent) => void): void {
    this.#handlers.push(handler)
  }

  push(event: CardEvent): void {
    this.#queue.push(event)
  }

  /** Hands out what has gathered; what handlers cause meanwhile waits for the next time. */
  dispatch(): void {
    const events = this.#queue
    this.#queue = []
    for (const event of events) for (const handler of this.#handlers) handler(event)
  }

  /** Translates one record. An event of an SA that has gone meanwhile concerns nobody. */
  take(asp: number, event: RawEvent): void {
    const { kind, index: tunnel, value, source } = event
    if (kind === EVENT_READY) this.#ready(asp, event.extra !== 0)
    else if (kind === EVENT_ACQUIRE) this.push({ kind: 'acquire', tunnel })
    else if (kind === EVENT_SA_SOFT) this.#saEvent('sa-soft', event.index)
    else if (kind === EVENT_SA_HARD) this.#saEvent('sa-hard', event.index)
    else if (kind === EVENT_SEQ_NEAR_WRAP) this.#saEvent('sequence-near-wrap', event.index)
    else if (kind === EVENT_UNKNOWN_SPI) this.push({ kind: 'unknown-spi', spi: value, source })
    else if (kind === EVENT_PEER_ADDR_CHANGED) this.push({ kind: 'peer-address', tunnel, remote: source })
    else if (kind === EVENT_TRACE) this.#traced(event)
    else if (kind === EVENT_FAULT) this.#fault(asp, value)
  }

  #ready(asp: number, rebuilt: boolean): void {
    if (rebuilt) {
      this.#rebuilt(asp)
      this.push({
        kind: 'asp-failed',
        asp,
        reason: 'the card stopped and was rebuilt; the SAs of this ASP are gone',
      })
    }
    this.push({ kind: 'ready', asp })
  }

  #saEvent(kind: 'sa-soft' | 'sa-hard' | 'sequence-near-wrap', record: number): void {
    const sa = this.#refOf(record)
    if (sa !== null) this.push({ kind, sa })
  }

  /** Told once: a broken canary stays broken. */
  #fault(asp: number, fault: number): void {
    if (this.#faults.has(fault)) return
    this.#faults.add(fault)
    const what =
      fault === FAULT_CANARY ? 'the band between keys and packets was overwritten' : 'a ring was inconsistent'
    this.push({ kind: 'asp-failed', asp, reason: what })
  }

  // ---- traces

  /** Resolves with the next `count` packets of the tunnel, either direction; with fewer after a while. */
  trace(tunnel: TunnelRef, count: number, now: number): Promise<PacketTrace[]> {
    return new Promise((done) => {
      this.#traces.push({ tunnel, count, until: now + TRACE_LIMIT, seen: [], done })
    })
  }

  #traced(event: RawEvent): void {
    const packet: PacketTrace = {
      tunnel: event.index,
      direction: event.direction === DIRECTION_OUT ? 'out' : 'in',
      stages: stageNames(event.value),
      length: event.length,
      drop: dropName(event.extra),
    }
    for (const trace of this.#traces) if (trace.tunnel === packet.tunnel) trace.seen.push(packet)
    this.#finish((trace) => trace.seen.length >= trace.count)
  }

  expireTraces(now: number): void {
    this.#finish((trace) => now >= trace.until)
  }

  /** The tunnel, or every tunnel, is going. */
  endTraces(tunnel?: TunnelRef): void {
    this.#finish((trace) => tunnel === undefined || trace.tunnel === tunnel)
  }

  #finish(due: (trace: Trace) => boolean): void {
    const done = this.#traces.filter(due)
    if (done.length === 0) return
    this.#traces = this.#traces.filter((trace) => !done.includes(trace))
    for (const trace of done) trace.done(trace.seen.slice(0, trace.count))
  }
}
