// The encrypted payload, RFC 7296 §3.14: protect and open messages with AES-CBC and HMAC.
//
// Opening checks the integrity value over all bytes first, in constant time, then decrypts, then looks at the
// padding. Wrong ICV and wrong length leave no trace but a counter; wrong padding inside an authentic payload
// is the peer's fault and ends in INVALID_SYNTAX (security C1, C2).

import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { EspCipher, Integrity } from '../ports.ts'
import { concat, copy } from '../wire/bytes.ts'
import {
  decodePayloads,
  encodeHeader,
  encodePayloads,
  headerLength,
  payloadWithHeader,
} from '../wire/message.ts'
import { NotifyError } from '../wire/notify.ts'
import { malformed } from '../wire/reasons.ts'
import { isAead } from '../wire/transforms.ts'
import type { Decoded, HeaderFields, Malformed, Payload, SkPart } from '../wire/types.ts'
import { PayloadType } from '../wire/types.ts'
import { cipherShape, equalSecrets, type HashName, icvLength, integrityTag, wipe } from './suite.ts'

/** Keys of one direction: SK_ei and SK_ai protect what the original initiator of the IKE SA sends. */
export type SkKeys = {
  cipher: EspCipher
  integrity: Integrity | null
  encryptionKey: Uint8Array
  integrityKey: Uint8Array
}

/** Ciphers that IKE messages can be protected with so far; the configuration refuses the others as unsupported. */
export const skCiphers: ReadonlySet<EspCipher> = new Set<EspCipher>([
  'des',
  '3des',
  'aes-128',
  'aes-192',
  'aes-256',
])

function shapeOf(keys: SkKeys): { hash: HashName; icv: number; block: number } {
  const { cipher, integrity } = keys
  if (!skCiphers.has(cipher) || isAead(cipher) || integrity === null || integrity === 'none') {
    throw new RangeError(`IKE messages with ${cipher} and ${integrity} are not built`)
  }
  return { hash: integrity, icv: icvLength(integrity), block: cipherShape(cipher).block }
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
  const output = copy(result) // a Buffer is no plain Uint8Array: its slice() would be a view
  wipe(result)
  return output
}

/** Payload bytes, zero padding, pad length: a multiple of the block (§3.14). */
function pad(bytes: Uint8Array, block: number): Uint8Array {
  const padLength = (block - ((bytes.length + 1) % block)) % block
  return concat(bytes, new Uint8Array(padLength), Uint8Array.of(padLength))
}

/**
 * A whole protected message: header, SK payload, IV from `random`, ciphertext, ICV.
 * Throws RangeError for ciphers outside skCiphers and above 65,535 bytes: both are our own mistakes.
 */
export function protect(
  fields: HeaderFields,
  payloads: Payload[],
  keys: SkKeys,
  random: (length: number) => Uint8Array,
): Uint8Array {
  const { hash, icv, block } = shapeOf(keys)
  const inner = encodePayloads(payloads)
  const plain = pad(inner.bytes, block)
  const iv = random(block)
  const body = concat(iv, cbc(keys, iv, plain, true), new Uint8Array(icv))
  wipe(plain)
  const sk = payloadWithHeader(inner.firstType, false, body)
  const message = concat(encodeHeader(fields, PayloadType.SK, headerLength + sk.length), sk)
  const covered = message.length - icv
  message.set(integrityTag(hash, keys.integrityKey, message.subarray(0, covered)), covered)
  return message
}

const syntax = (refused: Malformed): Malformed => ({
  ...refused,
  notify: { type: NotifyError.INVALID_SYNTAX, data: new Uint8Array(0) },
})

/**
 * Checks and decrypts; the result is the bytes inside, padding removed. A refusal without `notify` was not
 * authentic: drop it silently. With `notify` the sender holds the keys and sent nonsense.
 */
export function openBytes(datagram: Uint8Array, sk: SkPart, keys: SkKeys): Decoded<Uint8Array> {
  const { hash, icv, block } = shapeOf(keys)
  const encrypted = sk.body.length - block - icv
  if (encrypted < block || encrypted % block !== 0)
    return malformed('ike-sk-short', `${sk.body.length} bytes`)
  const covered = datagram.length - icv
  const tag = integrityTag(hash, keys.integrityKey, datagram.subarray(0, covered))
  if (!equalSecrets(tag, datagram.subarray(covered))) return malformed('ike-icv')
  const plain = cbc(keys, sk.body.subarray(0, block), sk.body.subarray(block, block + encrypted), false)
  const padLength = plain[plain.length - 1]
  if (padLength + 1 > plain.length) return syntax(malformed('ike-sk-padding', `pad length ${padLength}`))
  return { ok: true, value: plain.subarray(0, plain.length - 1 - padLength) }
}

/**
 * Opens the SK part that decodeMessage found in the datagram and decodes the payloads inside.
 * `notify` in a refusal (INVALID_SYNTAX): the message was authentic, see openBytes.
 */
export function open(datagram: Uint8Array, sk: SkPart, keys: SkKeys): Decoded<Payload[]> {
  const plain = openBytes(datagram, sk, keys)
  if (!plain.ok) return plain
  const payloads = decodePayloads(sk.nextPayload, plain.value)
  return payloads.ok ? payloads : syntax(payloads)
}
