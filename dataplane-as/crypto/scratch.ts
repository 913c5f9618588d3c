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
/** Blocks left in each lane: 8 u32. */
export const SCRATCH_HASH_LEFT = 3616
/** Hash job of each lane: 8 u32. */
export const SCRATCH_HASH_JOBS = 3648
/** Blocks of each lane's tail while it still is to come, then 0: 8 u32. */
export const SCRATCH_HASH_TAIL_BLOCKS = 3680
/** Hash jobs whose outer hash waits: 8 u32. */
export const SCRATCH_HASH_OUTER_JOBS = 3712
/** Chaining values: at most 8 rows of 32 bytes, one word of every lane a row. */
export const SCRATCH_HASH_STATES = 3744
/** Chaining values of the outer hashes. */
export const SCRATCH_HASH_OUTER_STATES = 4000
/** Message schedule: at most 80 rows. */
export const SCRATCH_HASH_WORDS = 4256
/** Message schedule of the outer hashes. */
export const SCRATCH_HASH_OUTER_WORDS = 6816
/** Tail buffers: 8 of 192 bytes or 4 of 384 (the last blocks of a message), then 32 to spare. */
export const SCRATCH_HASH_TAILS = 9376
/** Bytes from SCRATCH_HASH_STATES on that are wiped after a call: all to the end. */
export const SCRATCH_HASH_WIPE_BYTES = 7200

/** Bytes of the scratch area; give it 16-byte alignment. */
export const KERNEL_SCRATCH_BYTES = 10944
