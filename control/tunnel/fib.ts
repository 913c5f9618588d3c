// The card's FIB: the routes of economical tunnels, static ones and those that a routing daemon put on the shared
// device. A swap is done when no ASP reads the old copy; swaps wait for each other.

import { SHARED_DEVICE } from '../config/defaults.ts'
import type { StaticRoute } from '../config/model.ts'
import type { Card, FibEntry, Log, TunnelRef } from '../ports.ts'
import type { Devices } from './devices.ts'
import { learnedFib, withLearned } from './learned.ts'
import type { FibPlan } from './plan.ts'

/** The tunnel's slot in the card; undefined: it has none. */
export type RefOf = (tunnel: string) => TunnelRef | undefined

export class Fib {
  readonly #card: Card
  readonly #devices: Devices
  readonly #log: Log
  readonly #refOf: RefOf
  #planned: readonly FibPlan[] = []
  #statics: readonly StaticRoute[] = []
  /** what others put on the shared device */
  #learned: FibPlan[] = []
  #swapped: Promise<void> = Promise.resolve()

  constructor(card: Card, devices: Devices, log: Log, refOf: RefOf) {
    this.#card = card
    this.#devices = devices
    this.#log = log
    this.#refOf = refOf
  }

  /** A configuration takes effect; the slots of tunnels that are `gone` are free when no ASP reads them any more. */
  commit(planned: readonly FibPlan[], statics: readonly StaticRoute[], gone: readonly TunnelRef[]) {
    this.#planned = planned
    this.#statics = statics
    this.#learned = this.#readLearned()
    this.#swap(gone)
  }

  /** Routes over the shared device may have changed (features, section 4). */
  learn() {
    const learned = this.#readLearned()
    if (JSON.stringify(learned) === JSON.stringify(this.#learned)) return
    this.#learned = learned
    this.#swap([])
  }

  /** Resolves when every swap is done. */
  settled(): Promise<void> {
    return this.#swapped
  }

  #readLearned(): FibPlan[] {
    return learnedFib(this.#devices.learned(SHARED_DEVICE), this.#statics)
  }

  #swap(gone: readonly TunnelRef[]) {
    const entries = this.#entries()
    this.#swapped = this.#swapped
      .then(() => this.#card.setFib(entries))
      .then(() => {
        for (const ref of gone) this.#card.deleteTunnel(ref)
      })
      .catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error)
        this.#log.log('error', `cannot change the card’s FIB: ${why}`)
      })
  }

  #entries(): FibEntry[] {
    return withLearned(this.#planned, this.#learned).flatMap(({ prefix, target }): FibEntry[] => {
      if (target === 'null0') return [{ prefix, target }]
      const tunnel = this.#refOf(target.tunnel)
      return tunnel === undefined ? [] : [{ prefix, target: { tunnel } }]
    })
  }
}
