// Algorithms as the configuration judges them: AEAD or not, key lengths, and what stands for "no proposal named".

import type { EspCipher, Integrity, Kem } from '../ports.ts'
import type { ChildSuite, IkeSuite } from '../sa/contract.ts'
import type { Config, IkePolicy, IkeProposal, IpsecPolicy, IpsecProposal, TunnelConfig } from './model.ts'

const AEAD: ReadonlySet<string> = new Set(['aes-gcm-128', 'aes-gcm-256', 'chacha20-poly1305'])

/** Ciphers that authenticate by themselves (RFC 4106, 7634) and take no separate hash. */
export function isAead(cipher: EspCipher): boolean {
  return AEAD.has(cipher)
}

/** Bytes of a manual encryption key (RFC 2405, 2451, 3602); null has none. */
export const CIPHER_KEY_BYTES: Readonly<Record<EspCipher, number>> = {
  des: 8,
  '3des': 24,
  'aes-128': 16,
  'aes-192': 24,
  'aes-256': 32,
  'aes-gcm-128': 16,
  'aes-gcm-256': 32,
  'chacha20-poly1305': 32,
  null: 0,
}

/** Bytes of a manual authentication key (RFC 2403, 2404, 4868). */
export const HASH_KEY_BYTES: Readonly<Record<Integrity, number>> = {
  md5: 16,
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
  none: 0,
}

/** Offered by an IKE policy that names no proposal. */
const DEFAULT_IKE_SUITES: readonly IkeSuite[] = [
  { encryption: 'aes-gcm-256', integrity: null, prf: 'sha256', dhGroup: 31 },
  { encryption: 'aes-256', integrity: 'sha256', prf: 'sha256', dhGroup: 14 },
]
/** The same for an IPsec policy. */
const DEFAULT_CHILD_CIPHERS: readonly { cipher: EspCipher; integrity: Integrity | null }[] = [
  { cipher: 'aes-gcm-256', integrity: null },
  { cipher: 'aes-256', integrity: 'sha256' },
]

/** The proposals a policy names, lowest sequence first; names without an object are left to the checks. */
export function ikeProposalObjects(config: Config, policy: IkePolicy): IkeProposal[] {
  return policy.proposals.flatMap((entry) => config.ikeProposals.get(entry.name) ?? [])
}

/** The same for an IPsec policy. */
export function ipsecProposalObjects(config: Config, policy: IpsecPolicy): IpsecProposal[] {
  return policy.proposals.flatMap((entry) => config.ipsecProposals.get(entry.name) ?? [])
}

/** IKE suites of a policy in the order of preference. `prf` not named: as `authentication`. Call it on a checked configuration. */
export function ikeProposalsOf(config: Config, policy: IkePolicy): IkeSuite[] {
  if (policy.proposals.length === 0) return [...DEFAULT_IKE_SUITES]
  return ikeProposalObjects(config, policy).flatMap(ikeSuite)
}

function ikeSuite(proposal: IkeProposal): IkeSuite[] {
  const { encryption, authentication, dhGroup, additionalKe } = proposal
  const prf = proposal.prf ?? authentication
  if (encryption === undefined || encryption === 'null' || dhGroup === undefined || prf === undefined)
    return []
  const integrity = isAead(encryption) ? null : (authentication ?? null)
  return [{ encryption, integrity, prf, dhGroup, ...withKems(additionalKe) }]
}

/** Left out where there is none: two suites are the same when they spell the same. */
function withKems(additionalKe: Kem[]): { additionalKe?: readonly Kem[] } {
  return additionalKe.length > 0 ? { additionalKe } : {}
}

/** The tunnel's IPsec policy; the built-in `default` when it names none. */
export function ipsecPolicyOf(config: Config, tunnel: TunnelConfig): IpsecPolicy | undefined {
  return config.ipsecPolicies.get(tunnel.ipsecPolicy)
}

/** ESP suites of a tunnel in the order of preference; each carries the policy's key exchanges. Call it on a checked configuration. */
export function childProposalsOf(config: Config, tunnel: TunnelConfig): ChildSuite[] {
  const policy = ipsecPolicyOf(config, tunnel)
  if (policy === undefined) return []
  const dhGroup = policy.pfs ?? null
  const exchanges = { dhGroup, ...withKems(dhGroup === null ? [] : policy.additionalKe) }
  if (policy.proposals.length === 0)
    return DEFAULT_CHILD_CIPHERS.map((suite) => ({ ...suite, esn: false, ...exchanges }))
  return ipsecProposalObjects(config, policy).flatMap((proposal) => childSuite(proposal, exchanges))
}

type Exchanges = Pick<ChildSuite, 'dhGroup' | 'additionalKe'>

function childSuite(proposal: IpsecProposal, exchanges: Exchanges): ChildSuite[] {
  const { espEncryption: cipher, espAuthentication: integrity, esn } = proposal
  if (cipher === undefined) return []
  return [{ cipher, integrity: isAead(cipher) ? null : (integrity ?? null), esn, ...exchanges }]
}
