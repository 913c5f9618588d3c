/** The last blocks of a message: what is left of its data, then the padding of its hash. */
import { storeBitCount } from './block-word.ts'
import { isWide } from './hash-shape.ts'
import { HASH_JOB_DATA, HASH_JOB_EXTRA, HASH_JOB_EXTRA_BYTES, HASH_JOB_LENGTH, HASH_MD5 } from './job.ts'

/**
 * Builds the last blocks at `tail`: the rest of the data, the extra bytes, 0x80, zeros and the length in bits
 * with the padded key before it (FIPS 180-4 §5.1, RFC 1321 §3.1, §3.2). Returns their number, 1 or 2. Up to
 * 15 bytes before `tail` and behind the last block are overwritten.
 */
export function buildTail(hash: i32, tail: usize, job: usize): u32 {
  const wide = isWide(hash)
  const block: u32 = wide ? 128 : 64
  const length = load<u32>(job, HASH_JOB_LENGTH)
  const extra = load<u32>(job, HASH_JOB_EXTRA_BYTES)
  const rest = length & (block - 1)
  copyRest(tail, <usize>load<u32>(job, HASH_JOB_DATA), length, block)
  // 0x80 and the length field of 8 or 16 bytes must fit
  const blocks: u32 = rest + extra + 1 + (block >> 3) > block ? 2 : 1
  const end = tail + <usize>(block << (blocks - 1))
  const zeros = tail + <usize>(rest + extra)
  for (let at = zeros; at < end; at += 16) v128.store(at, i64x2.splat(0))
  if (extra !== 0) store<u32>(zeros - 4, load<u32>(job, HASH_JOB_EXTRA))
  store<u8>(zeros, 0x80)
  // with the padded key; below 2^32 since the length is
  const hashed = block + length + extra
  if (hash === HASH_MD5) store<u64>(end - 8, (<u64>hashed) << 3)
  else storeBitCount(end - 8, hashed)
  return blocks
}

/**
 * Copies the bytes behind the last whole block to `tail`. A message of a block or more is copied from
 * its end backwards, 16 bytes at a time, since reading on from its end might pass the end of memory.
 */
function copyRest(tail: usize, data: usize, length: u32, block: u32): void {
  if (length >= block) {
    const rest = length & (block - 1)
    for (let back: u32 = 16; back < rest + 16; back += 16) {
      v128.store(tail + <usize>rest - <usize>back, v128.load(data + <usize>length - <usize>back))
    }
    return
  }
  let i: u32 = 0
  for (; i + 8 <= length; i += 8) store<u64>(tail + <usize>i, load<u64>(data + <usize>i))
  for (; i < length; i++) store<u8>(tail + <usize>i, load<u8>(data + <usize>i))
}
