/** An RSA private key from n, e, d alone, as some vector files give it (NIST SP 800-56B appendix C). */
import { der, derSequence, derUnsigned, Tag } from '../../control/wire/der.ts'
import { hexBytes } from './rsp.ts'

const toBytes = (value: bigint): Uint8Array => {
  const text = value.toString(16)
  return hexBytes(text.length % 2 === 0 ? text : `0${text}`)
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (
    let left = exponent, square = base % modulus;
    left > 0n;
    left >>= 1n, square = (square * square) % modulus
  ) {
    if (left & 1n) result = (result * square) % modulus
  }
  return result
}

function gcd(a: bigint, b: bigint): bigint {
  while (b > 0n) [a, b] = [b, a % b]
  return a
}

/** Factor of n: a square root of 1 other than 1 and n - 1, found from e * d - 1 = 2^t * r. */
function factor(n: bigint, e: bigint, d: bigint): bigint {
  let r = e * d - 1n
  while ((r & 1n) === 0n) r >>= 1n
  for (let base = 2n; base < 100n; base++) {
    let y = power(base, r, n)
    for (let square = (y * y) % n; square !== 1n && y !== n - 1n; square = (y * y) % n) y = square
    if (y !== 1n && y !== n - 1n) return gcd(y - 1n, n)
  }
  throw new Error('n, e, d are no RSA key')
}

function inverse(value: bigint, modulus: bigint): bigint {
  return power(value, modulus - 2n, modulus) // modulus is prime
}

/** PKCS #1 RSAPrivateKey of hex numbers. */
export function parsePrivateRsa(nHex: string, eHex: string, dHex: string): Buffer {
  const [n, e, d] = [nHex, eHex, dHex].map((text) => BigInt(`0x${text}`))
  const p = factor(n, e, d)
  const q = n / p
  const numbers = [n, e, d, p, q, d % (p - 1n), d % (q - 1n), inverse(q, p)]
  return Buffer.from(
    derSequence(der(Tag.INTEGER, Uint8Array.of(0)), ...numbers.map((number) => derUnsigned(toBytes(number)))),
  )
}
