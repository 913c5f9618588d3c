// What a message may contain, RFC 7296 §1.2-§1.4 and appendix C, as data: payload x exchange x direction.
//
// A row is [min, max]. A payload without a row is refused. Minimums are waived when the message carries an
// error notify (or a COOKIE request): such answers are short. So a caller that takes a message with an error
// notify must look for every payload it uses; above all IKE_AUTH answers without AUTH authenticate nothing.

import { isErrorNotify, NotifyError, NotifyStatus } from './notify.ts'
import { payloadTypeOf } from './payloads.ts'
import { malformed } from './reasons.ts'
import type { Malformed, Message, Payload } from './types.ts'
import { Exchange } from './types.ts'

type Kind = Exclude<Payload['kind'], 'UNKNOWN'>
type Row = [min: number, max: number]
type Rule = { encrypted: boolean; rows: Partial<Record<Kind, Row>> }

const maxNotifies = 20
const maxVendors = 20
/** security C11: no peer needs more certificates to prove its identity. */
const maxCertificates = 10

const always = { NOTIFY: [0, maxNotifies], VENDOR: [0, maxVendors] } satisfies Rule['rows']

const initRequest: Rule = {
  encrypted: false,
  rows: { ...always, SA: [1, 1], KE: [1, 1], NONCE: [1, 1] },
}
const initResponse: Rule = {
  encrypted: false,
  rows: { ...always, SA: [1, 1], KE: [1, 1], NONCE: [1, 1], CERTREQ: [0, maxCertificates] },
}
const authRequest: Rule = {
  encrypted: true,
  rows: {
    ...always,
    IDi: [1, 1],
    CERT: [0, maxCertificates],
    CERTREQ: [0, maxCertificates],
    IDr: [0, 1],
    AUTH: [1, 1], // none would ask for EAP, which is not built
    CP: [0, 1], // ignored: no address assignment
    SA: [0, 1], // none of the three: childless (RFC 6023)
    TSi: [0, 1],
    TSr: [0, 1],
  },
}
const authResponse: Rule = {
  encrypted: true,
  rows: {
    ...always,
    IDr: [1, 1],
    CERT: [0, maxCertificates],
    AUTH: [1, 1],
    CP: [0, 1],
    SA: [0, 1],
    TSi: [0, 1],
    TSr: [0, 1],
  },
}
const createChild: Rule = {
  encrypted: true,
  rows: { ...always, SA: [1, 1], NONCE: [1, 1], KE: [0, 1], TSi: [0, 1], TSr: [0, 1], CP: [0, 1] },
}
/** RFC 9242 §3.2, RFC 9370 §2.2.2: only key exchanges are built. */
const intermediate: Rule = { encrypted: true, rows: { ...always, KE: [1, 1] } }
const informational: Rule = {
  encrypted: true,
  rows: { ...always, DELETE: [0, 10], CP: [0, 1] },
}

/** exchange -> [request, response] */
export const legality: Record<number, [Rule, Rule]> = {
  [Exchange.IKE_SA_INIT]: [initRequest, initResponse],
  [Exchange.IKE_AUTH]: [authRequest, authResponse],
  [Exchange.CREATE_CHILD_SA]: [createChild, createChild],
  [Exchange.INFORMATIONAL]: [informational, informational],
  [Exchange.IKE_INTERMEDIATE]: [intermediate, intermediate],
  [Exchange.IKE_FOLLOWUP_KE]: [intermediate, intermediate],
}

/** §2.5: an unknown payload with the critical flag refuses the message; without it, it is skipped. */
export function criticalPayload(payloads: Payload[]): Malformed | null {
  const found = payloads.find((payload) => payload.kind === 'UNKNOWN' && payload.critical)
  if (!found) return null
  const type = payloadTypeOf(found)
  const notify = { type: NotifyError.UNSUPPORTED_CRITICAL_PAYLOAD, data: Uint8Array.of(type) }
  return { ...malformed('ike-critical-payload', `type ${type}`), notify }
}

/** True when the message is a short one: an error notify, or the COOKIE request of §2.6. */
function waivesMinimum(payloads: Payload[]): boolean {
  return payloads.some(
    (payload) =>
      payload.kind === 'NOTIFY' &&
      (isErrorNotify(payload.type) || (payload.type === NotifyStatus.COOKIE && payloads.length === 1)),
  )
}

function countKinds(payloads: Payload[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { kind } of payloads) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  counts.delete('UNKNOWN')
  return counts
}

const syntax = (refused: Malformed): Malformed => ({
  ...refused,
  notify: { type: NotifyError.INVALID_SYNTAX, data: new Uint8Array(0) },
})

/** The rows of one rule against the counted payloads. */
function checkRows(rule: Rule, payloads: Payload[], isResponse: boolean): Malformed | null {
  const counts = countKinds(payloads)
  for (const [kind, count] of counts) {
    const row = rule.rows[kind as Kind]
    if (!row) return syntax(malformed('ike-payload-illegal', kind))
    if (count > row[1]) return syntax(malformed('ike-payload-surplus', kind))
  }
  if (isResponse && waivesMinimum(payloads)) return null
  for (const [kind, row] of Object.entries(rule.rows)) {
    if ((counts.get(kind) ?? 0) < row[0]) return syntax(malformed('ike-payload-missing', kind))
  }
  if (counts.has('TSi') !== counts.has('TSr'))
    return syntax(malformed('ike-payload-missing', 'TSi and TSr go together'))
  return null
}

/**
 * Judges a message in clear, or the inside of an opened SK payload (encrypted = true, payloads = its inside).
 * null: legal. Payloads in front of SK are judged by checkClearPayloads. `notify` of a refusal may be sent only
 * inside the protected answer of an authentic request (§2.21).
 */
export function checkLegality(message: Message, encrypted: boolean): Malformed | null {
  const { header, payloads } = message
  const rule = legality[header.exchange]?.[header.response ? 1 : 0]
  if (!rule) return malformed('ike-exchange', `${header.exchange}`)
  if (rule.encrypted !== encrypted) return malformed('ike-payload-clear')
  const refused = criticalPayload(payloads) ?? checkRows(rule, payloads, header.response)
  return refused ?? (header.exchange === Exchange.IKE_AUTH ? checkChild(payloads) : null)
}

/** IKE_AUTH asks for a Child SA or does not: its selectors make no sense without its proposals, nor the reverse. */
function checkChild(payloads: Payload[]): Malformed | null {
  const has = (kind: Kind) => payloads.some((payload) => payload.kind === kind)
  if (has('SA') === has('TSi')) return null
  return syntax(malformed('ike-payload-missing', 'SA, TSi and TSr go together'))
}

/** Payloads in front of SK: only unknown ones without the critical flag, which are skipped (§2.5). */
export function checkClearPayloads(payloads: Payload[]): Malformed | null {
  const refused = criticalPayload(payloads)
  if (refused) return refused
  const known = payloads.find((payload) => payload.kind !== 'UNKNOWN')
  return known ? syntax(malformed('ike-payload-clear', known.kind)) : null
}
