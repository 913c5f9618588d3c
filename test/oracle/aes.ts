/**
 * AES-CBC as the standard tells it (FIPS 197, SP 800-38A §6.2): byte by byte, the S-box computed from its
 * definition. Slow, not constant time, for tests only.
 */

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197 §4.2). */
export function multiply(a: number, b: number): number {
  let product = 0
  for (let bit = 0; bit < 8; bit++) {
    if ((b >> bit) & 1) product ^= a
    a = (a << 1) ^ (a & 0x80 ? 0x11b : 0)
  }
  return product
}

/** The S-box of FIPS 197 §5.1.1: inverse in the field (0 stays 0), then the affine map. */
export const sbox: readonly number[] = Array.from({ length: 256 }, (_, byte) => {
  let inverse = 0
  for (let candidate = 1; candidate < 256; candidate++)
    if (multiply(byte, candidate) === 1) inverse = candidate
  let out = 0x63
  for (let turn = 0; turn < 5; turn++) out ^= ((inverse << turn) | (inverse >> (8 - turn))) & 0xff
  return out
})

/** The inverse S-box. */
export const inverseSbox: readonly number[] = sbox.map((_, byte) => sbox.indexOf(byte))

/** KeyExpansion (FIPS 197 §5.2): rounds + 1 round keys of 16 bytes. */
export function expandKey(key: Uint8Array): number[][] {
  const words = Array.from({ length: key.length / 4 }, (_, i) => [...key.subarray(4 * i, 4 * i + 4)])
  const keyWords = words.length
  let rcon = 1
  while (words.length < 4 * (keyWords + 7)) {
    let word = [...words[words.length - 1]]
    if (words.length % keyWords === 0) {
      word = [word[1], word[2], word[3], word[0]].map((byte) => sbox[byte])
      word[0] ^= rcon
      rcon = multiply(rcon, 2)
    } else if (keyWords > 6 && words.length % keyWords === 4) word = word.map((byte) => sbox[byte])
    words.push(words[words.length - keyWords].map((byte, i) => byte ^ word[i]))
  }
  return Array.from({ length: words.length / 4 }, (_, i) => words.slice(4 * i, 4 * i + 4).flat())
}

/** out[row][column] = in[row][(column + direction·row) mod 4]; byte n of the state is row n mod 4, column n / 4. */
function shiftRows(state: number[], direction: number): number[] {
  return state.map((_, n) => state[(n + 16 + direction * 4 * (n % 4)) % 16])
}

/** Every column times the circulant matrix whose first row is `row`. */
function mixColumns(state: number[], row: number[]): number[] {
  return state.map((_, n) => {
    const column = n - (n % 4)
    return row.reduce((sum, factor, i) => sum ^ multiply(factor, state[column + ((n + i) % 4)]), 0)
  })
}

const add = (a: number[], b: number[]): number[] => a.map((byte, i) => byte ^ b[i])

/** Cipher (FIPS 197 §5.1). */
export function encryptBlock(keys: number[][], block: number[]): number[] {
  let state = add(block, keys[0])
  for (let round = 1; round < keys.length; round++) {
    state = shiftRows(
      state.map((byte) => sbox[byte]),
      1,
    )
    if (round < keys.length - 1) state = mixColumns(state, [2, 3, 1, 1])
    state = add(state, keys[round])
  }
  return state
}

/** InvCipher (FIPS 197 §5.3). */
export function decryptBlock(keys: number[][], block: number[]): number[] {
  let state = add(block, keys[keys.length - 1])
  for (let round = keys.length - 2; round >= 0; round--) {
    state = shiftRows(state, -1).map((byte) => inverseSbox[byte])
    state = add(state, keys[round])
    if (round > 0) state = mixColumns(state, [14, 11, 13, 9])
  }
  return state
}

/** CBC over whole blocks. */
export function cbc(
  direction: 'encrypt' | 'decrypt',
  key: Uint8Array,
  iv: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  const keys = expandKey(key)
  const out = new Uint8Array(data.length)
  let chain = [...iv]
  for (let at = 0; at < data.length; at += 16) {
    const block = [...data.subarray(at, at + 16)]
    const result =
      direction === 'encrypt' ? encryptBlock(keys, add(block, chain)) : add(decryptBlock(keys, block), chain)
    chain = direction === 'encrypt' ? result : block
    out.set(result, at)
  }
  return out
}
