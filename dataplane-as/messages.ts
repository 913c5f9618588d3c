// Transmit messages: datagrams of one SA, TOS and DF that lie one behind the other (UDP_SEGMENT needs exactly that).
//
// A datagram joins the open message when it is not longer than the message's first; a shorter one closes it.

import {
  ASP_TX_DESCRIPTORS,
  HOT_PROTOCOL,
  HOT_SPI,
  MAX_MESSAGE_BYTES,
  MAX_SEGMENTS,
  TUNNEL_ENCAPSULATION,
  TUNNEL_LOCAL,
  TUNNEL_PEER,
  TX_ADDRESS,
  TX_BYTES,
  TX_COUNT,
  TX_DF,
  TX_ENCAPSULATION,
  TX_INNER_BYTES,
  TX_LENGTH,
  TX_LOCAL,
  TX_PEER,
  TX_PROTOCOL,
  TX_SEGMENT,
  TX_SPI,
  TX_TOS,
  TX_TUNNEL,
} from './abi.ts'
import { block, tunnelRecord } from './machine.ts'
import { W_DF, W_HOT, W_LENGTH, W_TOS, W_TUNNEL } from './work.ts'

let made: u32 = 0
let open: usize = 0 // descriptor that still takes datagrams, 0 = none

export function beginMessages(): void {
  made = 0
  open = 0
}

export function messagesMade(): u32 {
  return made
}

export function closeMessage(): void {
  open = 0
}

/** Gives a datagram of `bytes` its place, at or just behind `area`, in the open message or a new one. */
export function putDatagram(entry: usize, bytes: u32, area: usize): usize {
  const inner = load<u32>(entry + W_LENGTH)
  if (open !== 0 && joins(bytes)) {
    store<u32>(open + TX_LENGTH, load<u32>(open + TX_LENGTH) + bytes)
    store<u32>(open + TX_COUNT, load<u32>(open + TX_COUNT) + 1)
    store<u32>(open + TX_INNER_BYTES, load<u32>(open + TX_INNER_BYTES) + inner)
    if (bytes < load<u32>(open + TX_SEGMENT)) open = 0
    return area
  }
  const start = (area + 63) & ~63
  open = describe(entry, start, bytes, inner)
  return start
}

function joins(bytes: u32): bool {
  return (
    bytes <= load<u32>(open + TX_SEGMENT) &&
    load<u32>(open + TX_COUNT) < <u32>MAX_SEGMENTS &&
    load<u32>(open + TX_LENGTH) + bytes <= <u32>MAX_MESSAGE_BYTES
  )
}

function describe(entry: usize, start: usize, bytes: u32, inner: u32): usize {
  const tunnel = load<u32>(entry + W_TUNNEL)
  const record = tunnelRecord(tunnel)
  const message = block + ASP_TX_DESCRIPTORS + made++ * TX_BYTES
  store<u32>(message + TX_ADDRESS, <u32>start)
  store<u32>(message + TX_LENGTH, bytes)
  store<u32>(message + TX_SEGMENT, bytes)
  store<u32>(message + TX_COUNT, 1)
  store<u32>(message + TX_TUNNEL, tunnel)
  store<u32>(message + TX_PEER, <u32>record + TUNNEL_PEER)
  store<u32>(message + TX_LOCAL, <u32>record + TUNNEL_LOCAL)
  store<u32>(message + TX_SPI, bswap<u32>(load<u32>(load<u32>(entry + W_HOT) + HOT_SPI)))
  store<u8>(message + TX_TOS, <u8>load<u32>(entry + W_TOS))
  store<u8>(message + TX_DF, <u8>load<u32>(entry + W_DF))
  store<u8>(message + TX_ENCAPSULATION, <u8>load<u32>(record + TUNNEL_ENCAPSULATION))
  store<u8>(message + TX_PROTOCOL, <u8>load<u32>(load<u32>(entry + W_HOT) + HOT_PROTOCOL))
  store<u32>(message + TX_INNER_BYTES, inner)
  return message
}
