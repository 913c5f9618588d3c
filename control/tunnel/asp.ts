// Which ASP carries which tunnel: tunnels of a group are spread over its active ASPs, and a tunnel that has
// one keeps it as long as that ASP is in its group.

import { DEFAULT_ASPS } from '../config/defaults.ts'
import type { Config, TunnelConfig } from '../config/model.ts'

export type AspGroupView = { name: string; active: number[]; standby: number[] }

/** The ASPs of a group, ascending; `redundancy N` keeps the last N as standby. */
export function groupOf(config: Config, name: string | undefined): AspGroupView {
  const group = name === undefined ? undefined : config.aspGroups.get(name)
  if (group === undefined) return { name: name ?? 'default', active: [...DEFAULT_ASPS], standby: [] }
  const asps = group.pools.flatMap((pool) => config.aspPools.get(pool)?.asps ?? [])
  const sorted = [...new Set(asps)].sort((a, b) => a - b)
  const active = sorted.slice(0, Math.max(1, sorted.length - group.redundancy))
  return { name: group.name, active, standby: sorted.slice(active.length) }
}

/** The group a tunnel runs on: its own, that of the security service, or the built-in one. */
export function groupOfTunnel(config: Config, tunnel: Pick<TunnelConfig, 'aspGroup'>): AspGroupView {
  return groupOf(config, tunnel.aspGroup ?? config.security?.aspGroup)
}

/** How many ASPs the card must start so that every configured number exists. */
export function aspCount(config: Config): number {
  const pools = [...config.aspPools.values()].flatMap(({ asps }) => asps)
  const groups = [...config.tunnels.values()].flatMap((tunnel) => groupOfTunnel(config, tunnel).active)
  return Math.max(...pools, ...groups, 1)
}

/** The ASPs of a group that take tunnels now: its living active ones, and a living standby for each that is not. */
function workingAsps({ active, standby }: AspGroupView, living: ReadonlySet<number>): number[] {
  const alive = active.filter((asp) => living.has(asp))
  const missing = active.length - alive.length
  return [...alive, ...standby.filter((asp) => living.has(asp)).slice(0, missing)]
}

/**
 * Assigns every tunnel an ASP: the one it has as long as that lives and is of its group, else the least loaded of
 * those that take tunnels (the lowest number on a tie). A tunnel that moved to a standby stays there: moving back would
 * cost its SAs. `living` are the ASPs that the card has and that work; none left gives null.
 */
export function assignAsps(
  config: Config,
  before: ReadonlyMap<string, number>,
  living: ReadonlySet<number>,
): Map<string, number | null> {
  const result = new Map<string, number | null>()
  const load = new Map<number, number>()
  const take = (tunnel: string, asp: number) => {
    result.set(tunnel, asp)
    load.set(asp, (load.get(asp) ?? 0) + 1)
  }
  for (const tunnel of config.tunnels.values()) {
    const old = before.get(tunnel.name)
    if (old !== undefined && mayStay(groupOfTunnel(config, tunnel), old, living)) take(tunnel.name, old)
  }
  for (const tunnel of config.tunnels.values()) {
    if (result.has(tunnel.name)) continue
    const choices = workingAsps(groupOfTunnel(config, tunnel), living).sort(
      (a, b) => (load.get(a) ?? 0) - (load.get(b) ?? 0) || a - b,
    )
    if (choices.length === 0) result.set(tunnel.name, null)
    else take(tunnel.name, choices[0])
  }
  return result
}

function mayStay({ active, standby }: AspGroupView, asp: number, living: ReadonlySet<number>): boolean {
  return living.has(asp) && (active.includes(asp) || standby.includes(asp))
}
