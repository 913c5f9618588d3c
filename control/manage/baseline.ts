// Counters since the last `clear counters`: those of the card only ever rise, so clearing remembers where they stood.

import type { Gateway } from '../gateway.ts'
import { dropSentence } from '../ikev2/reasons.ts'
import { plainNumber } from './escape.ts'

type Drop = { reason: string; packets: bigint; sentence: string }

/** Counters of the machine's own sockets, by the names of the bindings. Keepalives end there by design. */
const SOCKET_DROPS: Record<string, string> = {
  short: 'one to three bytes on the NAT traversal port that are no keepalive',
  unaddressed: 'a datagram whose destination address the kernel did not name',
  unsent: 'a datagram that the kernel refused to send',
  noSocket: 'a datagram to send from a port or family without a socket',
  strays: 'a datagram that belongs to nobody here',
}

/** Everything that was dropped: by the card, by IKE, by the sockets. */
export function allDrops(gateway: Gateway): Drop[] {
  const card = gateway.ports.card.drops()
  const ike = [...gateway.ikeDrops].map(([reason, packets]) => ({
    reason,
    packets,
    sentence: dropSentence(reason),
  }))
  const sockets = Object.entries(gateway.options.counters?.() ?? {}).flatMap(([name, count]) =>
    SOCKET_DROPS[name] === undefined
      ? []
      : [{ reason: `socket-${kebab(name)}`, packets: BigInt(count), sentence: SOCKET_DROPS[name] }],
  )
  return [...card, ...ike, ...sockets]
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`)
}

/** `show counters drop`: reasons with packets since the last clear. */
export function showDrops(gateway: Gateway) {
  return allDrops(gateway)
    .map((drop) => ({ ...drop, packets: sinceBaseline(gateway, `drop ${drop.reason}`, drop.packets) }))
    .filter(({ packets }) => packets > 0n)
    .map((drop) => ({ ...drop, packets: plainNumber(drop.packets) }))
}

export function rememberTunnel(gateway: Gateway, name: string) {
  const slot = gateway.dataplane.slot(name)
  if (slot === undefined) return
  const counters = Object.entries(gateway.ports.card.tunnelCounters(slot.ref))
  for (const [key, value] of counters) gateway.baseline.set(`${name} ${key}`, value)
}

export function rememberDrops(gateway: Gateway) {
  for (const { reason, packets } of allDrops(gateway)) gateway.baseline.set(`drop ${reason}`, packets)
}

/** A counter since the last `clear counters`; a tunnel that was made anew counts from 0. */
export function sinceBaseline(gateway: Gateway, key: string, value: bigint): bigint {
  const before = gateway.baseline.get(key) ?? 0n
  return value >= before ? value - before : value
}
