// Socket options with an integer value, and the set that every outer socket gets.

import { Arena } from './arena.ts'
import * as C from './constants.ts'
import { must } from './failure.ts'
import { setsockopt } from './syscalls.ts'

const BUFFER_BYTES = 4 * 1024 * 1024

let arena: Arena | null = null

/** Throws SystemError; `what` names the socket for the operator. */
export function setOption(fd: number, level: number, option: number, value: number, what: string): void {
  must(trySetOption(fd, level, option, value), `${what}: cannot set socket option ${level}/${option}`)
}

/** For options that may be missing or forbidden: -1 then. */
export function trySetOption(fd: number, level: number, option: number, value: number): number {
  arena ??= new Arena(4096)
  arena.setInt(0, value)
  return setsockopt(fd, level, option, arena.address(0), 4)
}

/** Large kernel queues; without CAP_NET_ADMIN the kernel's own limit holds. */
export function enlargeBuffers(fd: number): void {
  if (trySetOption(fd, C.SOL_SOCKET, C.SO_RCVBUFFORCE, BUFFER_BYTES) < 0)
    trySetOption(fd, C.SOL_SOCKET, C.SO_RCVBUF, BUFFER_BYTES)
  if (trySetOption(fd, C.SOL_SOCKET, C.SO_SNDBUFFORCE, BUFFER_BYTES) < 0)
    trySetOption(fd, C.SOL_SOCKET, C.SO_SNDBUF, BUFFER_BYTES)
}

/** Destination address and TOS or traffic class come with every datagram (RFC 6040 needs the outer ECN bits). */
export function receiveControlMessages(fd: number, family: 4 | 6, what: string): void {
  if (family === 4) {
    setOption(fd, C.SOL_IP, C.IP_PKTINFO, 1, what)
    setOption(fd, C.SOL_IP, C.IP_RECVTOS, 1, what)
  } else {
    setOption(fd, C.SOL_IPV6, C.IPV6_RECVPKTINFO, 1, what)
    setOption(fd, C.SOL_IPV6, C.IPV6_RECVTCLASS, 1, what)
  }
}

/** Trains of equal datagrams arrive as one message (UDP_GRO); a kernel without it delivers them one by one. */
export function receiveTrains(fd: number): void {
  trySetOption(fd, C.SOL_UDP, C.UDP_GRO, 1)
}

/**
 * Whether the kernel may fragment what leaves here. Set: DF, and a datagram above the path MTU is refused
 * with EMSGSIZE; clear: fragments (RFC 4301 §8.1). DF is per socket, hence one socket for each.
 */
export function setDontFragment(fd: number, family: 4 | 6, set: boolean, what: string): void {
  const mode = set ? C.IP_PMTUDISC_DO : C.IP_PMTUDISC_DONT
  if (family === 4) setOption(fd, C.SOL_IP, C.IP_MTU_DISCOVER, mode, what)
  else {
    setOption(fd, C.SOL_IPV6, C.IPV6_MTU_DISCOVER, mode, what)
    if (set) setOption(fd, C.SOL_IPV6, C.IPV6_DONTFRAG, 1, what)
  }
}
