// The selectors of an SA: checked where they lie in the table, and pointed at from the hot record.

import {
  ERROR_NONE,
  ERROR_SELECTOR,
  HEADER_SELECTOR_TABLE,
  HEADER_SELECTORS,
  HOT_DESTINATION_COUNT,
  HOT_FLAG_ANY,
  HOT_FLAG_IPV4,
  HOT_FLAG_IPV6,
  HOT_FLAGS,
  HOT_SOURCE_COUNT,
  HOT_SOURCES,
  SELECTOR_BYTES,
  SELECTOR_END_PORT,
  SELECTOR_FAMILY,
  SELECTOR_PROTOCOL,
  SELECTOR_START_PORT,
} from './abi.ts'
import { header } from './machine.ts'

/** Both sides or none, inside the table, each entry readable. */
export function checkSelectorRange(first: u32, sources: u32, destinations: u32): u32 {
  if (sources === 0 && destinations === 0) return ERROR_NONE
  if (sources === 0 || destinations === 0) return ERROR_SELECTOR
  const all = <u64>first + <u64>sources + <u64>destinations
  if (all > <u64>header(HEADER_SELECTORS)) return ERROR_SELECTOR
  for (let i = first; i < <u32>all; i++) {
    const selector = selectorAddress(i)
    const family = load<u32>(selector + SELECTOR_FAMILY)
    const known = family === 4 || family === 6
    if (!known || load<u32>(selector + SELECTOR_PROTOCOL) > 255) return ERROR_SELECTOR
    if (load<u32>(selector + SELECTOR_START_PORT) > 65535) return ERROR_SELECTOR
    if (load<u32>(selector + SELECTOR_END_PORT) > 65535) return ERROR_SELECTOR
  }
  return ERROR_NONE
}

function selectorAddress(index: u32): usize {
  return header(HEADER_SELECTOR_TABLE) + index * SELECTOR_BYTES
}

/** Points the hot record at checked selectors and notes which families they admit. */
export function setSelectors(hot: usize, first: u32, sources: u32, destinations: u32): void {
  let flags = load<u32>(hot + HOT_FLAGS) & ~(HOT_FLAG_ANY | HOT_FLAG_IPV4 | HOT_FLAG_IPV6)
  if (sources === 0) flags |= HOT_FLAG_ANY | HOT_FLAG_IPV4 | HOT_FLAG_IPV6
  for (let i: u32 = 0; i < sources; i++) {
    flags |= load<u32>(selectorAddress(first + i) + SELECTOR_FAMILY) === 4 ? HOT_FLAG_IPV4 : HOT_FLAG_IPV6
  }
  store<u32>(hot + HOT_SOURCES, <u32>selectorAddress(first))
  store<u32>(hot + HOT_SOURCE_COUNT, sources)
  store<u32>(hot + HOT_DESTINATION_COUNT, destinations)
  store<u32>(hot + HOT_FLAGS, flags)
}
