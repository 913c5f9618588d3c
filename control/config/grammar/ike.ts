// `ike proposal NAME` and `ike policy NAME`.

import type { DhGroup, Integrity, Kem } from '../../ports.ts'
import { DEFAULT_DPD_RETRIES, DEFAULT_REKEY_FUZZ, newIkePolicy, newIkeProposal } from '../defaults.ts'
import type { Values } from '../match.ts'
import type { AuthMethod, Config, IkeCipher, IkePolicy, IkeProposal } from '../model.ts'
import { defineMode, enter, head, reopen, type Site, statement } from './mode.ts'
import { identityOf, secretOf } from './rules.ts'
import { addSequenced, sequenceKey } from './sequence.ts'

const inProposal = statement<IkeProposal>
const inPolicy = statement<IkePolicy>

export const ikeProposalMode = defineMode<IkeProposal>('ike proposal', [
  inProposal({
    pattern: 'encryption encryption=<encr>',
    apply: (proposal, values) => {
      proposal.encryption = values.text('encryption') as IkeCipher | 'null'
    },
  }),
  inProposal({
    pattern: 'authentication hash=<hash>',
    apply: (proposal, values) => {
      proposal.authentication = values.text('hash') as Integrity
    },
  }),
  inProposal({
    pattern: 'prf hash=<hash>',
    apply: (proposal, values) => {
      proposal.prf = values.text('hash') as Integrity
    },
  }),
  inProposal({
    pattern: 'dh-group group=<group>',
    apply: (proposal, values) => {
      proposal.dhGroup = values.int('group') as DhGroup
    },
  }),
  inProposal({
    pattern: 'additional-ke kem=<kem>',
    key: (values) => `additional-ke ${values.text('kem')}`,
    apply: (proposal, values) => {
      addKem(proposal.additionalKe, values)
    },
  }),
  inProposal({
    pattern: 'lifetime seconds=INT{5..31536000}',
    apply: (proposal, values) => {
      proposal.lifetime = values.int('seconds')
    },
  }),
])

export const ikePolicyMode = defineMode<IkePolicy>('ike policy', [
  inPolicy({
    pattern: 'version version=(1|2|both)',
    apply: (policy, values) => {
      policy.version = values.text('version') === 'both' ? 'both' : (values.int('version') as 1 | 2)
    },
  }),
  inPolicy({
    pattern: 'mode mode=(main|aggressive)',
    apply: (policy, values) => {
      policy.mode = values.text('mode') as 'main' | 'aggressive'
    },
  }),
  inPolicy({
    pattern: 'seq sequence=INT{0..4294967295} proposal name=NAME',
    key: sequenceKey,
    apply: (policy, values, site) => addSequenced(policy.proposals, values, site),
  }),
  inPolicy({
    pattern: 'local-auth auth=<auth>',
    apply: (policy, values) => {
      policy.localAuth = values.text('auth') as AuthMethod
    },
  }),
  inPolicy({
    pattern: 'remote-auth auth=<auth>',
    apply: (policy, values) => {
      policy.remoteAuth = values.text('auth') as AuthMethod
    },
  }),
  inPolicy({
    pattern: 'pre-shared-key [side=(local|remote)] (text text=STRING | key=<key>)',
    key: (values) => sidesOf(values).map((side) => `pre-shared-key ${side}`),
    secret: true,
    apply: (policy, values, site) => {
      for (const side of sidesOf(values)) policy.psk[side] = secretOf(values, 'key', site)
    },
  }),
  inPolicy({
    pattern: 'identity name=NAME',
    apply: (policy, values) => {
      policy.identity = values.text('name')
    },
  }),
  inPolicy({
    pattern: 'trust name=NAME',
    apply: (policy, values) => {
      policy.trust = values.text('name')
    },
  }),
  inPolicy({
    pattern: 'local-id id=<id>',
    apply: (policy, values) => {
      policy.localId = identityOf(values, 'id')
    },
  }),
  inPolicy({
    pattern: 'remote-id (id=<id> | any=any)',
    apply: (policy, values) => {
      policy.remoteId = values.has('any') ? 'any' : identityOf(values, 'id')
    },
  }),
  inPolicy({
    pattern: 'role role=(initiator|responder|both)',
    apply: (policy, values) => {
      policy.role = values.text('role') as IkePolicy['role']
    },
  }),
  inPolicy({
    pattern: 'dpd (interval interval=INT{1..86400} [retries retries=INT{1..100}] | disable)',
    apply: (policy, values) => {
      policy.dpd = livenessOf(values)
    },
  }),
  inPolicy({
    pattern: 'rekey-margin seconds=INT{0..86400} [fuzz fuzz=INT{0..100}]',
    apply: (policy, values) => {
      policy.rekeyMargin = {
        seconds: values.int('seconds'),
        fuzz: values.maybeInt('fuzz') ?? DEFAULT_REKEY_FUZZ,
      }
    },
  }),
  inPolicy({
    pattern: 'ppk id=STRING key=<key> [required=required]',
    secret: true,
    apply: (policy, values, site) => {
      policy.ppk = {
        id: values.text('id'),
        key: secretOf(values, 'key', site),
        required: values.has('required'),
      }
    },
  }),
  inPolicy({
    pattern: 'mobike',
    apply: (policy) => {
      policy.mobike = true
    },
  }),
])

/** A method that is named again stays where it is: no exchange is made twice (RFC 9370 §2.2.1). */
export function addKem(kems: Kem[], values: Values): void {
  const kem = values.text('kem') as Kem
  if (!kems.includes(kem)) kems.push(kem)
}

/** Without a side the key serves both. */
function sidesOf(values: Values): ('local' | 'remote')[] {
  const side = values.maybe('side')
  return side === undefined ? ['local', 'remote'] : [side as 'local' | 'remote']
}

/** `interval INT [retries INT] | disable`, of `dpd` and of `ike keepalive`. */
export function livenessOf(values: Values): { interval: number; retries: number } | 'disable' {
  if (!values.has('interval')) return 'disable'
  return { interval: values.int('interval'), retries: values.maybeInt('retries') ?? DEFAULT_DPD_RETRIES }
}

export const ikeProposalHead = head<Config>({
  pattern: 'ike proposal name=NAME',
  open: (config, values, site: Site) => {
    const name = values.text('name')
    return enter(
      ikeProposalMode,
      reopen(config.ikeProposals, name, () => newIkeProposal(name, site.line)),
    )
  },
})

export const ikePolicyHead = head<Config>({
  pattern: 'ike policy name=NAME',
  open: (config, values, site: Site) => {
    const name = values.text('name')
    return enter(
      ikePolicyMode,
      reopen(config.ikePolicies, name, () => newIkePolicy(name, site.line)),
    )
  },
})
