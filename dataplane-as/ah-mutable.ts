// What AH authenticates of an outer header: mutable fields count as zero (RFC 4302 §3.3.3.1), here in place.
//
//   IPv4   TOS, flags, fragment offset, TTL, checksum; options by their kind (appendix A1)
//   IPv6   traffic class, flow label, hop limit; data of options whose type says that it may change (§3.3.3.1.2)

const IPV6_HEADER: u32 = 40
const ROUTING: u32 = 43
/** third highest bit of an IPv6 option type: the data may change on the way (RFC 8200 §4.2) */
const MAY_CHANGE: u32 = 0x20

/** Zeroes the mutable fields of an IPv4 header of `bytes` bytes. False: an option runs over its end. */
export function zeroMutableIpv4(header: usize, bytes: u32): bool {
  store<u8>(header + 1, 0)
  store<u16>(header + 6, 0)
  store<u8>(header + 8, 0)
  store<u16>(header + 10, 0)
  let at = header + 20
  const end = header + bytes
  while (at < end) {
    const kind = <u32>load<u8>(at)
    if (kind === 0) return true
    if (kind === 1) {
      at++
      continue
    }
    if (at + 2 > end) return false
    const length = <u32>load<u8>(at + 1)
    if (length < 2 || at + length > end) return false
    if (!immutableOption(kind)) memory.fill(at, 0, length) // as a unit, type and length too (§3.3.3.1.1.2)
    at += length
  }
  return true
}

/** Security, extended and commercial security, router alert, multi-destination delivery (appendix A1). */
function immutableOption(kind: u32): bool {
  return kind === 130 || kind === 133 || kind === 134 || kind === 148 || kind === 149
}

/**
 * Zeroes the mutable fields of an IPv6 header and of the extension headers up to `end`, where AH begins: the caller
 * has walked them. A routing header stands as it arrived, its last segment reached. False: an option runs over.
 */
export function zeroMutableIpv6(header: usize, end: usize): bool {
  store<u32>(header, 0x60)
  store<u8>(header + 7, 0)
  let next = <u32>load<u8>(header + 6)
  let at = header + IPV6_HEADER
  while (at < end) {
    const behind = at + ((<u32>load<u8>(at + 1) + 1) << 3)
    if (next !== ROUTING && !zeroOptions(at + 2, behind)) return false
    next = <u32>load<u8>(at)
    at = behind
  }
  return true
}

/** Options of a hop-by-hop or destination header; type and length stay, changeable data counts as zero. */
function zeroOptions(at: usize, end: usize): bool {
  while (at < end) {
    const type = <u32>load<u8>(at)
    if (type === 0) {
      at++
      continue
    }
    if (at + 2 > end) return false
    const length = <u32>load<u8>(at + 1)
    if (at + 2 + length > end) return false
    if ((type & MAY_CHANGE) !== 0) memory.fill(at + 2, 0, length)
    at += 2 + length
  }
  return true
}
