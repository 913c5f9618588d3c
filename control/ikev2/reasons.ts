// Why a datagram changed nothing: the engine's own reasons. Those of the parser and of the cipher stand in
// control/wire/reasons.ts. Each name is a counter; each sentence is what the operator reads beside it.

import { type WireReason, wireReasons } from '../wire/reasons.ts'

export const engineReasons = {
  'ike-direction': 'IKE flags, SPIs or message id do not fit the exchange and the direction',
  'ike-unknown-spi': 'no IKE SA has this SPI',
  'ike-state': 'the IKE SA is not in a state that allows this exchange',
  'ike-window': 'the message id lies outside the window',
  'ike-unexpected-response': 'no request with this message id waits for a response',
  'ike-in-progress': 'the same request is being worked on',
  'ike-held-full': 'too many datagrams wait for a public-key operation',
  'ike-no-peer': 'no tunnel has these end points',
  'ike-half-open': 'too many half-open IKE SAs, in all or from this address',
  'ike-cookie': 'under load: the IKE_SA_INIT had no valid cookie, one was sent',
  'ike-clear-error': 'an error in clear proves nothing; it only shortens the wait',
  'ike-round-limit': 'INVALID_KE_PAYLOAD or COOKIE came too often, or names what was never offered',
  'ike-refused': 'an IKE_SA_INIT was refused with an error; the report says why',
} as const

export type EngineReason = keyof typeof engineReasons

/** The operator's sentence for the reason of a drop action. */
export function dropSentence(reason: string): string {
  return engineReasons[reason as EngineReason] ?? wireReasons[reason as WireReason] ?? reason
}
