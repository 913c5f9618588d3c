// sockaddr_in and sockaddr_in6 in memory.

import type { Endpoint } from '../../control/ports.ts'
import { addressBytes, addressText } from '../address.ts'
import type { Arena } from './arena.ts'
import { AF_INET, AF_INET6 } from './constants.ts'

export { addressBytes, addressText } from '../address.ts'

export const SOCKADDR_SIZE = 28
export const SOCKADDR_IN_SIZE = 16

/** Writes the endpoint at offset and returns its length: 16 (IPv4) or 28 (IPv6). */
export function putSockaddr(arena: Arena, offset: number, endpoint: Endpoint): number {
  const bytes = addressBytes(endpoint.address)
  const { view } = arena
  arena.bytes.fill(0, offset, offset + SOCKADDR_SIZE)
  view.setUint16(offset, bytes.length === 4 ? AF_INET : AF_INET6, true)
  view.setUint16(offset + 2, endpoint.port)
  arena.bytes.set(bytes, offset + (bytes.length === 4 ? 4 : 8))
  return bytes.length === 4 ? SOCKADDR_IN_SIZE : SOCKADDR_SIZE
}

/** Reads what putSockaddr wrote or the kernel left; null for another family. */
export function getSockaddr(arena: Arena, offset: number): Endpoint | null {
  const family = arena.view.getUint16(offset, true)
  const port = arena.view.getUint16(offset + 2)
  if (family === AF_INET) return { address: addressText(arena.bytes.subarray(offset + 4, offset + 8)), port }
  if (family === AF_INET6)
    return { address: addressText(arena.bytes.subarray(offset + 8, offset + 24)), port }
  return null
}
