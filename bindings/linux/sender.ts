// Sending bursts from linear memory: transmit descriptors become mmsghdr entries, sendmmsg sends them.
//
// A descriptor holds datagrams of one SA, one TOS and one DF, so they share address and control messages. Over UDP
// it is one message that the kernel cuts (UDP_SEGMENT); where it refuses that, and over raw sockets, each datagram
// is a message of its own. DF and family choose the socket; a change of socket flushes. What the kernel refuses is dropped and
// counted: without room (EAGAIN, ENOBUFS) the rest of the burst, otherwise the one datagram. One that is larger
// than its path carries (EMSGSIZE) is told to whoever can make the tunnel's packets smaller.

import {
  DROP_NO_ADDRESS,
  DROP_PATH_MTU,
  DROP_SEND_FAILED,
  ENCAPSULATION_UDP,
  FAMILY_INET,
  FAMILY_INET6,
  PROTOCOL_AH,
  PROTOCOL_ESP,
  SOCKADDR_FAMILY,
  SOCKADDR_IPV4,
  SOCKADDR_IPV6,
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
import type { AspView } from '../asp-view.ts'
import { type AspAreas, MAX_MESSAGES, SEND_CONTROL } from './asp-areas.ts'
import * as C from './constants.ts'
import { SOCKADDR_IN_SIZE, SOCKADDR_SIZE } from './sockaddr.ts'
import { errno, sendmmsg } from './syscalls.ts'

/** DF clear, DF set; -1: none. */
export type SendPair = [clear: number, set: number]
/** The sending sockets of one ASP and family, by what they carry. */
export type SendSockets = { udp: SendPair; esp: SendPair; ah: SendPair }

const NO_SOCKETS: SendSockets = { udp: [-1, -1], esp: [-1, -1], ah: [-1, -1] }

// struct msghdr
const NAME = 0
const NAME_LENGTH = 8
const IOV = 16
const IOV_LENGTH = 24
const CONTROL = 32
const CONTROL_LENGTH = 40

const PKTINFO_LENGTH = C.CMSGHDR_SIZE + 12
const PKTINFO_SPACE = 32
const PKTINFO6_LENGTH = C.CMSGHDR_SIZE + 20
const PKTINFO6_SPACE = 40
const TOS_LENGTH = C.CMSGHDR_SIZE + 4
const TOS_SPACE = 24
const PKTINFO_SOURCE = 4 // ipi_spec_dst
const SEGMENT_LENGTH = C.CMSGHDR_SIZE + 2
const SEGMENT_SPACE = 24
/** after a socket's way was found unable to cut messages, this long none is given to it, ms */
const SEGMENT_PAUSE = 10000
/** a tunnel whose datagrams are too big is told at most this often, ms */
const TOO_BIG_INTERVAL = 200

export class Sender {
  readonly #aspView: AspView
  readonly #view: DataView
  readonly #areas: AspAreas
  readonly #ipv4: SendSockets
  readonly #ipv6: SendSockets
  readonly #tooBig: (tunnel: number) => void
  readonly #told = new Map<number, number>()
  /** of each pending message: its transmit descriptor (index), and the datagrams in it */
  readonly #descriptors = new Int32Array(MAX_MESSAGES)
  readonly #counts = new Int32Array(MAX_MESSAGES)
  readonly #uncut = new Map<number, number>()
  #fd = -1
  #pending = 0

  constructor(
    aspView: AspView,
    areas: AspAreas,
    sockets: { ipv4: SendSockets | null; ipv6: SendSockets | null },
    tooBig: (tunnel: number) => void,
  ) {
    this.#tooBig = tooBig
    this.#aspView = aspView
    this.#view = aspView.view
    this.#areas = areas
    this.#ipv4 = sockets.ipv4 ?? NO_SOCKETS
    this.#ipv6 = sockets.ipv6 ?? NO_SOCKETS
    for (let message = 0; message < MAX_MESSAGES; message++) {
      const header = areas.sendHeaders + message * C.MMSGHDR_SIZE
      areas.setPointer(header + IOV, areas.sendIovecs + message * C.IOVEC_SIZE)
      areas.setLength(header + IOV_LENGTH, 1)
    }
  }

  transmit(count: number): void {
    for (let index = 0; index < count; index++)
      this.#add(this.#aspView.txDescriptors + index * TX_BYTES, index)
    this.#flush()
  }

  #add(descriptor: number, index: number): void {
    const count = this.#aspView.u32(descriptor + TX_COUNT)
    const peer = this.#aspView.u32(descriptor + TX_PEER)
    const family = this.#view.getUint16(peer + SOCKADDR_FAMILY, true)
    if (family !== FAMILY_INET && family !== FAMILY_INET6) {
      this.#aspView.drop(DROP_NO_ADDRESS, count)
      return
    }
    const fd = this.#socketFor(descriptor, family)
    if (fd < 0) {
      this.#aspView.drop(DROP_SEND_FAILED, count)
      return
    }
    if (fd !== this.#fd || this.#pending + count > MAX_MESSAGES) this.#flush()
    this.#fd = fd
    if (count > 1 && this.#mayCut(descriptor, fd)) this.#addWhole(descriptor, index, peer, family)
    else this.#addDatagrams(descriptor, index, peer, family)
  }

  #mayCut(descriptor: number, fd: number): boolean {
    if (this.#view.getUint8(descriptor + TX_ENCAPSULATION) !== ENCAPSULATION_UDP) return false
    const until = this.#uncut.get(fd)
    if (until === undefined) return true
    if (performance.now() < until) return false
    this.#uncut.delete(fd)
    return true
  }

  #socketFor(descriptor: number, family: number): number {
    const sockets = family === FAMILY_INET ? this.#ipv4 : this.#ipv6
    const dontFragment = this.#view.getUint8(descriptor + TX_DF) === 0 ? 0 : 1
    if (this.#view.getUint8(descriptor + TX_ENCAPSULATION) === ENCAPSULATION_UDP)
      return sockets.udp[dontFragment]
    const protocol = this.#view.getUint8(descriptor + TX_PROTOCOL)
    if (protocol === PROTOCOL_AH) return sockets.ah[dontFragment]
    return protocol === PROTOCOL_ESP ? sockets.esp[dontFragment] : -1
  }

  /** One message that the kernel cuts into datagrams of the descriptor's segment size. */
  #addWhole(descriptor: number, index: number, peer: number, family: number): void {
    const control = this.#areas.sendControls + index * SEND_CONTROL
    const length = this.#putControl(control, descriptor, family)
    this.#putHeader(control + length, SEGMENT_LENGTH, C.SOL_UDP, C.UDP_SEGMENT)
    const segment = this.#aspView.u32(descriptor + TX_SEGMENT)
    this.#view.setUint16(control + length + C.CMSGHDR_SIZE, segment, true)
    this.#counts[this.#pending] = this.#aspView.u32(descriptor + TX_COUNT)
    const address = this.#aspView.u32(descriptor + TX_ADDRESS)
    this.#putMessage(index, peer, family, length + SEGMENT_SPACE)
    this.#putBytes(address, this.#aspView.u32(descriptor + TX_LENGTH))
  }

  #addDatagrams(descriptor: number, index: number, peer: number, family: number): void {
    const segment = this.#aspView.u32(descriptor + TX_SEGMENT)
    const control = this.#areas.sendControls + index * SEND_CONTROL
    const controlLength = this.#putControl(control, descriptor, family)
    let address = this.#aspView.u32(descriptor + TX_ADDRESS)
    let left = this.#aspView.u32(descriptor + TX_LENGTH)
    for (let count = this.#aspView.u32(descriptor + TX_COUNT); count > 0; count--) {
      const length = count === 1 ? left : Math.min(segment, left)
      this.#counts[this.#pending] = 1
      this.#putMessage(index, peer, family, controlLength)
      this.#putBytes(address, length)
      address += length
      left -= length
    }
  }

  /** Addresses and control messages of the next pending message; its bytes follow. */
  #putMessage(index: number, peer: number, family: number, controlLength: number): void {
    const areas = this.#areas
    const header = areas.sendHeaders + this.#pending * C.MMSGHDR_SIZE
    areas.setPointer(header + NAME, peer)
    this.#view.setUint32(
      header + NAME_LENGTH,
      family === FAMILY_INET ? SOCKADDR_IN_SIZE : SOCKADDR_SIZE,
      true,
    )
    areas.setPointer(header + CONTROL, areas.sendControls + index * SEND_CONTROL)
    areas.setLength(header + CONTROL_LENGTH, controlLength)
    this.#descriptors[this.#pending] = index
  }

  #putBytes(address: number, length: number): void {
    const iovec = this.#areas.sendIovecs + this.#pending * C.IOVEC_SIZE
    this.#areas.setPointer(iovec, address)
    this.#areas.setLength(iovec + 8, length)
    this.#pending++
  }

  /** Source address (unless it is the unspecified one) and TOS; returns the length of the control area. */
  #putControl(at: number, descriptor: number, family: number): number {
    const local = this.#aspView.u32(descriptor + TX_LOCAL)
    const tos = this.#view.getUint8(descriptor + TX_TOS)
    if (family === FAMILY_INET) {
      const given = local !== 0 && this.#aspView.u32(local + SOCKADDR_IPV4) !== 0
      if (given) this.#putSource4(at, local)
      const start = given ? at + PKTINFO_SPACE : at
      this.#putInt(start, C.SOL_IP, C.IP_TOS, tos)
      return start + TOS_SPACE - at
    }
    const given = local !== 0 && this.#hasAddress6(local)
    if (given) this.#putSource6(at, local)
    const start = given ? at + PKTINFO6_SPACE : at
    this.#putInt(start, C.SOL_IPV6, C.IPV6_TCLASS, tos)
    return start + TOS_SPACE - at
  }

  #putSource4(at: number, local: number): void {
    this.#putHeader(at, PKTINFO_LENGTH, C.SOL_IP, C.IP_PKTINFO)
    const data = at + C.CMSGHDR_SIZE
    this.#view.setUint32(data, 0, true)
    this.#view.setUint32(data + PKTINFO_SOURCE, this.#aspView.u32(local + SOCKADDR_IPV4), true)
    this.#view.setUint32(data + 8, 0, true)
  }

  #putSource6(at: number, local: number): void {
    this.#putHeader(at, PKTINFO6_LENGTH, C.SOL_IPV6, C.IPV6_PKTINFO)
    const data = at + C.CMSGHDR_SIZE
    const source = local + SOCKADDR_IPV6
    this.#aspView.bytes.copyWithin(data, source, source + 16)
    this.#view.setUint32(data + 16, 0, true)
  }

  #hasAddress6(local: number): boolean {
    const view = this.#aspView
    const at = local + SOCKADDR_IPV6
    return (view.u32(at) | view.u32(at + 4) | view.u32(at + 8) | view.u32(at + 12)) !== 0
  }

  #putInt(at: number, level: number, type: number, value: number): void {
    this.#putHeader(at, TOS_LENGTH, level, type)
    this.#view.setUint32(at + C.CMSGHDR_SIZE, value, true)
  }

  #putHeader(at: number, length: number, level: number, type: number): void {
    this.#areas.setLength(at, length)
    this.#view.setUint32(at + 8, level, true)
    this.#view.setUint32(at + 12, type, true)
  }

  /** Ends after at most one call per pending message: each call sends or gives up at least one. */
  #flush(): void {
    let done = 0
    while (done < this.#pending) {
      const headers = this.#areas.base + this.#areas.sendHeaders + done * C.MMSGHDR_SIZE
      const sent = sendmmsg(this.#fd, headers, this.#pending - done, C.MSG_DONTWAIT)
      if (sent > 0) {
        done += sent
        continue
      }
      done += this.#refused(done, errno())
    }
    this.#pending = 0
  }

  /** Counts what is lost with the message that the kernel refused; returns how many messages are done with. */
  #refused(message: number, code: number): number {
    if (isFull(code)) {
      this.#aspView.drop(DROP_SEND_FAILED, this.#datagramsFrom(message))
      return this.#pending - message
    }
    if (this.#counts[message] > 1) this.#sendSingly(message, code)
    else this.#drop(message, code)
    return 1
  }

  #datagramsFrom(message: number): number {
    let sum = 0
    for (let index = message; index < this.#pending; index++) sum += this.#counts[index]
    return sum
  }

  #drop(message: number, code: number): void {
    this.#aspView.drop(code === C.EMSGSIZE ? DROP_PATH_MTU : DROP_SEND_FAILED, 1)
    if (code === C.EMSGSIZE) this.#tell(this.#tunnelOf(message))
  }

  #tunnelOf(message: number): number {
    const descriptor = this.#aspView.txDescriptors + this.#descriptors[message] * TX_BYTES
    return this.#aspView.u32(descriptor + TX_TUNNEL)
  }

  /**
   * The kernel does not cut this message: a segment is larger than the path carries (EMSGSIZE), or the way cannot
   * do it at all. Its datagrams go one by one out of the same header; without DF the kernel may fragment each.
   */
  #sendSingly(message: number, code: number): void {
    if (code !== C.EMSGSIZE) this.#uncut.set(this.#fd, performance.now() + SEGMENT_PAUSE)
    const areas = this.#areas
    const descriptor = this.#aspView.txDescriptors + this.#descriptors[message] * TX_BYTES
    const header = areas.sendHeaders + message * C.MMSGHDR_SIZE
    const iovec = areas.sendIovecs + message * C.IOVEC_SIZE
    const controlLength = this.#aspView.u32(header + CONTROL_LENGTH) - SEGMENT_SPACE
    areas.setLength(header + CONTROL_LENGTH, controlLength)
    const segment = this.#aspView.u32(descriptor + TX_SEGMENT)
    let address = this.#aspView.u32(descriptor + TX_ADDRESS)
    const end = address + this.#aspView.u32(descriptor + TX_LENGTH)
    for (; address < end; address += segment) {
      areas.setPointer(iovec, address)
      areas.setLength(iovec + 8, Math.min(segment, end - address))
      if (sendmmsg(this.#fd, areas.base + header, 1, C.MSG_DONTWAIT) < 0) this.#drop(message, errno())
    }
  }

  #tell(tunnel: number): void {
    const now = performance.now()
    if (now - (this.#told.get(tunnel) ?? -TOO_BIG_INTERVAL) < TOO_BIG_INTERVAL) return
    this.#told.set(tunnel, now)
    this.#tooBig(tunnel)
  }
}

function isFull(code: number): boolean {
  return code === C.EAGAIN || code === C.ENOBUFS
}
