/**
 * The kernels' scratch area: every byte that a kernel changes besides its results. One area per instance;
 * a call leaves nothing in it that the next call needs, and wipes what was made of keys.
 *
 * The cipher and hash kernels never run at once, so their parts overlap behind the job order.
 */

/** Jobs that are ordered and run together; a call with more works on them in portions of this size. */
export const MAX_JOBS = 512

/** u32 job addresses, longest first (hash, encryption) or grouped by key (decryption). */
export const SCRATCH_ORDER = 0
/** u32 sort keys beside the addresses. */
export const SCRATCH_SORT_KEYS = 2048

/** Lane addresses of the kernels: 8 u32. */
export const SCRATCH_LANES = 4096

// AES
/** Key schedules of the lanes: 8 u32. */
export const SCRATCH_AES_SCHEDULES = 4128
/** Blocks left in each lane: 8 u32. */
export const SCRATCH_AES_LEFT = 4160
/** Sliced round keys: 15 of 128 bytes. */
export const SCRATCH_AES_KEYS = 4224
/** Bytes of the sliced round keys. */
export const SCRATCH_AES_KEYS_BYTES = 1920

// Hashes
/** Lane records: 8 of 16 bytes (see hash-lanes.ts). */
export const SCRATCH_HASH_RECORDS = 4128
/** Chaining values, transposed: up to 8 words, each of 8 (SHA-1) or 4 (SHA-256) lanes. */
export const SCRATCH_HASH_STATES = 4256
/** Message schedule: at most 80 words of 8 lanes. */
export const SCRATCH_HASH_WORDS = 4512
/** Tail buffers: 8 lanes of 192 bytes (the last blocks of a message, later its outer block), then 32 to spare. */
export const SCRATCH_HASH_TAILS = 7072
/** Bytes from SCRATCH_HASH_STATES on that are wiped after a call: all to the end. */
export const SCRATCH_HASH_WIPE_BYTES = 4384

/** Bytes of the scratch area; give it 16-byte alignment. */
export const KERNEL_SCRATCH_BYTES = 8640
