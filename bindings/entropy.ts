// Random bytes from the operating system.

import { randomFillSync } from 'node:crypto'
import type { Entropy } from '../control/ports.ts'

/** Every call returns a buffer of its own (never Node's shared pool), so the owner can wipe it. */
export class SystemEntropy implements Entropy {
  bytes(length: number): Uint8Array {
    return randomFillSync(new Uint8Array(length))
  }
}
