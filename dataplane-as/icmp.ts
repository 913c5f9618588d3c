// "Packet too big" to the sender of a packet in clear that does not fit its tunnel and may not be fragmented:
// ICMP destination unreachable, code 4 (RFC 1191 §4) or ICMPv6 packet too big (RFC 4443 §3.2).
//
// The answer comes from the packet's destination: it enters the host through the tunnel's device, where the kernel
// discards a packet from an address of the host itself, and from one whose way back is another. None is made for
// ICMP errors, later fragments, multicast (RFC 1122 §3.2.2, RFC 4443 §2.4), and none above the rate limit.
// An IPv4 packet without DF gets no answer: it is fragmented, or a counted drop where that would make too many.

import { AC_ICMP, ASP_ICMP_SENT, ASP_ICMP_WINDOW, TUNNEL_MTU } from './abi.ts'
import { add } from './counters.ts'
import { deliver } from './deliver.ts'
import { block, clock, tunnelRecord } from './machine.ts'
import {
  destination,
  dontFragment,
  family,
  headerLength,
  laterFragment,
  length,
  load16,
  protocol,
  source,
} from './wire/inner.ts'

/** space one answer takes at the end of the transmit area, headroom included */
export const MAX_ANSWER_BYTES: u32 = 1344
const HEADROOM: u32 = 64
const PER_SECOND: u32 = 50
const IPV4_QUOTE: u32 = 548 // the whole answer stays within 576 bytes (RFC 1812 §4.3.2.3)
const IPV6_QUOTE: u32 = 1232 // within 1280 (RFC 4443 §2.4)
const ICMP: u32 = 1
const ICMP6: u32 = 58

/** For the packet parseInner() read last, at `packet`. Uses the MAX_ANSWER_BYTES before `end`. False: no answer. */
export function answerTooBig(packet: usize, tunnel: u32, end: usize): bool {
  if (dontFragment === 0 || laterFragment !== 0 || groupAddressed() || isError(packet)) return false
  if (!underRate()) return false
  const at = end - MAX_ANSWER_BYTES + HEADROOM
  const mtu = load<u32>(tunnelRecord(tunnel) + TUNNEL_MTU)
  const bytes = family === 4 ? answerIpv4(at, packet, mtu) : answerIpv6(at, packet, mtu)
  deliver(tunnel, at, bytes)
  add(block + AC_ICMP, 1)
  return true
}

function groupAddressed(): bool {
  if (family === 6) return load<u8>(destination) === 0xff || load<u8>(source) === 0xff
  return load<u8>(destination) >= 224 || load<u8>(source) >= 224
}

/** An ICMP error is never answered with one; whether it is, its first byte behind the header tells. */
function isError(packet: usize): bool {
  if (length < headerLength + 1) return false
  const type = load<u8>(packet + headerLength)
  if (family === 6) return protocol === ICMP6 && type < 128
  return protocol === ICMP && type !== 0 && type !== 8 && (type < 13 || type > 18)
}

function underRate(): bool {
  const second = <u32>(clock / 1000)
  if (load<u32>(block + ASP_ICMP_WINDOW) !== second) {
    store<u32>(block + ASP_ICMP_WINDOW, second)
    store<u32>(block + ASP_ICMP_SENT, 0)
  }
  const sent = load<u32>(block + ASP_ICMP_SENT)
  store<u32>(block + ASP_ICMP_SENT, sent + 1)
  return sent < PER_SECOND
}

function answerIpv4(at: usize, packet: usize, mtu: u32): u32 {
  const quote = min<u32>(length, IPV4_QUOTE)
  const total = 28 + quote
  memory.fill(at, 0, 28)
  store<u8>(at, 0x45)
  store<u8>(at + 1, 0xc0) // internetwork control (RFC 1812 §4.3.2.5)
  put16(at + 2, total)
  store<u8>(at + 8, 64)
  store<u8>(at + 9, <u8>ICMP)
  store<u32>(at + 12, load<u32>(destination))
  store<u32>(at + 16, load<u32>(source))
  put16(at + 10, fold(sum(at, 20)) ^ 0xffff)
  store<u8>(at + 20, 3)
  store<u8>(at + 21, 4)
  put16(at + 26, mtu)
  memory.copy(at + 28, packet, quote)
  put16(at + 22, fold(sum(at + 20, 8 + quote)) ^ 0xffff)
  return total
}

function answerIpv6(at: usize, packet: usize, mtu: u32): u32 {
  const quote = min<u32>(length, IPV6_QUOTE)
  const payload = 8 + quote
  memory.fill(at, 0, 48)
  store<u8>(at, 0x60)
  put16(at + 4, payload)
  store<u8>(at + 6, <u8>ICMP6)
  store<u8>(at + 7, 64)
  v128.store(at + 8, v128.load(destination))
  v128.store(at + 24, v128.load(source))
  store<u8>(at + 40, 2)
  put16(at + 46, mtu)
  memory.copy(at + 48, packet, quote)
  const pseudo = sum(at + 8, 32) + payload + ICMP6
  put16(at + 42, fold(sum(at + 40, payload) + pseudo) ^ 0xffff)
  return 40 + payload
}

function put16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>value))
}

/** Sum of 16-bit words in network order; an odd last byte counts as a high byte. At most 1300 bytes: no overflow. */
function sum(at: usize, bytes: u32): u32 {
  let total: u32 = 0
  let offset: u32 = 0
  for (; offset + 2 <= bytes; offset += 2) total += load16(at + offset)
  if (offset < bytes) total += (<u32>load<u8>(at + offset)) << 8
  return total
}

function fold(total: u32): u32 {
  const once = (total & 0xffff) + (total >> 16)
  return (once & 0xffff) + (once >> 16)
}
