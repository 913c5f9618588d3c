// What a commit would do to each tunnel: keep, change, delete or add. Simple and right rather than clever: a tunnel
// changes when one of its own statements changed, or anything that it refers to, however small.
//
// Routes do not belong to a tunnel's parts: they may come and go while its SAs stay.

import { storePaths } from '../pki/store.ts'
import type { Config, IkePolicy, ManualSa, TunnelConfig } from './model.ts'
import { ikePolicyOf, interfaceOf } from './resolve.ts'

export type TunnelAction = 'keep' | 'change' | 'delete' | 'add'
/** `line` is the head's, in the new configuration (for delete: in the old one). */
export type TunnelChange = { tunnel: string; action: TunnelAction; reason: string; line: number }

/** The parts of a tunnel, by the name an operator knows them by; equal text means equal part. */
type Parts = Map<string, string>
/** Files that the configuration names and whose content is another one now, by path. */
export type FileChanged = (path: string) => boolean

/** The statement that sets each field of a tunnel; null: changing it touches no SA. */
const STATEMENT_OF: Readonly<Record<Exclude<keyof TunnelConfig, 'name' | 'line' | 'lines'>, string | null>> =
  {
    kind: 'kind of tunnel',
    mode: 'mode',
    local: 'peer-end-point',
    remote: 'peer-end-point',
    endPointContext: 'peer-end-point',
    bind: 'bind interface',
    ikePolicy: 'ike-policy',
    ipsecPolicy: 'ipsec-policy',
    manualSas: 'ipsec-sa',
    selectors: 'traffic-selector',
    qosPolicy: 'qos-policy',
    maxTunnels: null,
    aspGroup: 'asp-group',
    mtu: 'ip mtu',
    tcpMss: 'ip tcp-mss',
    natTraversal: 'nat-traversal',
    start: 'start',
    extranet: null,
    alarms: null,
    description: null,
    shutdown: 'shutdown',
  }

/** Compares two configurations. `before` null: everything is new. Tunnels of the new one in its order, then those that go. */
export function diffConfigs(
  before: Config | null,
  after: Config,
  fileChanged: FileChanged = () => false,
): TunnelChange[] {
  const staying = [...after.tunnels.values()].map((tunnel) => changeOf(before, after, tunnel, fileChanged))
  const going = [...(before?.tunnels.values() ?? [])].filter((tunnel) => !after.tunnels.has(tunnel.name))
  return [
    ...staying,
    ...going.map(
      ({ name, line }): TunnelChange => ({
        tunnel: name,
        action: 'delete',
        reason: 'no longer configured',
        line,
      }),
    ),
  ]
}

function changeOf(
  before: Config | null,
  after: Config,
  tunnel: TunnelConfig,
  changed: FileChanged,
): TunnelChange {
  const place = { tunnel: tunnel.name, line: tunnel.line }
  const old = before?.tunnels.get(tunnel.name)
  if (before === null || old === undefined) return { ...place, action: 'add', reason: 'new' }
  const differing = differences(partsOf(before, old), partsOf(after, tunnel))
  const files = filesOf(after, tunnel).filter(changed)
  const reasons = [...differing, ...files.map((path) => `content of ${path}`)]
  if (reasons.length === 0) return { ...place, action: 'keep', reason: 'unchanged' }
  return { ...place, action: 'change', reason: `changed: ${reasons.join(', ')}` }
}

function differences(before: Parts, after: Parts): string[] {
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].filter((name) => before.get(name) !== after.get(name))
}

/** What the plan prints: `code` is the action. */
export function planFindings(
  changes: TunnelChange[],
): { line: number; code: TunnelAction; message: string }[] {
  return changes.map(({ tunnel, action, reason, line }) => ({
    line,
    code: action,
    message: `tunnel ${tunnel}: ${reason}`,
  }))
}

function partsOf(config: Config, tunnel: TunnelConfig): Parts {
  const parts: Parts = new Map()
  addOwn(parts, tunnel)
  addIke(parts, config, tunnel)
  addIpsec(parts, config, tunnel)
  addAsps(parts, config, tunnel)
  add(parts, `interface ${tunnel.bind?.interface}`, interfaceOf(config, tunnel))
  return parts
}

function add(parts: Parts, name: string, value: unknown) {
  if (value !== undefined) parts.set(name, (parts.get(name) ?? '') + canonical(value))
}

function addOwn(parts: Parts, tunnel: TunnelConfig) {
  for (const [field, statement] of Object.entries(STATEMENT_OF)) {
    if (statement !== null) add(parts, statement, tunnel[field as keyof TunnelConfig])
  }
}

function addIke(parts: Parts, config: Config, tunnel: TunnelConfig) {
  const policy = ikePolicyOf(config, tunnel)
  if (policy === undefined) return
  add(parts, `ike policy ${policy.name}`, policy)
  for (const { name } of policy.proposals) add(parts, `ike proposal ${name}`, config.ikeProposals.get(name))
  add(parts, 'ike port', [config.ikePort, config.natTPort])
  add(parts, 'ike nat-keepalive', config.natKeepalive)
  if (policy.dpd === undefined) add(parts, 'ike keepalive', config.keepalive)
  addCertificates(parts, config, policy)
}

function addCertificates(parts: Parts, config: Config, policy: IkePolicy) {
  if (policy.identity === undefined && policy.trust === undefined) return
  add(parts, 'pki store', config.pki.store)
  if (policy.identity !== undefined)
    add(parts, `pki identity ${policy.identity}`, config.pki.identity.get(policy.identity))
  if (policy.trust === undefined) return
  add(parts, `pki trust ${policy.trust}`, config.pki.trust.get(policy.trust))
  add(parts, 'pki crl', config.pki.crl)
}

function addIpsec(parts: Parts, config: Config, tunnel: TunnelConfig) {
  const policy = config.ipsecPolicies.get(tunnel.ipsecPolicy)
  add(parts, `ipsec policy ${tunnel.ipsecPolicy}`, policy)
  for (const { name } of policy?.proposals ?? [])
    add(parts, `ipsec proposal ${name}`, config.ipsecProposals.get(name))
  for (const { name } of tunnel.manualSas) add(parts, `ipsec sa ${name}`, config.ipsecSas.get(name))
  for (const entry of tunnel.selectors) {
    if (entry.kind === 'access-list')
      add(parts, `access-list ${entry.name}`, config.accessLists.get(entry.name))
  }
  if (tunnel.qosPolicy) add(parts, `qos-policy ${tunnel.qosPolicy}`, config.qosPolicies.get(tunnel.qosPolicy))
}

function addAsps(parts: Parts, config: Config, tunnel: TunnelConfig) {
  const name = tunnel.aspGroup ?? config.security?.aspGroup
  const group = name === undefined ? undefined : config.aspGroups.get(name)
  if (group === undefined) return
  add(parts, `asp group ${group.name}`, group)
  for (const pool of group.pools) add(parts, `asp pool ${pool}`, config.aspPools.get(pool))
}

/** Paths of the secret and certificate files that a tunnel depends on. */
export function filesOf(config: Config, tunnel: TunnelConfig): string[] {
  const policy = ikePolicyOf(config, tunnel)
  const sources = [
    ...Object.values(policy?.psk ?? {}),
    ...tunnel.manualSas.flatMap(({ name }) => config.ipsecSas.get(name)?.sas ?? []).flatMap(manualKeys),
  ]
  const secrets = sources.flatMap((source) => (source?.kind === 'file' ? [source.path] : []))
  const identity = identityFiles(config, policy?.identity)
  const trust = trustFile(config, policy?.trust)
  const crls = policy?.trust === undefined ? [] : [...config.pki.crl.values()].map((crl) => crl.path)
  return [...new Set([...secrets, ...identity, ...trust, ...crls])]
}

/** Names of `pki` statements win over the store. */
function identityFiles({ pki }: Config, name: string | undefined): string[] {
  if (name === undefined) return []
  const named = pki.identity.get(name)
  const stored = storePaths(pki.store, name)
  return named ? [named.key, named.certificate] : [stored.privateKey, stored.certificate]
}

function trustFile({ pki }: Config, name: string | undefined): string[] {
  return name === undefined ? [] : [pki.trust.get(name)?.path ?? storePaths(pki.store, name).trust]
}

function manualKeys({ encryption, authentication }: ManualSa) {
  return [encryption?.key, authentication?.key]
}

/** Text of a value without its lines, in which equal values are equal; inline secrets, which are not enumerable, count. */
function canonical(value: unknown): string {
  if (value instanceof Map) return `map${canonical([...value.entries()])}`
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined'
  const fields = Object.getOwnPropertyNames(value).filter((name) => name !== 'line' && name !== 'lines')
  const object = value as Record<string, unknown>
  const set = fields.filter((name) => object[name] !== undefined).sort()
  return `{${set.map((name) => `${name}:${canonical(object[name])}`).join()}}`
}
