// Small makers and finders of payloads that several exchanges share.

import { u16Bytes } from '../wire/bytes.ts'
import type { Payload } from '../wire/types.ts'
import { ProtocolId } from '../wire/types.ts'

type Kind = Payload['kind']
/** Members whose kind may be K; IDi and IDr, TSi and TSr share one. */
type Of<K extends Kind> = Payload extends infer P
  ? P extends { kind: infer PK }
    ? K extends PK
      ? P
      : never
    : never
  : never
export type Notify = Of<'NOTIFY'>

const none = new Uint8Array(0)

/** A notify about the IKE SA or the exchange itself (RFC 7296 §3.10: protocol 0, no SPI). */
export function notify(type: number, data: Uint8Array = none): Payload {
  return { kind: 'NOTIFY', protocol: ProtocolId.NONE, spi: none, type, data }
}

/** A notify about one Child SA: its SPI of 4 bytes (REKEY_SA, CHILD_SA_NOT_FOUND). */
export function espNotify(type: number, spi: Uint8Array): Payload {
  return { kind: 'NOTIFY', protocol: ProtocolId.ESP, spi, type, data: none }
}

/** INVALID_KE_PAYLOAD carries the group we want in two bytes (§1.3). */
export function groupData(group: number): Uint8Array {
  return u16Bytes(group)
}

/** First payload of a kind, or undefined. `kind` in the result is narrowed. */
export function find<K extends Kind>(payloads: Payload[], kind: K): Of<K> | undefined {
  return payloads.find((payload) => payload.kind === kind) as Of<K> | undefined
}

export function findAll<K extends Kind>(payloads: Payload[], kind: K): Of<K>[] {
  return payloads.filter((payload) => payload.kind === kind) as Of<K>[]
}

export function notifies(payloads: Payload[], type: number): Notify[] {
  return findAll(payloads, 'NOTIFY').filter((each) => each.type === type)
}

export function hasNotify(payloads: Payload[], type: number): boolean {
  return notifies(payloads, type).length > 0
}
