// From configuration to what an IKE engine needs for a tunnel: names resolved, secrets read. Two steps, because
// the kernel's source address and the address of a DNS name are known only when the tunnel begins.

import type { Config, IkePolicy, ManualSa, TunnelConfig } from '../config/model.ts'
import {
  childLifetimeOf,
  childProposalsOf,
  dpdOf,
  ikeLifetimeOf,
  ikePolicyOf,
  ikeProposalsOf,
  ipsecPolicyOf,
  localIdOf,
  remoteIdOf,
} from '../config/resolve.ts'
import { secretBytes } from '../config/secrets.ts'
import { selectorsOf } from '../config/selectors.ts'
import { certificateIdentity } from '../pki/identity.ts'
import type { Result } from '../pki/reasons.ts'
import { loadCrls, loadIdentity, loadTrust } from '../pki/store.ts'
import type { Address, Endpoint, EspCipher, Files, Integrity } from '../ports.ts'
import type { PeerConfig } from '../sa/contract.ts'
import type { Member } from './on-demand.ts'

/** A peer without the addresses that only the running host knows. */
export type PeerTemplate = Omit<PeerConfig, 'remote' | 'localId' | 'remoteId'> & {
  policy: IkePolicy
  /** subject of our certificate, RFC 4514 text */
  subject: string | null
}

/** Templates of all tunnels with IKE, by name. Throws with a sentence naming the tunnel when a secret or certificate cannot be read. */
export function buildPeers(config: Config, files: Files): Map<string, PeerTemplate> {
  const peers = new Map<string, PeerTemplate>()
  for (const tunnel of config.tunnels.values()) {
    const policy = ikePolicyOf(config, tunnel)
    if (tunnel.kind !== 'manual' && policy !== undefined)
      peers.set(tunnel.name, buildPeer(config, tunnel, policy, files))
  }
  return peers
}

function buildPeer(config: Config, tunnel: TunnelConfig, policy: IkePolicy, files: Files): PeerTemplate {
  try {
    return {
      ...negotiation(config, tunnel, policy),
      ...authentication(config, policy, files),
      policy,
      tunnel: tunnel.name,
      local: tunnel.local ?? 'any',
      role: policy.role,
      mobike: policy.mobike,
      natTraversal: tunnel.natTraversal,
      natTPort: config.natTPort,
      natKeepalive: config.natKeepalive,
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`tunnel ${tunnel.name}: ${why}`)
  }
}

function negotiation(config: Config, tunnel: TunnelConfig, policy: IkePolicy) {
  const ipsec = ipsecPolicyOf(config, tunnel)
  if (ipsec === undefined) throw new Error(`there is no ipsec policy ${tunnel.ipsecPolicy}`)
  const { local: localSelectors, remote: remoteSelectors } = selectorsOf(config, tunnel)
  return {
    ikeProposals: ikeProposalsOf(config, policy),
    ikeLifetime: ikeLifetimeOf(config, policy),
    childProposals: childProposalsOf(config, tunnel),
    childLifetime: childLifetimeOf(ipsec),
    rekeyMargin: policy.rekeyMargin,
    replayWindow: ipsec.antiReplay,
    dpd: dpdOf(config, policy),
    localSelectors,
    remoteSelectors,
  }
}

function authentication(config: Config, policy: IkePolicy, files: Files) {
  const { localAuth, remoteAuth, psk, ppk } = policy
  const signs = localAuth !== 'pre-shared-key'
  const verifies = remoteAuth !== 'pre-shared-key'
  const certificate = signs ? loaded(loadIdentity(config.pki, policy.identity ?? '', files)) : null
  return {
    localAuth,
    remoteAuth,
    localPsk: signs || !psk.local ? null : secretBytes(psk.local, files),
    remotePsk: verifies || !psk.remote ? null : secretBytes(psk.remote, files),
    certificate,
    subject: certificate && subjectOf(certificate.chain[0]),
    trust: verifies ? loaded(loadTrust(config.pki, policy.trust ?? '', files)) : [],
    crls: verifies ? loaded(loadCrls(config.pki, files)) : [],
    allowSha1Signatures: config.legacyCrypto,
    ppk: ppk ? { ...ppk, key: secretBytes(ppk.key, files) } : null,
  }
}

function loaded<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.sentence)
  return result.value
}

function subjectOf(certificate: Uint8Array): string | null {
  return certificateIdentity(certificate)?.value ?? null
}

/**
 * The peer as the engine takes it, its end points known. The engine gets keys of its own to wipe: the template's
 * stay until the next configuration.
 */
export function finishPeer(template: PeerTemplate, local: Address, remote: Endpoint | null): PeerConfig {
  const { policy, subject, ...peer } = template
  return {
    ...peer,
    remote,
    localId: localIdOf(policy, local, subject),
    remoteId: remoteIdOf(policy, remote?.address ?? null),
    localPsk: ownCopy(template.localPsk),
    remotePsk: ownCopy(template.remotePsk),
    ppk: template.ppk ? { ...template.ppk, key: new Uint8Array(template.ppk.key) } : null,
  }
}

/** The same for one accepted peer of an on-demand tunnel: it always comes to us, and it is this one and no other. */
export function finishMember(template: PeerTemplate, name: string, member: Member): PeerConfig {
  const peer = finishPeer(template, member.local.address, null)
  return { ...peer, tunnel: name, template: member.template, remoteId: member.identity }
}

function ownCopy(secret: Uint8Array | null): Uint8Array | null {
  return secret && new Uint8Array(secret)
}

/** Wipes the pre-shared keys of templates that are no longer needed. */
export function wipePeers(peers: Iterable<PeerTemplate>) {
  for (const { localPsk, remotePsk, ppk } of peers) {
    localPsk?.fill(0)
    remotePsk?.fill(0)
    ppk?.key.fill(0)
  }
}

/** The suites a tunnel may come to use: of its proposals, or of its manual keys. */
export function suitesOf(
  config: Config,
  tunnel: TunnelConfig,
): { cipher: EspCipher | null; integrity: Integrity | null; ah?: Integrity }[] {
  if (tunnel.kind !== 'manual') return childProposalsOf(config, tunnel)
  return tunnel.manualSas.map(({ name }) => manualSuite(config.ipsecSas.get(name)?.sas ?? []))
}

/** What a set of manual SAs puts around a packet it sends. */
function manualSuite(sas: readonly ManualSa[]) {
  const sent = (protocol: ManualSa['protocol']) =>
    sas.find((sa) => sa.direction === 'outbound' && sa.protocol === protocol)
  const [esp, ah] = [sent('esp'), sent('ah')?.authentication?.integrity]
  return {
    cipher: esp === undefined ? null : (esp.encryption?.cipher ?? 'null'),
    integrity: esp?.authentication?.integrity ?? null,
    ...(ah === undefined ? {} : { ah }),
  }
}
