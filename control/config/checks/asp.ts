// `asp` and `ah-nat`: pools and groups add up; AH and NAT do not.

import type { Config, TunnelConfig } from '../model.ts'
import { ipsecPolicyOf } from '../resolve.ts'
import { type CheckContext, lineOf } from './report.ts'

export function checkAsps({ config, error }: CheckContext) {
  const owner = new Map<number, string>()
  for (const pool of config.aspPools.values()) {
    if (pool.asps.length === 0) error(pool.line, 'asp', `asp pool ${pool.name} is empty; add asp 1`)
    for (const asp of pool.asps) {
      const other = owner.get(asp)
      if (other === undefined) owner.set(asp, pool.name)
      else
        error(
          lineOf(pool, `asp ${asp}`),
          'asp',
          `asp ${asp} is in pool ${other} already; an ASP belongs to one pool`,
        )
    }
  }
  for (const group of config.aspGroups.values()) {
    if (group.pools.length === 0)
      error(group.line, 'asp', `asp group ${group.name} has no pool; add pool NAME`)
    const size = group.pools.reduce((sum, pool) => sum + (config.aspPools.get(pool)?.asps.length ?? 0), 0)
    if (size > 0 && group.redundancy >= size)
      error(
        lineOf(group, 'redundancy'),
        'asp',
        `asp group ${group.name}: redundancy ${group.redundancy} of ${size} ASPs leaves none to work; write less than ${size}`,
      )
  }
}

/** AH covers the outer addresses, which a NAT rewrites (RFC 3715 §2.1). */
export function checkAhNat({ config, error }: CheckContext) {
  for (const tunnel of config.tunnels.values()) {
    if (tunnel.natTraversal === 'force' && usesAh(config, tunnel))
      error(
        lineOf(tunnel, 'nat-traversal'),
        'ah-nat',
        `tunnel ${tunnel.name}: AH cannot cross a NAT; write nat-traversal off, or use ESP alone`,
      )
  }
}

function usesAh(config: Config, tunnel: TunnelConfig): boolean {
  const proposals = ipsecPolicyOf(config, tunnel)?.proposals ?? []
  const negotiated = proposals.some(
    ({ name }) => config.ipsecProposals.get(name)?.ahAuthentication !== undefined,
  )
  const manual = tunnel.manualSas.some(({ name }) =>
    config.ipsecSas.get(name)?.sas.some((sa) => sa.protocol === 'ah'),
  )
  return negotiated || manual
}
