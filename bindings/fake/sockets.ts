// The Sockets port over the in-process wire: IKE on both ports, the non-ESP marker added and removed.
//
// Counters: unsent, noSocket as in linux/sockets.ts.

import type { Address, Endpoint, IkeDatagram, Sockets } from '../../control/ports.ts'
import { familyOf } from '../address.ts'
import { buildUdp, type IpPacket, PROTOCOL_UDP, type Udp } from './ip.ts'

const MARKER_BYTES = 4

export type FakeSocketsOptions = {
  addresses: Address[]
  ikePort: number
  natTPort: number
  send(packet: Uint8Array): void
}

export class FakeSockets implements Sockets {
  readonly counters = { unsent: 0, noSocket: 0 }
  readonly #options: FakeSocketsOptions
  #handler: (datagram: IkeDatagram) => void = () => {}

  constructor(options: FakeSocketsOptions) {
    this.#options = options
  }

  send(datagram: IkeDatagram): void {
    const { local, remote, data } = datagram
    const marked = new Uint8Array(
      local.port === this.#options.natTPort ? MARKER_BYTES + data.length : data.length,
    )
    marked.set(data, marked.length - data.length)
    this.#transmit(local, remote, marked)
  }

  keepalive(local: Endpoint, remote: Endpoint): void {
    this.#transmit(local, remote, Uint8Array.of(0xff))
  }

  #transmit(local: Endpoint, remote: Endpoint, data: Uint8Array): void {
    const { ikePort, natTPort } = this.#options
    const unspecified = local.address === '0.0.0.0' || local.address === '::'
    const source = unspecified ? this.sourceFor(remote.address) : local.address
    if (local.port !== ikePort && local.port !== natTPort) this.counters.noSocket++
    else if (source === null || familyOf(source) !== familyOf(remote.address)) this.counters.unsent++
    else {
      const header = {
        source,
        destination: remote.address,
        protocol: PROTOCOL_UDP,
        tos: 0,
        dontFragment: false,
      }
      this.#options.send(buildUdp(header, [local.port, remote.port], data))
    }
  }

  onDatagram(handler: (datagram: IkeDatagram) => void): void {
    this.#handler = handler
  }

  sourceFor(remote: Address): Address | null {
    return this.#options.addresses.find((address) => familyOf(address) === familyOf(remote)) ?? null
  }

  /** From the wire to the IKE port, or to the other one with its marker removed. */
  receive(header: IpPacket, udp: Udp, data: Uint8Array): void {
    this.inject({
      local: { address: header.destination, port: udp.destinationPort },
      remote: { address: header.source, port: udp.sourcePort },
      data: Uint8Array.from(data),
    })
  }

  /** An IKE message that an ASP received. */
  inject(datagram: IkeDatagram): void {
    this.#handler(datagram)
  }
}
