// What happens without packets: hard expiry by time, keys of expired SAs wiped, canary, heartbeat.

import {
  ASP_EXPIRY_CURSOR,
  ASP_HEARTBEAT,
  CANARY_BYTES,
  CANARY_PATTERN,
  EVENT_FAULT,
  FAULT_CANARY,
  HEADER_CANARY,
  HOT_DEADLINE,
  SA_ASP,
  SA_EXPIRED,
  SA_STATE,
  SA_VALID,
} from './abi.ts'
import { atomicLoad, atomicStore, block, clock, cold, header, now, sas, self } from './machine.ts'
import { raise } from './ring.ts'
import { expireSa, hotOf, wipeKeys } from './sa.ts'

/** SAs one tick looks at: a table of 10,000 is through in ten ticks */
const STEP: u32 = 1024

/** Returns the number of SAs that ended in this tick. */
export function live(): u32 {
  atomicStore(block + ASP_HEARTBEAT, now)
  if (!canaryStands()) raise(EVENT_FAULT, 0, FAULT_CANARY, 0)
  let sa = load<u32>(block + ASP_EXPIRY_CURSOR)
  let expired: u32 = 0
  const steps = min<u32>(STEP, sas)
  for (let i: u32 = 0; i < steps; i++) {
    if (sa >= sas) sa = 0
    if (lookAt(sa)) expired++
    sa++
  }
  store<u32>(block + ASP_EXPIRY_CURSOR, sa)
  return expired
}

function lookAt(sa: u32): bool {
  const record = cold(sa)
  const state = atomicLoad(record + SA_STATE)
  if ((state !== SA_VALID && state !== SA_EXPIRED) || load<u32>(record + SA_ASP) !== self) return false
  if (state === SA_EXPIRED) {
    wipeKeys(sa)
    return false
  }
  if (clock < load<u64>(hotOf(sa) + HOT_DEADLINE)) return false
  expireSa(sa, hotOf(sa))
  wipeKeys(sa)
  return true
}

function canaryStands(): bool {
  const canary = header(HEADER_CANARY)
  let difference: u32 = 0
  for (let at = canary; at < canary + CANARY_BYTES; at += 4) difference |= load<u32>(at) ^ CANARY_PATTERN
  return difference === 0
}
