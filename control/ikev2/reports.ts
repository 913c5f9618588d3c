// Every refusal as data: what was offered, what is allowed, what to do. Words are rendered in explain.ts.

import type { Identity } from '../config/model.ts'
import type { Endpoint, TrafficSelector } from '../ports.ts'
import type {
  AuthenticationFault,
  ChildSuite,
  IkeSuite,
  PeerConfig,
  Reason,
  RefusedOffer,
} from '../sa/contract.ts'
import { describeIdentity } from '../wire/identity.ts'
import { notifyName } from '../wire/notify.ts'
import { describeChildSuite, describeIkeSuite, type ProposalRefusal } from '../wire/proposals.ts'
import { describeSelector } from '../wire/selectors.ts'
import { report } from './context.ts'
import {
  gateText,
  proposalDifferences,
  proposalText,
  refusalText,
  type Sides,
  searched,
  selectorDifference,
  selectorText,
} from './differences.ts'
import type { Context } from './state.ts'

type Where = { tunnel: string | null; peer?: Endpoint }

/** Why the peer's proof was not accepted: a stable name, the operator's words, and how it tried to prove itself. */
export type AuthFault = { fault: AuthenticationFault; text: string; method: string | null }

export const MALFORMED_IDENTITY: AuthFault = {
  fault: 'identity',
  text: 'its identity is malformed',
  method: null,
}

/** No shared IKE or IPsec proposal, seen by the one who chooses. */
export function reportNoProposal(
  context: Context,
  where: Where,
  what: 'IKE' | 'IPsec',
  refusal: ProposalRefusal[],
  allowed: (IkeSuite | ChildSuite)[],
): void {
  const protocol = what === 'IKE' ? 'ike' : 'esp'
  report(context, {
    ...where,
    level: 'error',
    code: 'no-proposal',
    text: `no ${what} proposal in common: ${proposalText(refusal)}`,
    offered: refusal.map((each) => each.offered),
    allowed: allowed.map((suite) =>
      'encryption' in suite ? describeIkeSuite(suite) : describeChildSuite(suite),
    ),
    advice: `make one ${what === 'IKE' ? 'ike proposal' : 'ipsec proposal'} equal at both ends${gateText(refusal)}`,
    explanation: { kind: 'proposals', protocol, proposals: proposalDifferences(refusal) },
  })
}

/** The selectors of both ends share nothing, or an answer is wider than what was asked for. */
export function reportNoSelectors(
  context: Context,
  where: Where,
  offered: Sides,
  allowed: (Sides & { tunnel?: string })[],
): void {
  const tunnels = allowed.map((sides) => ({ ...sides, tunnel: sides.tunnel ?? where.tunnel ?? '' }))
  const explanation = selectorDifference(offered, tunnels)
  const apart = selectorText(explanation)
  report(context, {
    ...where,
    level: 'error',
    code: 'ts-unacceptable',
    text:
      apart === ''
        ? 'the peer’s traffic selectors are wider than ours'
        : `the traffic selectors of both ends share nothing: ${apart}`,
    offered: [pairText(explanation.offered)],
    allowed: explanation.allowed.map(pairText),
    advice: 'make traffic-selector local and remote mirror the peer’s',
    explanation,
  })
}

/** On-demand: the peer asks for networks that another peer has. */
export function reportOverlap(context: Context, where: Where, asked: TrafficSelector[]): void {
  const networks = asked.map(describeSelector)
  report(context, {
    ...where,
    level: 'error',
    code: 'ts-unacceptable',
    text: `the peer asks for ${networks.join(' ')}, which overlaps what another peer has`,
    offered: networks,
    advice: 'give each peer networks of its own in traffic-selector, here or at the peers',
  })
}

/** `local 10.1.0.0/24 remote 10.2.0.0/24`: as seen from here. */
function pairText({ local, remote }: { local: string[]; remote: string[] }): string {
  return `local ${local.join(' ')} remote ${remote.join(' ')}`
}

/** What the operator reads about an authentication that failed; the peer reads one text only. */
export function reportAuthFailed(
  context: Context,
  where: Where,
  { fault, text, method }: AuthFault,
  identity: Identity | null,
  tunnels: PeerConfig[],
): void {
  report(context, {
    ...where,
    level: 'error',
    code: 'auth-failed',
    text: `authentication of the peer failed: ${text}`,
    advice: AUTH_ADVICE[fault] ?? 'see identity, trust and the validity of the peer’s certificate',
    explanation: {
      kind: 'authentication',
      identity: identity && describeIdentity(identity),
      fault,
      method,
      expected: tunnels.length === 1 ? tunnels[0].remoteAuth : null,
      searched: searched(tunnels),
    },
  })
}

const AUTH_ADVICE: Record<string, string> = {
  'pre-shared-key': 'make pre-shared-key equal at both ends',
  identity: 'make remote-id here and local-id at the peer equal',
  'identity-mismatch': 'the peer’s local-id must stand in its certificate',
  ppk: 'make ppk equal at both ends: the name, the key, and whether it is required',
  method: 'make remote-auth here and local-auth at the peer equal',
  'certificate-expired': 'the peer needs a new certificate; see also the clock of this host',
  'certificate-not-yet-valid': 'see the clocks of both hosts',
  'certificate-revoked': 'the peer needs a new certificate from its CA',
  'certificate-untrusted':
    'import the CA of the peer’s certificate under the name that trust has, if you trust it',
}

/** We cannot prove ourselves: certificate, key, identity, or a hash that the peer takes. */
export function reportOwnAuth(context: Context, where: Where, why: string): void {
  report(context, {
    ...where,
    level: 'error',
    code: 'auth-failed',
    text: `we cannot authenticate to the peer: ${why}`,
    advice: 'see local-auth, local-id, identity and pre-shared-key of the ike policy',
  })
}

/** The peer is nobody that a tunnel expects. */
export function reportIdentity(context: Context, where: Where, got: Identity, tunnels: PeerConfig[]): void {
  const text = `no tunnel here expects ${describeIdentity(got)}`
  reportAuthFailed(context, where, { fault: 'identity', text, method: null }, got, tunnels)
}

/** What is known of an error notification: whether it is authentic, and what of ours it answers. */
export type PeerError = { offered?: string[]; authentic: boolean; sent?: RefusedOffer }

/** An error notification that the peer sent us. */
export function reportPeerError(
  context: Context,
  where: Where,
  during: string,
  type: number,
  { offered, authentic, sent = { what: 'other' } }: PeerError,
): void {
  const proof = authentic ? '' : '; in clear, which proves nothing: still waiting for a usable answer'
  report(context, {
    ...where,
    level: authentic ? 'error' : 'warning',
    code: codeOf(type),
    text: `the peer answered ${during} with ${notifyName(type)}${refusalText(sent)}${proof}`,
    ...(offered ? { allowed: offered } : {}),
    advice: ADVICE[notifyName(type)] ?? ADVICE[codeOf(type)] ?? 'see the peer’s log',
    explanation: { kind: 'refused-by-peer', notify: notifyName(type), sent },
  })
}

/** Tunnel reason for an error notification of the peer. */
export function reasonOfNotify(type: number): Reason {
  const code = codeOf(type)
  return code === 'peer-error' ? 'no-answer' : code
}

function codeOf(type: number): 'no-proposal' | 'auth-failed' | 'ts-unacceptable' | 'peer-error' {
  const name = notifyName(type)
  if (name === 'NO_PROPOSAL_CHOSEN' || name === 'INVALID_KE_PAYLOAD') return 'no-proposal'
  if (name === 'TS_UNACCEPTABLE' || name === 'SINGLE_PAIR_REQUIRED') return 'ts-unacceptable'
  return name === 'AUTHENTICATION_FAILED' ? 'auth-failed' : 'peer-error'
}

const ADVICE: Record<string, string> = {
  'no-proposal': 'make one proposal equal at both ends; the peer’s log names what it allows',
  'auth-failed': 'the peer’s log says whether identity, key or certificate is the cause',
  'ts-unacceptable': 'make traffic-selector local and remote mirror the peer’s',
  SINGLE_PAIR_REQUIRED:
    'the peer takes one address on each side: write a tunnel with traffic-selector host for each pair',
}

/** Which of our payloads an error in an answer is about (RFC 7296 §3.10.1). */
export function sentFor(
  type: number,
  proposals: string[],
  sides: Sides | null,
  proof: RefusedOffer,
): RefusedOffer {
  const code = codeOf(type)
  if (code === 'no-proposal') return { what: 'proposals', proposals, wantedGroup: null }
  if (code === 'auth-failed') return proof
  if (code === 'peer-error' || sides === null) return { what: 'other' }
  const { offered } = selectorDifference(sides, [])
  return { what: 'selectors', ...offered }
}
