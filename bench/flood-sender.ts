// A process of its own that floods a gateway with IKE_SA_INIT from forged addresses, started by flood.ts inside a
// namespace of the bench. Each request is well-formed and has an address, port, SPI and nonce of its own.
//
// In: one JSON argument, FloodOrder. Out: {"sent":N} when the time is over.

import { randomFillSync } from 'node:crypto'
import { Arena } from '../bindings/linux/arena.ts'
import * as C from '../bindings/linux/constants.ts'
import { must } from '../bindings/linux/failure.ts'
import { setOption } from '../bindings/linux/options.ts'
import { putSockaddr, SOCKADDR_IN_SIZE } from '../bindings/linux/sockaddr.ts'
import { close, sendmmsg, socket } from '../bindings/linux/syscalls.ts'

/** request: the datagram in hex; nonceAt: where its nonce of 32 bytes begins. Sources come from 10.64.0.0/10. */
export type FloodOrder = {
  source: number
  destination: string
  rate: number
  seconds: number
  request: string
  nonceAt: number
}

const IP_HEADER = 20
const UDP_HEADER = 8
const IKE_PORT = 500
const NONCE = 32
const BURST = 64
const TICK_MS = 4

const MMSGHDR = 64
const IOVEC = 16

class Flooder {
  readonly #order: FloodOrder
  readonly #length: number
  readonly #arena: Arena
  readonly #packets: number
  readonly #fd: number
  #count = 0

  constructor(order: FloodOrder) {
    this.#order = order
    const request = Buffer.from(order.request, 'hex')
    this.#length = IP_HEADER + UDP_HEADER + request.length
    this.#packets = BURST * (MMSGHDR + IOVEC) + 32
    this.#arena = new Arena(this.#packets + BURST * this.#length)
    this.#fd = must(socket(C.AF_INET, C.SOCK_RAW | C.SOCK_CLOEXEC, C.IPPROTO_UDP), 'flood socket')
    setOption(this.#fd, C.SOL_IP, C.IP_HDRINCL, 1, 'flood socket')
    this.#layOut(request)
  }

  /** Sends what is due, at most a few bursts at once; returns how many went out. */
  send(due: number): number {
    let sent = 0
    while (sent < due) {
      const burst = Math.min(BURST, due - sent)
      for (let index = 0; index < burst; index++) this.#forge(index)
      const gone = sendmmsg(this.#fd, this.#arena.address(0), burst, 0)
      if (gone <= 0) return sent
      sent += gone
    }
    return sent
  }

  close(): void {
    close(this.#fd)
  }

  #layOut(request: Uint8Array): void {
    const name = BURST * (MMSGHDR + IOVEC)
    putSockaddr(this.#arena, name, { address: this.#order.destination, port: 0 })
    for (let index = 0; index < BURST; index++) {
      const [header, iovec, packet] = [
        index * MMSGHDR,
        BURST * MMSGHDR + index * IOVEC,
        this.#packets + index * this.#length,
      ]
      this.#arena.setWord(header, this.#arena.address(name))
      this.#arena.setInt(header + 8, SOCKADDR_IN_SIZE)
      this.#arena.setWord(header + 16, this.#arena.address(iovec))
      this.#arena.setWord(header + 24, 1)
      this.#arena.setWord(iovec, this.#arena.address(packet))
      this.#arena.setWord(iovec + 8, this.#length)
      this.#frame(packet, request)
    }
  }

  /** IPv4 and UDP headers; the kernel fills in length, identification and checksum, UDP goes without its own. */
  #frame(at: number, request: Uint8Array): void {
    const { bytes, view } = this.#arena
    bytes[at] = 0x45
    bytes[at + 8] = 64
    bytes[at + 9] = C.IPPROTO_UDP
    const target = this.#order.destination.split('.').map(Number)
    bytes.set(target, at + 16)
    view.setUint16(at + IP_HEADER + 2, IKE_PORT)
    view.setUint16(at + IP_HEADER + 4, UDP_HEADER + request.length)
    bytes.set(request, at + IP_HEADER + UDP_HEADER)
  }

  #forge(index: number): void {
    const { bytes, view } = this.#arena
    const at = this.#packets + index * this.#length
    const ike = at + IP_HEADER + UDP_HEADER
    const count = this.#count++
    view.setUint32(at + 12, this.#order.source + (count % 0x400000))
    view.setUint16(at + IP_HEADER, 1024 + (count % 60000))
    randomFillSync(bytes, ike, 8)
    randomFillSync(bytes, ike + this.#order.nonceAt, NONCE)
  }
}

const order = JSON.parse(process.argv[2]) as FloodOrder
const flooder = new Flooder(order)
const began = performance.now()
let sent = 0
const timer = setInterval(() => {
  const elapsed = Math.min((performance.now() - began) / 1000, order.seconds)
  sent += flooder.send(Math.floor(elapsed * order.rate) - sent)
  if (elapsed < order.seconds) return
  clearInterval(timer)
  flooder.close()
  console.log(JSON.stringify({ sent }))
}, TICK_MS)
