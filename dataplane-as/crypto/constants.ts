/**
 * Constants of the kernels, in memory: V8 builds a v128 constant anew at every use, a load is cheaper.
 * Nothing here is ever written; several instances on one memory share these bytes.
 */

/** AES: masks of the bit transposition, for shifts by 1, 2, 4, 8 and 16. */
export const AES_MASKS = memory.data<u32>(
  [
    0x55555555, 0x55555555, 0x55555555, 0x55555555, 0x33333333, 0x33333333, 0x33333333, 0x33333333,
    0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f, 0x00ff00ff, 0x00ff00ff, 0x00ff00ff, 0x00ff00ff,
    0x0000ffff, 0x0000ffff, 0x0000ffff, 0x0000ffff,
  ],
  16,
)

/** AES: bit i in every byte, for i = 0 to 7. */
export const AES_BITS = memory.data<u32>(
  [
    0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x02020202, 0x02020202, 0x02020202, 0x02020202,
    0x04040404, 0x04040404, 0x04040404, 0x04040404, 0x08080808, 0x08080808, 0x08080808, 0x08080808,
    0x10101010, 0x10101010, 0x10101010, 0x10101010, 0x20202020, 0x20202020, 0x20202020, 0x20202020,
    0x40404040, 0x40404040, 0x40404040, 0x40404040, 0x80808080, 0x80808080, 0x80808080, 0x80808080,
  ],
  16,
)

/** AES: byte order of the standard (column by column) to row-major and back. */
export const AES_TRANSPOSE = memory.data<u8>([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15], 16)

/** AES: byte order of the standard to row-major, rows shifted (ShiftRows, FIPS 197 §5.1.2). */
export const AES_ENTER_SHIFTED = memory.data<u8>([0, 4, 8, 12, 5, 9, 13, 1, 10, 14, 2, 6, 15, 3, 7, 11], 16)

/** AES: row-major with shifted rows back to the byte order of the standard. */
export const AES_LEAVE_SHIFTED = memory.data<u8>([0, 7, 10, 13, 1, 4, 11, 14, 2, 5, 8, 15, 3, 6, 9, 12], 16)

/** AES: ShiftRows inside row-major order. */
export const AES_SHIFT_ROWS = memory.data<u8>([0, 1, 2, 3, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14], 16)

/** AES: InvShiftRows inside row-major order. */
export const AES_UNSHIFT_ROWS = memory.data<u8>([0, 1, 2, 3, 7, 4, 5, 6, 10, 11, 8, 9, 13, 14, 15, 12], 16)

/** AES: Rcon of the key expansion, powers of x in GF(2^8) (FIPS 197 §5.2). */
export const AES_RCON = memory.data<u8>([0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36])

/** ChaCha20: "expand 32-byte k" (RFC 8439 §2.3). */
export const CHACHA_CONSTANT = memory.data<u32>([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574], 16)

/** ChaCha20: rotates 32-bit words to the left by 8 bits. */
export const CHACHA_ROTATE_8 = memory.data<u8>([3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14], 16)

/** Poly1305: 26 bits in every 32-bit word, 26 bits in every 64-bit word, 2^128 in the limb of 2^104. */
export const POLY_MASKS = memory.data<u32>(
  [
    0x03ffffff, 0x03ffffff, 0x03ffffff, 0x03ffffff, 0x03ffffff, 0x00000000, 0x03ffffff, 0x00000000,
    0x01000000, 0x01000000, 0x01000000, 0x01000000,
  ],
  16,
)

/** GHASH: turns the bytes of a block. */
export const GHASH_REVERSE = memory.data<u8>([15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 16)

/**
 * GHASH: x^128 times a nibble modulo x^128 + x^7 + x^2 + x + 1: its first byte for the nibble of the most significant
 * bits, then for the other one, then the second byte for both.
 */
export const GHASH_WRAP = memory.data<u8>(
  [
    0x00, 0x1c, 0x38, 0x24, 0x70, 0x6c, 0x48, 0x54, 0xe1, 0xfd, 0xd9, 0xc5, 0x91, 0x8d, 0xa9, 0xb5, 0x00,
    0x01, 0x03, 0x02, 0x07, 0x06, 0x04, 0x05, 0x0e, 0x0f, 0x0d, 0x0c, 0x09, 0x08, 0x0a, 0x0b, 0x00, 0x20,
    0x40, 0x60, 0x80, 0xa0, 0xc0, 0xe0, 0x00, 0x20, 0x40, 0x60, 0x80, 0xa0, 0xc0, 0xe0, 0x00, 0xc2, 0x84,
    0x46, 0x08, 0xca, 0x8c, 0x4e, 0x10, 0xd2, 0x94, 0x56, 0x18, 0xda, 0x9c, 0x5e,
  ],
  16,
)

/** GHASH: the lower nibble of every byte. */
export const GHASH_NIBBLE = memory.data<u8>(
  [15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15],
  16,
)

/** GHASH: all ones at place n where n has bit 3, then bit 2, 1 and 0. */
export const GHASH_BITS = memory.data<u32>(
  [
    0x00000000, 0x00000000, 0xffffffff, 0xffffffff, 0x00000000, 0xffffffff, 0x00000000, 0xffffffff,
    0xffff0000, 0xffff0000, 0xffff0000, 0xffff0000, 0xff00ff00, 0xff00ff00, 0xff00ff00, 0xff00ff00,
  ],
  16,
)

/** SHA: turns the bytes of each 32-bit word. */
export const SHA_BYTE_SWAP = memory.data<u8>([3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12], 16)

/** SHA-512: turns the bytes of each 64-bit word. */
export const SHA512_BYTE_SWAP = memory.data<u8>([7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8], 16)

/** SHA-1: constants of the four groups of 20 rounds (FIPS 180-4 §4.2.1). */
export const SHA1_K = memory.data<u32>([0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6], 16)

/** SHA-1: initial chaining value (FIPS 180-4 §5.3.1). */
export const SHA1_INITIAL = memory.data<u32>([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0], 16)

/** SHA-256: constants of the 64 rounds (FIPS 180-4 §4.2.2). */
export const SHA256_K = memory.data<u32>(
  [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  ],
  16,
)

/** SHA-256: initial chaining value (FIPS 180-4 §5.3.3). */
export const SHA256_INITIAL = memory.data<u32>(
  [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
  16,
)
