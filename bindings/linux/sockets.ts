// The control plane's own sockets: IKE on both ports, told apart from ESP (RFC 3948 §2, RFC 7296 §2.23).
//
// Counters:
//   keepalives   one byte 0xff on the NAT traversal port
//   short        1 to 3 bytes on the NAT traversal port that are no keepalive
//   foreign      ESP that arrived here: handed to an ASP
//   inboxFull    the same, dropped: that ASP's inbox was full, or no ASP lives
//   unaddressed  datagrams whose destination address the kernel did not name
//   unsent       datagrams the kernel refused (no route, no buffer, too long)
//   noSocket     datagrams to send with a local port or address family that we have no socket for

import type { Address, Endpoint, IkeDatagram, Sockets } from '../../control/ports.ts'
import { familyOf } from '../address.ts'
import type { ForeignDatagram } from '../control-inbox.ts'
import { Datagrams, type Received } from './datagrams.ts'
import { watchReadable } from './syscalls.ts'
import type { UdpFamily } from './udp.ts'

const NON_ESP_MARKER = [0, 0, 0, 0]
const KEEPALIVE = Uint8Array.of(0xff)
const BURSTS_PER_TURN = 4 // a flood must not starve timers and the other ports

export type SocketHooks = {
  sourceFor(remote: Address): Address | null
  /** takes ESP that came to control's socket; false: nobody could take it */
  foreign(datagram: ForeignDatagram): boolean
}

type Channel = { fd: number; family: 4 | 6; port: number; encapsulated: boolean; watch: { close(): void } }

export class LinuxSockets implements Sockets {
  readonly counters = {
    keepalives: 0,
    short: 0,
    foreign: 0,
    inboxFull: 0,
    unaddressed: 0,
    unsent: 0,
    noSocket: 0,
  }
  readonly #channels: Channel[]
  readonly #datagrams = new Datagrams()
  readonly #hooks: SocketHooks
  #handler: (datagram: IkeDatagram) => void = () => {}

  constructor(families: UdpFamily[], ports: { ikePort: number; natTPort: number }, hooks: SocketHooks) {
    this.#hooks = hooks
    this.#channels = families.flatMap(({ family, ike, natT }) => [
      this.#open(ike, family, ports.ikePort, false),
      this.#open(natT, family, ports.natTPort, true),
    ])
  }

  #open(fd: number, family: 4 | 6, port: number, encapsulated: boolean): Channel {
    const channel: Channel = { fd, family, port, encapsulated, watch: { close: () => {} } }
    channel.watch = watchReadable(fd, () => this.#drain(channel))
    return channel
  }

  send(datagram: IkeDatagram): void {
    const { local, remote, data } = datagram
    const family = familyOf(remote.address)
    const channel = this.#channels.find((one) => one.family === family && one.port === local.port)
    if (channel === undefined) {
      this.counters.noSocket++
      return
    }
    const source = local.address === '0.0.0.0' || local.address === '::' ? null : local.address
    const prefix = channel.encapsulated ? NON_ESP_MARKER : []
    if (source !== null && familyOf(source) !== family) this.counters.noSocket++
    else if (this.#datagrams.send(channel.fd, source, remote, prefix, data) < 0) this.counters.unsent++
  }

  keepalive(local: Endpoint, remote: Endpoint): void {
    const family = familyOf(remote.address)
    const channel = this.#channels.find((one) => one.family === family && one.encapsulated)
    if (channel === undefined || channel.port !== local.port) this.counters.noSocket++
    else if (this.#datagrams.send(channel.fd, local.address, remote, [], KEEPALIVE) < 0)
      this.counters.unsent++
  }

  onDatagram(handler: (datagram: IkeDatagram) => void): void {
    this.#handler = handler
  }

  sourceFor(remote: Address): Address | null {
    return this.#hooks.sourceFor(remote)
  }

  /** An IKE message that an ASP received on its socket; its marker is gone already. */
  inject(datagram: IkeDatagram): void {
    this.#handler(datagram)
  }

  /** Stops listening; the descriptors are closed by their owner afterwards. */
  stop(): void {
    for (const channel of this.#channels) channel.watch.close()
  }

  #drain(channel: Channel): void {
    for (let burst = 0; burst < BURSTS_PER_TURN; burst++) {
      const received = this.#datagrams.receive(channel.fd)
      for (const datagram of this.#own(received)) this.#accept(channel, datagram)
      if (received.length === 0) return
    }
  }

  /** A handler may send at once, which reuses the receive area: every datagram gets bytes of its own. */
  #own(received: Received[]): Received[] {
    return received.map((one) => ({ ...one, data: Uint8Array.from(one.data) }))
  }

  #accept(channel: Channel, { data, remote, local, tos }: Received): void {
    if (local === null) {
      this.counters.unaddressed++
      return
    }
    const here = { address: local, port: channel.port }
    if (!channel.encapsulated) this.#handler({ local: here, remote, data })
    else if (data.length === 1 && data[0] === 0xff) this.counters.keepalives++
    else if (data.length < NON_ESP_MARKER.length) this.counters.short++
    else if (data[0] !== 0 || data[1] !== 0 || data[2] !== 0 || data[3] !== 0)
      this.#handOver({ local: here, remote, tos, data })
    else this.#handler({ local: here, remote, data: data.subarray(NON_ESP_MARKER.length) })
  }

  #handOver(datagram: ForeignDatagram): void {
    if (this.#hooks.foreign(datagram)) this.counters.foreign++
    else this.counters.inboxFull++
  }
}
