// Traffic and stage counters of a tunnel: summed over the ASPs, counted from the tunnel's creation on.
//
// The card's counters belong to table records and only rise; a record used again starts at what stood there.

import type { StageCounter, TunnelMode, TunnelRef } from '../control/ports.ts'
import {
  TC_ASE,
  TC_DROPS,
  TC_EGRESS,
  TC_EPPA,
  TC_IPPA,
  TC_IPPA_LOOPED,
  TC_LOOP,
  TC_RX_BYTES,
  TC_RX_PACKETS,
  TC_TX_BYTES,
  TC_TX_PACKETS,
} from '../dataplane-as/abi.ts'
import type { CardMemory } from './memory.ts'

const ALL = [
  TC_RX_PACKETS,
  TC_RX_BYTES,
  TC_TX_PACKETS,
  TC_TX_BYTES,
  TC_DROPS,
  TC_IPPA,
  TC_EPPA,
  TC_LOOP,
  TC_IPPA_LOOPED,
  TC_ASE,
  TC_EGRESS,
]

/** The stages a packet passes outbound, in order (the original's boards). */
const STAGES: Record<TunnelMode, [string, number][]> = {
  circuit: [
    ['ippa', TC_IPPA],
    ['eppa', TC_EPPA],
    ['loop', TC_LOOP],
    ['ippa', TC_IPPA_LOOPED],
    ['ase', TC_ASE],
    ['egress', TC_EGRESS],
  ],
  economical: [
    ['ippa', TC_IPPA],
    ['ase', TC_ASE],
    ['egress', TC_EGRESS],
  ],
}

export class TunnelCounters {
  readonly #memory: CardMemory
  readonly #asps: number
  readonly #base = new Map<TunnelRef, Map<number, bigint>>()

  constructor(memory: CardMemory, asps: number) {
    this.#memory = memory
    this.#asps = asps
  }

  /** The tunnel is new: everything counts from here. */
  begin(ref: TunnelRef): void {
    this.#base.set(ref, new Map(ALL.map((offset) => [offset, this.#sum(ref, offset)])))
  }

  stages(ref: TunnelRef, mode: TunnelMode): StageCounter[] {
    return STAGES[mode].map(([stage, offset]) => ({ stage, packets: this.#since(ref, offset) }))
  }

  traffic(ref: TunnelRef) {
    return {
      rxPackets: this.#since(ref, TC_RX_PACKETS),
      rxBytes: this.#since(ref, TC_RX_BYTES),
      txPackets: this.#since(ref, TC_TX_PACKETS),
      txBytes: this.#since(ref, TC_TX_BYTES),
      drops: this.#since(ref, TC_DROPS),
    }
  }

  #since(ref: TunnelRef, offset: number): bigint {
    return this.#sum(ref, offset) - (this.#base.get(ref)?.get(offset) ?? 0n)
  }

  #sum(ref: TunnelRef, offset: number): bigint {
    let total = 0n
    for (let asp = 1; asp <= this.#asps; asp++)
      total += this.#memory.u64(this.#memory.tunnelCounters(asp, ref) + offset)
    return total
  }
}
