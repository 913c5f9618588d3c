// ICMP errors about native ESP over IPv6. The kernel learns a path MTU from them only where a raw socket asks for
// errors (UDP and IPv4 learn without asking). A socket that sends would report them as failures of its next
// datagram, so this one neither sends nor receives: it only listens for errors.

import type { Address } from '../../control/ports.ts'
import { Arena } from './arena.ts'
import { attachFilter, DROP_ALL } from './bpf.ts'
import * as C from './constants.ts'
import { must } from './failure.ts'
import { setOption } from './options.ts'
import { getSockaddr, SOCKADDR_SIZE } from './sockaddr.ts'
import { close, recvmsg, socket } from './syscalls.ts'
import { hasFamily } from './udp.ts'

const MOST = 64 // errors taken at a time: a flood of them must not hold up the rest

// areas of the arena; struct msghdr first
const NAME = 64
const IOVEC = 128
const DATA = 192
const DATA_SIZE = 128
const CONTROL = 512
const CONTROL_SIZE = 512

export class ErrorQueues {
  readonly #fds: number[] = []
  readonly #arena = new Arena(4096)

  /** One queue for each IP protocol. Throws SystemError; nothing stays open then. */
  constructor(protocols: number[]) {
    if (!hasFamily(C.AF_INET6)) return
    try {
      for (const protocol of protocols) this.#open(protocol)
    } catch (error) {
      this.close()
      throw error
    }
  }

  #open(protocol: number): void {
    const what = `raw socket for errors, protocol ${protocol}`
    const type = C.SOCK_RAW | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC
    const fd = must(socket(C.AF_INET6, type, protocol), `cannot open a ${what}`)
    this.#fds.push(fd)
    attachFilter(fd, DROP_ALL)
    setOption(fd, C.SOL_IPV6, C.IPV6_RECVERR, 1, what)
  }

  /** Destinations of the packets that errors have come back for since the last call, each once. */
  take(): Address[] {
    const destinations = new Set<Address>()
    for (const fd of this.#fds) for (let count = 0; count < MOST && this.#takeOne(fd, destinations); count++);
    return [...destinations]
  }

  #takeOne(fd: number, into: Set<Address>): boolean {
    const arena = this.#arena
    arena.setWord(0, arena.address(NAME))
    arena.setInt(8, SOCKADDR_SIZE)
    arena.setWord(16, arena.address(IOVEC))
    arena.setWord(24, 1)
    arena.setWord(32, arena.address(CONTROL))
    arena.setWord(40, CONTROL_SIZE)
    arena.setInt(48, 0)
    arena.setWord(IOVEC, arena.address(DATA))
    arena.setWord(IOVEC + 8, DATA_SIZE)
    arena.bytes.fill(0, NAME, NAME + SOCKADDR_SIZE)
    if (recvmsg(fd, arena.address(0), C.MSG_ERRQUEUE | C.MSG_DONTWAIT) < 0) return false
    const destination = getSockaddr(arena, NAME)
    if (destination !== null) into.add(destination.address)
    return true
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) close(fd)
  }
}
