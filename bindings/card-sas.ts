// The SA table, from control's side: which record holds which SA, and when it is free again.
//
// A reference is generation * 65536 + record, so that one kept after its SA has gone never means another SA.

import type { CardSa, SaCounters, SaRef, TunnelRef } from '../control/ports.ts'
import {
  ABI_VERSION,
  ERROR_NONE,
  HEADER_BASE,
  HEADER_KEY_TABLES,
  HEADER_KEYS,
  HEADER_NOW,
  HOT_BYTES,
  HOT_LAST_USED,
  HOT_PACKETS,
  HOT_SEQUENCE,
  KEY_BLOCK_BYTES,
  KEY_TABLE_BYTES,
  OP_HELLO,
  OP_SA_ACTIVATE_OUT,
  OP_SA_ADD_IN,
  OP_SA_ADD_OUT,
  OP_SA_DEL,
  SA_COLD_BYTES,
  SA_IN_BYTES,
  SA_OUT_BYTES,
} from '../dataplane-as/abi.ts'
import { CardError, errorSentence } from './card-error.ts'
import type { CardLink } from './card-link.ts'
import { checkSa, writeSa } from './card-sa.ts'
import type { TunnelTable } from './card-tunnels.ts'
import type { CardMemory } from './memory.ts'
import { Ranges, Slots } from './slots.ts'

const RECORDS = 65536
const NOTHING: SaCounters = { bytes: 0n, packets: 0n, sequence: 0n, lastUsed: 0 }

type Entry = {
  ref: SaRef
  record: number
  direction: 'in' | 'out'
  tunnel: TunnelRef
  asp: number
  protocol: 'esp' | 'ah'
  spi: number
  selectors: { first: number; count: number }
}

/** An SA the card refused after addInbound() or addOutbound() had returned. */
export type LateRefusal = (ref: SaRef, text: string) => void

export class SaTable {
  readonly #memory: CardMemory
  readonly #link: CardLink
  readonly #tunnels: TunnelTable
  readonly #slots: Slots
  readonly #ranges: Ranges
  readonly #generation: number[]
  readonly #live = new Map<SaRef, Entry>()
  readonly #refused: LateRefusal

  constructor(
    memory: CardMemory,
    link: CardLink,
    tunnels: TunnelTable,
    sizes: { sas: number; selectors: number },
    refused: LateRefusal,
  ) {
    this.#memory = memory
    this.#link = link
    this.#tunnels = tunnels
    this.#slots = new Slots(sizes.sas)
    this.#ranges = new Ranges(sizes.selectors)
    this.#generation = Array.from({ length: sizes.sas }, () => 0)
    this.#refused = refused
  }

  /** Throws CardError when the SA cannot be. */
  add(direction: 'in' | 'out', sa: CardSa): SaRef {
    const tunnel = this.#tunnels.get(sa.tunnel)
    checkSa(sa)
    if (sa.protocol === 'ah' && tunnel.encapsulation === 'udp')
      throw new CardError(`tunnel ${tunnel.name}: AH cannot travel in UDP (RFC 3948); use encapsulation raw`)
    this.#checkFree(direction, sa)
    const bundle = sa.bundle === undefined ? 0 : this.#inside(direction, sa, sa.bundle)
    if (!this.#link.alive(tunnel.asp))
      throw new CardError(`tunnel ${tunnel.name}: ASP ${tunnel.asp} is not running`)
    const entry = this.#take(direction, sa, tunnel.asp)
    writeSa(this.#memory, entry.record, sa, { ...entry, selectors: entry.selectors.first, bundle })
    this.#live.set(entry.ref, entry)
    this.#announce(entry)
    return entry.ref
  }

  #checkFree(direction: 'in' | 'out', sa: CardSa): void {
    if (direction === 'out') return
    for (const entry of this.#live.values()) {
      if (entry.direction === 'in' && entry.protocol === sa.protocol && entry.spi === sa.spi) {
        throw new CardError(`SPI 0x${sa.spi.toString(16)} is in use by another inbound SA`)
      }
    }
  }

  /** Record + 1 of the ESP SA inside an AH SA. */
  #inside(direction: 'in' | 'out', sa: CardSa, ref: SaRef): number {
    const entry = this.#live.get(ref)
    const fits = entry?.protocol === 'esp' && entry.direction === direction && entry.tunnel === sa.tunnel
    if (entry === undefined || !fits)
      throw new CardError(`SA ${ref} is no ESP SA of this tunnel and direction, so it cannot be inside AH`)
    return entry.record + 1
  }

  #take(direction: 'in' | 'out', sa: CardSa, asp: number): Entry {
    const record = this.#slots.take()
    if (record < 0) throw new CardError('the SA table of the card is full; raise its size or delete SAs')
    const count = sa.source.length + sa.destination.length
    const first = this.#ranges.take(count)
    if (first < 0) {
      this.#slots.give(record)
      throw new CardError(`the selector table of the card has no room for ${count} selectors`)
    }
    const ref = this.#generation[record] * RECORDS + record
    const { tunnel, protocol, spi } = sa
    return { ref, record, direction, tunnel, asp, protocol, spi, selectors: { first, count } }
  }

  #announce(entry: Entry): void {
    const opcode = entry.direction === 'in' ? OP_SA_ADD_IN : OP_SA_ADD_OUT
    let returned = false
    let refusal: string | null = null
    this.#tunnels.when(entry.tunnel, () => {
      this.#link.send(entry.asp, { opcode, index: entry.record }, (error) => {
        if (error === ERROR_NONE || !this.#live.delete(entry.ref)) return
        this.#withdraw(entry)
        refusal = `the card refuses the SA with SPI 0x${entry.spi.toString(16)}: ${errorSentence(error)}`
        if (returned) this.#refused(entry.ref, refusal)
      })
    })
    returned = true
    if (refusal !== null) throw new CardError(refusal)
  }

  /** Deletes at the card; record and selectors are free when it has agreed. */
  #withdraw(entry: Entry): void {
    this.#link.send(entry.asp, { opcode: OP_SA_DEL, index: entry.record }, () => this.#release(entry))
  }

  #release(entry: Entry): void {
    this.#generation[entry.record]++
    this.#slots.give(entry.record)
    this.#ranges.give(entry.selectors.first, entry.selectors.count)
  }

  /** Nothing happens for an SA that went with its ASP: control has been told. Throws for one that never was. */
  activate(ref: SaRef): void {
    const entry = this.#find(ref)
    if (entry === null) return
    if (entry.direction !== 'out') throw new CardError('only an outbound SA can send')
    this.#tunnels.when(entry.tunnel, () => {
      this.#link.send(entry.asp, { opcode: OP_SA_ACTIVATE_OUT, index: entry.record })
    })
  }

  delete(ref: SaRef): void {
    const entry = this.#find(ref)
    if (entry === null) return
    this.#live.delete(ref)
    this.#tunnels.when(entry.tunnel, () => this.#withdraw(entry))
  }

  /** null: it was there once. */
  #find(ref: SaRef): Entry | null {
    const entry = this.#live.get(ref)
    if (entry !== undefined) return entry
    const generation = this.#generation[ref % RECORDS]
    if (generation === undefined || ref >= (generation + 1) * RECORDS)
      throw new CardError(`the card has no SA ${ref}`)
    return null
  }

  counters(ref: SaRef): SaCounters {
    const entry = this.#find(ref)
    if (entry === null) return NOTHING
    const { record } = entry
    const hot = entry.direction === 'in' ? this.#memory.hotIn(record) : this.#memory.hotOut(record)
    return {
      bytes: this.#memory.u64(hot + HOT_BYTES),
      packets: this.#memory.u64(hot + HOT_PACKETS),
      sequence: this.#memory.u64(hot + HOT_SEQUENCE),
      lastUsed: this.#memory.load(hot + HOT_LAST_USED),
    }
  }

  /** Milliseconds since the card's clock showed this 32-bit time; 0 when another thread's clock is a little ahead. */
  age(time: number): number {
    return Math.max(0, (this.#memory.load(HEADER_BASE + HEADER_NOW) - time) | 0)
  }

  /** Reference of the SA in a record now; null when there is none. */
  refOf(record: number): SaRef | null {
    const ref = (this.#generation[record] ?? 0) * RECORDS + record
    return this.#live.has(ref) ? ref : null
  }

  /** Reference and record, for whoever reads records beside the port (tests, tracing). */
  recordOf(ref: SaRef): number {
    return ref % RECORDS
  }

  ofTunnel(tunnel: TunnelRef): SaRef[] {
    return [...this.#live.values()].filter((entry) => entry.tunnel === tunnel).map(({ ref }) => ref)
  }

  /** The ASP was rebuilt and has wiped its SAs. Records are free once the commands still in its ring have run out. */
  lostWithRebuild(asp: number): void {
    const lost = this.#forget(asp)
    const hello = { opcode: OP_HELLO, index: 0, argument: ABI_VERSION }
    this.#link.send(asp, hello, () => {
      for (const entry of lost) this.#release(entry)
    })
  }

  /** The ASP runs no more: its records are wiped from here. */
  lostWithAsp(asp: number): void {
    for (const entry of this.#forget(asp)) {
      this.#wipe(entry.record)
      this.#release(entry)
    }
  }

  #forget(asp: number): Entry[] {
    const lost = [...this.#live.values()].filter((entry) => entry.asp === asp)
    for (const { ref } of lost) this.#live.delete(ref)
    return lost
  }

  #wipe(record: number): void {
    const memory = this.#memory
    const areas: [number, number][] = [
      [memory.cold(record), SA_COLD_BYTES],
      [memory.hotIn(record), SA_IN_BYTES],
      [memory.hotOut(record), SA_OUT_BYTES],
      [memory.header(HEADER_KEYS) + record * KEY_BLOCK_BYTES, KEY_BLOCK_BYTES],
      [memory.header(HEADER_KEY_TABLES) + record * KEY_TABLE_BYTES, KEY_TABLE_BYTES],
    ]
    for (const [at, bytes] of areas) memory.bytes.fill(0, at, at + bytes)
  }
}
