// Receiving bursts on an ASP's sockets: recvmmsg straight into linear memory, in-descriptors out of it.

import {
  DROP_RECEIVE_TRUNCATED,
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
} from '../../dataplane-as/abi.ts'
import type { AspView } from '../asp-view.ts'
import { type AspAreas, LARGEST_PACKET, NAME_STRIDE, RECEIVE_CONTROL } from './asp-areas.ts'
import * as C from './constants.ts'
import { SOCKADDR_SIZE } from './sockaddr.ts'
import { recvmmsg } from './syscalls.ts'

/** One socket to receive from; protocol 0 with UDP. port: our UDP port, host order. */
export type Source = { fd: number; family: 4 | 6; protocol: number; port: number }

// struct msghdr, mmsghdr.msg_len
const NAME = 0
const NAME_LENGTH = 8
const IOV = 16
const IOV_LENGTH = 24
const CONTROL = 32
const CONTROL_LENGTH = 40
const FLAGS = 48
const RECEIVED = 56

export class Receiver {
  readonly #aspView: AspView
  readonly #view: DataView
  readonly #areas: AspAreas
  #local = 0
  #tos = 0
  #segment = 0

  constructor(aspView: AspView, areas: AspAreas) {
    this.#aspView = aspView
    this.#view = aspView.view
    this.#areas = areas
    for (let slot = 0; slot < areas.slots; slot++) this.#prepare(slot)
  }

  /** What never changes; recvmmsg changes lengths and flags, which arm() restores. */
  #prepare(slot: number): void {
    const areas = this.#areas
    const header = areas.receiveHeaders + slot * C.MMSGHDR_SIZE
    const iovec = areas.receiveIovecs + slot * C.IOVEC_SIZE
    areas.setPointer(header + NAME, areas.receiveNames + slot * NAME_STRIDE)
    areas.setPointer(header + IOV, iovec)
    areas.setLength(header + IOV_LENGTH, 1)
    areas.setPointer(header + CONTROL, areas.receiveControls + slot * RECEIVE_CONTROL)
    areas.setPointer(iovec, areas.slot(slot))
    areas.setLength(iovec + 8, LARGEST_PACKET)
    this.#arm(slot)
  }

  #arm(slot: number): void {
    const header = this.#areas.receiveHeaders + slot * C.MMSGHDR_SIZE
    this.#view.setUint32(header + NAME_LENGTH, SOCKADDR_SIZE, true)
    this.#areas.setLength(header + CONTROL_LENGTH, RECEIVE_CONTROL)
    this.#view.setUint32(header + FLAGS, 0, true)
  }

  /**
   * Receives into the slots from `slot` on and describes what came from descriptor `first` on.
   * Returns the slots used; each is one descriptor unless its datagram was truncated.
   */
  receive(source: Source, slot: number, first: number): { slots: number; descriptors: number } {
    const received = this.#call(source.fd, slot)
    let descriptors = 0
    for (let index = slot; index < slot + received; index++) {
      if (this.#describe(source, index, first + descriptors)) descriptors++
      this.#arm(index)
    }
    this.#result.slots = received
    this.#result.descriptors = descriptors
    return this.#result
  }

  readonly #result = { slots: 0, descriptors: 0 }

  #call(fd: number, slot: number): number {
    const headers = this.#areas.base + this.#areas.receiveHeaders + slot * C.MMSGHDR_SIZE
    return Math.max(0, recvmmsg(fd, headers, this.#areas.slots - slot, C.MSG_DONTWAIT, 0))
  }

  #describe(source: Source, slot: number, index: number): boolean {
    const view = this.#view
    const header = this.#areas.receiveHeaders + slot * C.MMSGHDR_SIZE
    if ((view.getUint32(header + FLAGS, true) & C.MSG_TRUNC) !== 0) {
      this.#aspView.drop(DROP_RECEIVE_TRUNCATED, 1)
      return false
    }
    this.#readControl(slot, view.getUint32(header + CONTROL_LENGTH, true))
    const descriptor = this.#aspView.inDescriptors + index * IN_BYTES
    view.setUint32(descriptor + IN_ADDRESS, this.#areas.slot(slot), true)
    view.setUint32(descriptor + IN_LENGTH, view.getUint32(header + RECEIVED, true), true)
    view.setUint32(descriptor + IN_SEGMENT, this.#segment, true)
    view.setUint32(descriptor + IN_SOURCE, this.#areas.receiveNames + slot * NAME_STRIDE, true)
    view.setUint32(descriptor + IN_LOCAL, this.#local, true)
    view.setUint16(descriptor + IN_LOCAL_PORT, source.port, true)
    view.setUint8(descriptor + IN_ENCAPSULATION, encapsulationOf(source))
    view.setUint8(descriptor + IN_TOS, this.#tos)
    view.setUint8(descriptor + IN_PROTOCOL, source.protocol)
    view.setUint8(descriptor + IN_FLAGS, 0)
    return true
  }

  /** Destination address (its linear address), TOS, and the datagram size of a train out of the control messages. */
  #readControl(slot: number, given: number): void {
    const view = this.#view
    const start = this.#areas.receiveControls + slot * RECEIVE_CONTROL
    const end = start + Math.min(given, RECEIVE_CONTROL)
    this.#local = 0
    this.#tos = 0
    this.#segment = 0
    for (let at = start; at + C.CMSGHDR_SIZE <= end; ) {
      const length = view.getUint32(at, true)
      if (length < C.CMSGHDR_SIZE || at + length > end) return
      const level = view.getInt32(at + 8, true)
      const type = view.getInt32(at + 12, true)
      const data = at + C.CMSGHDR_SIZE
      if (level === C.SOL_IP && type === C.IP_PKTINFO) this.#local = data + 8
      else if (level === C.SOL_IPV6 && type === C.IPV6_PKTINFO) this.#local = data
      else if (level === C.SOL_IP && type === C.IP_TOS) this.#tos = view.getUint8(data)
      else if (level === C.SOL_IPV6 && type === C.IPV6_TCLASS) this.#tos = view.getUint8(data)
      else if (level === C.SOL_UDP && type === C.UDP_GRO) this.#segment = view.getUint32(data, true)
      at += (length + 7) & ~7
    }
  }
}

function encapsulationOf(source: Source): number {
  if (source.protocol === 0) return IN_UDP
  return source.family === 4 ? IN_RAW_IPV4 : IN_RAW
}
