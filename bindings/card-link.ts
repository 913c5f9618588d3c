// The way to the ASPs and back: commands out, acknowledgements and events in, and which ASP is beyond reach.

import { ERROR_ASP, EVENT_ACK } from '../dataplane-as/abi.ts'
import { type Command, CommandRing, type Settled } from './card-commands.ts'
import { type RawEvent, takeEvents } from './card-events.ts'
import type { CardMemory } from './memory.ts'

/** Wakes an ASP's loop; where card and driver share a thread it runs the card's mailbox. */
export type Doorbell = (asp: number) => void

export class CardLink {
  readonly asps: number
  readonly #memory: CardMemory
  readonly #rings: CommandRing[]
  readonly #failed = new Set<number>()
  readonly #doorbell: Doorbell
  readonly #event: (asp: number, event: RawEvent) => void

  constructor(
    memory: CardMemory,
    asps: number,
    doorbell: Doorbell,
    event: (asp: number, event: RawEvent) => void,
  ) {
    this.asps = asps
    this.#memory = memory
    this.#rings = Array.from({ length: asps }, (_, index) => new CommandRing(memory, index + 1))
    this.#doorbell = doorbell
    this.#event = event
  }

  alive(asp: number): boolean {
    return asp >= 1 && asp <= this.asps && !this.#failed.has(asp)
  }

  /** Numbers of the ASPs that still answer. */
  living(): number[] {
    return this.#rings.map((_, index) => index + 1).filter((asp) => this.alive(asp))
  }

  /**
   * Sends a command to an ASP. Returns its ERROR_* number when the ASP answered at once, else null; settled runs in
   * either case, exactly once. An ASP that failed answers ERROR_ASP.
   */
  send(asp: number, command: Command, settled: Settled = () => {}): number | null {
    let outcome: number | null = null
    const note = (error: number) => {
      outcome = error
      settled(error)
    }
    if (!this.alive(asp)) {
      note(ERROR_ASP)
      return outcome
    }
    this.#rings[asp - 1].send(command, note)
    this.#doorbell(asp)
    this.#take(asp)
    return outcome
  }

  /** Takes what the ASPs have said and moves commands on that found a ring full. */
  drain(): void {
    for (let asp = 1; asp <= this.asps; asp++) {
      this.#take(asp)
      this.#rings[asp - 1].flush()
    }
  }

  #take(asp: number): void {
    for (const event of takeEvents(this.#memory, asp)) {
      if (event.kind === EVENT_ACK) this.#rings[asp - 1].acknowledge(event.index, event.value)
      else this.#event(asp, event)
    }
  }

  /** No answer will come from this ASP any more. */
  giveUp(asp: number): void {
    this.#failed.add(asp)
    this.#rings[asp - 1].abandon(ERROR_ASP)
  }

  /** Commands not acknowledged yet. */
  get open(): number {
    return this.#rings.reduce((sum, ring) => sum + ring.open, 0)
  }
}
