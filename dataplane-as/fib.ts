// Longest-prefix match in the copy of the FIB this ASP has acknowledged (economical mode).

import {
  ASP_FIB_COPY,
  ASP_FIB_GENERATION,
  FIB_CHILD,
  FIB_ENTRY_BYTES,
  FIB_NO_TARGET,
  FIB_NODE_BYTES,
  FIB_ROOT_IPV4,
  FIB_ROOT_IPV6,
  FIB_TARGET,
  HEADER_FIB_0,
  HEADER_FIB_1,
  HEADER_FIB_NODES,
} from './abi.ts'
import { block, header } from './machine.ts'

/** Target of the longest prefix that holds the address (4 or 16 bytes, network order); FIB_NO_TARGET without one. */
export function lookUp(address: usize, family: u32): u32 {
  if (load<u32>(block + ASP_FIB_GENERATION) === 0) return FIB_NO_TARGET
  const copy = header(load<u32>(block + ASP_FIB_COPY) === 0 ? HEADER_FIB_0 : HEADER_FIB_1)
  const nodes = header(HEADER_FIB_NODES)
  const bits: u32 = family === 4 ? 32 : 128
  let node: u32 = family === 4 ? FIB_ROOT_IPV4 : FIB_ROOT_IPV6
  let best: u32 = FIB_NO_TARGET
  for (let bit: u32 = 0; bit < bits; bit += 4) {
    const octet = <u32>load<u8>(address + (bit >> 3))
    const nibble = (bit & 4) === 0 ? octet >> 4 : octet & 15
    const entry = copy + node * FIB_NODE_BYTES + nibble * FIB_ENTRY_BYTES
    const target = load<u32>(entry + FIB_TARGET)
    if (target !== FIB_NO_TARGET) best = target
    node = load<u32>(entry + FIB_CHILD)
    if (node === 0 || node >= nodes) break
  }
  return best
}
