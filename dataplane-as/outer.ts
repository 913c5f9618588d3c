// The outer IP header of a received message, where the socket gives it: what it carries, and where that begins.

import {
  DROP_NONE,
  DROP_OUTER_MALFORMED,
  IN_ADDRESS,
  IN_ENCAPSULATION,
  IN_LENGTH,
  IN_PROTOCOL,
  IN_RAW,
  IN_RAW_IPV4,
  IN_RAW_IPV6,
  IN_TOS,
  PROTOCOL_AH,
  PROTOCOL_ESP,
} from './abi.ts'
import { load16 } from './wire/inner.ts'

const IPV4_HEADER: u32 = 20
const IPV6_HEADER: u32 = 40
const HOP_BY_HOP: u32 = 0
const ROUTING: u32 = 43
const DESTINATION_OPTIONS: u32 = 60
const MAX_EXTENSIONS: u32 = 8

/**
 * Reads the outer header of a message that begins with one; TOS and protocol go into the descriptor. ESP is left
 * as a message of kind IN_RAW; AH keeps its header, the length cut to that of the packet.
 */
export function readOuter(descriptor: usize): u32 {
  const kind = load<u8>(descriptor + IN_ENCAPSULATION)
  if (kind !== IN_RAW_IPV4 && kind !== IN_RAW_IPV6) return DROP_NONE
  const header = load<u32>(descriptor + IN_ADDRESS)
  const bytes = load<u32>(descriptor + IN_LENGTH)
  const start =
    kind === IN_RAW_IPV4 ? readIpv4(descriptor, header, bytes) : readIpv6(descriptor, header, bytes)
  if (start === 0) return DROP_OUTER_MALFORMED
  if (load<u8>(descriptor + IN_PROTOCOL) === PROTOCOL_AH) return DROP_NONE
  store<u32>(descriptor + IN_ADDRESS, header + start)
  store<u32>(descriptor + IN_LENGTH, load<u32>(descriptor + IN_LENGTH) - start)
  store<u8>(descriptor + IN_ENCAPSULATION, IN_RAW)
  return DROP_NONE
}

/** Bytes of the header, 0 when this is no packet that carries ESP or AH whole. */
function readIpv4(descriptor: usize, header: usize, bytes: u32): u32 {
  if (bytes < IPV4_HEADER || load<u8>(header) >> 4 !== 4) return 0
  const headerBytes = (<u32>load<u8>(header) & 15) << 2
  const total = load16(header + 2)
  if (headerBytes < IPV4_HEADER || total < headerBytes || total > bytes) return 0
  if ((load16(header + 6) & 0x3fff) !== 0) return 0 // the kernel reassembles; a fragment is no packet
  note(descriptor, total, <u32>load<u8>(header + 9), <u32>load<u8>(header + 1))
  return carries(<u32>load<u8>(header + 9)) ? headerBytes : 0
}

/** The same with the extension headers before it. */
function readIpv6(descriptor: usize, header: usize, bytes: u32): u32 {
  if (bytes < IPV6_HEADER || load<u8>(header) >> 4 !== 6) return 0
  const total = IPV6_HEADER + load16(header + 4)
  if (total > bytes) return 0
  const start = ipv6PayloadOffset(header, total)
  note(descriptor, total, carried, (load16(header) >> 4) & 255)
  return start
}

/** what ipv6PayloadOffset() found last */
let carried: u32 = 0

/** Offset of ESP or AH behind the extension headers of an IPv6 packet (RFC 8200 §4), 0 when it carries neither. */
export function ipv6PayloadOffset(header: usize, total: u32): u32 {
  carried = <u32>load<u8>(header + 6)
  let offset: u32 = IPV6_HEADER
  for (let i: u32 = 0; i < MAX_EXTENSIONS && !carries(carried); i++) {
    const known = carried === HOP_BY_HOP || carried === ROUTING || carried === DESTINATION_OPTIONS
    if (!known || total - offset < 8) return 0
    carried = <u32>load<u8>(header + offset)
    offset += (<u32>load<u8>(header + offset + 1) + 1) << 3
    if (offset > total) return 0
  }
  return carries(carried) ? offset : 0
}

function carries(protocol: u32): bool {
  return protocol === PROTOCOL_ESP || protocol === PROTOCOL_AH
}

function note(descriptor: usize, total: u32, protocol: u32, tos: u32): void {
  store<u32>(descriptor + IN_LENGTH, total)
  store<u8>(descriptor + IN_PROTOCOL, <u8>protocol)
  store<u8>(descriptor + IN_TOS, <u8>tos)
}
