// The encrypted payload, RFC 7296 §3.14: protect and open whole messages.
//
// Opening checks the integrity value over all bytes first, in constant time, then decrypts, then looks at the
// padding. Wrong ICV and wrong length leave no trace but a counter; wrong padding inside an authentic payload
// is the peer's fault and ends in INVALID_SYNTAX (security C1, C2).

import { concat } from '../wire/bytes.ts'
import {
  decodePayloads,
  encodeHeader,
  encodePayloads,
  headerLength,
  payloadWithHeader,
} from '../wire/message.ts'
import type { Decoded, HeaderFields, Malformed, Payload, SkPart } from '../wire/types.ts'
import { PayloadType } from '../wire/types.ts'
import type { Inner } from './int-auth.ts'
import { nextIv, pad, type SkKeys, seal, skSizes, syntax, unpad, unseal } from './sk-cipher.ts'
import { wipe } from './suite.ts'

export { isSkSuite, type SkKeys, skCiphers } from './sk-cipher.ts'

/**
 * A whole protected message: header, SK payload, IV (from `random`; a counter with AEAD), ciphertext, ICV.
 * Throws RangeError for suites that are none of IKE and above 65,535 bytes: both are our own mistakes.
 */
export function protect(
  fields: HeaderFields,
  payloads: Payload[],
  keys: SkKeys,
  random: (length: number) => Uint8Array,
): Uint8Array {
  skSizes(keys)
  return protectWith(fields, payloads, keys, nextIv(keys, random))
}

/** As protect with a given IV: for known answers. A second message under one AEAD key and IV breaks the key. */
export function protectWith(
  fields: HeaderFields,
  payloads: Payload[],
  keys: SkKeys,
  iv: Uint8Array,
): Uint8Array {
  const { icv, block } = skSizes(keys)
  const inner = encodePayloads(payloads)
  const plain = pad(inner.bytes, block)
  const room = payloadWithHeader(inner.firstType, false, new Uint8Array(iv.length + plain.length + icv))
  const header = encodeHeader(fields, PayloadType.SK, headerLength + room.length)
  const message = seal(concat(header, room.subarray(0, 4)), plain, keys, iv)
  wipe(plain, inner.bytes)
  return message
}

/**
 * Checks and decrypts; the result is the bytes inside, padding removed. A refusal without `notify` was not
 * authentic: drop it silently. With `notify` the sender holds the keys and sent nonsense.
 */
export function openBytes(datagram: Uint8Array, sk: SkPart, keys: SkKeys): Decoded<Uint8Array> {
  const plain = unseal(datagram, sk.offset, keys)
  return plain.ok ? unpad(plain.value) : plain
}

/** Payloads of an opened message, and the bytes that they were. */
export type Opened<T = Payload[]> = { ok: true; value: T; inner: Inner } | Malformed

/**
 * Opens the SK part that decodeMessage found in the datagram and decodes the payloads inside.
 * `notify` in a refusal (INVALID_SYNTAX): the message was authentic, see openBytes.
 */
export function open(datagram: Uint8Array, sk: SkPart, keys: SkKeys): Opened {
  const plain = openBytes(datagram, sk, keys)
  if (!plain.ok) return plain
  const payloads = decodePayloads(sk.nextPayload, plain.value)
  const inner = { firstType: sk.nextPayload, bytes: plain.value }
  return payloads.ok ? { ...payloads, inner } : syntax(payloads)
}
