/**
 * The kernels' scratch area: every byte that a kernel changes besides its results. One area per instance;
 * a call leaves nothing in it that the next call needs, and wipes what was made of keys.
 *
 * The cipher and hash kernels never run at once, so their parts overlap behind the job order.
 */

/** Jobs that are ordered and run together; a call with more works on them in portions of this size. */
export const MAX_JOBS = 512

/** The jobs in the order in which they are taken: u32 addresses. */
export const SCRATCH_ORDER = 0
/** Class of each job: u8 (see order.ts). */
export const SCRATCH_CLASSES = 2048
/** Places of the 256 classes in the order: u32. */
export const SCRATCH_PLACES = 2560

/** Lane addresses of the kernels: 8 u32. */
export const SCRATCH_LANES = 3584

// AES
/** Key schedules of the lanes: 8 u32. */
export const SCRATCH_AES_SCHEDULES = 3616
/** Blocks left in each lane: 8 u32. */
export const SCRATCH_AES_LEFT = 3648
/** Sliced round keys: 15 of 128 bytes. */
export const SCRATCH_AES_KEYS = 3712
/** Bytes of the sliced round keys. */
export const SCRATCH_AES_KEYS_BYTES = 1920

// Hashes
/** Lane records: 8 of 16 bytes (see hash-lanes.ts). */
export const SCRATCH_HASH_RECORDS = 3616
/** Chaining values, transposed: up to 8 words, each of 8 (SHA-1) or 4 (SHA-256) lanes. */
export const SCRATCH_HASH_STATES = 3744
/** Message schedule: at most 80 words of 8 lanes. */
export const SCRATCH_HASH_WORDS = 4000
/** Tail buffers: 8 lanes of 192 bytes (the last blocks of a message, later its outer block), then 32 to spare. */
export const SCRATCH_HASH_TAILS = 6560
/** Bytes from SCRATCH_HASH_STATES on that are wiped after a call: all to the end. */
export const SCRATCH_HASH_WIPE_BYTES = 4384

/** Bytes of the scratch area; give it 16-byte alignment. */
export const KERNEL_SCRATCH_BYTES = 8128
