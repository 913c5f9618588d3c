// The packets of a burst: one size, or IMIX (64, 576 and 1400 bytes, 7 : 4 : 1), and how many make a burst.

import { packetOf } from '../test/packets.ts'

export type Size = 64 | 576 | 1400 | 'imix'

export const SIZES: readonly Size[] = [64, 576, 1400, 'imix']

/** Packets a burst: 128, and 256 for the mixture. */
export function batchOf(size: Size): number {
  return size === 'imix' ? 256 : 128
}

/** Lengths of the packets of one burst in bytes; the mixture is shuffled, always in the same way. */
export function lengthsOf(size: Size, batch: number): number[] {
  return Array.from({ length: batch }, (_, index) => {
    if (size !== 'imix') return size
    const place = (index * 5) % 12
    return place < 7 ? 64 : place < 11 ? 576 : 1400
  })
}

/** Valid IPv4 packets of these lengths, all of one flow, may be fragmented. */
export function packetsOf(lengths: readonly number[]): Uint8Array[] {
  return lengths.map((length) => packetOf(length))
}
