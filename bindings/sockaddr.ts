// struct sockaddr_in and sockaddr_in6 in linear memory (abi.ts: SOCKADDR_*).

import type { Endpoint } from '../control/ports.ts'
import {
  FAMILY_INET,
  FAMILY_INET6,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
  SOCKADDR_IPV4,
  SOCKADDR_IPV6,
  SOCKADDR_PORT,
} from '../dataplane-as/abi.ts'
import { addressBytes, addressText } from './address.ts'

/** The structure as bytes of their own. Throws on text that is no address. */
export function sockaddrBytes(endpoint: Endpoint): Uint8Array {
  const address = addressBytes(endpoint.address)
  const bytes = new Uint8Array(SOCKADDR_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint16(SOCKADDR_FAMILY, address.length === 4 ? FAMILY_INET : FAMILY_INET6, true)
  view.setUint16(SOCKADDR_PORT, endpoint.port)
  bytes.set(address, address.length === 4 ? SOCKADDR_IPV4 : SOCKADDR_IPV6)
  return bytes
}

/** What stands at `at`; port 0 and the unspecified address where nothing is known. */
export function readSockaddr(view: DataView, at: number): Endpoint {
  const family = view.getUint16(at + SOCKADDR_FAMILY, true)
  const port = view.getUint16(at + SOCKADDR_PORT)
  if (family === FAMILY_INET6) return { address: readAddress(view, at + SOCKADDR_IPV6, 16), port }
  if (family === FAMILY_INET) return { address: readAddress(view, at + SOCKADDR_IPV4, 4), port }
  return { address: '0.0.0.0', port: 0 }
}

/** 4 or 16 bytes in network order as text. */
export function readAddress(view: DataView, at: number, bytes: 4 | 16): string {
  return addressText(new Uint8Array(view.buffer, view.byteOffset + at, bytes).slice())
}
