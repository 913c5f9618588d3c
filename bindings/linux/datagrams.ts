// Bursts of UDP datagrams with their addresses for the main thread: recvmmsg and sendmsg over an Arena.

import type { Address, Endpoint } from '../../control/ports.ts'
import { addressBytes, addressText } from '../address.ts'
import { Arena } from './arena.ts'
import * as C from './constants.ts'
import { getSockaddr, putSockaddr, SOCKADDR_SIZE } from './sockaddr.ts'
import { recvmmsg, sendmsg } from './syscalls.ts'

const BURST = 16
const LARGEST = 65536
const CONTROL_SIZE = 128
const NAME_STRIDE = 32

// areas of the arena
const HEADERS = 0
const IOVECS = HEADERS + BURST * C.MMSGHDR_SIZE
const NAMES = IOVECS + BURST * C.IOVEC_SIZE
const CONTROLS = NAMES + BURST * NAME_STRIDE
const DATA = CONTROLS + BURST * CONTROL_SIZE
const SIZE = DATA + BURST * LARGEST

// struct msghdr
const NAME = 0
const NAME_LENGTH = 8
const IOV = 16
const IOV_LENGTH = 24
const CONTROL = 32
const CONTROL_LENGTH = 40
const FLAGS = 48
const RECEIVED = 56 // mmsghdr.msg_len

/**
 * data is a view into the receive area: valid until the next receive. local is null when the kernel named none;
 * tos is the TOS or traffic class of the outer header.
 */
export type Received = { data: Uint8Array; remote: Endpoint; local: Address | null; tos: number }

export class Datagrams {
  readonly #arena = new Arena(SIZE)

  /** Up to 16 waiting datagrams; an empty list when none waits. Truncated ones (over 64 KiB) cannot occur. */
  receive(fd: number): Received[] {
    this.#arm()
    const count = recvmmsg(fd, this.#arena.address(HEADERS), BURST, C.MSG_DONTWAIT, 0)
    const received: Received[] = []
    for (let index = 0; index < count; index++) {
      const remote = getSockaddr(this.#arena, NAMES + index * NAME_STRIDE)
      if (remote === null) continue
      const start = DATA + index * LARGEST
      const length = this.#arena.view.getUint32(HEADERS + index * C.MMSGHDR_SIZE + RECEIVED, true)
      const data = this.#arena.bytes.subarray(start, start + length)
      received.push({ data, remote, ...this.#control(index) })
    }
    return received
  }

  /** The kernel changes lengths and flags in place, so every call starts from fresh headers. */
  #arm(): void {
    const arena = this.#arena
    for (let index = 0; index < BURST; index++) {
      const header = HEADERS + index * C.MMSGHDR_SIZE
      const iovec = IOVECS + index * C.IOVEC_SIZE
      arena.setWord(header + NAME, arena.address(NAMES + index * NAME_STRIDE))
      arena.setInt(header + NAME_LENGTH, SOCKADDR_SIZE)
      arena.setWord(header + IOV, arena.address(iovec))
      arena.setWord(header + IOV_LENGTH, 1)
      arena.setWord(header + CONTROL, arena.address(CONTROLS + index * CONTROL_SIZE))
      arena.setWord(header + CONTROL_LENGTH, CONTROL_SIZE)
      arena.setInt(header + FLAGS, 0)
      arena.setInt(header + RECEIVED, 0)
      arena.setWord(iovec, arena.address(DATA + index * LARGEST))
      arena.setWord(iovec + 8, LARGEST)
    }
  }

  /** Destination address and TOS out of the control messages. */
  #control(index: number): { local: Address | null; tos: number } {
    const { view, bytes } = this.#arena
    const start = CONTROLS + index * CONTROL_SIZE
    const given = view.getUint32(HEADERS + index * C.MMSGHDR_SIZE + CONTROL_LENGTH, true)
    const end = start + Math.min(given, CONTROL_SIZE)
    let local: Address | null = null
    let tos = 0
    for (let at = start; at + C.CMSGHDR_SIZE <= end; ) {
      const length = view.getUint32(at, true)
      if (length < C.CMSGHDR_SIZE || at + length > end) break
      const level = view.getInt32(at + 8, true)
      const type = view.getInt32(at + 12, true)
      const data = at + C.CMSGHDR_SIZE
      if (level === C.SOL_IP && type === C.IP_PKTINFO)
        local = addressText(bytes.subarray(data + 8, data + 12))
      else if (level === C.SOL_IPV6 && type === C.IPV6_PKTINFO)
        local = addressText(bytes.subarray(data, data + 16))
      else if (level === C.SOL_IP && type === C.IP_TOS) tos = view.getUint8(data)
      else if (level === C.SOL_IPV6 && type === C.IPV6_TCLASS) tos = view.getUint8(data)
      at += (length + 7) & ~7
    }
    return { local, tos }
  }

  /**
   * Sends prefix and data as one datagram from `source` (null: the kernel chooses) to remote.
   * Returns the bytes sent or -1 with errno set.
   */
  send(fd: number, source: Address | null, remote: Endpoint, prefix: number[], data: Uint8Array): number {
    const arena = this.#arena
    const length = prefix.length + data.length
    if (length > LARGEST) return -1
    arena.bytes.set(prefix, DATA)
    arena.bytes.set(data, DATA + prefix.length)
    arena.setWord(HEADERS + NAME, arena.address(NAMES))
    arena.setInt(HEADERS + NAME_LENGTH, putSockaddr(arena, NAMES, remote))
    arena.setWord(HEADERS + IOV, arena.address(IOVECS))
    arena.setWord(HEADERS + IOV_LENGTH, 1)
    arena.setWord(HEADERS + CONTROL, arena.address(CONTROLS))
    arena.setWord(HEADERS + CONTROL_LENGTH, source === null ? 0 : this.#putSource(source))
    arena.setInt(HEADERS + FLAGS, 0)
    arena.setWord(IOVECS, arena.address(DATA))
    arena.setWord(IOVECS + 8, length)
    return sendmsg(fd, arena.address(HEADERS), C.MSG_DONTWAIT)
  }

  /** Packet information with the source address; returns the length of the control area. */
  #putSource(source: Address): number {
    const arena = this.#arena
    const address = addressBytes(source)
    const v4 = address.length === 4
    const length = C.CMSGHDR_SIZE + (v4 ? 12 : 20)
    arena.bytes.fill(0, CONTROLS, CONTROLS + CONTROL_SIZE)
    arena.setWord(CONTROLS, length)
    arena.setInt(CONTROLS + 8, v4 ? C.SOL_IP : C.SOL_IPV6)
    arena.setInt(CONTROLS + 12, v4 ? C.IP_PKTINFO : C.IPV6_PKTINFO)
    arena.bytes.set(address, CONTROLS + C.CMSGHDR_SIZE + (v4 ? 4 : 0))
    return (length + 7) & ~7
  }
}
