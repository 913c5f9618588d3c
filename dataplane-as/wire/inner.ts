// The header of a packet in clear, read once. All lengths are checked here; later reads need no check.
//
// parseInner() leaves what it found in the globals below (this instance's own). Ports follow RFC 7296 §3.13.1:
// ICMP and mobility headers put type and code there; NO_PORT means the packet does not show any.

export const NO_PORT: u32 = 0xffffffff

/** 4 or 6 */
export let family: u32 = 0
/** IP length in bytes, at most the bytes given */
export let length: u32 = 0
/** bytes of the IPv4 header, or 40 */
export let headerLength: u32 = 0
/** upper-layer protocol behind any extension headers */
export let protocol: u32 = 0
/** address of the upper-layer header; 0 in later fragments */
export let upper: usize = 0
/** addresses of the two IP addresses, 4 or 16 bytes in network order */
export let source: usize = 0
export let destination: usize = 0
/** after readPorts() */
export let sourcePort: u32 = 0
export let destinationPort: u32 = 0
/** TOS or traffic class */
export let tos: u32 = 0
/** 1 when routers may not fragment it: IPv4 DF, and always in IPv6 */
export let dontFragment: u32 = 0
/** 1 when it is a fragment other than the first */
export let laterFragment: u32 = 0

/** bytes from there to the end of the packet */
let upperBytes: u32 = 0

const MAX_EXTENSIONS: u32 = 8
const HOP_BY_HOP: u32 = 0
const ICMP: u32 = 1
const TCP: u32 = 6
const UDP: u32 = 17
const DCCP: u32 = 33
const ROUTING: u32 = 43
const FRAGMENT: u32 = 44
const AH: u32 = 51
const ICMP6: u32 = 58
const OPTIONS: u32 = 60
const SCTP: u32 = 132
const MOBILITY: u32 = 135
const UDP_LITE: u32 = 136

export function load16(address: usize): u32 {
  return <u32>bswap<u16>(load<u16>(address))
}

/** Reads the IP header at `address` with `available` bytes behind it. False: malformed. */
export function parseInner(address: usize, available: u32): bool {
  if (available < 20) return false
  const version = load<u8>(address) >> 4
  if (version === 4) return parseIpv4(address, available)
  if (version === 6) return parseIpv6(address, available)
  return false
}

function parseIpv4(address: usize, available: u32): bool {
  headerLength = (load<u8>(address) & 15) << 2
  length = load16(address + 2)
  if (headerLength < 20 || length < headerLength || length > available) return false
  if (headerLength > 20 && !optionsHold(address + 20, address + headerLength)) return false
  const fragment = load16(address + 6)
  family = 4
  tos = load<u8>(address + 1)
  protocol = load<u8>(address + 9)
  source = address + 12
  destination = address + 16
  dontFragment = (fragment >> 14) & 1
  laterFragment = (fragment & 0x1fff) !== 0 ? 1 : 0
  upper = address + headerLength
  upperBytes = length - headerLength
  return true
}

/** Every option of an IPv4 header ends inside it (RFC 791 §3.1). */
function optionsHold(at: usize, end: usize): bool {
  while (at < end) {
    const kind = load<u8>(at)
    if (kind === 0) return true
    if (kind === 1) {
      at++
      continue
    }
    if (at + 2 > end) return false
    const bytes = load<u8>(at + 1)
    if (bytes < 2) return false
    at += bytes
  }
  return at === end
}

function parseIpv6(address: usize, available: u32): bool {
  if (available < 40) return false
  headerLength = 40
  length = 40 + load16(address + 4)
  if (length > available) return false
  family = 6
  tos = (load16(address) >> 4) & 255
  source = address + 8
  destination = address + 24
  dontFragment = 1
  laterFragment = 0
  return walkExtensions(address, load<u8>(address + 6))
}

/** Follows the extension headers to the upper layer (RFC 8200 §4). */
function walkExtensions(address: usize, next: u32): bool {
  let offset: u32 = 40
  for (let i: u32 = 0; i < MAX_EXTENSIONS; i++) {
    const extension =
      next === HOP_BY_HOP || next === ROUTING || next === OPTIONS || next === FRAGMENT || next === AH
    if (!extension) {
      protocol = next
      upper = address + offset
      upperBytes = length - offset
      return true
    }
    if (length - offset < 8) return false
    const at = address + offset
    if (next === FRAGMENT && (load16(at + 2) & 0xfff8) !== 0) laterFragment = 1
    const bytes: u32 =
      next === FRAGMENT
        ? 8
        : next === AH
          ? (<u32>load<u8>(at + 1) + 2) << 2
          : (<u32>load<u8>(at + 1) + 1) << 3
    if (bytes > length - offset) return false
    next = load<u8>(at)
    offset += bytes
    if (laterFragment !== 0) {
      protocol = next
      upper = 0
      return true
    }
  }
  return false
}

/** Sets the ports of the packet that parseInner() read last. Few packets need theirs. */
export function readPorts(): void {
  sourcePort = NO_PORT
  destinationPort = NO_PORT
  if (laterFragment !== 0 || upperBytes < 4) return
  const at = upper
  if (
    protocol === TCP ||
    protocol === UDP ||
    protocol === SCTP ||
    protocol === DCCP ||
    protocol === UDP_LITE
  ) {
    sourcePort = load16(at)
    destinationPort = load16(at + 2)
  } else if (protocol === ICMP || protocol === ICMP6) {
    sourcePort = load16(at)
    destinationPort = sourcePort
  } else if (protocol === MOBILITY) {
    sourcePort = (<u32>load<u8>(at + 2)) << 8
    destinationPort = sourcePort
  }
}

/** True for a source no honest sender uses through a tunnel: loopback or multicast. */
export function forbiddenSource(): bool {
  const first = load<u8>(source)
  if (family === 4) return first === 127 || first >= 224
  if (first === 0xff) return true
  return load<u64>(source) === 0 && bswap<u64>(load<u64>(source + 8)) === 1
}
