// TCP segments that fit: the MSS option of a SYN is lowered to what the tunnel carries in one packet (RFC 9293 §3.7.1).
//
// Both directions: our side's SYN tells the other what to send us, the other's SYN what our side may send.

import { MSS_AUTO, MSS_OFF, TUNNEL_MSS, TUNNEL_MTU } from './abi.ts'
import { tunnelRecord } from './machine.ts'
import { family, laterFragment, length, load16, protocol, upper } from './wire/inner.ts'

const TCP: u32 = 6
const TCP_HEADER: u32 = 20
const SYN: u32 = 2
const OPTION_MSS: u32 = 2
/** headers that the MSS leaves out: IPv4 or IPv6, and TCP */
const IPV4_HEADERS: u32 = 40
const IPV6_HEADERS: u32 = 60

/** what mssAt() found the MSS to be lowered to */
export let mssLimit: u32 = 0

/**
 * Where the packet that parseInner() read last has an MSS above the tunnel's: the offset of its two bytes from
 * `packet`, with the wanted value in mssLimit. 0: nothing to change.
 */
export function mssAt(packet: usize, tunnel: u32): u32 {
  if (protocol !== TCP || laterFragment !== 0 || upper === 0) return 0
  const setting = load<u32>(tunnelRecord(tunnel) + TUNNEL_MSS)
  if (setting === MSS_OFF) return 0
  const end = packet + length
  if (upper + TCP_HEADER > end || (<u32>load<u8>(upper + 13) & SYN) === 0) return 0
  const headers = family === 4 ? IPV4_HEADERS : IPV6_HEADERS
  mssLimit = setting === MSS_AUTO ? load<u32>(tunnelRecord(tunnel) + TUNNEL_MTU) - headers : setting
  const options = upper + ((<u32>load<u8>(upper + 12) >> 4) << 2)
  if (options > end) return 0
  const at = findMss(upper + TCP_HEADER, options)
  return at !== 0 && load16(at) > mssLimit ? <u32>(at - packet) : 0
}

/** Address of the value of an MSS option between `at` and `end`, 0 = none. */
function findMss(at: usize, end: usize): usize {
  while (at + 4 <= end) {
    const kind = <u32>load<u8>(at)
    if (kind === 0) return 0
    if (kind === 1) {
      at++
      continue
    }
    const bytes = <u32>load<u8>(at + 1)
    if (bytes < 2) return 0
    if (kind === OPTION_MSS) return bytes === 4 ? at + 2 : 0
    at += bytes
  }
  return 0
}

/**
 * Writes the MSS at `at` of the TCP header at `tcp` and brings its checksum up to date (RFC 1624, eqn. 3). A value
 * at an odd place changes two 16-bit words: turned around it counts the same in ones' complement.
 */
export function clampMss(tcp: usize, at: usize, value: u32): void {
  const odd = ((at - tcp) & 1) !== 0
  const before = odd ? turned(load16(at)) : load16(at)
  const after = odd ? turned(value) : value
  const sum = (load16(tcp + 16) ^ 0xffff) + (before ^ 0xffff) + after
  const folded = (sum & 0xffff) + (sum >> 16)
  store<u16>(at, bswap<u16>(<u16>value))
  store<u16>(tcp + 16, bswap<u16>(<u16>(((folded & 0xffff) + (folded >> 16)) ^ 0xffff)))
}

function turned(value: u32): u32 {
  return ((value & 0xff) << 8) | (value >> 8)
}
