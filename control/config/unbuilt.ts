// What the language has and this version does not do yet: one row a feature. Delete a row when its feature is built.
//
// Its rows refuse the configuration at each line they find.

import { LOCAL_CONTEXT } from './defaults.ts'
import type { Config, IkePolicy, Lined } from './model.ts'

export type Unbuilt = {
  feature: string
  /** what the operator does instead */
  instead: string
  find: (config: Config) => number[]
}

/** ASPs that a card of this version can have. */
export const ASPS = 8

export const UNSUPPORTED: readonly Unbuilt[] = [
  row(
    'IKE version 1',
    'use version 2',
    policyLines('version', (policy) => policy.version !== 2),
  ),
  row(
    'mode of IKE version 1',
    'delete the line',
    policyLines('mode', (policy) => policy.mode !== undefined),
  ),
  row('ah with IKE', 'use esp, or ah with manual keys', (config) =>
    linesOf(
      config.ipsecProposals,
      'ah authentication',
      (proposal) => proposal.ahAuthentication !== undefined,
    ),
  ),
  row('ipsec qos-policy', 'delete it', (config) => all(config.qosPolicies).map((policy) => policy.line)),
  row('discard rules in access lists', 'permit only what may pass', (config) =>
    all(config.accessLists).flatMap((list) =>
      list.rules.flatMap((rule) => (rule.action === 'discard' ? [rule.line] : [])),
    ),
  ),
  row('a context other than local', 'use context local', otherContexts),
  row(`an asp above ${ASPS}`, `use asp 1 to ${ASPS}`, (config) =>
    all(config.aspPools).flatMap((pool) =>
      pool.asps.flatMap((asp) => (asp > ASPS ? [at(pool, `asp ${asp}`)] : [])),
    ),
  ),
  row('log-server', 'delete the line', (config) =>
    config.security?.logServer ? [at(config.security, 'log-server')] : [],
  ),
  ...['listen', 'identity', 'client-ca'].map((statement) =>
    row(`management ${statement}`, 'use the control socket', ({ management }) =>
      management?.lines[statement] === undefined ? [] : [management.lines[statement]],
    ),
  ),
  row('snmp trap-host', 'watch metrics or the log', ({ management }) =>
    Object.entries(management?.lines ?? {}).flatMap(([statement, line]) =>
      statement.startsWith('snmp') ? [line] : [],
    ),
  ),
]

function row(feature: string, instead: string, find: (config: Config) => number[]): Unbuilt {
  return { feature, instead, find }
}

function all<T>(map: Map<string, T>): T[] {
  return [...map.values()]
}

function at(object: Lined, statement: string): number {
  return object.lines[statement] ?? object.line
}

function linesOf<T extends Lined>(
  map: Map<string, T>,
  statement: string,
  applies: (object: T) => boolean,
): number[] {
  return all(map)
    .filter(applies)
    .map((object) => at(object, statement))
}

function policyLines(statement: string, applies: (policy: IkePolicy) => boolean) {
  return (config: Config) => linesOf(config.ikePolicies, statement, applies)
}

function otherContexts(config: Config): number[] {
  const heads = all(config.contexts).flatMap((context) =>
    context.name === LOCAL_CONTEXT ? [] : [context.line],
  )
  const endPoints = all(config.tunnels).filter((tunnel) => tunnel.endPointContext !== LOCAL_CONTEXT)
  return [...heads, ...endPoints.map((tunnel) => at(tunnel, 'peer-end-point'))]
}
