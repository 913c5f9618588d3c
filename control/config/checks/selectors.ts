// `selector`, `no-multicast` and `group-psk`: what a tunnel's selectors can mean.

import {
  addressFamily,
  compareBytes,
  PROTOCOLS,
  parseAddress,
  protocolName,
  rangeContains,
} from '../../address.ts'
import type { TrafficSelector } from '../../ports.ts'
import type { Config, QosPolicy, Selector, TunnelConfig } from '../model.ts'
import { ikePolicyOf } from '../resolve.ts'
import { orderedRules, type SelectorLine, selectorFamily, selectorRange, selectorsOf } from '../selectors.ts'
import { type CheckContext, lineOf } from './report.ts'
import { usesPsk } from './versions.ts'

const WITH_PORTS: ReadonlySet<number> = new Set([PROTOCOLS.tcp, PROTOCOLS.udp, PROTOCOLS.sctp])
const OSPF = 89
const RIP_PORT = 520
/** Destinations of OSPF (RFC 2328 A.1) and RIP version 2 (RFC 2453 §4.5). */
const ROUTING_GROUPS: readonly { address: string; protocol: number; port: number | null }[] = [
  { address: '224.0.0.5', protocol: OSPF, port: null },
  { address: '224.0.0.6', protocol: OSPF, port: null },
  { address: '224.0.0.9', protocol: PROTOCOLS.udp, port: RIP_PORT },
]

export function checkSelectors(context: CheckContext) {
  const { config } = context
  for (const list of config.accessLists.values()) {
    for (const rule of list.rules) checkLine(context, rule, `access-list ${list.name} seq ${rule.sequence}`)
  }
  for (const tunnel of config.tunnels.values()) {
    for (const entry of tunnel.selectors)
      if (entry.kind === 'pair') checkLine(context, entry, `tunnel ${tunnel.name}`)
    checkEndPoints(context, tunnel)
    checkClasses(context, tunnel)
    checkMulticast(context, tunnel)
    checkGroupPsk(context, tunnel)
  }
}

function checkLine({ error }: CheckContext, { line, protocol, local, remote }: SelectorLine, where: string) {
  const refuse = (why: string) => error(line, 'selector', `${where}: ${why}`)
  if ((local.port || remote.port) && !WITH_PORTS.has(protocol))
    refuse(`${protocolName(protocol)} has no ports; name tcp, udp or sctp, or delete port`)
  const families = [selectorFamily(local), selectorFamily(remote)].filter((family) => family !== null)
  if (new Set(families).size > 1)
    refuse('local and remote are of different IP versions; write one line for each version')
  for (const side of [local, remote]) checkRange(side, refuse)
}

function checkRange(selector: Selector, refuse: (why: string) => void) {
  if (selector.kind !== 'range') return
  if (addressFamily(selector.from) !== addressFamily(selector.to))
    return refuse(`range ${selector.from} ${selector.to} has two IP versions`)
  const range = selectorRange(selector)
  if (range && compareBytes(range.start, range.end) > 0)
    refuse(
      `range ${selector.from} ${selector.to} runs backwards; write range ${selector.to} ${selector.from}`,
    )
}

function checkEndPoints({ error }: CheckContext, { name, local, remote, lines, line }: TunnelConfig) {
  const families = [local, remote].map((end) => (end === undefined ? null : addressFamily(end)))
  if (families[0] === null || families[1] === null || families[0] === families[1]) return
  error(
    lines['peer-end-point'] ?? line,
    'selector',
    `tunnel ${name}: end points ${local} and ${remote} are of different IP versions`,
  )
}

/** Every class that a rule names exists, and exactly one class takes what no rule and no DSCP value claims. */
function checkClasses({ config, error }: CheckContext, tunnel: TunnelConfig) {
  const policy = tunnel.qosPolicy === undefined ? undefined : config.qosPolicies.get(tunnel.qosPolicy)
  if (tunnel.qosPolicy !== undefined && policy === undefined) return // reported as unresolved
  const known = new Set(policy?.classes.map((each) => each.name))
  for (const { line, name } of classesInRules(config, tunnel)) {
    if (known.has(name)) continue
    const instead = policy
      ? `qos-policy ${policy.name} has ${[...known].join(', ') || 'no class'}`
      : 'the tunnel has no qos-policy'
    error(line, 'selector', `tunnel ${tunnel.name}: no class "${name}"; ${instead}`)
  }
  if (policy) checkDefaultClass({ config, error }, tunnel, policy)
}

function checkDefaultClass(
  { config, error }: Pick<CheckContext, 'config' | 'error'>,
  tunnel: TunnelConfig,
  policy: QosPolicy,
) {
  const named = new Set(classesInRules(config, tunnel).map((rule) => rule.name))
  const defaults = policy.classes.filter((each) => each.matchDscp === undefined && !named.has(each.name))
  if (defaults.length === 1) return
  const found = defaults.length === 0 ? 'none has' : `${defaults.map((each) => each.name).join(', ')} have`
  error(
    lineOf(tunnel, 'qos-policy'),
    'selector',
    `tunnel ${tunnel.name}: exactly one class of qos-policy ${policy.name} must have neither rules nor match dscp, the default; ${found} neither`,
  )
}

function classesInRules(config: Config, tunnel: TunnelConfig): { line: number; name: string }[] {
  return tunnel.selectors.flatMap((entry) => {
    if (entry.kind !== 'access-list') return []
    return orderedRules(config, entry.name).flatMap((rule) =>
      rule.class === undefined ? [] : [{ line: rule.line, name: rule.class }],
    )
  })
}

function checkMulticast({ config, warn }: CheckContext, tunnel: TunnelConfig) {
  if (tunnel.mode !== 'circuit' || tunnel.selectors.length === 0) return
  const { remote } = selectorsOf(config, tunnel)
  const shutOut = ROUTING_GROUPS.filter((group) => !remote.some((selector) => admits(selector, group)))
  if (shutOut.length === 0) return
  warn(
    tunnel.selectors[0].line,
    'no-multicast',
    `tunnel ${tunnel.name}: its selectors shut out ${shutOut.map((group) => group.address).join(', ')}, so OSPF or RIP will not run over its interface; static routes and BGP will`,
  )
}

function admits(selector: TrafficSelector, group: (typeof ROUTING_GROUPS)[number]): boolean {
  const protocolFits = selector.protocol === 0 || selector.protocol === group.protocol
  const portFits = group.port === null || (selector.startPort <= group.port && group.port <= selector.endPort)
  return protocolFits && portFits && rangeContains(selector, parseAddress(group.address) as Uint8Array)
}

function checkGroupPsk({ config, warn }: CheckContext, tunnel: TunnelConfig) {
  const policy = ikePolicyOf(config, tunnel)
  if (tunnel.kind !== 'on-demand' || policy === undefined || !usesPsk(policy)) return
  warn(
    lineOf(tunnel, 'ike-policy'),
    'group-psk',
    `tunnel ${tunnel.name}: all its peers share the pre-shared key of ike policy ${policy.name}, so each can pose as any other; use certificates`,
  )
}
