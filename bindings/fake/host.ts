// A host of a network behind an in-process gateway: answers echo requests, sends pings, hands everything else on.

import type { Address } from '../../control/ports.ts'
import { buildEcho, parseEcho, parseIp } from './ip.ts'
import type { FakeKernel } from './kernel.ts'
import type { Cancel, FakeTime } from './time.ts'

const DATA_BYTES = 56

type Waiting = { sent: number; cancel: Cancel; resolve: (milliseconds: number | null) => void }

export class FakeHost {
  readonly address: Address
  readonly #kernel: FakeKernel
  readonly #time: FakeTime
  readonly #waiting = new Map<number, Waiting>()
  readonly #handlers: ((packet: Uint8Array) => void)[] = []
  #sequence = 0

  constructor(address: Address, kernel: FakeKernel, time: FakeTime) {
    this.address = address
    this.#kernel = kernel
    this.#time = time
    kernel.addHost(address, (packet) => this.#receive(packet))
  }

  /** Every packet that arrives here, echo included. */
  onPacket(handler: (packet: Uint8Array) => void): void {
    this.#handlers.push(handler)
  }

  send(packet: Uint8Array): void {
    this.#kernel.fromHost(packet)
  }

  /** Round trip time in milliseconds; null when no answer came within timeout ms. */
  ping(destination: Address, timeout = 1000, length = DATA_BYTES): Promise<number | null> {
    const sequence = ++this.#sequence & 0xffff
    return new Promise((resolve) => {
      const cancel = this.#time.at(this.#time.now() + timeout, () => this.#answer(sequence, null))
      this.#waiting.set(sequence, { sent: this.#time.now(), cancel, resolve })
      const data = new Uint8Array(length).map((_, index) => index + sequence)
      this.send(buildEcho(this.address, destination, { request: true, id: 1, sequence, data }))
    })
  }

  #answer(sequence: number, received: number | null): void {
    const waiting = this.#waiting.get(sequence)
    if (waiting === undefined) return
    this.#waiting.delete(sequence)
    waiting.cancel()
    waiting.resolve(received === null ? null : received - waiting.sent)
  }

  #receive(packet: Uint8Array): void {
    for (const handler of this.#handlers) handler(packet)
    const header = parseIp(packet)
    const echo = header && parseEcho(header)
    if (header === null || echo === null) return
    if (echo.request) this.send(buildEcho(this.address, header.source, { ...echo, request: false }))
    else this.#answer(echo.sequence, this.#time.now())
  }
}
