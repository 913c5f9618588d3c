// Divides the memory (order in abi.ts) and writes the header. Runs once, before any instance is initialised.

import {
  ABI_MAGIC,
  ABI_VERSION,
  AH_AREA_BYTES,
  ASP_BLOCK_BYTES,
  CANARY_BYTES,
  CANARY_PATTERN,
  DEVICE_BYTES,
  ERROR_ARGUMENT,
  ERROR_MEMORY,
  ERROR_NONE,
  FIB_NODE_BYTES,
  HEADER_AH_OFFSET,
  HEADER_ASP_BLOCKS,
  HEADER_ASPS,
  HEADER_BASE,
  HEADER_BYTES,
  HEADER_CANARY,
  HEADER_CONTROL_INBOX_OFFSET,
  HEADER_DEVICE_TABLE,
  HEADER_DEVICES,
  HEADER_FIB_0,
  HEADER_FIB_1,
  HEADER_FIB_NODES,
  HEADER_GENERATION,
  HEADER_INBOX_OFFSET,
  HEADER_KEY_TABLES,
  HEADER_KEYS,
  HEADER_LOOP_BYTES,
  HEADER_LOOP_OFFSET,
  HEADER_MAGIC,
  HEADER_MEMORY_BYTES,
  HEADER_PACKETS,
  HEADER_PACKETS_STRIDE,
  HEADER_SA_COLD,
  HEADER_SA_IN,
  HEADER_SA_OUT,
  HEADER_SAS,
  HEADER_SELECTOR_TABLE,
  HEADER_SELECTORS,
  HEADER_SPI_INDEX,
  HEADER_SPI_SLOTS,
  HEADER_TABLES,
  HEADER_TUNNEL_COUNTERS,
  HEADER_TUNNEL_COUNTERS_STRIDE,
  HEADER_TUNNEL_TABLE,
  HEADER_TUNNELS,
  HEADER_TX_BYTES,
  HEADER_TX_OFFSET,
  HEADER_VERSION,
  INBOX_RING_BYTES,
  KEY_BLOCK_BYTES,
  KEY_TABLE_BYTES,
  MAX_ASPS,
  MAX_DEVICES,
  MAX_FIB_NODES,
  MAX_SAS,
  MAX_SELECTORS,
  MAX_TABLES,
  MAX_TUNNELS,
  MIN_PACKET_BYTES,
  SA_COLD_BYTES,
  SA_IN_BYTES,
  SA_OUT_BYTES,
  SELECTOR_BYTES,
  SPI_SLOT_BYTES,
  TUNNEL_BYTES,
  TUNNEL_COUNTER_BYTES,
} from './abi.ts'

const LINE: u64 = 64
const MAX_TX_BYTES: u32 = 4194304
const MAX_MEMORY: u64 = 0xffff0000 // sizes are u32
const SMALLEST_MEMORY: u64 = 262144 // the header's page and more

let cursor: u64 = 0

export function layoutMemory(
  asps: u32,
  sas: u32,
  tunnels: u32,
  devices: u32,
  selectors: u32,
  fibNodes: u32,
  tables: u32,
): u32 {
  const total = (<u64>memory.size()) << 16
  if (total < SMALLEST_MEMORY || total > MAX_MEMORY || __heap_base > <usize>HEADER_BASE) return ERROR_MEMORY
  const counts =
    within(asps, MAX_ASPS) &&
    within(sas, MAX_SAS) &&
    within(tunnels, MAX_TUNNELS) &&
    within(devices, MAX_DEVICES) &&
    within(selectors, MAX_SELECTORS) &&
    within(fibNodes, MAX_FIB_NODES) &&
    fibNodes >= 2 &&
    tables <= <u32>MAX_TABLES
  if (!counts) return ERROR_ARGUMENT
  const generation = word(HEADER_GENERATION) + 1
  memory.fill(HEADER_BASE, 0, HEADER_BYTES)
  put(HEADER_GENERATION, generation)
  put(HEADER_MEMORY_BYTES, <u32>total)
  put(HEADER_ASPS, asps)
  put(HEADER_SAS, sas)
  put(HEADER_TUNNELS, tunnels)
  put(HEADER_DEVICES, devices)
  put(HEADER_SELECTORS, selectors)
  put(HEADER_FIB_NODES, fibNodes)
  put(HEADER_TABLES, tables)
  divideTables()
  if (!dividePackets(total)) return ERROR_MEMORY
  put(HEADER_VERSION, ABI_VERSION)
  put(HEADER_MAGIC, ABI_MAGIC)
  return ERROR_NONE
}

/** keys lowest, then the canary, then all that holds no key */
function divideTables(): void {
  const asps = word(HEADER_ASPS)
  const sas = word(HEADER_SAS)
  const tunnels = word(HEADER_TUNNELS)
  put(HEADER_SPI_SLOTS, powerOfTwo(sas * 2))
  put(HEADER_TUNNEL_COUNTERS_STRIDE, tunnels * TUNNEL_COUNTER_BYTES)
  cursor = HEADER_BASE + HEADER_BYTES
  region(HEADER_SA_COLD, sas, SA_COLD_BYTES)
  region(HEADER_SA_IN, sas, SA_IN_BYTES)
  region(HEADER_SA_OUT, sas, SA_OUT_BYTES)
  region(HEADER_KEYS, sas, KEY_BLOCK_BYTES)
  region(HEADER_KEY_TABLES, word(HEADER_TABLES), KEY_TABLE_BYTES)
  region(HEADER_CANARY, 1, CANARY_BYTES)
  region(HEADER_SPI_INDEX, asps, word(HEADER_SPI_SLOTS) * SPI_SLOT_BYTES)
  region(HEADER_TUNNEL_TABLE, tunnels, TUNNEL_BYTES)
  region(HEADER_DEVICE_TABLE, word(HEADER_DEVICES), DEVICE_BYTES)
  region(HEADER_SELECTOR_TABLE, word(HEADER_SELECTORS), SELECTOR_BYTES)
  region(HEADER_FIB_0, word(HEADER_FIB_NODES), FIB_NODE_BYTES)
  region(HEADER_FIB_1, word(HEADER_FIB_NODES), FIB_NODE_BYTES)
  region(HEADER_TUNNEL_COUNTERS, asps, word(HEADER_TUNNEL_COUNTERS_STRIDE))
  region(HEADER_ASP_BLOCKS, asps, ASP_BLOCK_BYTES)
}

/**
 * The packets fill the rest and end with the memory; what the division leaves over goes before them.
 * Per ASP: inboxes from the other ASPs, control's inbox, AH area, transmit area, loop area (last). False: does
 * not fit.
 */
function dividePackets(total: u64): bool {
  const asps = word(HEADER_ASPS)
  if (cursor + <u64>asps * MIN_PACKET_BYTES > total) return false
  const stride = <u32>(((total - cursor) / asps) & ~(LINE - 1))
  const first = <u32>(total - <u64>stride * asps)
  const inboxes = asps * INBOX_RING_BYTES
  const ah = inboxes + INBOX_RING_BYTES
  const tx = ah + AH_AREA_BYTES
  const txBytes = min<u32>(MAX_TX_BYTES, ((stride - tx) / 3) & ~63)
  put(HEADER_PACKETS, first)
  put(HEADER_PACKETS_STRIDE, stride)
  put(HEADER_INBOX_OFFSET, 0)
  put(HEADER_CONTROL_INBOX_OFFSET, inboxes)
  put(HEADER_AH_OFFSET, ah)
  put(HEADER_TX_OFFSET, tx)
  put(HEADER_TX_BYTES, txBytes)
  put(HEADER_LOOP_OFFSET, tx + txBytes)
  put(HEADER_LOOP_BYTES, stride - tx - txBytes)
  memory.fill(HEADER_BASE + HEADER_BYTES, 0, first - HEADER_BASE - HEADER_BYTES)
  for (let asp: u32 = 0; asp < asps; asp++) memory.fill(first + asp * stride, 0, tx)
  paintCanary(word(HEADER_CANARY))
  return true
}

function paintCanary(canary: usize): void {
  for (let offset: usize = 0; offset < <usize>CANARY_BYTES; offset += 4)
    store<u32>(canary + offset, CANARY_PATTERN)
}

function within(count: u32, most: u32): bool {
  return count >= 1 && count <= most
}

/** Appends a region at the next cache line and notes its address. */
function region(field: usize, count: u32, bytes: u32): void {
  const at = (cursor + (LINE - 1)) & ~(LINE - 1)
  cursor = at + <u64>count * <u64>bytes
  put(field, <u32>at)
}

function powerOfTwo(atLeast: u32): u32 {
  return atLeast <= 8 ? 8 : 1 << (32 - clz<u32>(atLeast - 1))
}

function put(field: usize, value: u32): void {
  store<u32>(field + HEADER_BASE, value)
}

function word(field: usize): u32 {
  return load<u32>(field + HEADER_BASE)
}
