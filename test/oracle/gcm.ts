/** AES-GCM as the standard tells it (NIST SP 800-38D §6, §7.1), nonces of 12 bytes. Slow, for tests only. */
import { encryptBlock, expandKey } from './aes.ts'

/** Bytes as one big number, the first bit the most significant; in GCM it counts x^0. */
const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x0${Buffer.from(bytes).toString('hex')}`)
const toBlock = (value: bigint): Uint8Array => Buffer.from(value.toString(16).padStart(32, '0'), 'hex')

/** §6.3: the product of two blocks. */
function multiply(x: bigint, y: bigint): bigint {
  let product = 0n
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) product ^= y
    y = y & 1n ? (y >> 1n) ^ (0xe1n << 120n) : y >> 1n
  }
  return product
}

/** Bytes with zeros up to whole blocks. */
function padded(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(16 * Math.ceil(bytes.length / 16))
  out.set(bytes)
  return out
}

/** §6.4, over AAD, ciphertext and their lengths in bits. */
function ghash(key: bigint, aad: Uint8Array, ciphertext: Uint8Array): bigint {
  const lengths = toBlock((BigInt(8 * aad.length) << 64n) | BigInt(8 * ciphertext.length))
  const all = new Uint8Array([...padded(aad), ...padded(ciphertext), ...lengths])
  let sum = 0n
  for (let at = 0; at < all.length; at += 16) sum = multiply(sum ^ toNumber(all.subarray(at, at + 16)), key)
  return sum
}

/** §7.1: ciphertext and tag. */
export function gcmSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  data: Uint8Array,
): { data: Uint8Array; tag: Uint8Array } {
  const keys = expandKey(key)
  const encrypted = (counter: number) =>
    encryptBlock(keys, [...nonce, counter >>> 24, (counter >> 16) & 255, (counter >> 8) & 255, counter & 255])
  const out = Uint8Array.from(data)
  for (let at = 0; at < data.length; at += 16) {
    encrypted(2 + at / 16).forEach((byte, i) => {
      if (at + i < data.length) out[at + i] ^= byte
    })
  }
  const hashKey = toNumber(Uint8Array.from(encryptBlock(keys, Array(16).fill(0))))
  const tag = toBlock(ghash(hashKey, aad, out) ^ toNumber(Uint8Array.from(encrypted(1))))
  return { data: out, tag }
}
