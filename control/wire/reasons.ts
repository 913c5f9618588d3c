// Every way in which bytes fail to be an IKEv2 message: counter name and operator sentence.
//
// The names are stable: they are the drop counters of `show counters drop` and the reason of log lines.

import type { Malformed } from './types.ts'

export const wireReasons = {
  'ike-short': 'IKE datagram shorter than its 28-byte header',
  'ike-length': 'IKE length field differs from the size of the datagram',
  'ike-version': 'IKE major version other than 2',
  'ike-exchange': 'unknown IKEv2 exchange type',
  'ike-spi-zero': 'IKE message with a zero initiator SPI',
  'ike-payload-length': 'payload length below 4 or past the end of the message',
  'ike-payload-count': 'more payloads in one message than accepted',
  'ike-trailing-bytes': 'bytes behind the last payload',
  'ike-sk-not-last': 'a payload follows the encrypted payload',
  'ike-sk-nested': 'encrypted payload inside an encrypted payload',
  'ike-fragment':
    'IKE fragment although fragmentation was not negotiated, or no fragment where one was expected',
  'ike-fragment-number': 'IKE fragment whose number is 0 or above its total, or whose total is 0 or too many',
  'ike-fragment-stale': 'IKE fragment of an older message, or of fewer pieces than those that came before',
  'ike-fragment-repeated': 'IKE fragment that came before',
  'ike-fragment-size': 'IKE fragments of a message that is longer than accepted',
  'ike-sa-payload': 'malformed security association payload',
  'ike-sa-count': 'more proposals or transforms than accepted',
  'ike-ke-payload': 'malformed key exchange payload',
  'ike-id-payload': 'malformed identification payload',
  'ike-cert-payload': 'malformed certificate payload',
  'ike-auth-payload': 'malformed authentication payload',
  'ike-nonce-length': 'nonce shorter than 16 or longer than 256 bytes',
  'ike-notify-payload': 'malformed notify payload',
  'ike-delete-payload': 'malformed delete payload',
  'ike-ts-payload': 'malformed traffic selector payload',
  'ike-critical-payload': 'unknown payload with the critical flag',
  'ike-payload-missing': 'a payload that the exchange requires is missing',
  'ike-payload-surplus': 'a payload occurs more often than the exchange allows',
  'ike-payload-illegal': 'a payload that the exchange does not know',
  'ike-payload-clear': 'a payload in clear that must be encrypted, or the reverse',
  'ike-icv': 'integrity check of the encrypted payload failed',
  'ike-sk-short': 'encrypted payload too short for its IV, one block and the integrity check value',
  'ike-sk-padding': 'authentic encrypted payload with a pad length past its start',
  'ike-ke-length': 'key exchange data of the wrong length for its group',
  'ike-ke-value': 'key exchange data that is no valid public value of its group',
  'ike-ke-group': 'key exchange data of a Diffie-Hellman group that is not built',
  'ike-identity': 'identification payload whose content does not fit its type',
  'ike-signature-format': 'signature authentication data that names no known algorithm',
} as const

export type WireReason = keyof typeof wireReasons

/** Builds the value that hostile input ends in. */
export function malformed(reason: WireReason, detail?: string): Malformed {
  return detail === undefined ? { ok: false, reason } : { ok: false, reason, detail }
}

/** The operator's sentence of a malformed value. */
export function describeMalformed(value: Malformed): string {
  const sentence = wireReasons[value.reason as WireReason] ?? value.reason
  return value.detail ? `${sentence} (${value.detail})` : sentence
}
