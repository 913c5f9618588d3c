// Name and operator sentence of every drop number of abi.ts. The names are those of `show counters drop`,
// metrics and traces; they are stable.

import * as abi from '../dataplane-as/abi.ts'

export type DropReason = { number: number; name: string; sentence: string }

const row = (number: number, name: string, sentence: string): DropReason => ({ number, name, sentence })

/** One row per DROP_* constant, in the order of the numbers. */
export const DROP_REASONS: readonly DropReason[] = [
  row(abi.DROP_PACKET_MALFORMED, 'packet-malformed', 'a packet to protect had no valid IP header'),
  row(abi.DROP_NO_CIRCUIT, 'no-circuit', 'a packet came from a device that no tunnel is bound to'),
  row(abi.DROP_NO_ROUTE, 'no-route', 'no route of the card leads to the destination'),
  row(abi.DROP_NULL_ROUTE, 'null-route', 'the route to the destination is null0'),
  row(abi.DROP_TUNNEL_DOWN, 'tunnel-down', 'the tunnel is down; nothing leaves in clear'),
  row(abi.DROP_NO_SA, 'no-sa', 'the tunnel has no SA to send with; nothing leaves in clear'),
  row(abi.DROP_SELECTOR_OUT, 'selector-out', "a packet to protect lies outside the SA's traffic selectors"),
  row(abi.DROP_TOO_BIG, 'too-big', 'a packet to protect is larger than the tunnel MTU'),
  row(abi.DROP_SEQUENCE_EXHAUSTED, 'sequence-exhausted', 'the SA has used all its sequence numbers'),
  row(abi.DROP_SA_EXPIRED, 'sa-expired', 'the SA has reached a hard limit'),
  row(abi.DROP_NO_ENTROPY, 'no-entropy', 'no fresh random bytes were there for an IV'),
  row(abi.DROP_DATAGRAM_SHORT, 'datagram-short', 'a received datagram is too short for an ESP header'),
  row(abi.DROP_UNKNOWN_SPI, 'unknown-spi', 'a received packet carries an SPI that is not ours'),
  row(abi.DROP_SA_MISMATCH, 'sa-mismatch', 'a received packet is encapsulated otherwise than its SA says'),
  row(abi.DROP_BAD_LENGTH, 'bad-length', 'the length of a received packet is impossible for its SA'),
  row(abi.DROP_REPLAY, 'replay', 'a received packet is a duplicate or too old'),
  row(abi.DROP_BAD_ICV, 'bad-icv', 'a received packet is not authentic'),
  row(abi.DROP_BAD_CONTENT, 'bad-content', 'an authentic packet has a malformed inside'),
  row(abi.DROP_DUMMY, 'dummy', 'a dummy packet (next header 59) was discarded, as it should be'),
  row(abi.DROP_SELECTOR_IN, 'selector-in', "an authentic packet lies outside the SA's traffic selectors"),
  row(abi.DROP_INNER_ADDRESS, 'inner-address', 'an authentic packet has a loopback or multicast source'),
  row(abi.DROP_ECN, 'ecn', 'the outer header reports congestion to a packet that knows no ECN'),
  row(abi.DROP_OUTER_MALFORMED, 'outer-malformed', 'a received outer IP header is malformed'),
  row(abi.DROP_DESCRIPTOR, 'descriptor', 'the packet loop handed the card a malformed descriptor'),
  row(abi.DROP_INBOX_FULL, 'inbox-full', 'the inbox of the ASP that owns the tunnel was full'),
  row(abi.DROP_CONTROL_INBOX_FULL, 'control-inbox-full', 'the inbox for IKE messages was full'),
  row(abi.DROP_SEND_FAILED, 'send-failed', 'the kernel did not take a protected datagram'),
  row(abi.DROP_DEVICE_FAILED, 'device-failed', 'a tunnel device did not take a decrypted packet'),
  row(abi.DROP_RECEIVE_TRUNCATED, 'receive-truncated', 'a received datagram was larger than its buffer'),
  row(abi.DROP_TRAP, 'trap', 'the card stopped over a burst; its SAs are renewed'),
  row(abi.DROP_NO_ADDRESS, 'no-address', 'a tunnel had no usable address to send to or from'),
  row(abi.DROP_PATH_MTU, 'path-mtu', 'a protected datagram with DF is larger than the path carries'),
]

const byNumber = new Map(DROP_REASONS.map((reason) => [reason.number, reason]))

/** Name of a drop number; null for DROP_NONE. */
export function dropName(number: number): string | null {
  if (number === abi.DROP_NONE) return null
  return byNumber.get(number)?.name ?? `drop-${number}`
}
