// From configured selectors to traffic selectors (RFC 7296 §3.13.1): what a Child SA of a tunnel may carry.
//
// All selector lines of a tunnel make one Child SA: the union of the local sides and the union of the remote
// sides. `any` beside an address takes that address's family, so that one line never mixes families.

import {
  type AddressRange,
  compareBytes,
  type Family,
  parseAddress,
  parsePrefix,
  prefixRange,
  wholeRange,
} from '../address.ts'
import type { TrafficSelector } from '../ports.ts'
import type { AccessRule, Config, Selector, TunnelConfig } from './model.ts'

/** Both sides of a tunnel as its own end sees them: local = inner source of what it sends. */
export type SelectorPair = { local: TrafficSelector[]; remote: TrafficSelector[] }

/** One configured line or access-list rule. */
export type SelectorLine = { line: number; protocol: number; local: Selector; remote: Selector }

const ANY_ANY: SelectorLine = { line: 0, protocol: 0, local: { kind: 'any' }, remote: { kind: 'any' } }

/** Address range of a selector; null for `any`. Its text has passed the parser. */
export function selectorRange(selector: Selector): AddressRange | null {
  switch (selector.kind) {
    case 'any':
      return null
    case 'prefix': {
      const prefix = parsePrefix(selector.value)
      return prefix && prefixRange(prefix)
    }
    case 'host':
      return rangeOf(selector.value, selector.value)
    case 'range':
      return rangeOf(selector.from, selector.to)
  }
}

function rangeOf(from: string, to: string): AddressRange | null {
  const start = parseAddress(from)
  const end = parseAddress(to)
  return start && end && { family: start.length === 4 ? 4 : 6, start, end }
}

/** Family a selector is bound to, null for `any`. */
export function selectorFamily(selector: Selector): Family | null {
  return selectorRange(selector)?.family ?? null
}

/** Traffic selectors of one configured selector: one, or for `any` one for each of the families given. */
export function toTrafficSelectors(
  selector: Selector,
  protocol: number,
  families: readonly Family[] = [4, 6],
): TrafficSelector[] {
  const [startPort, endPort] = selector.port ?? [0, 65535]
  const range = selectorRange(selector)
  const ranges = range === null ? families.map(wholeRange) : [range]
  return ranges.map((each) => ({ ...each, protocol, startPort, endPort }))
}

/** Both sides of one line. */
export function lineSelectors(line: SelectorLine): SelectorPair {
  const family = selectorFamily(line.local) ?? selectorFamily(line.remote)
  const families: readonly Family[] = family === null ? [4, 6] : [family]
  return {
    local: toTrafficSelectors(line.local, line.protocol, families),
    remote: toTrafficSelectors(line.remote, line.protocol, families),
  }
}

/** The lines that make up a tunnel's selectors: pairs, and permit rules of its access lists; any any when it has none. */
export function selectorLines(config: Config, tunnel: TunnelConfig): SelectorLine[] {
  if (tunnel.selectors.length === 0) return [ANY_ANY]
  return tunnel.selectors.flatMap((entry): SelectorLine[] =>
    entry.kind === 'pair' ? [entry] : orderedRules(config, entry.name).filter(isPermit),
  )
}

/** Rules of an access list in the order of their sequence numbers; empty when there is no such list. */
export function orderedRules(config: Config, name: string): AccessRule[] {
  const rules = config.accessLists.get(name)?.rules ?? []
  return [...rules].sort((a, b) => a.sequence - b.sequence)
}

function isPermit(rule: AccessRule): boolean {
  return rule.action === 'permit'
}

/** Union of the local sides and union of the remote sides of a tunnel, without repetitions. */
export function selectorsOf(config: Config, tunnel: TunnelConfig): SelectorPair {
  const pairs = selectorLines(config, tunnel).map(lineSelectors)
  return {
    local: unique(pairs.flatMap((pair) => pair.local)),
    remote: unique(pairs.flatMap((pair) => pair.remote)),
  }
}

function unique(selectors: TrafficSelector[]): TrafficSelector[] {
  return selectors.filter((one, at) => selectors.findIndex((other) => sameSelector(one, other)) === at)
}

/** Whether two selectors admit exactly the same packets by the same words. */
export function sameSelector(a: TrafficSelector, b: TrafficSelector): boolean {
  return (
    a.protocol === b.protocol &&
    a.startPort === b.startPort &&
    a.endPort === b.endPort &&
    compareBytes(a.start, b.start) === 0 &&
    compareBytes(a.end, b.end) === 0
  )
}
