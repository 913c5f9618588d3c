/** What the hashes differ in for everything around their compression functions. Plain numbers, no state. */
import { SHA1_INITIAL, SHA256_INITIAL } from './constants.ts'
import { MD5_INITIAL, SHA384_INITIAL, SHA512_INITIAL } from './generated/hash-constants.ts'
import { HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 } from './job.ts'

/** Whether there is such a hash. */
export function isHash(hash: i32): bool {
  return hash >= HASH_SHA1 && hash <= HASH_SHA512
}

/** Whether words have 64 bits and blocks 128 bytes, instead of 32 bits and 64 bytes. */
export function isWide(hash: i32): bool {
  return hash >= HASH_SHA384
}

/** Bytes of a block as a power of two. */
export function blockShift(hash: i32): u32 {
  return isWide(hash) ? 7 : 6
}

/** Words of the chaining value. */
export function stateWords(hash: i32): i32 {
  if (hash === HASH_MD5) return 4
  return hash === HASH_SHA1 ? 5 : 8
}

/** Words of the digest: SHA-384 leaves two of the chaining value out (FIPS 180-4 §6.5). */
export function digestWords(hash: i32): i32 {
  return hash === HASH_SHA384 ? 6 : stateWords(hash)
}

/** Rows of words that the compression function uses: the message schedule; MD5 has one row to spare. */
export function scheduleRows(hash: i32): i32 {
  if (hash === HASH_MD5) return 17
  return hash === HASH_SHA256 ? 64 : 80
}

/** Offset of the outer chaining value in an HMAC state. */
export function outerState(hash: i32): usize {
  return isWide(hash) ? 64 : 32
}

/** Address of the initial chaining value. */
export function initialState(hash: i32): usize {
  if (hash === HASH_MD5) return MD5_INITIAL
  if (hash === HASH_SHA1) return SHA1_INITIAL
  if (hash === HASH_SHA256) return SHA256_INITIAL
  return hash === HASH_SHA384 ? SHA384_INITIAL : SHA512_INITIAL
}
