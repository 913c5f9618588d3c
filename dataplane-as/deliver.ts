// Deliver descriptors: packets in clear for a TUN device.

import {
  ASP_DELIVER_COUNT,
  ASP_DELIVER_DESCRIPTORS,
  DELIVER_ADDRESS,
  DELIVER_BYTES,
  DELIVER_DEVICE,
  DELIVER_LENGTH,
  DELIVER_TUNNEL,
  MAX_DELIVER,
  TUNNEL_DEVICE,
} from './abi.ts'
import { block, tunnelRecord } from './machine.ts'

export function beginDelivery(): void {
  store<u32>(block + ASP_DELIVER_COUNT, 0)
}

export function delivered(): u32 {
  return load<u32>(block + ASP_DELIVER_COUNT)
}

/** The callers leave room: inbound() counts pieces first, outbound() makes at most one a packet. */
export function deliver(tunnel: u32, address: usize, bytes: u32): void {
  const count = delivered()
  if (count >= <u32>MAX_DELIVER) unreachable()
  const descriptor = block + ASP_DELIVER_DESCRIPTORS + count * DELIVER_BYTES
  store<u32>(descriptor + DELIVER_ADDRESS, <u32>address)
  store<u32>(descriptor + DELIVER_LENGTH, bytes)
  store<u32>(descriptor + DELIVER_DEVICE, load<u32>(tunnelRecord(tunnel) + TUNNEL_DEVICE))
  store<u32>(descriptor + DELIVER_TUNNEL, tunnel)
  store<u32>(block + ASP_DELIVER_COUNT, count + 1)
}
