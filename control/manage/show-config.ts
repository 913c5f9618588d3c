// `show configuration` and the proposals and policies by name, as the running gateway has them; without a secret.

import { DEFAULT_IPSEC_POLICY } from '../config/defaults.ts'
import type { Values } from '../config/match.ts'
import type { Config } from '../config/model.ts'
import { childProposalsOf, dpdOf, ikeLifetimeOf, ikeProposalsOf } from '../config/resolve.ts'
import type { Gateway } from '../gateway.ts'
import { gatesOf } from './gates.ts'
import { chosen } from './show-groups.ts'

/** The statements that are in effect, as lines of the language. */
export function showConfiguration({ config }: Gateway) {
  return { file: config.file, lines: config.statements }
}

export function showIkeProposals({ config }: Gateway, values: Values) {
  return chosen(config.ikeProposals, 'ike proposal', values.maybe('name')).map((proposal) => {
    const { name, encryption, authentication, dhGroup, additionalKe, lifetime } = proposal
    const prf = proposal.prf ?? authentication ?? null
    const items = [encryption ?? null, authentication ?? null, prf, `group ${dhGroup}`]
    return {
      ...{ name, encryption, authentication: authentication ?? null, prf, dhGroup, additionalKe, lifetime },
      gate: gatesOf(items),
    }
  })
}

export function showIkePolicies({ config }: Gateway, values: Values) {
  return chosen(config.ikePolicies, 'ike policy', values.maybe('name')).map((policy) => ({
    name: policy.name,
    version: policy.version,
    role: policy.role,
    proposals: policy.proposals.map(({ name }) => name),
    suites: ikeProposalsOf(config, policy),
    lifetime: ikeLifetimeOf(config, policy),
    localAuth: policy.localAuth,
    remoteAuth: policy.remoteAuth,
    identity: policy.identity ?? null,
    trust: policy.trust ?? null,
    localId: idText(policy.localId),
    remoteId: idText(policy.remoteId),
    dpd: dpdOf(config, policy),
    rekeyMargin: policy.rekeyMargin,
    tunnels: tunnelsWith(config, (tunnel) => tunnel.ikePolicy === policy.name),
  }))
}

export function showIpsecProposals({ config }: Gateway, values: Values) {
  return chosen(config.ipsecProposals, 'ipsec proposal', values.maybe('name')).map((proposal) => {
    const { name, espEncryption, espAuthentication, ahAuthentication, esn } = proposal
    return {
      name,
      espEncryption: espEncryption ?? null,
      espAuthentication: espAuthentication ?? null,
      ahAuthentication: ahAuthentication ?? null,
      esn,
      gate: gatesOf([espEncryption ?? null, espAuthentication ?? null, ahAuthentication ?? null]),
    }
  })
}

export function showIpsecPolicies({ config }: Gateway, values: Values) {
  return chosen(config.ipsecPolicies, 'ipsec policy', values.maybe('name')).map((policy) => {
    const { name, proposals, pfs, additionalKe, lifetime, antiReplay, dfBit, dscp, ecn } = policy
    const users = [...config.tunnels.values()].filter(({ ipsecPolicy }) => ipsecPolicy === name)
    return {
      name,
      builtIn: name === DEFAULT_IPSEC_POLICY,
      proposals: proposals.map((entry) => entry.name),
      suites: users.length === 0 ? [] : childProposalsOf(config, users[0]),
      ...{ pfs: pfs ?? null, additionalKe, lifetime, antiReplay, dfBit, dscp, ecn },
      tunnels: users.map((tunnel) => tunnel.name),
    }
  })
}

function tunnelsWith(config: Config, uses: (tunnel: { ikePolicy?: string }) => boolean): string[] {
  return [...config.tunnels.values()].filter(uses).map(({ name }) => name)
}

function idText(id: { kind: string; value: string } | 'any' | undefined): string | null {
  if (id === undefined) return null
  return id === 'any' ? 'any' : `${id.kind} ${id.value}`
}
