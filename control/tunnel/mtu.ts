// How large an inner packet may be so that its ESP datagram fits the path (RFC 4303 §2, RFC 3948 §2.1).

import type { Encapsulation, EspCipher, Integrity } from '../ports.ts'

/** Path MTU assumed until one is learned, bytes. */
export const PATH_MTU = 1500

// IV bytes on the wire and the block that padding completes, per cipher.
const CIPHER: Record<EspCipher, { iv: number; block: number; icv: number }> = {
  des: { iv: 8, block: 8, icv: 0 },
  '3des': { iv: 8, block: 8, icv: 0 },
  'aes-128': { iv: 16, block: 16, icv: 0 },
  'aes-192': { iv: 16, block: 16, icv: 0 },
  'aes-256': { iv: 16, block: 16, icv: 0 },
  'aes-gcm-128': { iv: 8, block: 4, icv: 16 },
  'aes-gcm-256': { iv: 8, block: 4, icv: 16 },
  'chacha20-poly1305': { iv: 8, block: 4, icv: 16 },
  null: { iv: 0, block: 4, icv: 0 },
}
// Truncated ICV bytes: RFC 2403, 2404, 4868.
const ICV: Record<Integrity, number> = { none: 0, md5: 12, sha1: 12, sha256: 16, sha384: 24, sha512: 32 }

export type MtuInput = {
  cipher: EspCipher
  integrity: Integrity | null
  encapsulation: Encapsulation
  outerFamily: 4 | 6
  path?: number
}

/** Largest inner packet, bytes, that leaves as one datagram on the path. */
export function innerMtu(input: MtuInput): number {
  const { iv, block, icv } = CIPHER[input.cipher]
  const outer = (input.outerFamily === 4 ? 20 : 40) + (input.encapsulation === 'udp' ? 8 : 0)
  const room = (input.path ?? PATH_MTU) - outer - 8 - iv - icv - ICV[input.integrity ?? 'none']
  return Math.floor(room / block) * block - 2 // pad length and next header, RFC 4303 §2.4-2.6
}

/** The MTU of a device or tunnel: the smaller of the configured ceiling and what fits. */
export function effectiveMtu(ceiling: number, inputs: MtuInput[]): number {
  return Math.min(ceiling, ...inputs.map(innerMtu))
}
