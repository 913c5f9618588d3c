/** Pieces of blocks: the words of a partly filled block at key set-up, a few bytes copied, a length in bits. */

/**
 * Word at byte offset `at` (0, 4, .. 60) of a block that holds `bytes` (at most 64) bytes from `source`, then
 * the byte `mark`, then zeros; the bytes of the word are read in big-endian order. With 64 bytes there is no
 * mark.
 */
export function blockWord(source: usize, bytes: i32, at: i32, mark: u32): u32 {
  if (at + 4 <= bytes) return bswap<u32>(load<u32>(source + <usize>at))
  let word: u32 = 0
  for (let i = at; i < at + 4; i++) {
    const byte: u32 = i < bytes ? <u32>load<u8>(source + <usize>i) : i === bytes ? mark : 0
    word = (word << 8) | byte
  }
  return word
}

/** The same for the 64-bit word at byte offset `at` (0, 8, .. 120) of a block of 128 bytes. */
export function blockWord64(source: usize, bytes: i32, at: i32, mark: u32): u64 {
  return ((<u64>blockWord(source, bytes, at, mark)) << 32) | <u64>blockWord(source, bytes, at + 4, mark)
}

/** Copies `bytes` (0 to 15) bytes; reads and writes nothing else. */
export function copyShort(to: usize, from: usize, bytes: u32): void {
  if ((bytes & 8) !== 0) {
    store<u64>(to, load<u64>(from))
    to += 8
    from += 8
  }
  if ((bytes & 4) !== 0) {
    store<u32>(to, load<u32>(from))
    to += 4
    from += 4
  }
  if ((bytes & 2) !== 0) {
    store<u16>(to, load<u16>(from))
    to += 2
    from += 2
  }
  if ((bytes & 1) !== 0) store<u8>(to, load<u8>(from))
}

/** Copies `bytes` bytes, and zeros up to a whole block of 16. Returns the end of what was written. */
export function copyBlocks(to: usize, from: usize, bytes: u32): usize {
  for (; bytes >= 16; bytes -= 16, to += 16, from += 16) v128.store(to, v128.load(from))
  if (bytes === 0) return to
  // written at once where it is often so, since the block is read again at once
  if (bytes === 8) {
    v128.store(to, v128.load64_zero(from))
  } else if (bytes === 4) {
    v128.store(to, v128.load32_zero(from))
  } else {
    v128.store(to, i64x2.splat(0))
    copyShort(to, from, bytes)
  }
  return to + 16
}

/** Stores the number of bits in `bytes` bytes as 8 bytes, the most significant first. */
export function storeBitCount(to: usize, bytes: u32): void {
  store<u32>(to, (bytes >> 29) << 24)
  store<u32>(to, bswap<u32>(bytes << 3), 4)
}
