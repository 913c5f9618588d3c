// `ipsec proposal`, `ipsec policy` and `ipsec sa` (manual keys).

import type { DhGroup, EspCipher, Integrity } from '../../ports.ts'
import { lined, newIpsecPolicy, newIpsecProposal } from '../defaults.ts'
import type { Values } from '../match.ts'
import type { Config, IpsecPolicy, IpsecProposal, IpsecSa, ManualSa } from '../model.ts'
import { addKem } from './ike.ts'
import { defineMode, enter, type Fault, head, reopen, type Site, statement } from './mode.ts'
import { secretOf } from './rules.ts'
import { addSequenced, sequenceKey } from './sequence.ts'

const inProposal = statement<IpsecProposal>
const inPolicy = statement<IpsecPolicy>

export const ipsecProposalMode = defineMode<IpsecProposal>('ipsec proposal', [
  inProposal({
    pattern: 'esp encryption encryption=<encr>',
    apply: (proposal, values) => {
      proposal.espEncryption = values.text('encryption') as EspCipher
    },
  }),
  inProposal({
    pattern: 'esp authentication hash=<hash>',
    apply: (proposal, values) => {
      proposal.espAuthentication = values.text('hash') as Integrity
    },
  }),
  inProposal({
    pattern: 'ah authentication hash=<hash>',
    apply: (proposal, values) => {
      proposal.ahAuthentication = values.text('hash') as Integrity
    },
  }),
  inProposal({
    pattern: 'esn',
    apply: (proposal) => {
      proposal.esn = true
    },
  }),
])

export const ipsecPolicyMode = defineMode<IpsecPolicy>('ipsec policy', [
  inPolicy({
    pattern: 'seq sequence=INT{0..4294967295} proposal name=NAME',
    key: sequenceKey,
    apply: (policy, values, site) => addSequenced(policy.proposals, values, site),
  }),
  inPolicy({
    pattern: 'perfect-forward-secrecy dh-group group=<group>',
    apply: (policy, values) => {
      policy.pfs = values.int('group') as DhGroup
    },
  }),
  inPolicy({
    pattern: 'additional-ke kem=<kem>',
    key: (values) => `additional-ke ${values.text('kem')}`,
    apply: (policy, values) => addKem(policy.additionalKe, values),
  }),
  inPolicy({
    pattern: 'lifetime seconds seconds=INT{5..31536000}',
    apply: (policy, values) => {
      policy.lifetime.seconds = values.int('seconds')
    },
  }),
  inPolicy({
    pattern: 'lifetime kilobytes kilobytes=INT{1..1099511627776}',
    apply: (policy, values) => {
      policy.lifetime.kilobytes = values.int('kilobytes')
    },
  }),
  inPolicy({
    pattern: 'lifetime packets packets=INT{1..1099511627776}',
    apply: (policy, values) => {
      policy.lifetime.packets = values.int('packets')
    },
  }),
  inPolicy({
    pattern: 'anti-replay (off | window=INT{32..4096})',
    fault: windowFault,
    apply: (policy, values) => {
      policy.antiReplay = values.maybeInt('window') ?? 0
    },
  }),
  inPolicy({
    pattern: 'df-bit bit=(copy|set|clear)',
    apply: (policy, values) => {
      policy.dfBit = values.text('bit') as IpsecPolicy['dfBit']
    },
  }),
  inPolicy({
    pattern: 'dscp (copy | set value=INT{0..63})',
    apply: (policy, values) => {
      policy.dscp = values.maybeInt('value') ?? 'copy'
    },
  }),
  inPolicy({
    pattern: 'ecn mode=(normal|compatibility)',
    apply: (policy, values) => {
      policy.ecn = values.text('mode') as IpsecPolicy['ecn']
    },
  }),
  inPolicy({
    pattern: 'tfc-pad length=INT{0..65535}',
    apply: (policy, values) => {
      policy.tfcPad = values.int('length')
    },
  }),
])

export const ipsecSaMode = defineMode<IpsecSa>('ipsec sa', [
  statement<IpsecSa>({
    pattern:
      'direction=(inbound|outbound) protocol=(esp|ah) spi spi=INT{0..4294967295} ' +
      '[encryption encryption=<encr> [key encryption-key=<key>]] ' +
      '[authentication authentication=<hash> [key authentication-key=<key>]]',
    key: (values) => `${values.text('direction')} ${values.text('protocol')}`,
    secret: true,
    apply: (sa, values, site) => {
      const entry = manualSaOf(values, site)
      const twin = sa.sas.findIndex(
        (each) => each.direction === entry.direction && each.protocol === entry.protocol,
      )
      if (twin < 0) sa.sas.push(entry)
      else sa.sas[twin] = entry
    },
  }),
])

function windowFault(values: Values): Fault | null {
  const window = values.maybeInt('window')
  if (window === undefined || (window & (window - 1)) === 0) return null
  return { code: 'range', message: `anti-replay ${window} is no power of two; write 32, 64, 128 ... 4096` }
}

function manualSaOf(values: Values, site: Site): ManualSa {
  const encryption = values.maybe('encryption') as EspCipher | undefined
  const authentication = values.maybe('authentication') as Integrity | undefined
  return {
    line: site.line,
    direction: values.text('direction') as ManualSa['direction'],
    protocol: values.text('protocol') as ManualSa['protocol'],
    spi: values.int('spi'),
    ...(encryption && { encryption: { cipher: encryption, ...keyOf(values, 'encryption-key', site) } }),
    ...(authentication && {
      authentication: { integrity: authentication, ...keyOf(values, 'authentication-key', site) },
    }),
  }
}

function keyOf(values: Values, name: string, site: Site): Pick<NonNullable<ManualSa['encryption']>, 'key'> {
  const given = values.has(`${name}.hex`) || values.has(`${name}.file`)
  return given ? { key: secretOf(values, name, site) } : {}
}

export const ipsecProposalHead = head<Config>({
  pattern: 'ipsec proposal name=NAME',
  open: (config, values, site) => {
    const name = values.text('name')
    return enter(
      ipsecProposalMode,
      reopen(config.ipsecProposals, name, () => newIpsecProposal(name, site.line)),
    )
  },
})

/** `ipsec policy default` re-opens the built-in policy; from then on it has a line. */
export const ipsecPolicyHead = head<Config>({
  pattern: 'ipsec policy name=NAME',
  open: (config, values, site) => {
    const name = values.text('name')
    const policy = reopen(config.ipsecPolicies, name, () => newIpsecPolicy(name, site.line))
    if (policy.line === 0) policy.line = site.line
    return enter(ipsecPolicyMode, policy)
  },
})

export const ipsecSaHead = head<Config>({
  pattern: 'ipsec sa name=NAME',
  open: (config, values, site) => {
    const name = values.text('name')
    return enter(
      ipsecSaMode,
      reopen(config.ipsecSas, name, () => ({ ...lined(name, site.line), sas: [] })),
    )
  },
})
