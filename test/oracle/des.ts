/**
 * DES, 3DES and their CBC mode as the standards tell it (FIPS 46-3, SP 800-67, SP 800-38A §6.2): bit by bit, bits
 * in lists, the first the most significant of the first byte. Slow, not constant time, for tests only.
 */
import {
  expansion,
  initialPermutation,
  P,
  PC1,
  PC2,
  rotations,
  sboxes,
} from '../../dataplane-as/gen/des-tables.ts'

export type Direction = 'encrypt' | 'decrypt'

const bitsOf = (bytes: Uint8Array): number[] =>
  [...bytes].flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((place) => (byte >> place) & 1))

function bytesOf(bits: number[]): Uint8Array {
  const bytes = new Uint8Array(bits.length / 8)
  bits.forEach((bit, i) => {
    bytes[i >> 3] |= bit << (7 - (i & 7))
  })
  return bytes
}

const add = (a: number[], b: number[]): number[] => a.map((bit, i) => bit ^ b[i])

/** The 16 round keys of 48 bits in the order of encryption. */
function roundKeys(key: Uint8Array): number[][] {
  const chosen = PC1.map((place) => bitsOf(key)[place - 1])
  return rotations.map((by) => {
    const turned = [chosen.slice(0, 28), chosen.slice(28)].flatMap((half) => [
      ...half.slice(by),
      ...half.slice(0, by),
    ])
    return PC2.map((place) => turned[place - 1])
  })
}

/** The function f of a half and a round key. */
function f(half: number[], key: number[]): number[] {
  const outputs = sboxes.flatMap((box, j) => {
    const inputs = [0, 1, 2, 3, 4, 5].map((i) => half[expansion(j, i)] ^ key[6 * j + i])
    const value = box[inputs.reduce((x, bit) => 2 * x + bit, 0)]
    return [3, 2, 1, 0].map((place) => (value >> place) & 1)
  })
  return P.map((place) => outputs[place - 1])
}

/** One block with one key. */
export function block(direction: Direction, key: Uint8Array, input: Uint8Array): Uint8Array {
  const keys = direction === 'encrypt' ? roundKeys(key) : roundKeys(key).reverse()
  const permuted = Array.from({ length: 64 }, (_, n) => bitsOf(input)[initialPermutation(n)])
  let [left, right] = [permuted.slice(0, 32), permuted.slice(32)]
  for (const roundKey of keys) [left, right] = [right, add(left, f(right, roundKey))]
  const out: number[] = []
  ;[...right, ...left].forEach((bit, n) => {
    out[initialPermutation(n)] = bit
  })
  return bytesOf(out)
}

/** One block with a key of 8 bytes (DES) or 24 bytes (3DES). */
export function anyBlock(direction: Direction, key: Uint8Array, input: Uint8Array): Uint8Array {
  if (key.length === 8) return block(direction, key, input)
  const [first, second, third] = [0, 8, 16].map((at) => key.subarray(at, at + 8))
  return direction === 'encrypt'
    ? block('encrypt', third, block('decrypt', second, block('encrypt', first, input)))
    : block('decrypt', first, block('encrypt', second, block('decrypt', third, input)))
}

/** CBC over whole blocks. */
export function cbc(direction: Direction, key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length)
  let chain = iv
  for (let at = 0; at < data.length; at += 8) {
    const input = data.subarray(at, at + 8)
    const mix = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => byte ^ chain[i])
    const result =
      direction === 'encrypt' ? anyBlock('encrypt', key, mix(input)) : mix(anyBlock('decrypt', key, input))
    chain = direction === 'encrypt' ? result : input
    out.set(result, at)
  }
  return out
}
