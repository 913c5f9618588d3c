// What differs between the two builds, and this instance's view of the memory.
//
// The gateway build runs on a shared memory and orders its stores with atomics; the embeddable build is one thread on
// a memory of its own and has no such instructions. Everything mutable an instance needs hangs off the globals below,
// which live in the instance and never in memory.data (a second instance would initialise it again).

import {
  ASP_BLOCK_BYTES,
  ASP_GENERATION,
  ASP_NOW,
  DEVICE_BYTES,
  HEADER_ASP_BLOCKS,
  HEADER_ASPS,
  HEADER_BASE,
  HEADER_DEVICE_TABLE,
  HEADER_DEVICES,
  HEADER_GENERATION,
  HEADER_MEMORY_BYTES,
  HEADER_NOW,
  HEADER_PACKETS,
  HEADER_PACKETS_STRIDE,
  HEADER_SA_COLD,
  HEADER_SA_IN,
  HEADER_SA_OUT,
  HEADER_SAS,
  HEADER_TUNNEL_COUNTERS,
  HEADER_TUNNEL_COUNTERS_STRIDE,
  HEADER_TUNNEL_TABLE,
  HEADER_TUNNELS,
  SA_COLD_BYTES,
  SA_IN_BYTES,
  SA_OUT_BYTES,
  TUNNEL_BYTES,
  TUNNEL_COUNTER_BYTES,
} from './abi.ts'

/** number of this ASP, 1-based; 0 before init() */
export let self: u32 = 0
/** address of this ASP's block, and of its packets */
export let block: usize = 0
export let packets: usize = 0
/** packet region and memory end: no descriptor may name a byte outside */
export let packetRegion: usize = 0
export let memoryEnd: usize = 0
/** geometry, copied at init so that a corrupted header cannot widen a bound */
export let asps: u32 = 0
export let sas: u32 = 0
export let tunnels: u32 = 0
export let devices: u32 = 0
/** monotonic milliseconds: the header's word, and the same without its wrap */
export let now: u32 = 0
export let clock: u64 = 0

let generation: u32 = 0
let coldTable: usize = 0
let inTable: usize = 0
let outTable: usize = 0
let tunnelTable: usize = 0
let deviceTable: usize = 0
let tunnelCounters: usize = 0

export function atomicLoad(address: usize): u32 {
  if (ASC_FEATURE_THREADS) return atomic.load<u32>(address)
  return load<u32>(address)
}

export function atomicStore(address: usize, value: u32): void {
  if (ASC_FEATURE_THREADS) atomic.store<u32>(address, value)
  else store<u32>(address, value)
}

/** Replaces `expected` by `value`; true when it stood there. */
export function compareAndSwap(address: usize, expected: u32, value: u32): bool {
  if (ASC_FEATURE_THREADS) return atomic.cmpxchg<u32>(address, expected, value) === expected
  if (load<u32>(address) !== expected) return false
  store<u32>(address, value)
  return true
}

export function atomicOr(address: usize, bits: u32): void {
  if (ASC_FEATURE_THREADS) atomic.or<u32>(address, bits)
  else store<u32>(address, load<u32>(address) | bits)
}

/** a word of the header */
export function header(offset: usize): u32 {
  return load<u32>(offset + HEADER_BASE)
}

/** Takes over the geometry for ASP number `asp`; the caller has checked header and number. */
export function adopt(asp: u32): void {
  self = asp
  asps = header(HEADER_ASPS)
  sas = header(HEADER_SAS)
  tunnels = header(HEADER_TUNNELS)
  devices = header(HEADER_DEVICES)
  generation = header(HEADER_GENERATION)
  memoryEnd = header(HEADER_MEMORY_BYTES)
  packetRegion = header(HEADER_PACKETS)
  block = aspBlock(asp)
  packets = aspPackets(asp)
  coldTable = header(HEADER_SA_COLD)
  inTable = header(HEADER_SA_IN)
  outTable = header(HEADER_SA_OUT)
  tunnelTable = header(HEADER_TUNNEL_TABLE)
  deviceTable = header(HEADER_DEVICE_TABLE)
  tunnelCounters = header(HEADER_TUNNEL_COUNTERS) + (asp - 1) * header(HEADER_TUNNEL_COUNTERS_STRIDE)
  now = atomicLoad(HEADER_BASE + HEADER_NOW)
  clock = <u64>now
}

export function aspBlock(asp: u32): usize {
  return header(HEADER_ASP_BLOCKS) + (asp - 1) * ASP_BLOCK_BYTES
}

export function aspPackets(asp: u32): usize {
  return header(HEADER_PACKETS) + (asp - 1) * header(HEADER_PACKETS_STRIDE)
}

/** False before init(), and when the memory was laid out anew behind this instance's back. */
export function ready(): bool {
  return self !== 0 && load<u32>(block + ASP_GENERATION) === generation
}

/** Reads the header's clock. Time never runs backwards here: a step back counts as standing still. */
export function readClock(): void {
  const read = atomicLoad(HEADER_BASE + HEADER_NOW)
  const step = <i32>(read - now)
  if (step <= 0) return
  now = read
  clock += <u64>step
  store<u64>(block + ASP_NOW, clock)
}

export function cold(index: u32): usize {
  return coldTable + index * SA_COLD_BYTES
}

export function hotIn(index: u32): usize {
  return inTable + index * SA_IN_BYTES
}

export function hotOut(index: u32): usize {
  return outTable + index * SA_OUT_BYTES
}

export function tunnelRecord(index: u32): usize {
  return tunnelTable + index * TUNNEL_BYTES
}

export function deviceRecord(index: u32): usize {
  return deviceTable + index * DEVICE_BYTES
}

/** this ASP's counters of a tunnel */
export function counters(tunnel: u32): usize {
  return tunnelCounters + tunnel * TUNNEL_COUNTER_BYTES
}
