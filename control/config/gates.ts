// The two crypto gates and the list that no gate opens, as data: what is gated, and where a configuration names it.
// Sources: RFC 8221 and RFC 8247 (MUST NOT and SHOULD NOT), RFC 9395; config language section 5.

import type { DhGroup, EspCipher, Integrity } from '../ports.ts'
import type { Config, IkePolicy, ManualSa } from './model.ts'
import { ikeProposalObjects, isAead } from './suites.ts'

export type Gate = 'legacy' | 'insecure'
/** One use of a gated algorithm. `better` is what to write instead. */
export type GatedItem = { line: number; gate: Gate; item: string; where: string; better: string }

/** The statement that opens each gate. */
export const GATE_STATEMENT: Readonly<Record<Gate, string>> = {
  legacy: 'legacy-crypto permit',
  insecure: 'insecure-crypto permit "REASON"',
}

const CIPHER_GATES: Readonly<Partial<Record<EspCipher, Gate>>> = { des: 'insecure', '3des': 'legacy' }
const HASH_GATES: Readonly<Partial<Record<Integrity, Gate>>> = { md5: 'insecure' }
const GROUP_GATES: Readonly<Partial<Record<DhGroup, Gate>>> = { 1: 'insecure', 2: 'legacy', 5: 'legacy' }
/** Shortest pre-shared key without a gate, bytes. */
export const LEAST_PSK = 16

/** The gate of an algorithm by the name that reports give its transform (`3des`, `prf-md5`, `group-2`); null: none. */
export function gateOfTransform(name: string): Gate | null {
  const word = name.replace(/^prf-|^group-/, '')
  const gates: Record<string, Gate> = name.startsWith('group-')
    ? GROUP_GATES
    : { ...CIPHER_GATES, ...HASH_GATES }
  return Object.hasOwn(gates, word) ? gates[word] : null
}

/** Whether the configuration opens the gate. */
export function gateOpen(config: Config, gate: Gate): boolean {
  return gate === 'legacy'
    ? config.legacyCrypto
    : config.insecureCrypto !== null && config.insecureCrypto !== ''
}

/** Every gated item that the configuration's statements name, in no order. Secrets and certificates are judged elsewhere. */
export function gatedItems(config: Config): GatedItem[] {
  return [
    ...ikeProposalItems(config),
    ...ikePolicyItems(config),
    ...ipsecItems(config),
    ...manualItems(config),
  ]
}

type Place = { line: number; where: string }

function cipherItems(cipher: EspCipher | undefined, place: Place): GatedItem[] {
  const gate = cipher === undefined ? undefined : CIPHER_GATES[cipher]
  return gate === undefined ? [] : [{ ...place, gate, item: cipher as string, better: 'aes-256' }]
}

function hashItems(hash: Integrity | undefined, place: Place): GatedItem[] {
  const gate = hash === undefined ? undefined : HASH_GATES[hash]
  return gate === undefined ? [] : [{ ...place, gate, item: hash as string, better: 'sha256' }]
}

function groupItems(group: DhGroup | undefined, place: Place): GatedItem[] {
  const gate = group === undefined ? undefined : GROUP_GATES[group]
  return gate === undefined ? [] : [{ ...place, gate, item: `dh-group ${group}`, better: 'dh-group 14' }]
}

/** ESP without integrity lets an attacker change what is decrypted (RFC 8221 §4). */
function encryptOnlyItems(
  cipher: EspCipher | undefined,
  hash: Integrity | undefined,
  place: Place,
): GatedItem[] {
  if (cipher === undefined || hash !== 'none' || cipher === 'null' || isAead(cipher)) return []
  return [{ ...place, gate: 'insecure', item: 'encrypt-only ESP', better: 'esp authentication sha256' }]
}

function ikeProposalItems(config: Config): GatedItem[] {
  return [...config.ikeProposals.values()].flatMap((proposal) => {
    const where = `ike proposal ${proposal.name}`
    const at = (statement: string) => ({ line: proposal.lines[statement] ?? proposal.line, where })
    return [
      ...cipherItems(proposal.encryption, at('encryption')),
      ...hashItems(proposal.authentication, at('authentication')),
      ...hashItems(proposal.prf, at('prf')),
      ...groupItems(proposal.dhGroup, at('dh-group')),
    ]
  })
}

function ikePolicyItems(config: Config): GatedItem[] {
  return [...config.ikePolicies.values()].flatMap((policy) => [
    ...aggressiveItems(policy),
    ...sha1SignatureItems(config, policy),
  ])
}

/** The hash of a pre-shared key in clear invites an offline search (security of RFC 2409 §5.4). */
function aggressiveItems(policy: IkePolicy): GatedItem[] {
  const withPsk = policy.localAuth === 'pre-shared-key' || policy.remoteAuth === 'pre-shared-key'
  if (policy.mode !== 'aggressive' || !withPsk) return []
  const line = policy.lines.mode ?? policy.line
  const item = 'aggressive mode with a pre-shared key'
  return [{ line, where: `ike policy ${policy.name}`, gate: 'insecure', item, better: 'mode main' }]
}

/** IKEv1 signs with the hash of its proposal (RFC 2409 §5.1). */
function sha1SignatureItems(config: Config, policy: IkePolicy): GatedItem[] {
  const signs = policy.localAuth === 'rsa-signature' || policy.remoteAuth === 'rsa-signature'
  if (policy.version === 2 || !signs) return []
  const weak = ikeProposalObjects(config, policy).filter((proposal) => proposal.authentication === 'sha1')
  return weak.map((proposal) => ({
    line: policy.proposals.find((entry) => entry.name === proposal.name)?.line ?? policy.line,
    where: `ike policy ${policy.name}`,
    gate: 'legacy',
    item: 'IKE version 1 RSA signatures with sha1',
    better: `authentication sha256 in ike proposal ${proposal.name}`,
  }))
}

function ipsecItems(config: Config): GatedItem[] {
  const proposals = [...config.ipsecProposals.values()].flatMap((proposal) => {
    const where = `ipsec proposal ${proposal.name}`
    const at = (statement: string) => ({ line: proposal.lines[statement] ?? proposal.line, where })
    return [
      ...cipherItems(proposal.espEncryption, at('esp encryption')),
      ...hashItems(proposal.espAuthentication, at('esp authentication')),
      ...hashItems(proposal.ahAuthentication, at('ah authentication')),
      ...encryptOnlyItems(proposal.espEncryption, proposal.espAuthentication, at('esp authentication')),
    ]
  })
  const policies = [...config.ipsecPolicies.values()].flatMap((policy) => {
    const line = policy.lines['perfect-forward-secrecy dh-group'] ?? policy.line
    return groupItems(policy.pfs, { line, where: `ipsec policy ${policy.name}` })
  })
  return [...proposals, ...policies]
}

function manualItems(config: Config): GatedItem[] {
  return [...config.ipsecSas.values()].flatMap((set) =>
    set.sas.flatMap((sa) => manualSaItems(sa, `ipsec sa ${set.name}`)),
  )
}

function manualSaItems(sa: ManualSa, where: string): GatedItem[] {
  const place = { line: sa.line, where }
  return [
    ...cipherItems(sa.encryption?.cipher, place),
    ...hashItems(sa.authentication?.integrity, place),
    ...(sa.protocol === 'esp'
      ? encryptOnlyItems(sa.encryption?.cipher, sa.authentication?.integrity, place)
      : []),
  ]
}
