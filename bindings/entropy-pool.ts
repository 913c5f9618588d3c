// Keeps the card's entropy pools full (abi.ts: ASP_ENTROPY). Bytes between tail and head are fresh.
//
// Any thread may refill a pool; the pool's lock word lets one at a time, the others go on without waiting.

import { randomFillSync } from 'node:crypto'
import {
  ASP_ENTROPY,
  ENTROPY_BYTES,
  ENTROPY_HEAD,
  ENTROPY_LOCK,
  ENTROPY_POOL,
  ENTROPY_TAIL,
} from '../dataplane-as/abi.ts'

/** below this many free bytes a refill is not worth its fixed cost */
const WORTHWHILE = ENTROPY_BYTES / 4

/**
 * Fills what is used up of one ASP's pool; cheap when little is.
 * @param words view of the whole memory
 * @param bytes view of the whole memory
 * @param block address of the ASP's block
 */
export function refillEntropy(words: Int32Array, bytes: Uint8Array, block: number): void {
  const pool = block + ASP_ENTROPY
  if (freeBytes(words, pool) < WORTHWHILE) return
  if (Atomics.compareExchange(words, (pool + ENTROPY_LOCK) >>> 2, 0, 1) !== 0) return
  const free = freeBytes(words, pool)
  const head = Atomics.load(words, (pool + ENTROPY_HEAD) >>> 2)
  const from = (head >>> 0) % ENTROPY_BYTES
  const first = Math.min(free, ENTROPY_BYTES - from)
  fill(bytes, pool + ENTROPY_POOL + from, first)
  fill(bytes, pool + ENTROPY_POOL, free - first)
  Atomics.store(words, (pool + ENTROPY_HEAD) >>> 2, (head + free) | 0)
  Atomics.store(words, (pool + ENTROPY_LOCK) >>> 2, 0)
}

function freeBytes(words: Int32Array, pool: number): number {
  const head = Atomics.load(words, (pool + ENTROPY_HEAD) >>> 2)
  const tail = Atomics.load(words, (pool + ENTROPY_TAIL) >>> 2)
  return ENTROPY_BYTES - ((head - tail) >>> 0)
}

function fill(bytes: Uint8Array, from: number, count: number): void {
  if (count > 0) randomFillSync(bytes, from, count)
}
