// AH, inbound (RFC 4302 §3.4): where it stands, and the packet made ready for its ICV.
//
// The ICV covers the outer header with mutable fields of zero, AH with an ICV of zero, and all that follows. Where
// the socket kept the header (raw IPv6) it is made again from both addresses, before a copy in the AH area.

import {
  AH_AREA_BYTES,
  FAMILY_INET6,
  HEADER_AH_OFFSET,
  HOT_ICV_BYTES,
  IN_ENCAPSULATION,
  IN_LENGTH,
  IN_LOCAL,
  IN_PROTOCOL,
  IN_RAW,
  IN_RAW_IPV4,
  IN_RAW_IPV6,
  IN_SOURCE,
  PROTOCOL_AH,
  SOCKADDR_FAMILY,
  SOCKADDR_IPV6,
} from './abi.ts'
import { zeroMutableIpv4, zeroMutableIpv6 } from './ah-mutable.ts'
import { ahBytes } from './ah-out.ts'
import { header, packets } from './machine.ts'
import { ipv6PayloadOffset } from './outer.ts'
import {
  receivedSlot,
  STATE_AH,
  W_ADDRESS,
  W_AH_BYTES,
  W_CIPHERTEXT,
  W_CIPHERTEXT_LENGTH,
  W_HOT,
  W_INDEX,
  W_LENGTH,
  W_NEXT_HEADER,
  W_STATE,
} from './work.ts'

/** the message has no AH where it should stand */
export const NO_AH: u32 = 0xffffffff

const ICV_AT: u32 = 12
const IPV6_HEADER: u32 = 40

let used: u32 = 0 // bytes of the AH area taken in this call

export function beginAhArea(): void {
  used = 0
}

/** False when the message would need more of the AH area than is left: it waits for the next call. */
export function ahAreaHolds(descriptor: usize): bool {
  if (
    load<u8>(descriptor + IN_ENCAPSULATION) !== IN_RAW ||
    load<u8>(descriptor + IN_PROTOCOL) !== PROTOCOL_AH
  )
    return true
  return used === 0 || used + copyBytes(load<u32>(descriptor + IN_LENGTH)) <= <u32>AH_AREA_BYTES
}

function copyBytes(bytes: u32): u32 {
  return (IPV6_HEADER + bytes + 63) & ~63
}

/** Offset of AH in the message. Messages with an outer header were read by readOuter() before. */
export function ahOffset(descriptor: usize, address: usize, bytes: u32): u32 {
  const kind = load<u8>(descriptor + IN_ENCAPSULATION)
  if (kind === IN_RAW) return bytes > <u32>AH_AREA_BYTES - 64 ? NO_AH : 0
  if (kind === IN_RAW_IPV4) return (<u32>load<u8>(address) & 15) << 2
  const offset = ipv6PayloadOffset(address, bytes)
  return offset === 0 ? NO_AH : offset
}

/** Bytes behind the AH header at `at`, of which `bytes` are there; 0 when its length is not that of the SA's ICV. */
export function ahPayload(descriptor: usize, at: usize, bytes: u32, icvBytes: u32): u32 {
  const ipv4 = load<u8>(descriptor + IN_ENCAPSULATION) === IN_RAW_IPV4
  const length = ahBytes(icvBytes, ipv4)
  if ((<u32>load<u8>(at + 1) + 2) << 2 !== length || bytes <= length) return 0
  return bytes - length
}

/** Zeroes what the ICV counts as zero and notes what it covers; the received ICV is kept. False: a bad header. */
export function prepareAh(descriptor: usize, entry: usize, offset: u32, payload: u32): bool {
  const kind = load<u8>(descriptor + IN_ENCAPSULATION)
  let outer: usize = load<u32>(entry + W_ADDRESS)
  if (kind === IN_RAW_IPV4 && !zeroMutableIpv4(outer, offset)) return false
  if (kind === IN_RAW_IPV6 && !zeroMutableIpv6(outer, outer + offset)) return false
  if (kind === IN_RAW) {
    outer = withHeader(descriptor, outer, load<u32>(entry + W_LENGTH))
    if (outer === 0) return false
    offset = IPV6_HEADER
    store<u32>(entry + W_ADDRESS, <u32>outer)
    store<u32>(entry + W_LENGTH, IPV6_HEADER + load<u32>(entry + W_LENGTH))
  }
  const at = outer + offset
  const icvBytes = load<u32>(load<u32>(entry + W_HOT) + HOT_ICV_BYTES)
  memory.copy(receivedSlot(load<u32>(entry + W_INDEX)), at + ICV_AT, icvBytes)
  memory.fill(at + ICV_AT, 0, icvBytes)
  const covered = load<u32>(entry + W_LENGTH)
  store<u32>(entry + W_STATE, STATE_AH)
  store<u32>(entry + W_AH_BYTES, covered)
  store<u32>(entry + W_NEXT_HEADER, <u32>load<u8>(at))
  store<u32>(entry + W_CIPHERTEXT, <u32>(outer + covered - payload))
  store<u32>(entry + W_CIPHERTEXT_LENGTH, payload)
  return true
}

/** Copies the packet behind the IPv6 header it came with, as far as the ICV knows it; 0: addresses unknown. */
function withHeader(descriptor: usize, packet: usize, bytes: u32): usize {
  const source = load<u32>(descriptor + IN_SOURCE)
  const local = load<u32>(descriptor + IN_LOCAL)
  if (source === 0 || local === 0 || load<u16>(source + SOCKADDR_FAMILY) !== FAMILY_INET6) return 0
  const outer = packets + header(HEADER_AH_OFFSET) + used
  used += copyBytes(bytes)
  store<u64>(outer, 0x60)
  store<u16>(outer + 4, bswap<u16>(<u16>bytes))
  store<u8>(outer + 6, <u8>PROTOCOL_AH)
  v128.store(outer + 8, v128.load(source + SOCKADDR_IPV6))
  v128.store(outer + 24, v128.load(local))
  memory.copy(outer + IPV6_HEADER, packet, bytes)
  return outer
}
