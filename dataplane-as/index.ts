// The exports of the card, nothing else. bindings/wasm.ts holds their contract; abi.ts the memory they work on.

import {
  ABI_MAGIC,
  ABI_VERSION,
  ASP_GENERATION,
  ASP_HEARTBEAT,
  ASP_SCRATCH_BYTES,
  ASP_STATE,
  ASP_STATE_UP,
  ERROR_ARGUMENT,
  ERROR_MEMORY,
  ERROR_NONE,
  ERROR_VERSION,
  EVENT_READY,
  HEADER_ASPS,
  HEADER_GENERATION,
  HEADER_MAGIC,
  HEADER_MEMORY_BYTES,
  HEADER_VERSION,
} from './abi.ts'
import { useWideVectors } from './crypto/vectors.ts'
import { openBurst } from './inbound.ts'
import { releaseInbox, takeInbox } from './inbox.ts'
import { layoutMemory } from './layout.ts'
import { live } from './life.ts'
import { adopt, atomicStore, block, header, now, readClock, ready } from './machine.ts'
import { runMailbox } from './mailbox.ts'
import { protectBurst } from './outbound.ts'
import { raise } from './ring.ts'
import { deleteAllSas } from './sa.ts'
import { SCRATCH_BYTES } from './suites.ts'

export function abiVersion(): u32 {
  return ABI_VERSION
}

export function layout(
  asps: u32,
  sas: u32,
  tunnels: u32,
  devices: u32,
  selectors: u32,
  fibNodes: u32,
  tables: u32,
): u32 {
  return layoutMemory(asps, sas, tunnels, devices, selectors, fibNodes, tables)
}

/** Whether the engine joins vectors (crypto/vectors.ts); for this instance, at any time. */
export function wideVectors(on: u32): void {
  useWideVectors(on)
}

export function init(asp: u32): u32 {
  if ((<u64>memory.size()) << 16 < 262144) return ERROR_MEMORY
  if (header(HEADER_MAGIC) !== ABI_MAGIC || header(HEADER_VERSION) !== ABI_VERSION) return ERROR_VERSION
  if (header(HEADER_MEMORY_BYTES) !== <u32>((<u64>memory.size()) << 16)) return ERROR_VERSION
  if (asp < 1 || asp > header(HEADER_ASPS)) return ERROR_ARGUMENT
  if (SCRATCH_BYTES > ASP_SCRATCH_BYTES) return ERROR_MEMORY
  adopt(asp)
  // an instance that replaces one which trapped must not go on with its numbers and IVs
  const rebuilt = load<u32>(block + ASP_STATE) === ASP_STATE_UP
  deleteAllSas()
  store<u32>(block + ASP_GENERATION, header(HEADER_GENERATION))
  atomicStore(block + ASP_HEARTBEAT, now)
  atomicStore(block + ASP_STATE, ASP_STATE_UP)
  raise(EVENT_READY, asp, ABI_VERSION, rebuilt ? 1 : 0)
  return ERROR_NONE
}

export function mailbox(): u32 {
  if (!ready()) return 0
  readClock()
  return runMailbox()
}

export function inbox(): u32 {
  return ready() ? takeInbox() : 0
}

export function inboxDone(): void {
  if (ready()) releaseInbox()
}

export function outbound(count: u32): u32 {
  if (!ready()) return 0
  readClock()
  return protectBurst(count)
}

export function inbound(count: u32): u32 {
  if (!ready()) return 0
  readClock()
  return openBurst(count)
}

export function tick(): u32 {
  if (!ready()) return 0
  readClock()
  return live()
}
