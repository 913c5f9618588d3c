// `unresolved`: every name refers to something.

import type { Config } from '../model.ts'
import { alternatives, type CheckContext, lineOf } from './report.ts'

type Reference = { line: number; from: string; kind: string; name: string; names: Iterable<string> }

export function checkNames(context: CheckContext) {
  for (const reference of allReferences(context.config)) {
    const { from, kind, name } = reference
    const names = [...reference.names]
    if (names.includes(name)) continue
    context.error(reference.line, 'unresolved', `${from}: no ${kind} "${name}"${alternatives(name, names)}`)
  }
}

function allReferences(config: Config): Reference[] {
  return [
    ...policyReferences(config),
    ...tunnelReferences(config),
    ...contextReferences(config),
    ...routeReferences(config),
    ...aspReferences(config),
  ]
}

function policyReferences(config: Config): Reference[] {
  const ike = [...config.ikePolicies.values()].flatMap((policy) =>
    policy.proposals.map(({ line, name }) => ({
      line,
      name,
      from: `ike policy ${policy.name}`,
      kind: 'ike proposal',
      names: config.ikeProposals.keys(),
    })),
  )
  const ipsec = [...config.ipsecPolicies.values()].flatMap((policy) =>
    policy.proposals.map(({ line, name }) => ({
      line,
      name,
      from: `ipsec policy ${policy.name}`,
      kind: 'ipsec proposal',
      names: config.ipsecProposals.keys(),
    })),
  )
  return [...ike, ...ipsec]
}

function tunnelReferences(config: Config): Reference[] {
  return [...config.tunnels.values()].flatMap((tunnel) => {
    const from = `tunnel ${tunnel.name}`
    const single = (statement: string, kind: string, name: string | undefined, names: Iterable<string>) =>
      name === undefined ? [] : [{ line: lineOf(tunnel, statement), from, kind, name, names }]
    const lists = tunnel.selectors.flatMap((entry) =>
      entry.kind === 'access-list'
        ? [{ ...entry, from, kind: 'ipsec access-list', names: config.accessLists.keys() }]
        : [],
    )
    const sas = tunnel.manualSas.map((entry) => ({
      ...entry,
      from,
      kind: 'ipsec sa',
      names: config.ipsecSas.keys(),
    }))
    return [
      ...single('ike-policy', 'ike policy', tunnel.ikePolicy, config.ikePolicies.keys()),
      ...single('ipsec-policy', 'ipsec policy', tunnel.ipsecPolicy, config.ipsecPolicies.keys()),
      ...single('qos-policy', 'ipsec qos-policy', tunnel.qosPolicy, config.qosPolicies.keys()),
      ...single('asp-group', 'asp group', tunnel.aspGroup, config.aspGroups.keys()),
      ...lists,
      ...sas,
    ]
  })
}

/** The context `local` is the host's and needs no head for an end point; an interface needs its context. */
function contextReferences(config: Config): Reference[] {
  return [...config.tunnels.values()].flatMap((tunnel) => {
    const from = `tunnel ${tunnel.name}`
    const contexts = ['local', ...config.contexts.keys()]
    const endPoint = {
      line: lineOf(tunnel, 'peer-end-point'),
      from,
      kind: 'context',
      name: tunnel.endPointContext,
      names: contexts,
    }
    if (tunnel.bind === undefined) return [endPoint]
    const line = lineOf(tunnel, 'bind interface')
    const bound = { line, from, kind: 'context', name: tunnel.bind.context, names: config.contexts.keys() }
    const context = config.contexts.get(tunnel.bind.context)
    if (context === undefined) return [endPoint, bound]
    const kind = `interface in context ${context.name}`
    return [endPoint, { line, from, kind, name: tunnel.bind.interface, names: context.interfaces.keys() }]
  })
}

function routeReferences(config: Config): Reference[] {
  return [...config.contexts.values()].flatMap((context) =>
    context.routes.flatMap(({ line, prefix, nextHop }) => {
      if (nextHop.kind === 'null0') return []
      const names = nextHop.kind === 'tunnel' ? config.tunnels.keys() : context.interfaces.keys()
      const kind = nextHop.kind === 'tunnel' ? 'tunnel' : `interface in context ${context.name}`
      return [{ line, from: `ip route ${prefix}`, kind, name: nextHop.name, names }]
    }),
  )
}

function aspReferences(config: Config): Reference[] {
  const pools = [...config.aspGroups.values()].flatMap((group) =>
    group.pools.map((name) => ({
      line: lineOf(group, `pool ${name}`),
      from: `asp group ${group.name}`,
      kind: 'asp pool',
      name,
      names: config.aspPools.keys(),
    })),
  )
  const service = config.security
  if (service?.aspGroup === undefined) return pools
  const line = lineOf(service, 'asp-group')
  const names = config.aspGroups.keys()
  return [...pools, { line, from: 'security service', kind: 'asp group', name: service.aspGroup, names }]
}
