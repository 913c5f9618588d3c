// `version`, `v1-psk-id` and the warning `ikev1`: what each version of IKE cannot express.
// `both` is checked as version 1 and as version 2.

import type { IkePolicy, IkeProposal, TunnelConfig } from '../model.ts'
import { ikePolicyOf, ipsecPolicyOf } from '../resolve.ts'
import { selectorLines } from '../selectors.ts'
import { isAead } from '../suites.ts'
import { type CheckContext, lineOf } from './report.ts'

/** RFC 8031 defines Curve25519 for IKEv2 only. */
const V2_ONLY_GROUP = 31

export function checkVersions(context: CheckContext) {
  const { config } = context
  for (const policy of config.ikePolicies.values()) {
    if (speaks(policy, 1)) checkV1Policy(context, policy)
    if (speaks(policy, 2)) checkV2Policy(context, policy)
  }
  for (const tunnel of config.tunnels.values()) {
    const policy = ikePolicyOf(config, tunnel)
    if (policy === undefined) continue
    if (speaks(policy, 1)) checkV1Tunnel(context, tunnel, policy)
    if (speaks(policy, 2)) checkV2Tunnel(context, tunnel)
  }
}

function speaks(policy: IkePolicy, version: 1 | 2): boolean {
  return policy.version === version || policy.version === 'both'
}

function checkV1Policy({ config, error, warn }: CheckContext, policy: IkePolicy) {
  const where = `ike policy ${policy.name}`
  warn(
    lineOf(policy, 'version'),
    'ikev1',
    `${where} speaks IKE version 1, which is historic (RFC 9395); use version 2 where the peer can`,
  )
  for (const { line, name } of policy.proposals) {
    const proposal = config.ikeProposals.get(name)
    for (const fault of proposal ? v1Faults(proposal) : [])
      error(line, 'version', `${where}: IKE version 1 has no ${fault}, but ike proposal ${name} does`)
  }
  if (policy.localAuth !== policy.remoteAuth) {
    const statement = 'local-auth' in policy.lines ? 'local-auth' : 'remote-auth'
    error(
      lineOf(policy, statement),
      'version',
      `${where}: IKE version 1 negotiates one authentication for both sides; make local-auth and remote-auth equal`,
    )
  }
}

function v1Faults({ prf, encryption, dhGroup, additionalKe }: IkeProposal): string[] {
  const faults: string[] = []
  if (prf !== undefined) faults.push('prf in its proposals')
  if (encryption !== undefined && encryption !== 'null' && isAead(encryption))
    faults.push(`${encryption} in IKE`)
  if (dhGroup === V2_ONLY_GROUP) faults.push(`group ${V2_ONLY_GROUP}`)
  if (additionalKe.length > 0) faults.push('additional-ke')
  return faults
}

function checkV2Policy({ error }: CheckContext, policy: IkePolicy) {
  if (policy.mode !== undefined)
    error(
      lineOf(policy, 'mode'),
      'version',
      `ike policy ${policy.name}: IKE version 2 has no modes; delete mode ${policy.mode}`,
    )
}

function checkV1Tunnel({ config, error }: CheckContext, tunnel: TunnelConfig, policy: IkePolicy) {
  const where = `tunnel ${tunnel.name}`
  if (selectorLines(config, tunnel).length > 1)
    error(
      lastSelectorLine(tunnel),
      'version',
      `${where}: IKE version 1 negotiates one selector a side; keep one traffic-selector line`,
    )
  if (tunnel.qosPolicy !== undefined)
    error(
      lineOf(tunnel, 'qos-policy'),
      'version',
      `${where}: IKE version 1 has no classes; delete qos-policy`,
    )
  const ipsec = ipsecPolicyOf(config, tunnel)
  if (ipsec !== undefined && ipsec.additionalKe.length > 0)
    error(
      lineOf(tunnel, 'ipsec-policy'),
      'version',
      `${where}: IKE version 1 has no additional-ke, but ipsec policy ${ipsec.name} does`,
    )
  const mainModePsk = policy.mode !== 'aggressive' && usesPsk(policy)
  if (mainModePsk && tunnel.remote === undefined)
    error(
      lineOf(tunnel, 'ike-policy'),
      'v1-psk-id',
      `${where}: IKE version 1 main mode finds the pre-shared key by the peer's address, and that is unknown here; use certificates or version 2`,
    )
}

function lastSelectorLine(tunnel: TunnelConfig): number {
  return tunnel.selectors.at(-1)?.line ?? tunnel.line
}

export function usesPsk(policy: IkePolicy): boolean {
  return policy.localAuth === 'pre-shared-key' || policy.remoteAuth === 'pre-shared-key'
}

/** RFC 7296 dropped the bundle of AH and ESP under one proposal. */
function checkV2Tunnel({ config, error }: CheckContext, tunnel: TunnelConfig) {
  const policy = ipsecPolicyOf(config, tunnel)
  for (const { line, name } of policy?.proposals ?? []) {
    const proposal = config.ipsecProposals.get(name)
    if (proposal?.ahAuthentication === undefined || proposal.espEncryption === undefined) continue
    error(
      line,
      'version',
      `tunnel ${tunnel.name}: IKE version 2 has no AH around ESP in one proposal, but ipsec proposal ${name} does; use ESP alone, or version 1`,
    )
  }
}
