// The IKEv2 message codec (RFC 7296 §3.1, §3.2): datagram <-> header and payloads.
//
// Decoding never throws and never allocates by a length field. Byte fields of decoded payloads are views
// of the datagram: keep the datagram, or copy what must outlive it.

import { concat, u16, u16Bytes, u32, u32Bytes, u64, u64Bytes } from './bytes.ts'
import { decodeBody, encodeBody, payloadTypeOf } from './payloads.ts'
import { malformed } from './reasons.ts'
import type {
  Decoded,
  FragmentMessage,
  Header,
  HeaderFields,
  Message,
  Payload,
  ProtectedMessage,
  SkPart,
} from './types.ts'
import { Exchange, PayloadType } from './types.ts'

/** Bytes of the IKE header (§3.1). */
export const headerLength = 28
/** A message with more payloads is refused: an honest one has far fewer, and each costs memory. */
export const maxPayloads = 100
/** Fragments of one message: 64 KiB in pieces of 512 bytes. A peer that announces more is refused (security G1). */
export const maxFragments = 128

const flagInitiator = 0x08
const flagResponse = 0x20
const criticalBit = 0x80
const exchanges = new Set<number>(Object.values(Exchange))

/** Reads the 28-byte header; its length field must equal the datagram. The version is not judged: callers do (§2.5). */
export function decodeHeader(bytes: Uint8Array): Decoded<Header> {
  if (bytes.length < headerLength) return malformed('ike-short', `${bytes.length} bytes`)
  const length = u32(bytes, 24)
  if (length !== bytes.length) return malformed('ike-length', `${length} of ${bytes.length}`)
  const flags = bytes[19]
  const value = {
    initiatorSpi: u64(bytes, 0),
    responderSpi: u64(bytes, 8),
    nextPayload: bytes[16],
    majorVersion: bytes[17] >>> 4,
    minorVersion: bytes[17] & 15,
    exchange: bytes[18],
    initiator: (flags & flagInitiator) !== 0,
    response: (flags & flagResponse) !== 0,
    messageId: u32(bytes, 20),
    length,
  }
  return { ok: true, value }
}

/** The encrypted payload that ends a chain, of type SK or SKF. */
type Encrypted = { type: number; part: SkPart }
type Chain = { payloads: Payload[]; encrypted: Encrypted | null }

/** Walks the chain of generic payload headers (§3.2); bytes starts at the first one. `base` only fills SkPart.offset. */
function walkChain(firstType: number, bytes: Uint8Array, base: number): Decoded<Chain> {
  const payloads: Payload[] = []
  let type = firstType
  let at = 0
  while (type !== PayloadType.NONE) {
    if (payloads.length === maxPayloads) return malformed('ike-payload-count')
    if (at + 4 > bytes.length) return malformed('ike-payload-length', `payload ${type}`)
    const length = (bytes[at + 2] << 8) | bytes[at + 3]
    if (length < 4 || at + length > bytes.length) return malformed('ike-payload-length', `payload ${type}`)
    const body = bytes.subarray(at + 4, at + length)
    const next = bytes[at]
    if (type === PayloadType.SK || type === PayloadType.SKF) {
      if (at + length !== bytes.length) return malformed('ike-sk-not-last')
      const part = { nextPayload: next, body, offset: base + at + 4 }
      return { ok: true, value: { payloads, encrypted: { type, part } } }
    }
    const decoded = decodeBody(type, (bytes[at + 1] & criticalBit) !== 0, body)
    if (!decoded.ok) return decoded
    payloads.push(decoded.value)
    type = next
    at += length
  }
  if (at !== bytes.length) return malformed('ike-trailing-bytes', `${bytes.length - at} bytes`)
  return { ok: true, value: { payloads, encrypted: null } }
}

/** Decodes the payloads inside an opened SK payload; firstType is the SK payload's next-payload field. */
export function decodePayloads(firstType: number, bytes: Uint8Array): Decoded<Payload[]> {
  const chain = walkChain(firstType, bytes, 0)
  if (!chain.ok) return chain
  if (chain.value.encrypted) return malformed('ike-sk-nested')
  return { ok: true, value: chain.value.payloads }
}

type Frame = { header: Header } & Chain

/** Header and chain of a datagram, whatever ends it. */
function decodeFrame(datagram: Uint8Array): Decoded<Frame> {
  const decoded = decodeHeader(datagram)
  if (!decoded.ok) return decoded
  const header = decoded.value
  if (header.majorVersion !== 2) return malformed('ike-version', `${header.majorVersion}`)
  if (!exchanges.has(header.exchange)) return malformed('ike-exchange', `${header.exchange}`)
  if (header.initiatorSpi === 0n) return malformed('ike-spi-zero')
  const chain = walkChain(header.nextPayload, datagram.subarray(headerLength), headerLength)
  return chain.ok ? { ok: true, value: { header, ...chain.value } } : chain
}

/**
 * Decodes a whole datagram (non-ESP marker removed). The result has `sk` when the message is protected.
 * Refused here: a major version other than 2, unknown exchanges, a zero initiator SPI (security A5, A9), and fragments
 * (`ike-fragment`): those who negotiated them call decodeFragment.
 */
export function decodeMessage(datagram: Uint8Array): Decoded<Message | ProtectedMessage> {
  const frame = decodeFrame(datagram)
  if (!frame.ok) return frame
  const { header, payloads, encrypted } = frame.value
  if (encrypted?.type === PayloadType.SKF) return malformed('ike-fragment')
  return { ok: true, value: encrypted ? { header, payloads, sk: encrypted.part } : { header, payloads } }
}

/**
 * Decodes a datagram whose last payload is SKF (RFC 7383 §2.5). Any other message, and a fragment of IKE_SA_INIT, which
 * is never encrypted, are `ike-fragment` (security G4); numbers that cannot be are `ike-fragment-number` (§2.6).
 */
export function decodeFragment(datagram: Uint8Array): Decoded<FragmentMessage> {
  const frame = decodeFrame(datagram)
  if (!frame.ok) return frame
  const { header, payloads, encrypted } = frame.value
  if (encrypted?.type !== PayloadType.SKF || header.exchange === Exchange.IKE_SA_INIT)
    return malformed('ike-fragment')
  const { nextPayload, body, offset } = encrypted.part
  if (body.length < 4) return malformed('ike-payload-length', `payload ${PayloadType.SKF}`)
  const [number, total] = [u16(body, 0), u16(body, 2)]
  if (number === 0 || number > total || total > maxFragments)
    return malformed('ike-fragment-number', `${number} of ${total}`)
  const skf = { nextPayload, number, total, body: body.subarray(4), offset: offset + 4 }
  return { ok: true, value: { header, payloads, skf } }
}

/** True when the datagram may be a fragment: decodeMessage would refuse it, decodeFragment tells. */
export function isFragment(decoded: Decoded<unknown>): boolean {
  return !decoded.ok && decoded.reason === 'ike-fragment'
}

/** Tells a protected message from one in clear. */
export function isProtected(message: Message | ProtectedMessage): message is ProtectedMessage {
  return 'sk' in message
}

/** Generic payload header (§3.2) in front of a body. Throws RangeError above 65,535 bytes: our own output only. */
export function payloadWithHeader(nextType: number, critical: boolean, body: Uint8Array): Uint8Array {
  if (body.length > 0xffff - 4) throw new RangeError(`payload of ${body.length} bytes`)
  return concat(Uint8Array.of(nextType, critical ? criticalBit : 0), u16Bytes(body.length + 4), body)
}

/** Chains payloads; firstType goes into the header or the SK payload in front. An empty list gives type 0, no bytes. */
export function encodePayloads(payloads: Payload[]): { firstType: number; bytes: Uint8Array } {
  const types = payloads.map(payloadTypeOf)
  const parts = payloads.map((payload, index) =>
    payloadWithHeader(
      types[index + 1] ?? PayloadType.NONE,
      payload.kind === 'UNKNOWN' && payload.critical,
      encodeBody(payload),
    ),
  )
  return { firstType: types[0] ?? PayloadType.NONE, bytes: concat(...parts) }
}

/** The 28 bytes in front; length is that of the whole message. Version is 2.0. */
export function encodeHeader(fields: HeaderFields, nextPayload: number, length: number): Uint8Array {
  const flags = (fields.initiator ? flagInitiator : 0) | (fields.response ? flagResponse : 0)
  return concat(
    u64Bytes(fields.initiatorSpi),
    u64Bytes(fields.responderSpi),
    Uint8Array.of(nextPayload, 0x20, fields.exchange, flags),
    u32Bytes(fields.messageId),
    u32Bytes(length),
  )
}

/** A message in clear (IKE_SA_INIT). Protected ones are made by crypto/sk.ts. */
export function encodeMessage(fields: HeaderFields, payloads: Payload[]): Uint8Array {
  const chain = encodePayloads(payloads)
  const header = encodeHeader(fields, chain.firstType, headerLength + chain.bytes.length)
  return concat(header, chain.bytes)
}
