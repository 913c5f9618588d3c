// What the kernel believes the way to a peer carries: the MTU of the route, or what an ICMP message taught it
// (RFC 1191, RFC 8201). It checks such a message against its sockets and forgets it after ten minutes.

import type { Address } from '../../control/ports.ts'
import { familyOf } from '../address.ts'
import { Arena } from './arena.ts'
import * as C from './constants.ts'
import { putSockaddr, SOCKADDR_SIZE } from './sockaddr.ts'
import { bind, close, connect, getsockopt, socket } from './syscalls.ts'

const VALUE = 64
const LENGTH = 68
/** any port: routes are not chosen by it, and nothing is sent */
const PORT = 9

let arena: Arena | null = null

/** Bytes of the largest IP packet from `local` (unspecified: any) to `remote`; null without route or address. */
export function kernelPathMtu(local: Address, remote: Address): number | null {
  const family = familyOf(remote)
  const domain = family === 4 ? C.AF_INET : C.AF_INET6
  const fd = socket(domain, C.SOCK_DGRAM | C.SOCK_CLOEXEC, C.IPPROTO_UDP)
  if (fd < 0) return null
  try {
    const ready =
      attach(fd, bind, { address: local, port: 0 }) && attach(fd, connect, { address: remote, port: PORT })
    return ready ? readMtu(fd, family) : null
  } finally {
    close(fd)
  }
}

function attach(fd: number, call: typeof bind, end: { address: Address; port: number }): boolean {
  arena ??= new Arena(SOCKADDR_SIZE)
  return call(fd, arena.address(0), putSockaddr(arena, 0, end)) === 0
}

function readMtu(fd: number, family: 4 | 6): number | null {
  arena ??= new Arena(SOCKADDR_SIZE)
  arena.setInt(LENGTH, 4)
  const [level, option] = family === 4 ? [C.SOL_IP, C.IP_MTU] : [C.SOL_IPV6, C.IPV6_MTU]
  const result = getsockopt(fd, level, option, arena.address(VALUE), arena.address(LENGTH))
  return result < 0 ? null : arena.view.getInt32(VALUE, true)
}
