// The packet loop's surroundings in one process: queues in, IP packets out, the same descriptors as on Linux.

import {
  DELIVER_ADDRESS,
  DELIVER_BYTES,
  DELIVER_DEVICE,
  DELIVER_LENGTH,
  DROP_DEVICE_FAILED,
  DROP_NO_ADDRESS,
  DROP_PATH_MTU,
  ENCAPSULATION_UDP,
  FAMILY_INET,
  FAMILY_INET6,
  IN_ADDRESS,
  IN_BYTES,
  IN_ENCAPSULATION,
  IN_FLAGS,
  IN_LENGTH,
  IN_LOCAL,
  IN_LOCAL_PORT,
  IN_PROTOCOL,
  IN_RAW,
  IN_RAW_IPV4,
  IN_SEGMENT,
  IN_SOURCE,
  IN_TOS,
  IN_UDP,
  MAX_BURST,
  OUT_ADDRESS,
  OUT_BYTES,
  OUT_DEVICE,
  OUT_FLAGS,
  OUT_LENGTH,
  PROTOCOL_AH,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
  SOCKADDR_IPV4,
  SOCKADDR_IPV6,
  SOCKADDR_PORT,
  TX_ADDRESS,
  TX_BYTES,
  TX_COUNT,
  TX_DF,
  TX_ENCAPSULATION,
  TX_LENGTH,
  TX_LOCAL,
  TX_PEER,
  TX_PROTOCOL,
  TX_SEGMENT,
  TX_TOS,
  TX_TUNNEL,
} from '../../dataplane-as/abi.ts'
import { addressBytes, addressText, familyOf } from '../address.ts'
import type { AspIo } from '../asp-io.ts'
import type { AspView } from '../asp-view.ts'
import { buildIp, buildUdp, type IpHeader, type IpPacket, type Udp } from './ip.ts'

const PACKET_HEADROOM = 64
const SPACE = SOCKADDR_BYTES + 16 + PACKET_HEADROOM

export type FakeAspHooks = {
  /** sends an IP packet of this tunnel (its number in the card) on the wire; false: larger than the path carries */
  send(packet: Uint8Array, tunnel: number): boolean
  /** a packet in clear leaves through a device (its number in the card); false: there is none */
  deliver(device: number, packet: Uint8Array): boolean
  wake(bits: number): void
}

type FromDevice = { device: number; packet: Uint8Array }
/** udp null: native ESP or AH, header.payload begins with its header, `packet` is the whole IP packet */
type FromWire = { packet: Uint8Array; header: IpPacket; udp: Udp | null }

export class FakeAspIo implements AspIo {
  readonly #aspView: AspView
  readonly #view: DataView
  readonly #hooks: FakeAspHooks
  readonly #natTPort: number
  readonly #fromDevices: FromDevice[] = []
  readonly #fromWire: FromWire[] = []
  #cursor = 0

  constructor(aspView: AspView, natTPort: number, hooks: FakeAspHooks) {
    this.#natTPort = natTPort
    this.#aspView = aspView
    this.#view = aspView.view
    this.#hooks = hooks
  }

  queuePacket(device: number, packet: Uint8Array): void {
    this.#fromDevices.push({ device, packet })
  }

  queueDatagram(packet: Uint8Array, header: IpPacket, udp: Udp | null): void {
    this.#fromWire.push({ packet, header, udp })
  }

  /** Whether another turn would find something. */
  pending(): boolean {
    return this.#fromDevices.length > 0 || this.#fromWire.length > 0
  }

  /** Nothing waits inside one process: the machine runs a turn when there is something to do. */
  wait(): void {}

  readPackets(): number {
    this.#cursor = this.#aspView.loop
    let count = 0
    while (count < MAX_BURST && this.#fromDevices.length > 0 && this.#fits(this.#fromDevices[0].packet)) {
      const { device, packet } = this.#fromDevices.shift()!
      const descriptor = this.#aspView.outDescriptors + count * OUT_BYTES
      this.#view.setUint32(descriptor + OUT_ADDRESS, this.#place(packet), true)
      this.#view.setUint32(descriptor + OUT_LENGTH, packet.length, true)
      this.#view.setUint32(descriptor + OUT_DEVICE, device, true)
      this.#view.setUint32(descriptor + OUT_FLAGS, 0, true)
      count++
    }
    return count
  }

  #fits(packet: Uint8Array): boolean {
    return this.#cursor + SPACE + packet.length + 64 <= this.#aspView.loop + this.#aspView.loopBytes
  }

  #place(packet: Uint8Array): number {
    const address = (this.#cursor + PACKET_HEADROOM + 15) & ~15
    this.#aspView.bytes.set(packet, address)
    this.#cursor = address + packet.length
    return address
  }

  receive(): number {
    this.#cursor = this.#aspView.loop
    let count = 0
    while (count < MAX_BURST && this.#fromWire.length > 0 && this.#fits(this.#fromWire[0].packet))
      this.#describe(this.#fromWire.shift()!, count++)
    return count
  }

  #describe({ packet, header, udp }: FromWire, index: number): void {
    const v4 = familyOf(header.source) === 4
    const data = udp !== null ? udp.data : v4 ? packet : header.payload
    const view = this.#view
    const descriptor = this.#aspView.inDescriptors + index * IN_BYTES
    view.setUint32(descriptor + IN_SOURCE, this.#putSource(header, udp), true)
    view.setUint32(descriptor + IN_LOCAL, this.#putLocal(header), true)
    view.setUint32(descriptor + IN_ADDRESS, this.#place(data), true)
    view.setUint32(descriptor + IN_LENGTH, data.length, true)
    view.setUint32(descriptor + IN_SEGMENT, 0, true)
    view.setUint16(descriptor + IN_LOCAL_PORT, udp === null ? 0 : udp.destinationPort, true)
    view.setUint8(descriptor + IN_ENCAPSULATION, udp !== null ? IN_UDP : v4 ? IN_RAW_IPV4 : IN_RAW)
    view.setUint8(descriptor + IN_TOS, header.tos)
    view.setUint8(descriptor + IN_PROTOCOL, udp === null ? header.protocol : 0)
    view.setUint8(descriptor + IN_FLAGS, 0)
  }

  #putSource(header: IpPacket, udp: Udp | null): number {
    const at = (this.#cursor + 15) & ~15
    const address = addressBytes(header.source)
    this.#aspView.bytes.fill(0, at, at + SOCKADDR_BYTES)
    this.#view.setUint16(at + SOCKADDR_FAMILY, address.length === 4 ? FAMILY_INET : FAMILY_INET6, true)
    this.#view.setUint16(at + SOCKADDR_PORT, udp === null ? 0 : udp.sourcePort)
    this.#aspView.bytes.set(address, at + (address.length === 4 ? SOCKADDR_IPV4 : SOCKADDR_IPV6))
    this.#cursor = at + SOCKADDR_BYTES
    return at
  }

  #putLocal(header: IpPacket): number {
    const at = this.#cursor
    this.#aspView.bytes.set(addressBytes(header.destination), at)
    this.#cursor = at + 16
    return at
  }

  transmit(count: number): void {
    for (let index = 0; index < count; index++) this.#send(this.#aspView.txDescriptors + index * TX_BYTES)
  }

  #send(descriptor: number): void {
    const peer = this.#sockaddr(this.#aspView.u32(descriptor + TX_PEER))
    const local = this.#sockaddr(this.#aspView.u32(descriptor + TX_LOCAL))
    const count = this.#aspView.u32(descriptor + TX_COUNT)
    if (peer === null || local === null || familyOf(peer.address) !== familyOf(local.address)) {
      this.#aspView.drop(DROP_NO_ADDRESS, count)
      return
    }
    const header: IpHeader = {
      source: local.address,
      destination: peer.address,
      protocol: this.#view.getUint8(descriptor + TX_PROTOCOL),
      tos: this.#view.getUint8(descriptor + TX_TOS),
      dontFragment: this.#view.getUint8(descriptor + TX_DF) !== 0,
    }
    const udp = this.#view.getUint8(descriptor + TX_ENCAPSULATION) === ENCAPSULATION_UDP
    const ports: [number, number] = [local.port || this.#natTPort, peer.port]
    const tunnel = this.#aspView.u32(descriptor + TX_TUNNEL)
    for (const payload of this.#datagrams(descriptor, count)) {
      const packet = udp ? buildUdp(header, ports, payload) : rawPacket(header, payload)
      if (!this.#hooks.send(packet, tunnel)) this.#aspView.drop(DROP_PATH_MTU, 1)
    }
  }

  /** Views into linear memory; buildUdp and buildIp copy them. */
  *#datagrams(descriptor: number, count: number): Generator<Uint8Array> {
    const segment = this.#aspView.u32(descriptor + TX_SEGMENT)
    let address = this.#aspView.u32(descriptor + TX_ADDRESS)
    let left = this.#aspView.u32(descriptor + TX_LENGTH)
    for (let index = 0; index < count; index++) {
      const length = index === count - 1 ? left : Math.min(segment, left)
      yield this.#aspView.bytes.subarray(address, address + length)
      address += length
      left -= length
    }
  }

  #sockaddr(at: number): { address: string; port: number } | null {
    if (at === 0) return null
    const family = this.#view.getUint16(at + SOCKADDR_FAMILY, true)
    const port = this.#view.getUint16(at + SOCKADDR_PORT)
    const bytes = this.#aspView.bytes
    if (family === FAMILY_INET)
      return { address: addressText(bytes.subarray(at + SOCKADDR_IPV4, at + SOCKADDR_IPV4 + 4)), port }
    if (family === FAMILY_INET6)
      return { address: addressText(bytes.subarray(at + SOCKADDR_IPV6, at + SOCKADDR_IPV6 + 16)), port }
    return null
  }

  deliver(count: number): void {
    for (let index = 0; index < count; index++) {
      const descriptor = this.#aspView.deliverDescriptors + index * DELIVER_BYTES
      const address = this.#aspView.u32(descriptor + DELIVER_ADDRESS)
      const length = this.#aspView.u32(descriptor + DELIVER_LENGTH)
      const packet = this.#aspView.bytes.slice(address, address + length)
      if (!this.#hooks.deliver(this.#aspView.u32(descriptor + DELIVER_DEVICE), packet))
        this.#aspView.drop(DROP_DEVICE_FAILED, 1)
    }
  }

  wake(bits: number): void {
    this.#hooks.wake(bits)
  }
}

/** The card builds the outer header of AH over IPv4 itself. */
function rawPacket(header: IpHeader, payload: Uint8Array): Uint8Array {
  const whole = header.protocol === PROTOCOL_AH && familyOf(header.source) === 4
  return whole ? Uint8Array.from(payload) : buildIp(header, payload)
}
