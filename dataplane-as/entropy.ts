// The entropy pool: random bytes the driver keeps ahead of us, taken 16 at a time and never twice.

import { ASP_ENTROPY, ENTROPY_BYTES, ENTROPY_HEAD, ENTROPY_POOL, ENTROPY_TAIL } from './abi.ts'
import { atomicLoad, atomicStore, block } from './machine.ts'

const UNIT: u32 = 16

/** Address of 16 fresh bytes, to be copied before spendEntropy(); 0 when the pool is empty. */
export function takeEntropy(): usize {
  const pool = block + ASP_ENTROPY
  const tail = load<u32>(pool + ENTROPY_TAIL)
  const fresh = atomicLoad(pool + ENTROPY_HEAD) - tail
  if (fresh < UNIT || fresh > <u32>ENTROPY_BYTES) return 0
  return pool + ENTROPY_POOL + (tail & (ENTROPY_BYTES - 1))
}

/** Marks them used: after they were copied, because the producer may overwrite them from now on. */
export function spendEntropy(): void {
  const tail = block + ASP_ENTROPY + ENTROPY_TAIL
  atomicStore(tail, load<u32>(tail) + UNIT)
}
