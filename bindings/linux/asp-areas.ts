// Where an ASP's system call structures and buffers lie in linear memory, and how addresses become pointers.
//
// Structures stand in the ASP's syscall area, packets in its loop area. The receive slots hold 64 KiB each, so
// that a train (UDP_GRO) fits later; their stride is an odd number of cache lines above that, or the first
// bytes of all slots would compete for the same cache sets. Before each packet of a device 64 bytes stay
// free, so that a virtio_net_hdr can stand there later.

import { MAX_BURST } from '../../dataplane-as/abi.ts'
import type { AspView } from '../asp-view.ts'
import * as C from './constants.ts'
import { addressOf } from './syscalls.ts'

export const MAX_MESSAGES = 512
/** IP_PKTINFO 32 or IPV6_PKTINFO 40, TOS or traffic class 24, UDP_SEGMENT 24 when it comes */
export const SEND_CONTROL = 96
export const MAX_SLOTS = 64
export const RECEIVE_CONTROL = 128
export const NAME_STRIDE = 32
export const MAX_EVENTS = 64
export const LARGEST_PACKET = 65536
export const PACKET_HEADROOM = 64
const SLOT_STRIDE = LARGEST_PACKET + 2112
const SMALLEST_READ_AREA = 2 * (LARGEST_PACKET + PACKET_HEADROOM)

export class AspAreas {
  readonly sendHeaders: number
  readonly sendIovecs: number
  readonly sendControls: number
  readonly receiveHeaders: number
  readonly receiveIovecs: number
  readonly receiveControls: number
  readonly receiveNames: number
  readonly events: number
  /** receive slots and how many fit */
  readonly slotBase: number
  readonly slots: number
  /** packets of the devices, one after the other */
  readonly readBase: number
  readonly readEnd: number
  /** machine address of linear memory's first byte */
  readonly base: number
  readonly #view: DataView

  constructor(aspView: AspView) {
    this.#view = aspView.view
    this.base = addressOf(aspView.bytes)
    let at = aspView.syscalls
    const take = (bytes: number) => {
      const start = at
      at += bytes
      return start
    }
    this.sendHeaders = take(MAX_MESSAGES * C.MMSGHDR_SIZE)
    this.sendIovecs = take(MAX_MESSAGES * C.IOVEC_SIZE)
    this.sendControls = take(MAX_BURST * SEND_CONTROL)
    this.receiveHeaders = take(MAX_SLOTS * C.MMSGHDR_SIZE)
    this.receiveIovecs = take(MAX_SLOTS * C.IOVEC_SIZE)
    this.receiveControls = take(MAX_SLOTS * RECEIVE_CONTROL)
    this.receiveNames = take(MAX_SLOTS * NAME_STRIDE)
    this.events = take(MAX_EVENTS * C.EPOLL_EVENT_SIZE)
    this.slotBase = (aspView.loop + 63) & ~63
    const room = aspView.loop + aspView.loopBytes - this.slotBase - SMALLEST_READ_AREA
    this.slots = Math.min(MAX_SLOTS, Math.floor(room / SLOT_STRIDE))
    if (this.slots < 1) throw new Error(`the card's memory leaves ASP ${aspView.asp} no receive buffer`)
    this.readBase = this.slotBase + this.slots * SLOT_STRIDE
    this.readEnd = aspView.loop + aspView.loopBytes
  }

  slot(index: number): number {
    return this.slotBase + index * SLOT_STRIDE
  }

  /** Stores the machine address of a linear address: a little-endian u64. */
  setPointer(at: number, address: number): void {
    const pointer = this.base + address
    const high = Math.floor(pointer / 2 ** 32)
    this.#view.setUint32(at, pointer - high * 2 ** 32, true)
    this.#view.setUint32(at + 4, high, true)
  }

  /** Stores a u64 below 2^32. */
  setLength(at: number, length: number): void {
    this.#view.setUint32(at, length, true)
    this.#view.setUint32(at + 4, 0, true)
  }
}
