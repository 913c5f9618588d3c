/**
 * Job records: what the card hands to the cipher and hash kernels.
 *
 * Plain numbers, read by asc and by Node. All fields are u32 in memory order (little endian); addresses are
 * absolute in linear memory and need no alignment beyond that of the record itself (4 bytes).
 *
 * One rule for all kernels: a call works on `count` records that stand one behind the other, changes neither
 * the records nor anything else but what is named here, and keeps every intermediate value in the caller's
 * scratch area, so that several instances of the module can work on one memory.
 */

// Cipher job: 16 bytes. The blocks are encrypted or decrypted in place; the 16 bytes before them are the IV.

/** Address of the key schedule made by `aesExpandKey`. */
export const CIPHER_JOB_SCHEDULE = 0
/** Address of the first block; the IV stands at this address minus 16 and stays as it is. */
export const CIPHER_JOB_DATA = 4
/** Number of 16-byte blocks; 0 does nothing. */
export const CIPHER_JOB_BLOCKS = 8
/** Not read. */
export const CIPHER_JOB_RESERVED = 12
/** Bytes of one record. */
export const CIPHER_JOB_BYTES = 16

// Hash job: 32 bytes. HMAC over data and extra; the first bytes of the result go to the ICV address.

/** Address of the state made by `hmacPrepare`: inner state, then outer state. */
export const HASH_JOB_STATE = 0
/** Address of the data. Nothing is written there, nor behind it. */
export const HASH_JOB_DATA = 4
/** Length of the data in bytes, below 2^29. */
export const HASH_JOB_LENGTH = 8
/** Where the ICV is written. It may overlap the data only if no other job of the call reads it. */
export const HASH_JOB_ICV = 12
/** Bytes of the ICV: 0 to the length of the digest. */
export const HASH_JOB_ICV_BYTES = 16
/** Bytes hashed behind the data that do not stand there: 0, or 4 for the high half of an ESN (RFC 4303 §2.2.1). */
export const HASH_JOB_EXTRA_BYTES = 20
/** Those 4 bytes in the order in which they are hashed. */
export const HASH_JOB_EXTRA = 24
/** Not read. */
export const HASH_JOB_RESERVED = 28
/** Bytes of one record. */
export const HASH_JOB_BYTES = 32

// Hashes of `hmacPrepare`; the kernel of the same name takes the state.

/** SHA-1 (FIPS 180-4 §6.1), digest 20 bytes. */
export const HASH_SHA1 = 1
/** SHA-256 (FIPS 180-4 §6.2), digest 32 bytes. */
export const HASH_SHA256 = 2
/** MD5 (RFC 1321), digest 16 bytes. */
export const HASH_MD5 = 3
/** SHA-384 (FIPS 180-4 §6.5), digest 48 bytes. */
export const HASH_SHA384 = 4
/** SHA-512 (FIPS 180-4 §6.4), digest 64 bytes. */
export const HASH_SHA512 = 5

/** Bytes of one key schedule: 15 round keys of 16 bytes, enough for AES-256. 16-byte alignment is faster. */
export const AES_SCHEDULE_BYTES = 240
/**
 * Bytes of one HMAC state: inner and outer chaining value, 64 bytes each for SHA-384 and SHA-512; the other
 * hashes use 32 each and leave the second half zero.
 */
export const HMAC_STATE_BYTES = 128

// AEAD job: 48 bytes. AES-GCM (NIST SP 800-38D; ESP: RFC 4106) and ChaCha20-Poly1305 (RFC 8439; ESP: RFC 7634).
// The data is encrypted or decrypted in place. Both take nonces of 12 bytes and tags of 16 bytes only.

/** Address of the key: the schedule made by `gcmPrepare`, or the 32 bytes of a ChaCha20 key. */
export const AEAD_JOB_KEY = 0
/** AES-GCM: address of the table made by `gcmPrepare`. ChaCha20-Poly1305: not read. */
export const AEAD_JOB_TABLE = 4
/** Address of the data. */
export const AEAD_JOB_DATA = 8
/** Length of the data in bytes, below 2^31; it need not be a whole number of blocks. */
export const AEAD_JOB_LENGTH = 12
/** Address of the additional authenticated data; only read. */
export const AEAD_JOB_AAD = 16
/** Its length in bytes, below 2^29; in ESP 8, or 12 with an ESN. */
export const AEAD_JOB_AAD_BYTES = 20
/** Address of the 16-byte tag: written by seal, read by open. */
export const AEAD_JOB_TAG = 24
/** Written by open, the only field that a kernel changes: 1 if the tag holds, 0 if not. */
export const AEAD_JOB_OK = 28
/** The nonce itself, 12 bytes in the order of the wire: in ESP 4 bytes of salt, then the 8 of the IV. */
export const AEAD_JOB_NONCE = 32
/** Not used. */
export const AEAD_JOB_RESERVED = 44
/** Bytes of one record. */
export const AEAD_JOB_BYTES = 48

/** Bytes of the table of one AES-GCM key; give it 16-byte alignment. */
export const GHASH_TABLE_BYTES = 2048
/** Bytes of a tag. */
export const AEAD_TAG_BYTES = 16
