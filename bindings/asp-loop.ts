// The body of an ASP's packet loop: one turn moves every waiting burst one step on.
//
//   entropy -> mailbox -> inbox -> read, protect, send -> receive, open, deliver -> tick -> wake
//
// It is the same function in a worker thread, in a test and in the in-process lab. A trap in the card costs
// the burst it had in hand; the instance is built anew and the failure reported, so that its SAs are renewed.

import { DROP_DESCRIPTOR, DROP_TRAP } from '../dataplane-as/abi.ts'
import type { AspIo } from './asp-io.ts'
import { AspView } from './asp-view.ts'
import { refillEntropy } from './entropy-pool.ts'
import { type CardExports, instantiate } from './wasm.ts'

/** the card wants tick() at least this often, ms */
export const TICK_INTERVAL = 100
/** bursts one turn may take from each side before it looks at commands and the other side again */
const BURSTS_PER_TURN = 8
/** so many traps within TRAP_WINDOW ms end the ASP: rebuilding does not help */
const TRAP_LIMIT = 4
const TRAP_WINDOW = 10000

export type AspFailure = { asp: number; reason: string; ended: boolean }

export class AspLoop {
  readonly view: AspView
  readonly #module: WebAssembly.Module
  readonly #memory: WebAssembly.Memory
  readonly #io: AspIo
  readonly #failed: (failure: AspFailure) => void
  #card: CardExports
  #nextTick = 0
  #inHand = 0
  #traps: number[] = []

  /** Makes the instance and announces the ASP (EVENT_READY). Throws when the card refuses init. */
  constructor(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    asp: number,
    now: number,
    makeIo: (view: AspView) => AspIo,
    failed: (failure: AspFailure) => void,
  ) {
    this.#module = module
    this.#memory = memory
    this.view = new AspView(memory, asp)
    this.#failed = failed
    this.view.setNow(now)
    this.#card = this.#build()
    this.#io = makeIo(this.view)
  }

  #build(): CardExports {
    const card = instantiate(this.#module, this.#memory)
    const error = card.init(this.view.asp)
    if (error !== 0) throw new Error(`the card refused ASP ${this.view.asp} (error ${error})`)
    return card
  }

  /** Milliseconds until the next turn is due even when nothing happens. */
  idleTime(now: number): number {
    return Math.max(0, Math.min(TICK_INTERVAL, this.#nextTick - now))
  }

  /** Executes waiting commands at once: for a driver in the same thread. Events and wake-ups wait for the next turn. */
  mailbox(now: number): void {
    this.view.setNow(now)
    this.#card.mailbox()
  }

  /** One turn at monotonic time now (ms). False: the ASP has ended after repeated traps. */
  step(now: number): boolean {
    this.view.setNow(now)
    refillEntropy(this.view.words, this.view.bytes, this.view.block)
    let goesOn = true
    try {
      this.#turn(now)
    } catch (error) {
      goesOn = this.#recover(error, now)
    }
    const wake = this.view.takeWake()
    if (wake !== 0) this.#io.wake(wake)
    return goesOn
  }

  #turn(now: number): void {
    this.#card.mailbox()
    this.#takeInbox()
    this.#outward()
    this.#inward()
    if (now < this.#nextTick) return
    this.#card.tick()
    this.#nextTick = now + TICK_INTERVAL
  }

  /** Several bursts: what stayed in the rings would wait for the next wake-up. */
  #takeInbox(): void {
    for (let burst = 0; burst < BURSTS_PER_TURN; burst++) {
      if (this.#card.inbox() === 0) return
      const received = this.view.inboxIn()
      this.#protect(this.view.inboxOut())
      this.#open(received)
      this.#card.inboxDone()
    }
  }

  #outward(): void {
    for (let burst = 0; burst < BURSTS_PER_TURN; burst++) {
      const count = this.#io.readPackets()
      if (count === 0) return
      this.#protect(count)
    }
  }

  #inward(): void {
    for (let burst = 0; burst < BURSTS_PER_TURN; burst++) {
      const count = this.#io.receive()
      if (count === 0) return
      this.#open(count)
    }
  }

  #protect(count: number): void {
    this.#inHand = count
    while (this.#inHand > 0) {
      const messages = this.#card.outbound(this.#inHand)
      this.#io.transmit(messages)
      this.#finish()
    }
  }

  #open(count: number): void {
    this.#inHand = count
    while (this.#inHand > 0) {
      this.#card.inbound(this.#inHand)
      this.#finish()
    }
  }

  /** Delivers what the call produced; what it did not consume goes in again, moved to the front by the card. */
  #finish(): void {
    const answers = this.view.deliverCount()
    if (answers > 0) this.#io.deliver(answers)
    const consumed = this.view.consumed()
    if (consumed > 0 && consumed <= this.#inHand) {
      this.#inHand -= consumed
      return
    }
    this.view.drop(DROP_DESCRIPTOR, this.#inHand)
    this.#inHand = 0
  }

  /**
   * A new instance on the same memory. The burst is given up; what other ASPs handed over is released first,
   * or the packet that caused the trap would cause the next one.
   */
  #recover(error: unknown, now: number): boolean {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error
    this.view.drop(DROP_TRAP, this.#inHand)
    this.#inHand = 0
    this.#traps = [...this.#traps.filter((at) => at > now - TRAP_WINDOW), now]
    const ended = this.#traps.length >= TRAP_LIMIT
    this.#card.inboxDone()
    if (!ended) this.#card = this.#build()
    const reason = `the card stopped with "${error.message}"${ended ? ' again and again; the ASP has ended' : ''}`
    this.#failed({ asp: this.view.asp, reason, ended })
    return !ended
  }
}
