// IKEv2 messages as data (RFC 7296 §3). The codec turns bytes into these and back; no crypto, no state.

import type { TrafficSelector } from '../ports.ts'

/** Exchange types, RFC 7296 §3.1; IKE_INTERMEDIATE RFC 9242, IKE_FOLLOWUP_KE RFC 9370. */
export const Exchange = {
  IKE_SA_INIT: 34,
  IKE_AUTH: 35,
  CREATE_CHILD_SA: 36,
  INFORMATIONAL: 37,
  IKE_INTERMEDIATE: 43,
  IKE_FOLLOWUP_KE: 44,
} as const

/** Payload types, RFC 7296 §3.2 and RFC 7383 §2.5 (SKF). */
export const PayloadType = {
  NONE: 0,
  SA: 33,
  KE: 34,
  IDi: 35,
  IDr: 36,
  CERT: 37,
  CERTREQ: 38,
  AUTH: 39,
  NONCE: 40,
  NOTIFY: 41,
  DELETE: 42,
  VENDOR: 43,
  TSi: 44,
  TSr: 45,
  SK: 46,
  CP: 47,
  EAP: 48,
  SKF: 53,
} as const

/** Protocol ids of proposals, notifies and deletes, RFC 7296 §3.3.1. */
export const ProtocolId = { NONE: 0, IKE: 1, AH: 2, ESP: 3 } as const

/** Transform types, RFC 7296 §3.3.2; the additional key exchanges of RFC 9370 are made in the order of their numbers. */
export const TransformType = {
  ENCR: 1,
  PRF: 2,
  INTEG: 3,
  DH: 4,
  ESN: 5,
  ADDKE1: 6,
  ADDKE2: 7,
  ADDKE3: 8,
  ADDKE4: 9,
  ADDKE5: 10,
  ADDKE6: 11,
  ADDKE7: 12,
} as const

/** Any attribute but a well-formed Key Length: its presence makes the transform unacceptable (RFC 7296 §3.3.6). */
export type Attribute = { type: number; value: number | Uint8Array }
export type Transform = { type: number; id: number; keyLength?: number; attributes?: Attribute[] } // keyLength in bits (attribute 14)
export type Proposal = { number: number; protocol: number; spi: Uint8Array; transforms: Transform[] }

export type Payload =
  | { kind: 'SA'; proposals: Proposal[] }
  | { kind: 'KE'; group: number; data: Uint8Array }
  | { kind: 'IDi' | 'IDr'; idType: number; data: Uint8Array; raw: Uint8Array } // raw: body after the generic header, as received (AUTH covers it)
  | { kind: 'CERT'; encoding: number; data: Uint8Array }
  | { kind: 'CERTREQ'; encoding: number; data: Uint8Array }
  | { kind: 'AUTH'; method: number; data: Uint8Array }
  | { kind: 'NONCE'; data: Uint8Array }
  | { kind: 'NOTIFY'; protocol: number; spi: Uint8Array; type: number; data: Uint8Array }
  | { kind: 'DELETE'; protocol: number; spis: Uint8Array[] }
  | { kind: 'VENDOR'; data: Uint8Array }
  | { kind: 'TSi' | 'TSr'; selectors: TrafficSelector[] }
  | { kind: 'CP' | 'EAP'; data: Uint8Array } // known by RFC 7296, not built: the body as received
  | { kind: 'UNKNOWN'; type: number; critical: boolean; data: Uint8Array }

export type Header = {
  initiatorSpi: bigint
  responderSpi: bigint
  nextPayload: number
  majorVersion: number
  minorVersion: number
  exchange: number
  initiator: boolean // flag I: the sender is the original initiator of the IKE SA
  response: boolean // flag R
  messageId: number
  length: number
}

/**
 * Why bytes are no message: a value, never an exception. `reason` is the name of a drop counter (sentences: reasons.ts).
 * `notify` is what RFC 7296 wants answered, but only where the message was authentic (§2.21).
 */
export type Malformed = {
  ok: false
  reason: string
  detail?: string
  notify?: { type: number; data: Uint8Array }
}
export type Decoded<T> = { ok: true; value: T } | Malformed

/** A message whose payloads are in clear (IKE_SA_INIT, or the inside of an SK payload). */
export type Message = { header: Header; payloads: Payload[] }

/** The encrypted part of a message (§3.14): body = IV | ciphertext | ICV, starting `offset` bytes into the datagram. */
export type SkPart = { nextPayload: number; body: Uint8Array; offset: number }
/** A message with an SK payload, before it is opened; `payloads` are those in front of SK (normally none). */
export type ProtectedMessage = { header: Header; payloads: Payload[]; sk: SkPart }
/**
 * The encrypted part of a fragment (RFC 7383 §2.5): 1 <= number <= total; nextPayload counts in number 1 only;
 * body = IV | ciphertext | ICV, starting `offset` bytes into the datagram.
 */
export type SkfPart = { nextPayload: number; number: number; total: number; body: Uint8Array; offset: number }
/** One fragment of a protected message; `payloads` stand in front of SKF (RFC 7383 §2.5.3, normally none). */
export type FragmentMessage = { header: Header; payloads: Payload[]; skf: SkfPart }
/** What a sender chooses of a header; version 2.0, next payload and length are the codec's. */
export type HeaderFields = Pick<
  Header,
  'initiatorSpi' | 'responderSpi' | 'exchange' | 'initiator' | 'response' | 'messageId'
>
