// The wire between in-process gateways: IP packets by destination address, impaired by seed.
//
// Counters:
//   sent        packets given to the wire
//   lost        taken by `loss`
//   duplicated  delivered twice by `duplicate`
//   reordered   held back behind later packets by `reorder`
//   tooBig      longer than the MTU with DF set
//   unreachable nobody has the destination address
//   malformed   not an IP packet

import type { Address } from '../../control/ports.ts'
import { parseIp } from './ip.ts'
import { seededRandom } from './random.ts'
import { type FakeTime, RealTime } from './time.ts'

export type Impairments = {
  /** probabilities 0..1 */
  loss: number
  duplicate: number
  reorder: number
  /** one-way delay, milliseconds; each packet gets up to `jitter` more */
  delay: number
  jitter: number
  /** how much later a reordered packet arrives, milliseconds */
  reorderDelay: number
}

export type FakeNetOptions = {
  seed?: number
  time?: FakeTime
  mtu?: number
  impairments?: Partial<Impairments>
}

type Receiver = (packet: Uint8Array) => void
/** Sees every packet given to the wire, before impairments; time in milliseconds. */
export type Observer = (packet: Uint8Array, time: number) => void

const NONE: Impairments = { loss: 0, duplicate: 0, reorder: 0, delay: 0, jitter: 0, reorderDelay: 20 }

export class FakeNet {
  readonly time: FakeTime
  readonly counters = {
    sent: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    tooBig: 0,
    unreachable: 0,
    malformed: 0,
  }
  /** may be changed at any time */
  readonly impairments: Impairments
  /** bytes of the largest IP packet; may be changed at any time */
  mtu: number
  readonly #random: () => number
  readonly #receivers = new Map<Address, Receiver>()
  readonly #observers: Observer[] = []

  constructor(options: FakeNetOptions = {}) {
    this.time = options.time ?? new RealTime()
    this.impairments = { ...NONE, ...options.impairments }
    this.mtu = options.mtu ?? 1500
    this.#random = seededRandom(options.seed ?? 1)
  }

  /** Everything sent to these addresses goes to receiver, until the returned function is called. */
  attach(addresses: Address[], receiver: Receiver): () => void {
    for (const address of addresses) {
      if (this.#receivers.has(address)) throw new Error(`address ${address} is taken on this wire`)
      this.#receivers.set(address, receiver)
    }
    return () => {
      for (const address of addresses) this.#receivers.delete(address)
    }
  }

  observe(observer: Observer): void {
    this.#observers.push(observer)
  }

  /** Takes the packet over; it arrives later, never within this call. */
  send(packet: Uint8Array): void {
    this.counters.sent++
    for (const observer of this.#observers) observer(packet, this.time.now())
    const header = parseIp(packet)
    if (header === null) this.counters.malformed++
    else if (packet.length > this.mtu && header.dontFragment) this.counters.tooBig++
    else this.#impair(header.destination, packet)
  }

  /** Always draws the same number of random values, so one impairment does not shift another. */
  #impair(destination: Address, packet: Uint8Array): void {
    const { loss, duplicate, reorder, delay, jitter, reorderDelay } = this.impairments
    const [lose, double, hold, wait] = [this.#random(), this.#random(), this.#random(), this.#random()]
    if (lose < loss) {
      this.counters.lost++
      return
    }
    const held = hold < reorder
    if (held) this.counters.reordered++
    const when = this.time.now() + delay + wait * jitter + (held ? reorderDelay : 0)
    this.time.at(when, () => this.#arrive(destination, packet))
    if (double >= duplicate) return
    this.counters.duplicated++
    this.time.at(when, () => this.#arrive(destination, Uint8Array.from(packet)))
  }

  #arrive(destination: Address, packet: Uint8Array): void {
    const receiver = this.#receivers.get(destination)
    if (receiver === undefined) this.counters.unreachable++
    else receiver(packet)
  }
}
