// What protects the inside of SK and SKF payloads: a block cipher with HMAC (RFC 7296 §3.14) or an AEAD cipher
// (RFC 5282; ChaCha20-Poly1305: RFC 7634). One function seals, one unseals; the payload formats are in sk.ts, skf.ts.
//
//   prefix        IKE header ... header of the SK payload, or the two fragment numbers of SKF: the associated data
//   IV            block: random, as long as the block; AEAD: 8 bytes, a counter
//   ciphertext    payloads, padding, pad length
//   ICV           HMAC over everything in front of it; AEAD: the tag

import {
  createCipheriv,
  createDecipheriv,
  type DecipherGCM as Opener,
  type CipherGCM as Sealer,
} from 'node:crypto'
import type { EspCipher, Integrity } from '../ports.ts'
import { concat, copy, u64Bytes } from '../wire/bytes.ts'
import { NotifyError } from '../wire/notify.ts'
import { malformed } from '../wire/reasons.ts'
import { isAead } from '../wire/transforms.ts'
import type { Decoded, Malformed } from '../wire/types.ts'
import { cipherShape, equalSecrets, type HashName, icvLength, integrityTag, wipe } from './suite.ts'

/** Keys of one direction: SK_ei and SK_ai protect what the original initiator of the IKE SA sends. */
export type SkKeys = {
  cipher: EspCipher
  /** null with AEAD ciphers */
  integrity: Integrity | null
  /** AEAD: key | 4 bytes of salt (RFC 5282 §7.1, RFC 7634 §2) */
  encryptionKey: Uint8Array
  integrityKey: Uint8Array
}

/** Ciphers that IKE messages can be protected with; never null. */
export const skCiphers: ReadonlySet<EspCipher> = new Set<EspCipher>([
  'des',
  '3des',
  'aes-128',
  'aes-192',
  'aes-256',
  'aes-gcm-128',
  'aes-gcm-256',
  'chacha20-poly1305',
])

/** True when an IKE SA can run with the pair: AEAD without integrity (RFC 5282 §8), any other with one (RFC 7296 §3.3.3). */
export function isSkSuite(cipher: EspCipher, integrity: Integrity | null): boolean {
  const isIntegrityLess = integrity === null || integrity === 'none'
  return skCiphers.has(cipher) && isAead(cipher) === isIntegrityLess
}

/** Bytes around the ciphertext; the ciphertext is a multiple of block. */
export type SkSizes = { iv: number; icv: number; block: number }

/** Throws RangeError for a pair that is no suite of IKE: our own mistake. */
export function skSizes(keys: SkKeys): SkSizes {
  const { cipher, integrity } = keys
  if (!isSkSuite(cipher, integrity)) {
    throw new RangeError(`IKE messages with ${cipher} and ${integrity} are not built`)
  }
  const { iv, icv, block } = cipherShape(cipher)
  return { iv, icv: isAead(cipher) ? icv : icvLength(integrity), block }
}

/** Messages sealed under each AEAD key so far. It hangs on the key itself, so no copy of the other state can reset it. */
const sealedUnder = new WeakMap<Uint8Array, bigint>()

/**
 * IV for the next message: unpredictable for block ciphers, a counter for AEAD, where a repetition under one key
 * would give the key stream away (RFC 5282 §3.1). Keep one array per key: a copy of it would count from zero again.
 */
export function nextIv(keys: SkKeys, random: (length: number) => Uint8Array): Uint8Array {
  const { cipher, encryptionKey } = keys
  if (!isAead(cipher)) return random(cipherShape(cipher).iv)
  const count = sealedUnder.get(encryptionKey) ?? 0n
  if (count >= 2n ** 64n) throw new RangeError('no AEAD IV is left for this key')
  sealedUnder.set(encryptionKey, count + 1n)
  return u64Bytes(count)
}

/** prefix | IV | ciphertext | ICV. `plain` is a multiple of the block; it is not wiped here. */
export function seal(prefix: Uint8Array, plain: Uint8Array, keys: SkKeys, iv: Uint8Array): Uint8Array {
  if (isAead(keys.cipher)) return concat(prefix, iv, sealAead(prefix, plain, keys, iv))
  const { icv } = skSizes(keys)
  const message = concat(prefix, iv, cbc(keys, iv, plain, true), new Uint8Array(icv))
  const covered = message.length - icv
  message.set(
    integrityTag(keys.integrity as HashName, keys.integrityKey, message.subarray(0, covered)),
    covered,
  )
  return message
}

/**
 * Checks the ICV over all bytes, in constant time, then decrypts what starts `offset` bytes into the datagram.
 * The result has memory of its own and still carries its padding. A refusal says nothing to the peer (security C1).
 */
export function unseal(datagram: Uint8Array, offset: number, keys: SkKeys): Decoded<Uint8Array> {
  const { iv, icv, block } = skSizes(keys)
  const encrypted = datagram.length - offset - iv - icv
  if (encrypted < block || encrypted % block !== 0)
    return malformed('ike-sk-short', `${datagram.length - offset} bytes`)
  const plain = isAead(keys.cipher) ? openAead(datagram, offset, keys) : openBlocks(datagram, offset, keys)
  return plain ? { ok: true, value: plain } : malformed('ike-icv')
}

/** Zero padding and pad length behind the payloads (§3.14). AEAD ciphers need none (RFC 5282 §3). */
export function pad(bytes: Uint8Array, block: number): Uint8Array {
  const padLength = (block - ((bytes.length + 1) % block)) % block
  return concat(bytes, new Uint8Array(padLength), Uint8Array.of(padLength))
}

/** View of the payload bytes in front of padding and pad length; any padding content will do (§3.14). */
export function unpad(plain: Uint8Array): Decoded<Uint8Array> {
  const padLength = plain[plain.length - 1]
  if (padLength + 1 > plain.length) return syntax(malformed('ike-sk-padding', `pad length ${padLength}`))
  return { ok: true, value: plain.subarray(0, plain.length - 1 - padLength) }
}

/** The sender holds the keys and sent nonsense: it may be told (security C2). */
export function syntax(refused: Malformed): Malformed {
  return { ...refused, notify: { type: NotifyError.INVALID_SYNTAX, data: new Uint8Array(0) } }
}

/** OpenSSL has no single DES by default; EDE with one key three times is the same function. */
function opensslKey(keys: SkKeys): Uint8Array {
  return keys.cipher === 'des'
    ? concat(keys.encryptionKey, keys.encryptionKey, keys.encryptionKey)
    : keys.encryptionKey
}

function cbc(keys: SkKeys, iv: Uint8Array, input: Uint8Array, encrypt: boolean): Uint8Array {
  const key = opensslKey(keys)
  const make = encrypt ? createCipheriv : createDecipheriv
  const context = make(cipherShape(keys.cipher).openssl, key, iv)
  context.setAutoPadding(false)
  const result = context.update(input)
  context.final()
  if (key !== keys.encryptionKey) wipe(key)
  return owned(result)
}

/** Copy out of what may be Node's shared pool; a Buffer is no plain Uint8Array either: its slice() would be a view. */
function owned(result: Uint8Array): Uint8Array {
  const output = copy(result)
  wipe(result)
  return output
}

function openBlocks(datagram: Uint8Array, offset: number, keys: SkKeys): Uint8Array | null {
  const { iv, icv } = skSizes(keys)
  const covered = datagram.length - icv
  const tag = integrityTag(keys.integrity as HashName, keys.integrityKey, datagram.subarray(0, covered))
  if (!equalSecrets(tag, datagram.subarray(covered))) return null
  return cbc(keys, datagram.subarray(offset, offset + iv), datagram.subarray(offset + iv, covered), false)
}

/** Key and nonce: the salt stands at the end of the key material and in front of the IV (RFC 5282 §4, RFC 7634 §3). */
function aeadInput(keys: SkKeys, iv: Uint8Array): { name: string; key: Uint8Array; nonce: Uint8Array } {
  const { key: length, openssl: name } = cipherShape(keys.cipher)
  const nonce = concat(keys.encryptionKey.subarray(length), iv)
  return { name, key: keys.encryptionKey.subarray(0, length), nonce }
}

function sealAead(prefix: Uint8Array, plain: Uint8Array, keys: SkKeys, iv: Uint8Array): Uint8Array {
  const { name, key, nonce } = aeadInput(keys, iv)
  const { icv } = cipherShape(keys.cipher)
  const context = createCipheriv(name as 'aes-256-gcm', key, nonce, { authTagLength: icv }) as Sealer
  context.setAAD(prefix, { plaintextLength: plain.length })
  const ciphertext = context.update(plain)
  context.final()
  return concat(ciphertext, context.getAuthTag())
}

/** Plaintext, or null when the tag is wrong: what was decrypted until then is wiped and never leaves. */
function openAead(datagram: Uint8Array, offset: number, keys: SkKeys): Uint8Array | null {
  const { iv, icv } = cipherShape(keys.cipher)
  const { name, key, nonce } = aeadInput(keys, datagram.subarray(offset, offset + iv))
  const covered = datagram.length - icv
  const input = datagram.subarray(offset + iv, covered)
  const context = createDecipheriv(name as 'aes-256-gcm', key, nonce, { authTagLength: icv }) as Opener
  context.setAAD(datagram.subarray(0, offset), { plaintextLength: input.length })
  context.setAuthTag(datagram.subarray(covered))
  const plain = owned(context.update(input))
  try {
    context.final()
    return plain
  } catch {
    wipe(plain)
    return null // the only signal OpenSSL gives for a wrong tag
  }
}
