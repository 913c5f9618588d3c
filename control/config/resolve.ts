// From names to values: what the gateway asks of a checked configuration, secrets excepted.

import { addressFamily } from '../address.ts'
import type { Address } from '../ports.ts'
import { DEFAULT_MTU } from './defaults.ts'
import type { Config, Identity, IkePolicy, Interface, IpsecPolicy, TunnelConfig } from './model.ts'
import { ikeProposalObjects } from './suites.ts'

export { childProposalsOf, ikeProposalsOf, ipsecPolicyOf } from './suites.ts'

const DEFAULT_IKE_LIFETIME = 28_800
const KILOBYTE = 1024

/** The IKE policy of a tunnel; undefined for manual tunnels. */
export function ikePolicyOf(config: Config, tunnel: TunnelConfig): IkePolicy | undefined {
  return tunnel.ikePolicy === undefined ? undefined : config.ikePolicies.get(tunnel.ikePolicy)
}

/** IKE SA lifetime, seconds: IKEv2 does not negotiate it, so the shortest of the policy's proposals holds for all. */
export function ikeLifetimeOf(config: Config, policy: IkePolicy): number {
  const named = ikeProposalObjects(config, policy).map((proposal) => proposal.lifetime)
  return named.length === 0 ? DEFAULT_IKE_LIFETIME : Math.min(...named)
}

/** Child SA limits: seconds, inner bytes, packets; 0 = no limit of that kind. */
export function childLifetimeOf(policy: IpsecPolicy): { seconds: number; bytes: number; packets: number } {
  const { seconds, kilobytes, packets } = policy.lifetime
  return { seconds, bytes: (kilobytes ?? 0) * KILOBYTE, packets: packets ?? 0 }
}

/** Liveness of a policy, seconds; the policy's `dpd` overrides `ike keepalive`; null: no probes. */
export function dpdOf(config: Config, policy: IkePolicy): { interval: number; retries: number } | null {
  const chosen = policy.dpd ?? config.keepalive
  return chosen === 'disable' ? null : chosen
}

/** The interface that a circuit tunnel is bound to. */
export function interfaceOf(config: Config, tunnel: TunnelConfig): Interface | undefined {
  if (tunnel.bind === undefined) return undefined
  return config.contexts.get(tunnel.bind.context)?.interfaces.get(tunnel.bind.interface)
}

/** The configured ceiling of the inner MTU, bytes: of interface and tunnel the smaller, 1400 where neither says anything. */
export function mtuCeilingOf(config: Config, tunnel: TunnelConfig): number {
  const configured = [interfaceOf(config, tunnel)?.mtu, tunnel.mtu].filter((mtu) => mtu !== undefined)
  return configured.length === 0 ? DEFAULT_MTU : Math.min(...configured)
}

/** Prefixes of the static routes into a tunnel, by its interface or by its name. */
export function routesOf(config: Config, tunnel: TunnelConfig): string[] {
  return [...config.contexts.values()].flatMap((context) =>
    context.routes
      .filter(({ nextHop }) => leadsInto(nextHop, context.name, tunnel))
      .map((route) => route.prefix),
  )
}

function leadsInto(hop: { kind: string; name?: string }, context: string, tunnel: TunnelConfig): boolean {
  if (hop.kind === 'tunnel') return hop.name === tunnel.name
  return hop.kind === 'interface' && tunnel.bind?.interface === hop.name && tunnel.bind?.context === context
}

/**
 * The identity we present: `local-id`, else the end-point address when we prove it with a pre-shared key, else the
 * subject of our certificate (`subject`, RFC 4514 text).
 */
export function localIdOf(policy: IkePolicy, local: Address, subject: string | null): Identity {
  if (policy.localId !== undefined) return policy.localId
  if (policy.localAuth === 'pre-shared-key' || subject === null) return { kind: 'address', value: local }
  return { kind: 'dn', value: subject }
}

/**
 * The identity the peer must present: `remote-id`, else its end-point address when it proves it with a pre-shared key.
 * With certificates its identity is the subject of whatever certificate the trusted CA gave it: `any` here, and the
 * engine still matches the identity to the certificate.
 */
export function remoteIdOf(policy: IkePolicy, remote: Address | null): Identity | 'any' {
  if (policy.remoteId !== undefined) return policy.remoteId
  if (policy.remoteAuth !== 'pre-shared-key' || remote === null) return 'any'
  return { kind: 'address', value: remote }
}

/** Whether any of the texts is an IPv6 address or prefix. */
export function hasV6(texts: readonly string[]): boolean {
  return texts.some((text) => addressFamily(text.split('/')[0]) === 6)
}
