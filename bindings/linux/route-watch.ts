// Notice of what anybody does to devices, addresses and our own routes: the kernel tells it over rtnetlink(7), and
// takes routes away without a word when a device goes down or loses its last address.
//
// Everybody else's routes are filtered in the kernel, but for those over one device: a routing daemon may change a
// million of them.

import { Arena } from './arena.ts'
import { attachFilter, type Instruction } from './bpf.ts'
import * as C from './constants.ts'
import { must } from './failure.ts'
import { ROUTE_PROTOCOL } from './route-table.ts'
import { bind, close, errno, recvmsg, socket, watchReadable } from './syscalls.ts'

const NETLINK_ROUTE = 0
/** RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE */
const GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
const SOCKADDR_NL_SIZE = 12
const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25

const TYPE = 4 // low byte of nlmsg_type, host order
const RTM_PROTOCOL = 16 + 5 // rtm_protocol behind the message header
const LD_BYTE = 0x30
const JUMP_EQUAL = 0x15
const RETURN = 0x06
const LD_WORD = 0x20
const LD_WORD_INDEXED = 0x40
const LD_IMMEDIATE = 0x00
const LDX_IMMEDIATE = 0x01
const TO_INDEX = 0x07
const WHOLE_MESSAGE = 0x40000
/** All but new routes and the ends of routes that are not ours. */
const WANTED: Instruction[] = [
  [LD_BYTE, 0, 0, TYPE],
  [JUMP_EQUAL, 4, 0, RTM_NEWROUTE],
  [JUMP_EQUAL, 0, 2, RTM_DELROUTE],
  [LD_BYTE, 0, 0, RTM_PROTOCOL],
  [JUMP_EQUAL, 0, 1, ROUTE_PROTOCOL],
  [RETURN, 0, 0, WHOLE_MESSAGE],
  [RETURN, 0, 0, 0],
]

/** SKF_AD_OFF + SKF_AD_NLATTR: A becomes the offset of the attribute X behind offset A, or 0. */
const FIND_ATTRIBUTE = 0xfffff000 + 12
const ATTRIBUTES = 16 + 12 // behind nlmsghdr and rtmsg
const RTA_OIF = 4
const ATTRIBUTE_VALUE = 4

/** Routes of others over the device with this index; those that name no device (several next hops) count too. */
function learnedOver(index: number): Instruction[] {
  const swapped = new DataView(new ArrayBuffer(4))
  swapped.setUint32(0, index, true) // a word is loaded in network order
  return [
    [LD_BYTE, 0, 0, RTM_PROTOCOL],
    [JUMP_EQUAL, 7, 0, ROUTE_PROTOCOL],
    [LDX_IMMEDIATE, 0, 0, RTA_OIF],
    [LD_IMMEDIATE, 0, 0, ATTRIBUTES],
    [LD_WORD, 0, 0, FIND_ATTRIBUTE],
    [JUMP_EQUAL, 4, 0, 0],
    [TO_INDEX, 0, 0, 0],
    [LD_WORD_INDEXED, 0, 0, ATTRIBUTE_VALUE],
    [JUMP_EQUAL, 1, 0, swapped.getUint32(0)],
    [RETURN, 0, 0, 0],
    [RETURN, 0, 0, WHOLE_MESSAGE],
  ]
}
/** RTMGRP_IPV4_ROUTE, _IPV6_ROUTE */
const ROUTE_GROUPS = 0x40 | 0x400

const HEADER = 0
const IOVEC = 64
const NAME = 96
const DATA = 128
const ROOM = 16 // of a notice only that it came is read
/** An operator's change is many notices: they are told once, this long after the first, ms. */
const SETTLE = 30

export class RouteWatch {
  readonly #fd: number
  readonly #arena = new Arena(4096)
  readonly #handler: () => void
  readonly #watch: { close(): void }
  #timer: NodeJS.Timeout | null = null

  /** The routes that others put over the device with this index. */
  static over(index: number, handler: () => void): RouteWatch {
    return new RouteWatch(handler, learnedOver(index), ROUTE_GROUPS)
  }

  /** handler runs on the main thread. Throws SystemError; nothing stays open then. */
  constructor(handler: () => void, filter: Instruction[] = WANTED, groups = GROUPS) {
    const what = 'cannot watch the kernel’s routes'
    const type = C.SOCK_RAW | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC
    this.#handler = handler
    this.#fd = must(socket(C.AF_NETLINK, type, NETLINK_ROUTE), what)
    try {
      attachFilter(this.#fd, filter)
      this.#arena.bytes.fill(0, NAME, NAME + SOCKADDR_NL_SIZE)
      this.#arena.view.setUint16(NAME, C.AF_NETLINK, true)
      this.#arena.setInt(NAME + 8, groups)
      must(bind(this.#fd, this.#arena.address(NAME), SOCKADDR_NL_SIZE), what)
    } catch (error) {
      close(this.#fd)
      throw error
    }
    this.#watch = watchReadable(this.#fd, () => this.#noticed())
  }

  /** Lost notices (ENOBUFS) are a notice too. */
  #noticed(): void {
    while (this.#take());
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.#handler()
    }, SETTLE)
  }

  #take(): boolean {
    const arena = this.#arena
    arena.bytes.fill(0, HEADER, HEADER + C.MSGHDR_SIZE)
    arena.setWord(HEADER + 16, arena.address(IOVEC))
    arena.setWord(HEADER + 24, 1)
    arena.setWord(IOVEC, arena.address(DATA))
    arena.setWord(IOVEC + 8, ROOM)
    if (recvmsg(this.#fd, arena.address(HEADER), C.MSG_DONTWAIT) >= 0) return true
    const code = errno()
    return code === C.ENOBUFS || code === C.EINTR
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#watch.close()
    close(this.#fd)
  }
}
