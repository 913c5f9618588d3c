// The entropy pool: random bytes the driver keeps ahead of us, taken 16 at a time and never twice.

import { ASP_ENTROPY, ENTROPY_BYTES, ENTROPY_HEAD, ENTROPY_POOL, ENTROPY_TAIL } from './abi.ts'
import { atomicLoad, atomicStore, block } from './machine.ts'

const UNIT: u32 = 16

/** True when `units` times 16 fresh bytes are there. */
export function entropyHolds(units: u32): bool {
  const pool = block + ASP_ENTROPY
  const fresh = atomicLoad(pool + ENTROPY_HEAD) - load<u32>(pool + ENTROPY_TAIL)
  return fresh >= UNIT * units && fresh <= <u32>ENTROPY_BYTES
}

/** Address of unit `unit` of the fresh ones, from 0 on: 16 bytes, to be copied before spendEntropy(). */
export function entropyUnit(unit: u32): usize {
  const pool = block + ASP_ENTROPY
  return pool + ENTROPY_POOL + ((load<u32>(pool + ENTROPY_TAIL) + UNIT * unit) & (ENTROPY_BYTES - 1))
}

/** Marks the first units used: after they were copied, because the producer may overwrite them from now on. */
export function spendEntropy(units: u32): void {
  const tail = block + ASP_ENTROPY + ENTROPY_TAIL
  atomicStore(tail, load<u32>(tail) + UNIT * units)
}
