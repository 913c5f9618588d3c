// The packet loop's surroundings on Linux: epoll over TUN queues, sockets and an eventfd, all I/O on linear memory.
//
// The main thread opens every descriptor, puts it into this ASP's epoll set and enters a device's descriptor
// into the shared device map; this side only uses them. A descriptor may be taken away at any turn: the
// map is read anew for every burst.

import {
  DELIVER_ADDRESS,
  DELIVER_BYTES,
  DELIVER_DEVICE,
  DELIVER_LENGTH,
  DROP_DEVICE_FAILED,
  MAX_BURST,
  OUT_ADDRESS,
  OUT_BYTES,
  OUT_DEVICE,
  OUT_FLAGS,
  OUT_LENGTH,
} from '../../dataplane-as/abi.ts'
import type { AspIo } from '../asp-io.ts'
import type { AspView } from '../asp-view.ts'
import { AspAreas, LARGEST_PACKET, MAX_EVENTS, PACKET_HEADROOM } from './asp-areas.ts'
import * as C from './constants.ts'
import { clearEvent, signalEvent } from './eventfd.ts'
import { Receiver, type Source } from './receiver.ts'
import { Sender, type SendSockets } from './sender.ts'
import { epollControl, epollWait, errno, read, write } from './syscalls.ts'

/** epoll user data: kind in the upper byte, index below (device number, or index into sources) */
export const READY_WAKE = 0
export const READY_DEVICE = 1 << 24
export const READY_SOURCE = 2 << 24
const INDEX_MASK = (1 << 24) - 1

/** packets read from one device before the next one has its turn */
const PER_DEVICE = 64

/** Everything lent to an ASP; plain numbers, so it crosses to the worker as it is. */
export type AspLoan = {
  epoll: number
  /** own eventfd */
  wake: number
  /** eventfds to wake others: index 0 control, n ASP n */
  wakeUps: number[]
  sources: Source[]
  ipv4: SendSockets | null
  ipv6: SendSockets | null
  /** device number -> descriptor, -1 = none; shared with the main thread */
  deviceMap: Int32Array
}

export class LinuxAspIo implements AspIo {
  readonly #aspView: AspView
  readonly #view: DataView
  readonly #loan: AspLoan
  readonly #areas: AspAreas
  readonly #receiver: Receiver
  readonly #sender: Sender
  readonly #readyDevices = new Int32Array(MAX_EVENTS)
  readonly #readySources = new Int32Array(MAX_EVENTS)
  #devices = 0
  #sources = 0
  #count = 0
  #cursor = 0

  /** tooBig hears, not too often, of tunnels whose datagrams are larger than their path carries. */
  constructor(aspView: AspView, loan: AspLoan, tooBig: (tunnel: number) => void) {
    this.#aspView = aspView
    this.#view = aspView.view
    this.#loan = loan
    this.#areas = new AspAreas(aspView)
    this.#receiver = new Receiver(aspView, this.#areas)
    this.#sender = new Sender(aspView, this.#areas, loan, tooBig)
  }

  wait(timeout: number): void {
    const { epoll, wake } = this.#loan
    this.#devices = 0
    this.#sources = 0
    const count = epollWait(epoll, this.#areas.base + this.#areas.events, MAX_EVENTS, Math.ceil(timeout), 0)
    for (let index = 0; index < count; index++) {
      const tag = this.#aspView.u32(this.#areas.events + index * C.EPOLL_EVENT_SIZE + C.EPOLL_DATA_OFFSET)
      if (tag === READY_WAKE) clearEvent(wake)
      else if (tag >= READY_SOURCE) this.#readySources[this.#sources++] = tag & INDEX_MASK
      else this.#readyDevices[this.#devices++] = tag & INDEX_MASK
    }
  }

  readPackets(): number {
    this.#count = 0
    this.#cursor = this.#areas.readBase
    while (this.#devices > 0 && this.#hasRoom()) this.#readDevice(this.#readyDevices[--this.#devices])
    return this.#count
  }

  #hasRoom(): boolean {
    return this.#count < MAX_BURST && this.#cursor + PACKET_HEADROOM + LARGEST_PACKET <= this.#areas.readEnd
  }

  #readDevice(device: number): void {
    const fd = Atomics.load(this.#loan.deviceMap, device)
    if (fd < 0) return
    for (let packet = 0; packet < PER_DEVICE && this.#hasRoom(); packet++) {
      const address = this.#cursor + PACKET_HEADROOM
      const length = read(fd, this.#areas.base + address, LARGEST_PACKET)
      if (length <= 0) {
        if (isGone(errno())) this.#forget(device, fd)
        return
      }
      const descriptor = this.#aspView.outDescriptors + this.#count * OUT_BYTES
      this.#view.setUint32(descriptor + OUT_ADDRESS, address, true)
      this.#view.setUint32(descriptor + OUT_LENGTH, length, true)
      this.#view.setUint32(descriptor + OUT_DEVICE, device, true)
      this.#view.setUint32(descriptor + OUT_FLAGS, 0, true)
      this.#count++
      this.#cursor = (address + length + 63) & ~63
    }
  }

  /** Somebody removed the device: its descriptor would be "ready" for ever. */
  #forget(device: number, fd: number): void {
    epollControl(this.#loan.epoll, C.EPOLL_CTL_DEL, fd, this.#areas.base + this.#areas.events)
    Atomics.compareExchange(this.#loan.deviceMap, device, fd, -1)
  }

  receive(): number {
    let slot = 0
    let count = 0
    while (this.#sources > 0 && slot < this.#areas.slots) {
      const source = this.#loan.sources[this.#readySources[--this.#sources]]
      const taken = this.#receiver.receive(source, slot, count)
      slot += taken.slots
      count += taken.descriptors
    }
    return count
  }

  transmit(count: number): void {
    this.#sender.transmit(count)
  }

  deliver(count: number): void {
    for (let index = 0; index < count; index++) {
      const descriptor = this.#aspView.deliverDescriptors + index * DELIVER_BYTES
      const device = this.#aspView.u32(descriptor + DELIVER_DEVICE)
      const fd = device < this.#loan.deviceMap.length ? Atomics.load(this.#loan.deviceMap, device) : -1
      const address = this.#areas.base + this.#aspView.u32(descriptor + DELIVER_ADDRESS)
      if (fd < 0 || write(fd, address, this.#aspView.u32(descriptor + DELIVER_LENGTH)) < 0)
        this.#aspView.drop(DROP_DEVICE_FAILED, 1)
    }
  }

  wake(bits: number): void {
    for (let index = 0; index < this.#loan.wakeUps.length; index++)
      if ((bits & (1 << index)) !== 0) signalEvent(this.#loan.wakeUps[index])
  }
}

function isGone(code: number): boolean {
  return code === C.EBADFD || code === C.ESHUTDOWN || code === C.ENODEV
}
