/**
 * The scratch area of the DES kernels: every byte that they change besides their results. It begins like the
 * scratch area of the other kernels (scratch.ts), since the order of jobs is made by the same code.
 *
 * The kernels (256, 128 and 16 lanes, one message) never run at once and share the room for keys.
 */

/** Lanes of the kernel for many messages, and of that for joined vectors, which only decrypts. */
export const DES_LANES = 128
export const DES_WIDE = 256

/** Addresses of the lanes: 256 u32, each of the block before the one to be worked on. */
export const DES_ADDRESSES = 3584
/** Schedules of the lanes: 256 u32 addresses. */
export const DES_SCHEDULES = 4608
/** Blocks left in each lane: 128 u32. */
export const DES_LEFT = 5632
/** The blocks as bits or in halves: 1,024 bytes, or 2,048 for 256 lanes. */
export const DES_STATE = 6144
/** The blocks sorted into bytes: as many. */
export const DES_SORTED = 8192
/** Ciphertext of the preceding blocks, in decryption: as many. */
export const DES_CHAIN = 10240
/**
 * Keys in the form of a kernel: 3 · 1,792 bytes (128 lanes), 3 · 3,584 (256 lanes), 48 · 384 (16 lanes) or 48 · 304 (one
 * message).
 */
export const DES_KEYS = 12288
/** Bytes from DES_STATE on that are wiped after a call: all to the end. */
export const DES_WIPE_BYTES = 24576

/** Bytes of the scratch area of the DES kernels; give it 16-byte alignment. */
export const TDES_SCRATCH_BYTES = 30720
