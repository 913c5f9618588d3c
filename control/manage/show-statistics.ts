// `show tunnel ipsec statistics (ike|esp) [NAME]`: what happened to each tunnel since it was configured.

import type { Values } from '../config/match.ts'
import type { Gateway } from '../gateway.ts'
import type { TallyName } from '../tunnel/tally.ts'
import { sinceBaseline } from './baseline.ts'
import { plainNumber } from './escape.ts'
import { tunnelsNamed } from './find.ts'

export function showIkeStatistics(gateway: Gateway, values: Values) {
  return tunnelsNamed(gateway, values.maybe('name')).map(({ config: { name }, failures }) => {
    const count = (which: TallyName) => total(gateway, which, name)
    return {
      tunnel: name,
      ups: count('tunnel_ups'),
      ikeSaSetups: count('ike_sa_setups'),
      ikeSaRekeys: count('ike_sa_rekeys'),
      childSaSetups: count('child_sa_setups'),
      childSaRekeys: count('child_sa_rekeys'),
      failed: count('negotiation_failures'),
      failuresInARow: failures,
      failures: byReason(gateway, 'negotiation_failures', name),
      ends: byReason(gateway, 'sa_ends', name),
    }
  })
}

function total(gateway: Gateway, which: TallyName, tunnel: string): number {
  const counts = gateway.tally.of(which).filter(({ labels }) => labels.tunnel === tunnel)
  return counts.reduce((sum, { value }) => sum + value, 0)
}

function byReason(gateway: Gateway, which: TallyName, tunnel: string) {
  const counts = gateway.tally.of(which).filter(({ labels }) => labels.tunnel === tunnel)
  return counts.map(({ labels, value }) => ({
    reason: labels.reason,
    kind: labels.kind ?? null,
    count: value,
  }))
}

/** Packets and bytes as `show counters`, since the last `clear counters`; SAs are the pairs in the card now. */
export function showEspStatistics(gateway: Gateway, values: Values) {
  return tunnelsNamed(gateway, values.maybe('name')).flatMap(({ config: { name } }) => {
    const slot = gateway.dataplane.slot(name)
    if (slot === undefined || slot.ref < 0) return []
    const counters = Object.entries(gateway.ports.card.tunnelCounters(slot.ref))
    const since = counters.map(([key, value]) => [
      key,
      plainNumber(sinceBaseline(gateway, `${name} ${key}`, value)),
    ])
    const sas = gateway.dataplane.children.entries().filter((entry) => entry.tunnel === name)
    return [
      {
        tunnel: name,
        sas: sas.filter(({ direction }) => direction === 'in').length,
        ...Object.fromEntries(since),
      },
    ]
  })
}
