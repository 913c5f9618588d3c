/**
 * The scratch area of the DES kernels: every byte that they change besides their results. It begins like the
 * scratch area of the other kernels (scratch.ts), since the order of jobs is made by the same code.
 *
 * The three kernels (128 lanes, 16 lanes, one message) never run at once and share the room for keys.
 */

/** Lanes of the widest kernel. */
export const DES_LANES = 128

/** Addresses of the lanes: 128 u32, each of the block before the one to be worked on. */
export const DES_ADDRESSES = 3584
/** Schedules of the lanes: 128 u32 addresses. */
export const DES_SCHEDULES = 4096
/** Blocks left in each lane: 128 u32. */
export const DES_LEFT = 4608
/** The blocks as bits or in halves. */
export const DES_STATE = 5120
/** The blocks sorted into bytes. */
export const DES_SORTED = 6144
/** Ciphertext of the preceding blocks, in decryption. */
export const DES_CHAIN = 7168
/** Keys in the form of a kernel: 3 · 1,792 (128 lanes), 48 · 384 (16 lanes) or 48 · 304 bytes (one message). */
export const DES_KEYS = 8192
/** Bytes from DES_STATE on that are wiped after a call: all to the end. */
export const DES_WIPE_BYTES = 21504

/** Bytes of the scratch area of the DES kernels; give it 16-byte alignment. */
export const TDES_SCRATCH_BYTES = 26624
