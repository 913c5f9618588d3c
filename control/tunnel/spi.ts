// Inbound SPIs: ours to choose, unique in the gateway, random so that a restarted gateway does not meet the
// SPIs its peers still hold (RFC 4303 §2.1; 0-255 are reserved).

import type { Entropy } from '../ports.ts'

const FIRST_SPI = 256

export class SpiAllocator {
  readonly #entropy: Entropy
  readonly #used = new Set<number>()
  #reserved: ReadonlySet<number>

  constructor(entropy: Entropy, reserved: ReadonlySet<number>) {
    this.#entropy = entropy
    this.#reserved = reserved
  }

  /** SPIs of manual tunnels are never given out. */
  reserve(spis: ReadonlySet<number>) {
    this.#reserved = spis
  }

  /** A free SPI, 256 .. 2^32 - 1. */
  allocate(): number {
    for (;;) {
      const bytes = this.#entropy.bytes(4)
      const spi = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)
      if (spi < FIRST_SPI || this.#used.has(spi) || this.#reserved.has(spi)) continue
      this.#used.add(spi)
      return spi
    }
  }

  release(spi: number) {
    this.#used.delete(spi)
  }
}
