// The card as a side of a contest: one ASP in this thread, one tunnel, one SA pair, bursts ring to ring.
//
// Outbound: descriptors written, entropy kept full, outbound(). Inbound: the burst comes from the card's own
// outbound SA, untimed, in trains as UDP_GRO would hand them over; timed is inbound() alone. Both check that
// every packet of every burst got through.

import type { CardSa } from '../control/ports.ts'
import * as abi from '../dataplane-as/abi.ts'
import { CardBed, saOf, tunnelOf } from '../test/card-bed.ts'
import type { Side } from './rounds.ts'
import type { Suite, SuiteKeys } from './suites.ts'

const MEMORY = { memoryBytes: 32 << 20 }

export class CardSide {
  readonly #bed: CardBed
  readonly #template: Uint8Array
  readonly #count: number
  readonly #encapsulation: 'udp' | 'raw'

  /** `idle`: so many further SAs stand in the table beside the pair that works. */
  constructor(suite: Suite, keys: SuiteKeys, packets: readonly Uint8Array[], idle = 0) {
    const tables = idle === 0 ? {} : { sas: idle + 64, memoryBytes: 96 << 20 }
    this.#bed = new CardBed({ ...MEMORY, ...tables })
    this.#count = packets.length
    this.#encapsulation = suite.protocol === 'ah' ? 'raw' : 'udp'
    this.#connect(suite, keys, idle)
    const { memory } = this.#bed
    const device = this.#bed.driver.deviceNumber('tun0')
    this.#bed.place(packets, 1, false).forEach((address, index) => {
      this.#bed.describeOut(index, address, packets[index].length, device)
    })
    const descriptors = memory.block(1) + abi.ASP_OUT_DESCRIPTORS
    this.#template = memory.bytes.slice(descriptors, descriptors + packets.length * abi.OUT_BYTES)
  }

  #connect(suite: Suite, keys: SuiteKeys, idle: number): void {
    const { driver } = this.#bed
    const tunnel = driver.setTunnel(tunnelOf({ encapsulation: this.#encapsulation }))
    driver.setTunnelState(tunnel, true)
    const { protocol, cipher, integrity } = suite
    const sa: CardSa = saOf(tunnel, { protocol, cipher, integrity, ...keys })
    for (let index = 0; index < idle; index++) driver.addInbound({ ...sa, spi: 0x10000 + index * 0x61 })
    driver.addInbound(sa)
    driver.activateOutbound(driver.addOutbound(sa))
  }

  outbound(): Side {
    return { run: () => this.#protect() }
  }

  inbound(): Side {
    let messages = 0
    return {
      prepare: () => {
        this.#protect()
        messages = this.#turnRound()
      },
      run: () => {
        const delivered = this.#bed.cards[0].inbound(messages)
        if (delivered !== this.#count) throw new Error(`the card delivered ${delivered} of ${this.#count}`)
      },
    }
  }

  #protect(): void {
    const { memory, cards, driver, now } = this.#bed
    const block = memory.block(1)
    driver.heartbeat(now)
    memory.bytes.set(this.#template, block + abi.ASP_OUT_DESCRIPTORS)
    cards[0].outbound(this.#count)
    const consumed = memory.u32(block + abi.ASP_CONSUMED)
    if (consumed !== this.#count) throw new Error(`the card took ${consumed} of ${this.#count} packets`)
  }

  /** Makes in-descriptors of the transmit descriptors just produced; how many. */
  #turnRound(): number {
    const { memory } = this.#bed
    const block = memory.block(1)
    const count = memory.u32(block + abi.ASP_TX_COUNT)
    for (let index = 0; index < count; index++) {
      const tx = block + abi.ASP_TX_DESCRIPTORS + index * abi.TX_BYTES
      const at = block + abi.ASP_IN_DESCRIPTORS + index * abi.IN_BYTES
      memory.bytes.fill(0, at, at + abi.IN_BYTES)
      memory.setU32(at + abi.IN_ADDRESS, memory.u32(tx + abi.TX_ADDRESS))
      memory.setU32(at + abi.IN_LENGTH, memory.u32(tx + abi.TX_LENGTH))
      if (this.#encapsulation === 'udp' && memory.u32(tx + abi.TX_COUNT) > 1) {
        memory.setU32(at + abi.IN_SEGMENT, memory.u32(tx + abi.TX_SEGMENT))
      }
      const kind = this.#encapsulation === 'udp' ? abi.IN_UDP : abi.IN_RAW_IPV4
      memory.view.setUint8(at + abi.IN_ENCAPSULATION, kind)
    }
    return count
  }
}
