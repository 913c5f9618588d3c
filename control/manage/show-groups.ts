// Named objects of the configuration beside proposals and policies: ASP pools and groups, access lists, QoS policies.

import { protocolName } from '../address.ts'
import type { Values } from '../config/match.ts'
import type { Lined, Selector } from '../config/model.ts'
import { nearestWord, shown } from '../config/nearest.ts'
import type { Gateway } from '../gateway.ts'
import { groupOf, groupOfTunnel } from '../tunnel/asp.ts'
import { CommandError } from './error.ts'

/** The named object, or all; a name that does not exist is refused with the nearest one. */
export function chosen<T extends Lined>(
  objects: Map<string, T>,
  what: string,
  name: string | undefined,
): T[] {
  if (name === undefined) return [...objects.values()]
  const object = objects.get(name)
  if (object !== undefined) return [object]
  const near = nearestWord(name, [...objects.keys()])
  const hint = near === null ? '' : `; did you mean "${near}"?`
  throw new CommandError('not-found', `there is no ${what} ${shown(name)}${hint}`)
}

export function showAspPools({ config }: Gateway) {
  return [...config.aspPools.values()].map(({ name, asps }) => ({
    name,
    asps: [...asps].sort((a, b) => a - b),
    groups: [...config.aspGroups.values()]
      .filter(({ pools }) => pools.includes(name))
      .map((group) => group.name),
  }))
}

/** The built-in group `default` is shown where tunnels use it. */
export function showAspGroups({ config }: Gateway) {
  const used = [...config.tunnels.values()].map((tunnel) => groupOfTunnel(config, tunnel).name)
  const names = new Set([...config.aspGroups.keys(), ...used])
  return [...names].map((name) => {
    const { active, standby } = groupOf(config, name)
    const pools = config.aspGroups.get(name)?.pools ?? []
    const tunnels = [...config.tunnels.values()].filter(
      (tunnel) => groupOfTunnel(config, tunnel).name === name,
    )
    return { name, pools, active, standby, tunnels: tunnels.map((tunnel) => tunnel.name) }
  })
}

export function showAccessLists({ config }: Gateway, values: Values) {
  return chosen(config.accessLists, 'ipsec access-list', values.maybe('name')).map(({ name, rules }) => ({
    name,
    rules: [...rules]
      .sort((a, b) => a.sequence - b.sequence)
      .map((rule) => ({
        sequence: rule.sequence,
        action: rule.action,
        protocol: rule.protocol === 0 ? 'ip' : protocolName(rule.protocol),
        local: selectorText(rule.local),
        remote: selectorText(rule.remote),
        class: rule.class ?? null,
      })),
    tunnels: [...config.tunnels.values()]
      .filter(({ selectors }) => selectors.some((each) => each.kind === 'access-list' && each.name === name))
      .map((tunnel) => tunnel.name),
  }))
}

function selectorText(selector: Selector): string {
  const port = selector.port === undefined ? '' : ` port ${[...new Set(selector.port)].join('-')}`
  switch (selector.kind) {
    case 'any':
      return `any${port}`
    case 'host':
      return `host ${selector.value}${port}`
    case 'prefix':
      return `${selector.value}${port}`
    case 'range':
      return `range ${selector.from} ${selector.to}${port}`
  }
}

export function showQosPolicies({ config }: Gateway, values: Values) {
  return chosen(config.qosPolicies, 'ipsec qos-policy', values.maybe('name')).map(({ name, classes }) => ({
    name,
    classes: [...classes]
      .sort((a, b) => a.priority - b.priority)
      .map((each) => ({
        name: each.name,
        priority: each.priority,
        matchDscp: each.matchDscp ?? [],
        markDscp: each.markDscp ?? null,
      })),
    tunnels: [...config.tunnels.values()]
      .filter(({ qosPolicy }) => qosPolicy === name)
      .map((tunnel) => tunnel.name),
  }))
}
