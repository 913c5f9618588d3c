// AH, outbound (RFC 4302 §3.3): outer header, AH, then the inner packet or the ESP packet of a bundle.
//
// Over IPv4 the card builds the outer header itself (a socket with IP_HDRINCL sends it), for its fields enter the
// ICV. Over IPv6 the kernel builds it from what the descriptor says; the card puts the same header before the
// datagram, for the ICV only. The ICV is computed over mutable fields of zero; they are filled in afterwards.

import {
  FAMILY_INET,
  HOT_FLAG_ESN,
  HOT_FLAGS,
  HOT_ICV_BYTES,
  HOT_SPI,
  PROTOCOL_AH,
  PROTOCOL_ESP,
  SOCKADDR_FAMILY,
  SOCKADDR_IPV4,
  SOCKADDR_IPV6,
  TUNNEL_LOCAL,
  TUNNEL_PEER,
} from './abi.ts'
import { tunnelRecord } from './machine.ts'
import { addHashJob, W_AH_BYTES, W_AH_HOT, W_AH_OUTER, W_AH_SEQUENCE, W_DF, W_TOS, W_TUNNEL } from './work.ts'

/** next header, length, reserved, SPI, number */
const AH_FIXED: u32 = 12
const IPV4_HEADER: u32 = 20
export const IPV6_HEADER: u32 = 40
const TTL: u32 = 64

/** True when the tunnel's outer header is IPv4; both ends have the same family. */
export function outerIsIpv4(tunnel: u32): bool {
  return load<u16>(tunnelRecord(tunnel) + TUNNEL_LOCAL + SOCKADDR_FAMILY) === FAMILY_INET
}

export function outerBytes(ipv4: bool): u32 {
  return ipv4 ? IPV4_HEADER : IPV6_HEADER
}

/** Bytes of the AH header: a multiple of 4 in IPv4, of 8 in IPv6 (RFC 4302 §2.2). */
export function ahBytes(icvBytes: u32, ipv4: bool): u32 {
  return ipv4 ? AH_FIXED + icvBytes : (AH_FIXED + icvBytes + 7) & ~7
}

/** Puts AH and the outer header before it; `payload` bytes follow AH. The ICV comes with hashAh(). */
export function putAh(
  at: usize,
  hot: usize,
  header: usize,
  nextHeader: u32,
  payload: u32,
  sequence: u64,
): void {
  const ipv4 = outerIsIpv4(load<u32>(at + W_TUNNEL))
  const bytes = ahBytes(load<u32>(hot + HOT_ICV_BYTES), ipv4)
  memory.fill(header, 0, bytes)
  store<u8>(header, <u8>nextHeader)
  store<u8>(header + 1, <u8>((bytes >> 2) - 2))
  store<u32>(header + 4, load<u32>(hot + HOT_SPI))
  store<u32>(header + 8, bswap<u32>(<u32>sequence))
  const outer = header - outerBytes(ipv4)
  const record = tunnelRecord(load<u32>(at + W_TUNNEL))
  if (ipv4) putIpv4(outer, record, IPV4_HEADER + bytes + payload, <u32>sequence)
  else putIpv6(outer, record, bytes + payload)
  store<u32>(at + W_AH_HOT, <u32>hot)
  store<u32>(at + W_AH_OUTER, <u32>outer)
  store<u32>(at + W_AH_BYTES, outerBytes(ipv4) + bytes + payload)
  store<u64>(at + W_AH_SEQUENCE, sequence)
}

/** Mutable fields zero. The identification must not be 0, or the kernel would choose one (raw(7)). */
function putIpv4(outer: usize, tunnel: usize, total: u32, number: u32): void {
  memory.fill(outer, 0, IPV4_HEADER)
  store<u8>(outer, 0x45)
  store<u16>(outer + 2, bswap<u16>(<u16>total))
  store<u16>(outer + 4, bswap<u16>(<u16>((number % 0xffff) + 1)))
  store<u8>(outer + 9, <u8>PROTOCOL_AH)
  store<u32>(outer + 12, load<u32>(tunnel + TUNNEL_LOCAL + SOCKADDR_IPV4))
  store<u32>(outer + 16, load<u32>(tunnel + TUNNEL_PEER + SOCKADDR_IPV4))
}

function putIpv6(outer: usize, tunnel: usize, payload: u32): void {
  store<u64>(outer, 0x60)
  store<u16>(outer + 4, bswap<u16>(<u16>payload))
  store<u8>(outer + 6, <u8>PROTOCOL_AH)
  v128.store(outer + 8, v128.load(tunnel + TUNNEL_LOCAL + SOCKADDR_IPV6))
  v128.store(outer + 24, v128.load(tunnel + TUNNEL_PEER + SOCKADDR_IPV6))
}

/** The ICV job of a packet whose inside is complete: the ICV of an ESP packet inside is covered too. */
export function hashAh(at: usize): void {
  const hot = load<u32>(at + W_AH_HOT)
  const outer = load<u32>(at + W_AH_OUTER)
  const header = outer + outerBytes(load<u8>(outer) >> 4 === 4)
  const esn = (load<u32>(hot + HOT_FLAGS) & HOT_FLAG_ESN) !== 0
  addHashJob(hot, outer, load<u32>(at + W_AH_BYTES), header + AH_FIXED, esn, load<u64>(at + W_AH_SEQUENCE))
}

/** The mutable fields of an IPv4 outer header, once the ICV stands. */
export function finishAh(at: usize): void {
  const outer: usize = load<u32>(at + W_AH_OUTER)
  if (load<u8>(outer) >> 4 !== 4) return
  store<u8>(outer + 1, <u8>load<u32>(at + W_TOS))
  store<u16>(outer + 6, load<u32>(at + W_DF) === 0 ? 0 : 0x40)
  store<u8>(outer + 8, <u8>TTL)
  let sum: u32 = 0
  for (let i: u32 = 0; i < IPV4_HEADER; i += 2) sum += <u32>bswap<u16>(load<u16>(outer + i))
  sum = (sum & 0xffff) + (sum >> 16)
  sum = (sum & 0xffff) + (sum >> 16)
  store<u16>(outer + 10, bswap<u16>(<u16>(sum ^ 0xffff)))
}

/** Next header of AH around an ESP packet. */
export const ESP_IN_AH: u32 = PROTOCOL_ESP
