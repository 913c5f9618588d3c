// Protected packets between the two gateways of a bed: each side sends at a steady rate on whatever SA its card sends
// on at that moment, a packet is on the way for a while, and it is lost when the other side has no such inbound SA by
// then. What arrives is reported to the engine, as the card's counters are.

import type { IkeBed, Side } from './ike-bed.ts'

type Packet = { at: number; to: Side; spi: number }

export class Traffic {
  readonly bed: IkeBed
  /** one way, ms */
  readonly delay: number
  sent = 0
  arrived = 0
  /** packets for an SPI that the receiver did not have, or with no SA to send on */
  readonly lost: string[] = []
  readonly #onTheWay: Packet[] = []

  constructor(bed: IkeBed, delay: number) {
    this.bed = bed
    this.delay = delay
  }

  get onTheWay(): number {
    return this.#onTheWay.length
  }

  /** Lets time pass in steps of a millisecond, one packet a step and direction. */
  run(ms: number): this {
    for (let step = 0; step < ms; step++) {
      for (const side of [this.bed.a, this.bed.b]) this.#send(side)
      this.bed.run(1)
      this.#receive()
    }
    return this
  }

  #send(side: Side): void {
    const id = side.sending.get('t')
    const child = id === undefined ? undefined : side.installed.get(id)
    this.sent++
    if (!child) this.lost.push(`${this.bed.now}: ${side.name} has nothing to send on`)
    else this.#onTheWay.push({ at: this.bed.now + this.delay, to: this.bed.other(side), spi: child.spiOut })
  }

  #receive(): void {
    const { bed } = this
    while (this.#onTheWay.length > 0 && this.#onTheWay[0].at <= bed.now) {
      const { to, spi } = this.#onTheWay.shift()!
      const child = [...to.installed.values()].find((each) => each.spiIn === spi)
      if (!child) this.lost.push(`${bed.now}: ${to.name} does not receive on ${spi.toString(16)}`)
      else this.arrived++
      if (child) to.do(to.engine.activity(child.child, bed.now))
    }
  }
}
