/** The words of a partly filled 64-byte block, for hashing at key set-up. */

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
