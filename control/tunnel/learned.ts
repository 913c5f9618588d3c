// Routes that others put on the shared device, a BGP daemon mostly: their gateway says through which tunnel they lead.
//
// A gateway is looked up among the static `ip route PREFIX tunnel NAME` routes, the longest prefix wins; one that lies
// in none leads nowhere, and its packets are dropped. A route without a gateway says nothing that the static routes
// do not say, and changes nothing.

import { parsePrefix, prefixContains } from '../address.ts'
import type { StaticRoute } from '../config/model.ts'
import type { LearnedRoute } from '../ports.ts'
import type { FibPlan } from './plan.ts'

/** The tunnel through which a gateway is reached, or null. `routes`: the static ones. */
export function tunnelTowards(gateway: string, routes: readonly StaticRoute[]): string | null {
  let best: { name: string; length: number } | null = null
  for (const { prefix, nextHop } of routes) {
    if (nextHop.kind !== 'tunnel' || !prefixContains(prefix, gateway)) continue
    const length = parsePrefix(prefix)?.length ?? -1
    if (best === null || length > best.length) best = { name: nextHop.name, length }
  }
  return best?.name ?? null
}

/**
 * FIB entries of learned routes. Of several with one prefix the smallest metric counts, as in the kernel, and a static
 * route of that prefix stays unless its distance is larger.
 */
export function learnedFib(learned: readonly LearnedRoute[], statics: readonly StaticRoute[]): FibPlan[] {
  const best = new Map<string, LearnedRoute>()
  for (const route of learned) {
    const known = best.get(route.prefix)
    if (route.gateway !== null && (known === undefined || route.metric < known.metric))
      best.set(route.prefix, route)
  }
  for (const { prefix, distance } of statics) {
    const rival = best.get(prefix)
    if (rival !== undefined && distance <= rival.metric) best.delete(prefix)
  }
  return [...best.values()].map(({ prefix, gateway }) => {
    const tunnel = tunnelTowards(gateway ?? '', statics)
    return { prefix, target: tunnel === null ? 'null0' : { tunnel } }
  })
}

/** `entries` with the learned ones in the place of those with the same prefix. */
export function withLearned(entries: readonly FibPlan[], learned: readonly FibPlan[]): FibPlan[] {
  const prefixes = new Set(learned.map(({ prefix }) => prefix))
  return [...entries.filter(({ prefix }) => !prefixes.has(prefix)), ...learned]
}
