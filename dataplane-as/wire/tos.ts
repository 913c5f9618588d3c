// The outer TOS byte on the way out and the ECN merge on the way in (RFC 6040, RFC 4301 §5.1.2).

import { DSCP_COPY, ECN_COMPATIBILITY } from '../abi.ts'
import { load16 } from './inner.ts'

const ECN_MASK: u32 = 3
const CE: u32 = 3
const ECT1: u32 = 1
const ECT0: u32 = 2

/** Outer TOS: DSCP copied or set, ECN copied (normal mode, RFC 6040 §4.1) or Not-ECT (compatibility mode). */
export function outerTos(inner: u32, dscp: u32, ecn: u32): u32 {
  const high = dscp === DSCP_COPY ? inner & ~ECN_MASK : dscp << 2
  return ecn === ECN_COMPATIBILITY ? high : high | (inner & ECN_MASK)
}

/**
 * Merges the outer ECN into the inner header (RFC 6040 §4.2). False: the pair is illegal, the packet must be
 * dropped (outer CE on an inner packet whose transport does not know ECN). The inner DSCP stays as it is.
 */
export function mergeEcn(packet: usize, inner: u32, outer: u32, family: u32): bool {
  const outside = outer & ECN_MASK
  const inside = inner & ECN_MASK
  if (outside === CE) {
    if (inside === 0) return false
    if (inside !== CE) setTos(packet, inner | CE, family)
  } else if (outside === ECT1 && inside === ECT0) {
    setTos(packet, (inner & ~ECN_MASK) | ECT1, family)
  }
  return true
}

function setTos(packet: usize, tos: u32, family: u32): void {
  if (family === 6) {
    const word = (load16(packet) & 0xf00f) | (tos << 4)
    store<u16>(packet, bswap<u16>(<u16>word))
    return
  }
  // incremental checksum (RFC 1624): HC' = ~(~HC + ~m + m')
  const before = load16(packet)
  const after = (before & 0xff00) | tos
  const sum = (load16(packet + 10) ^ 0xffff) + (before ^ 0xffff) + after
  const folded = (sum & 0xffff) + (sum >> 16)
  const checksum = ((folded & 0xffff) + (folded >> 16)) ^ 0xffff
  store<u8>(packet + 1, <u8>tos)
  store<u16>(packet + 10, bswap<u16>(<u16>checksum))
}
