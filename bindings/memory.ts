// The card's memory as the control side sees it: made, laid out, and read through the addresses of its header.
//
// Addresses are byte offsets from the start of linear memory, offsets those of abi.ts. The memory never grows.

import {
  ASP_BLOCK_BYTES,
  HEADER_ASP_BLOCKS,
  HEADER_BASE,
  HEADER_NOW,
  HEADER_PACKETS,
  HEADER_PACKETS_STRIDE,
  HEADER_SA_COLD,
  HEADER_SA_IN,
  HEADER_SA_OUT,
  HEADER_SELECTOR_TABLE,
  HEADER_TUNNEL_COUNTERS,
  HEADER_TUNNEL_COUNTERS_STRIDE,
  HEADER_TUNNEL_TABLE,
  SA_COLD_BYTES,
  SA_IN_BYTES,
  SA_OUT_BYTES,
  SELECTOR_BYTES,
  TUNNEL_BYTES,
  TUNNEL_COUNTER_BYTES,
} from '../dataplane-as/abi.ts'
import { CardError, errorSentence } from './card-error.ts'
import type { CardExports } from './wasm.ts'

/** Sizes of the card's tables, in records. */
export type CardGeometry = {
  asps: number
  sas: number
  tunnels: number
  devices: number
  selectors: number
  fibNodes: number
}

export const DEFAULT_GEOMETRY: CardGeometry = {
  asps: 1,
  sas: 4096,
  tunnels: 1024,
  devices: 1040,
  selectors: 16384,
  fibNodes: 16384,
}

const PAGE = 65536
const MIB = 1048576
/** what the module declares; less cannot be linked, and more than this layout() judges */
const SMALLEST_PAGES = 4

/** Enough for the default tables and some megabytes of packets an ASP. */
export function defaultMemoryBytes(asps: number): number {
  return (56 + 8 * asps) * MIB
}

/** A shared memory of fixed size: initial = maximum, so that an overrun past the last packet traps. */
export function createMemory(bytes: number): WebAssembly.Memory {
  const pages = Math.max(SMALLEST_PAGES, Math.ceil(bytes / PAGE))
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
}

/** Has the card divide its memory. Throws CardError when the tables do not fit. */
export function layOut(card: CardExports, geometry: CardGeometry): void {
  const { asps, sas, tunnels, devices, selectors, fibNodes } = geometry
  const error = card.layout(asps, sas, tunnels, devices, selectors, fibNodes, sas) // a big table for each SA
  if (error !== 0) throw new CardError(`the card's memory cannot be laid out: ${errorSentence(error)}`)
}

/** Views and record addresses of a memory that was laid out. */
export class CardMemory {
  readonly memory: WebAssembly.Memory
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly view: DataView
  readonly #longs: BigUint64Array

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory
    this.bytes = new Uint8Array(memory.buffer)
    this.words = new Int32Array(memory.buffer)
    this.view = new DataView(memory.buffer)
    this.#longs = new BigUint64Array(memory.buffer)
  }

  /** a word of the header */
  header(field: number): number {
    return this.u32(HEADER_BASE + field)
  }

  u32(address: number): number {
    return this.view.getUint32(address, true)
  }

  setU32(address: number, value: number): void {
    this.view.setUint32(address, value, true)
  }

  /** One 64-bit load; the card may write it meanwhile. */
  u64(address: number): bigint {
    return Atomics.load(this.#longs, address / 8)
  }

  setU64(address: number, value: bigint): void {
    this.view.setBigUint64(address, value, true)
  }

  load(address: number): number {
    return Atomics.load(this.words, address >>> 2) >>> 0
  }

  store(address: number, value: number): void {
    Atomics.store(this.words, address >>> 2, value | 0)
  }

  /** Monotonic milliseconds for the card's clock (its low 32 bits). */
  setNow(now: number): void {
    this.store(HEADER_BASE + HEADER_NOW, Math.floor(now % 2 ** 32))
  }

  block(asp: number): number {
    return this.header(HEADER_ASP_BLOCKS) + (asp - 1) * ASP_BLOCK_BYTES
  }

  packets(asp: number): number {
    return this.header(HEADER_PACKETS) + (asp - 1) * this.header(HEADER_PACKETS_STRIDE)
  }

  cold(sa: number): number {
    return this.header(HEADER_SA_COLD) + sa * SA_COLD_BYTES
  }

  hotIn(sa: number): number {
    return this.header(HEADER_SA_IN) + sa * SA_IN_BYTES
  }

  hotOut(sa: number): number {
    return this.header(HEADER_SA_OUT) + sa * SA_OUT_BYTES
  }

  tunnel(index: number): number {
    return this.header(HEADER_TUNNEL_TABLE) + index * TUNNEL_BYTES
  }

  selector(index: number): number {
    return this.header(HEADER_SELECTOR_TABLE) + index * SELECTOR_BYTES
  }

  tunnelCounters(asp: number, tunnel: number): number {
    const stride = this.header(HEADER_TUNNEL_COUNTERS_STRIDE)
    return this.header(HEADER_TUNNEL_COUNTERS) + (asp - 1) * stride + tunnel * TUNNEL_COUNTER_BYTES
  }
}
