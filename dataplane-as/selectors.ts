// Does the parsed inner packet fit the SA's selectors (RFC 4301 §4.4.1, §5.2 step 4)?
//
// It fits when its source fits one of the source selectors and its destination one of the destination selectors.
// A packet that shows no ports fits a port range only if that is the whole range or OPAQUE.

import {
  HOT_DESTINATION_COUNT,
  HOT_FLAG_ANY,
  HOT_FLAGS,
  HOT_SOURCE_COUNT,
  HOT_SOURCES,
  SELECTOR_BYTES,
  SELECTOR_END,
  SELECTOR_END_PORT,
  SELECTOR_FAMILY,
  SELECTOR_PROTOCOL,
  SELECTOR_START,
  SELECTOR_START_PORT,
} from './abi.ts'
import {
  destination,
  destinationPort,
  family,
  NO_PORT,
  protocol,
  readPorts,
  source,
  sourcePort,
} from './wire/inner.ts'

/** For the packet parseInner() read last. */
export function selectorsAllow(hot: usize): bool {
  if ((load<u32>(hot + HOT_FLAGS) & HOT_FLAG_ANY) !== 0) return true
  readPorts()
  const sources = load<u32>(hot + HOT_SOURCE_COUNT)
  const first = load<u32>(hot + HOT_SOURCES)
  if (!someFits(first, sources, source, sourcePort)) return false
  const behind = first + sources * SELECTOR_BYTES
  return someFits(behind, load<u32>(hot + HOT_DESTINATION_COUNT), destination, destinationPort)
}

function someFits(first: usize, count: u32, address: usize, port: u32): bool {
  for (let i: u32 = 0; i < count; i++) {
    if (fits(first + i * SELECTOR_BYTES, address, port)) return true
  }
  return false
}

function fits(selector: usize, address: usize, port: u32): bool {
  if (load<u32>(selector + SELECTOR_FAMILY) !== family) return false
  const wanted = load<u32>(selector + SELECTOR_PROTOCOL)
  if (wanted !== 0 && wanted !== protocol) return false
  if (!portFits(load<u32>(selector + SELECTOR_START_PORT), load<u32>(selector + SELECTOR_END_PORT), port))
    return false
  return family === 4 ? ipv4Fits(selector, address) : ipv6Fits(selector, address)
}

function portFits(start: u32, end: u32, port: u32): bool {
  if (start === 0 && end === 65535) return true
  const opaque = start > end
  if (port === NO_PORT) return opaque
  return !opaque && port >= start && port <= end
}

function ipv4Fits(selector: usize, address: usize): bool {
  const value = bswap<u32>(load<u32>(address))
  return (
    value >= bswap<u32>(load<u32>(selector + SELECTOR_START)) &&
    value <= bswap<u32>(load<u32>(selector + SELECTOR_END))
  )
}

function ipv6Fits(selector: usize, address: usize): bool {
  return (
    compareIpv6(address, selector + SELECTOR_START) >= 0 && compareIpv6(address, selector + SELECTOR_END) <= 0
  )
}

function compareIpv6(left: usize, right: usize): i32 {
  const highLeft = bswap<u64>(load<u64>(left))
  const highRight = bswap<u64>(load<u64>(right))
  if (highLeft !== highRight) return highLeft < highRight ? -1 : 1
  const lowLeft = bswap<u64>(load<u64>(left, 8))
  const lowRight = bswap<u64>(load<u64>(right, 8))
  if (lowLeft === lowRight) return 0
  return lowLeft < lowRight ? -1 : 1
}
