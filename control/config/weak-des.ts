// Weak DES keys (RFC 2405 §2.3, RFC 2451 §2.3; FIPS 74): parity bits are ignored.

import type { EspCipher } from '../ports.ts'

const WEAK_AND_SEMI_WEAK = [
  '0101010101010101 fefefefefefefefe e0e0e0e0f1f1f1f1 1f1f1f1f0e0e0e0e',
  '011f011f010e010e 1f011f010e010e01 01e001e001f101f1 e001e001f101f101',
  '01fe01fe01fe01fe fe01fe01fe01fe01 1fe01fe00ef10ef1 e01fe01ff10ef10e',
  '1ffe1ffe0efe0efe fe1ffe1ffe0efe0e e0fee0fef1fef1fe fee0fee0fef1fef1',
].flatMap((line) => line.split(' ').map((key) => withoutParity(Buffer.from(key, 'hex'))))

/** Whether a des key is weak or semi-weak, or a 3des key has such a part or collapses to fewer keys. */
export function isWeakDesKey(cipher: EspCipher, key: Uint8Array): boolean {
  if (cipher !== 'des' && cipher !== '3des') return false
  const parts = Array.from({ length: key.length / 8 }, (_, at) =>
    withoutParity(key.subarray(at * 8, at * 8 + 8)),
  )
  const collapses = parts.some((part, at) => at > 0 && part === parts[at - 1])
  return collapses || parts.some((part) => WEAK_AND_SEMI_WEAK.includes(part))
}

/** The 56 bits that count. */
function withoutParity(key: Uint8Array): bigint {
  return key.reduce((bits, byte) => (bits << 7n) | BigInt(byte >> 1), 0n)
}
