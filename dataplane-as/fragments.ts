// IPv4 packets that do not fit their tunnel and may be cut: fragments in clear, each protected as a packet of its own
// (RFC 4301 §7 and §8.1, procedure of RFC 791 §3.2). The far host puts them together, no gateway has to.
//
// The pieces lie one behind the other in a buffer; the packet itself is not changed.

import { dontFragment, family, headerLength, length, load16 } from './wire/inner.ts'

/** a packet that would need more is dropped: one of 64 KiB fits a tunnel of 576 bytes */
const MAX_FRAGMENTS: u32 = 128
const FIXED_HEADER: u32 = 20
const MORE: u32 = 0x2000
const OFFSET: u32 = 0x1fff
/** options with this bit stand in every fragment, the others in the first only */
const COPIED: u8 = 0x80
const END_OF_OPTIONS: u8 = 0
const NO_OPERATION: u8 = 1

/** How many the packet parseInner() read last makes with `mtu` bytes each; 0: it must not, or would make too many. */
export function fragmentsOf(mtu: u32): u32 {
  if (family !== 4 || dontFragment !== 0) return 0
  const payload = length - headerLength
  const room = payloadOf(mtu)
  const count = (payload + room - 1) / room
  return count > MAX_FRAGMENTS ? 0 : count
}

/** The same for each, as if its header had all options: only the last may be shorter. */
function payloadOf(mtu: u32): u32 {
  return (mtu - headerLength) & ~7
}

/** Bytes from one fragment to the next in the buffer. */
export function fragmentStride(mtu: u32): u32 {
  return (mtu + 63) & ~63
}

/** Cuts the packet parseInner() read last, at `packet`, into the buffer at `to`. */
export function cutPacket(packet: usize, mtu: u32, to: usize): void {
  const payload = length - headerLength
  const room = payloadOf(mtu)
  const flags = load16(packet + 6)
  const source = packet + headerLength
  const headers = headerLength
  for (let done: u32 = 0; done < payload; done += room) {
    const bytes = min<u32>(room, payload - done)
    const header = done === 0 ? headers : copyLaterHeader(packet, headers, to)
    if (done === 0) memory.copy(to, packet, header)
    memory.copy(to + header, source + done, bytes)
    const more = done + bytes < payload ? MORE : flags & MORE
    put16(to + 2, header + bytes)
    put16(to + 6, more | ((flags & OFFSET) + (done >> 3)))
    putChecksum(to, header)
    to += fragmentStride(mtu)
  }
}

/** The header of a later fragment: without the options of the first only. Returns its bytes. */
function copyLaterHeader(packet: usize, headerBytes: u32, to: usize): u32 {
  memory.copy(to, packet, FIXED_HEADER)
  let header = FIXED_HEADER
  for (let at = FIXED_HEADER; at < headerBytes; ) {
    const kind = load<u8>(packet + at)
    if (kind === END_OF_OPTIONS) break
    // parseInner() has seen that every option ends inside the header
    const bytes: u32 = kind === NO_OPERATION ? 1 : <u32>load<u8>(packet + at + 1)
    if ((kind & COPIED) !== 0) {
      memory.copy(to + header, packet + at, bytes)
      header += bytes
    }
    at += bytes
  }
  while ((header & 3) !== 0) store<u8>(to + header++, END_OF_OPTIONS)
  store<u8>(to, <u8>(0x40 | (header >> 2)))
  return header
}

function putChecksum(header: usize, bytes: u32): void {
  store<u16>(header + 10, 0)
  let sum: u32 = 0
  for (let at: u32 = 0; at < bytes; at += 2) sum += load16(header + at)
  sum = (sum & 0xffff) + (sum >> 16)
  sum = (sum & 0xffff) + (sum >> 16)
  put16(header + 10, sum ^ 0xffff)
}

function put16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>value))
}
