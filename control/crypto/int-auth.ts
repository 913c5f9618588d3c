// What IKE_INTERMEDIATE messages add to AUTH (RFC 9242 §3.3.2). Each message counts as if it had been neither encrypted
// nor fragmented: IKE header, payloads in front, header of the encrypted payload, its inside without padding; the two
// length fields are those of just that. The cipher of the SA so makes no difference.

import { concat, u16Bytes, u32Bytes } from '../wire/bytes.ts'
import { encodeHeader, encodePayloads, headerLength, payloadWithHeader } from '../wire/message.ts'
import { type HeaderFields, type Payload, PayloadType } from '../wire/types.ts'
import { type HashName, prf } from './suite.ts'

/** The inside of an SK payload without padding; firstType is the type of its first payload. */
export type Inner = { firstType: number; bytes: Uint8Array }

/** IntAuth_i and IntAuth_r so far; empty before the first exchange. */
export type IntAuth = { i: Uint8Array; r: Uint8Array }

/** IntAuth_A | IntAuth_P of a message of ours. */
export function sentOctets(fields: HeaderFields, payloads: Payload[]): Uint8Array {
  const { firstType, bytes } = encodePayloads(payloads)
  const encrypted = payloadWithHeader(firstType, false, bytes)
  return concat(encodeHeader(fields, PayloadType.SK, headerLength + encrypted.length), encrypted)
}

/** The same of a message of the peer, as it came: `bodyAt` is where the body of its SK payload starts. */
export function receivedOctets(datagram: Uint8Array, bodyAt: number, inner: Inner): Uint8Array {
  const octets = concat(datagram.subarray(0, bodyAt), inner.bytes)
  octets.set(u32Bytes(octets.length), 24)
  octets.set(u16Bytes(4 + inner.bytes.length), bodyAt - 2)
  return octets
}

/**
 * The same of a message that came in fragments; `datagram` is any of them. Payloads in front of a fragment are not
 * covered: nobody sends them, and who does fails to authenticate.
 */
export function reassembledOctets(datagram: Uint8Array, inner: Inner): Uint8Array {
  const encrypted = payloadWithHeader(inner.firstType, false, inner.bytes)
  const octets = concat(datagram.subarray(0, headerLength), encrypted)
  octets[16] = PayloadType.SK
  octets.set(u32Bytes(octets.length), 24)
  return octets
}

/** IntAuth of one end after one more of its messages; skP is the key of that end in force before the exchange. */
export function nextIntAuth(hash: HashName, skP: Uint8Array, before: Uint8Array, octets: Uint8Array) {
  return prf(hash, skP, before, octets)
}

/** IntAuth as AUTH covers it: both chains, and the message id of IKE_AUTH. */
export function intAuthOctets(intAuth: IntAuth, authMessageId: number): Uint8Array {
  return concat(intAuth.i, intAuth.r, u32Bytes(authMessageId))
}
