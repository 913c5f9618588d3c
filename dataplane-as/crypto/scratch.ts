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

/** Lane addresses: 16 u32. */
export const SCRATCH_LANES = 3584

// AES
/** Key schedules of the lanes: 64 u32, over SCRATCH_PLACES, which is of no use once the jobs are in order. */
export const SCRATCH_AES_SCHEDULES = 2560
/** Lanes whose schedule changed since the keys were sliced, one bit each: u64. */
export const SCRATCH_AES_CHANGED = 3768
/** Sliced round keys: for each group of 8 lanes 15 of 128 bytes, or for 64 lanes 15 of 1024. */
export const SCRATCH_AES_KEYS = 3840
/** Bytes of the sliced round keys of one group. */
export const SCRATCH_AES_GROUP_BYTES = 1920
/** States of two groups between the rounds: 256 bytes. */
export const SCRATCH_AES_STATE = 7680
/** State of 64 lanes between the steps of a round: 1024 bytes. */
export const SCRATCH_AES_WIDE_STATE = 19200
/** Lane addresses of AES-CBC: 64 u32. */
export const SCRATCH_AES_LANES = 20224
/** Blocks left in each lane of AES-CBC: 64 u32. */
export const SCRATCH_AES_LEFT = 20480
/** Bytes from SCRATCH_AES_KEYS on that kernels of up to 16 lanes use. */
export const SCRATCH_AES_NARROW_BYTES = 4096
/** Bytes from SCRATCH_AES_KEYS on that are wiped after a call of AES-CBC. */
export const SCRATCH_AES_WIPE_BYTES = 16896

// AES-GCM, besides the lanes and keys of AES
/** Partial blocks of this step: u32 number of them. */
export const SCRATCH_CTR_PARTIALS = 3780
/** Counter blocks of 64 lanes, 16 bytes each; of up to 16 lanes the nonces, of which 12 bytes count. */
export const SCRATCH_CTR_COUNTERS = 28624
/** Numbers of the blocks in up to 16 lanes: u32, then 64 bytes for the kernel. */
export const SCRATCH_CTR_NUMBERS = 28880
/** What stands for data that is no whole block: 64 of 16 bytes. */
export const SCRATCH_CTR_BLOCKS = 29648
/** The partial blocks: lane, address, bytes, unused, 4 u32 each. */
export const SCRATCH_CTR_PARTIAL = 30672
/** Lane addresses of counter mode: 64 u32. */
export const SCRATCH_CTR_LANES = 31696
/** GHASH: chaining value, then a group of 4 blocks. */
export const SCRATCH_GHASH = 31952
/** Bytes from SCRATCH_CTR_COUNTERS to the masks, wiped after a call with the masks that were used. */
export const SCRATCH_CTR_BYTES = 3408
/** Masks of the tags, one a job in their order: 16 bytes each. */
export const SCRATCH_AEAD_MASKS = 32032

// ChaCha20-Poly1305; the one-time keys and tags stand at SCRATCH_AEAD_MASKS, 128 of 64 bytes
/** Key addresses of the ChaCha20 lanes: 8 u32. */
export const SCRATCH_CHACHA_KEYS = 3616
/** Partial blocks of this step: address and bytes for each of 8 lanes, u32. */
export const SCRATCH_CHACHA_PARTIALS = 3696
/** Blocks left in each Poly1305 lane: 4 u32. */
export const SCRATCH_POLY_LEFT = 3648
/** Stretch of each Poly1305 lane: 4 u32. */
export const SCRATCH_POLY_STRETCH = 3664
/** Place of each Poly1305 lane's job in the order: 4 u32. */
export const SCRATCH_POLY_INDEX = 3680
/** Initial state of 4 ChaCha20 lanes: 16 rows of 16 bytes; of 8: 16 of 32, and as much for results. */
export const SCRATCH_CHACHA_STATE = 3840
/** Counter and nonce of the ChaCha20 lanes: 8 of 16 bytes. */
export const SCRATCH_CHACHA_ROWS = 4864
/** What stands for data that is no whole block: 8 of 64 bytes. */
export const SCRATCH_CHACHA_BLOCKS = 4992
/** Sums of Poly1305: 5 limbs of 16 bytes. */
export const SCRATCH_POLY_SUMS = 5504
/** Limbs of r, then of 5 r: 10 of 16 bytes. */
export const SCRATCH_POLY_KEYS = 5584
/** Last blocks of the Poly1305 lanes: 4 of 32 bytes. */
export const SCRATCH_POLY_BUFFERS = 5744
/** Short messages of Poly1305, whole: 4 of 128 bytes. */
export const SCRATCH_POLY_MESSAGES = 5872
/** Limbs of a product for joined vectors: 5 of 32 bytes. */
export const SCRATCH_POLY_PRODUCT = 6384
/** Bytes from SCRATCH_CHACHA_STATE on that are wiped after a call. */
export const SCRATCH_CHACHA_BYTES = 2704

// Hashes; a row has one word of every lane: 48 or 64 bytes for MD5, 32 for SHA-1, SHA-384 and SHA-512, 16 for SHA-256
/** Lane addresses: at most 16 u32, as in all tables of lanes. */
export const SCRATCH_HASH_LANES = 3584
/** Blocks left in each lane. */
export const SCRATCH_HASH_LEFT = 3648
/** Hash job of each lane. */
export const SCRATCH_HASH_JOBS = 3712
/** Blocks of each lane's tail while it still is to come, then 0. */
export const SCRATCH_HASH_TAIL_BLOCKS = 3776
/** Hash jobs whose outer hash waits. */
export const SCRATCH_HASH_OUTER_JOBS = 3840
/** Chaining values: at most 8 rows. */
export const SCRATCH_HASH_STATES = 3904
/** Chaining values of the outer hashes. */
export const SCRATCH_HASH_OUTER_STATES = 4160
/** Message schedule: at most 80 rows. */
export const SCRATCH_HASH_WORDS = 4416
/** Message schedule of the outer hashes. */
export const SCRATCH_HASH_OUTER_WORDS = 6976
/** Tail buffers: 16 of 192 bytes or 4 of 384 (the last blocks of a message), then 32 to spare. */
export const SCRATCH_HASH_TAILS = 9536
/** Bytes of all tail buffers. */
export const SCRATCH_HASH_TAIL_BYTES = 3104
/** Groups of messages: address of the mask of each lane's last block, u32. */
export const SCRATCH_HASH_MASKS = 12640
/** Length of each lane's message in bits, u32. */
export const SCRATCH_HASH_BITS = 12704

// GHASH of short messages in lanes
/** Place of each lane's job in the order: 16 u32. */
export const SCRATCH_GHASH_PLACES = 3648
/** The messages, padded in front: 16 of 128 bytes. */
export const SCRATCH_GHASH_MESSAGES = 17104
/** Hash values of the lanes: 16 of 16 bytes. */
export const SCRATCH_GHASH_SUMS = 19152
/** Room for the kernel: 1,024 bytes. */
export const SCRATCH_GHASH_AREA = 19408
/** Tables of the hash key for every byte of a block: 8,192 bytes. */
export const SCRATCH_GHASH_TABLES = 20432
/** Bytes from SCRATCH_GHASH_MESSAGES on that are wiped after use. */
export const SCRATCH_GHASH_WIPE_BYTES = 11520

/** Bytes of the scratch area; give it 16-byte alignment. */
export const KERNEL_SCRATCH_BYTES = 40224
