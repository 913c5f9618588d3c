// UDP sockets of the gateway: IKE on one port, IKE and ESP in UDP (RFC 3948) on the other.
//
// The NAT traversal port is an SO_REUSEPORT group per address family. Its members are numbered in the
// order of bind: 0 control, 1..n the ASPs (DF clear), n+1..2n the ASPs' second sockets (DF set).
// All are opened and closed together: closing one member would renumber the rest.

import { Arena } from './arena.ts'
import { attachSteering, steerProgram } from './bpf.ts'
import * as C from './constants.ts'
import { must, SystemError } from './failure.ts'
import {
  enlargeBuffers,
  receiveControlMessages,
  receiveTrains,
  setDontFragment,
  setOption,
} from './options.ts'
import { putSockaddr, SOCKADDR_SIZE } from './sockaddr.ts'
import { bind, close, errno, socket } from './syscalls.ts'

/** The sockets of one address family; the arrays are indexed by ASP number - 1. */
export type UdpFamily = {
  family: 4 | 6
  ike: number
  natT: number
  asps: number[]
  aspsDontFragment: number[]
}

export type UdpOptions = { asps: number; ikePort: number; natTPort: number }

/** Opens both families; a host without IPv6 gets IPv4 alone. Throws SystemError; nothing stays open then. */
export function openUdp(options: UdpOptions): UdpFamily[] {
  const opened: number[] = []
  try {
    return ([4, 6] as const).flatMap((family) => {
      if (family === 6 && !hasFamily(C.AF_INET6)) return []
      return [openFamily(family, options, opened)]
    })
  } catch (error) {
    for (const fd of opened) close(fd)
    throw error
  }
}

function openFamily(family: 4 | 6, options: UdpOptions, opened: number[]): UdpFamily {
  const open = (port: number, group: boolean, dontFragment: boolean, trains = false) => {
    const fd = openSocket(family, port, opened)
    if (trains) receiveTrains(fd)
    prepare(fd, family, { group, dontFragment }, `UDP port ${port}`)
    bindAny(fd, family, port)
    return fd
  }
  const each = <T>(make: (index: number) => T) => Array.from({ length: options.asps }, (_, i) => make(i))
  const ike = open(options.ikePort, false, false)
  const natT = open(options.natTPort, true, false)
  attachSteering(natT, steerProgram(each((index) => index + 1)))
  const asps = each(() => open(options.natTPort, true, false, true))
  const aspsDontFragment = each(() => open(options.natTPort, true, true, true))
  return { family, ike, natT, asps, aspsDontFragment }
}

function openSocket(family: 4 | 6, port: number, opened: number[]): number {
  const domain = family === 4 ? C.AF_INET : C.AF_INET6
  const fd = must(
    socket(domain, C.SOCK_DGRAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, C.IPPROTO_UDP),
    `cannot open an IPv${family} socket for UDP port ${port}`,
  )
  opened.push(fd)
  return fd
}

type Traits = { group: boolean; dontFragment: boolean }

function prepare(fd: number, family: 4 | 6, traits: Traits, what: string): void {
  if (family === 6) setOption(fd, C.SOL_IPV6, C.IPV6_V6ONLY, 1, what)
  if (traits.group) setOption(fd, C.SOL_SOCKET, C.SO_REUSEPORT, 1, what)
  enlargeBuffers(fd)
  receiveControlMessages(fd, family, what)
  setDontFragment(fd, family, traits.dontFragment, what)
}

function bindAny(fd: number, family: 4 | 6, port: number): void {
  const arena = new Arena(SOCKADDR_SIZE)
  const length = putSockaddr(arena, 0, { address: family === 4 ? '0.0.0.0' : '::', port })
  must(bind(fd, arena.address(0), length), `cannot bind UDP port ${port} (IPv${family})`)
}

/** Whether the kernel knows the address family at all (ipv6.disable=1 does not). */
export function hasFamily(domain: number): boolean {
  const fd = socket(domain, C.SOCK_DGRAM | C.SOCK_CLOEXEC, 0)
  if (fd < 0) {
    const failure = new SystemError('cannot open a socket', errno())
    if (failure.code === C.EAFNOSUPPORT) return false
    throw failure
  }
  close(fd)
  return true
}

/** ASPs ended: from now on only these (1-based, at least one) get datagrams; the others' sockets stay in the group. */
export function steerUdp(families: UdpFamily[], living: number[]): void {
  for (const { natT } of families) attachSteering(natT, steerProgram(living))
}

export function closeUdp(families: UdpFamily[]): void {
  for (const { ike, natT, asps, aspsDontFragment } of families)
    for (const fd of [ike, natT, ...asps, ...aspsDontFragment]) close(fd)
}
