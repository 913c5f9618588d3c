// Every refusal as data: what was offered, what is allowed, what to do. Words are rendered in explain.ts.

import type { Identity } from '../config/model.ts'
import type { Endpoint, TrafficSelector } from '../ports.ts'
import type { ChildSuite, IkeSuite, Reason, Report } from '../sa/contract.ts'
import { describeIdentity } from '../wire/identity.ts'
import { notifyName } from '../wire/notify.ts'
import { describeChildSuite, describeIkeSuite, type ProposalRefusal } from '../wire/proposals.ts'
import { describeSelector } from '../wire/selectors.ts'
import { report } from './context.ts'
import type { Context } from './state.ts'

type Where = { tunnel: string | null; peer?: Endpoint }

/** No shared IKE or IPsec proposal, seen by the one who chooses. */
export function reportNoProposal(
  context: Context,
  where: Where,
  what: 'IKE' | 'IPsec',
  refusal: ProposalRefusal[],
  allowed: (IkeSuite | ChildSuite)[],
): void {
  const missing = refusal.map((each) => `proposal ${each.number} lacks ${each.mismatch.join(' and ')}`)
  report(context, {
    ...where,
    level: 'error',
    code: 'no-proposal',
    text: `no ${what} proposal in common: ${missing.join('; ')}`,
    offered: refusal.map((each) => each.offered),
    allowed: allowed.map((suite) =>
      'encryption' in suite ? describeIkeSuite(suite) : describeChildSuite(suite),
    ),
    advice: `make one ${what === 'IKE' ? 'ike-proposal' : 'ipsec-proposal'} equal at both ends`,
  })
}

/** The selectors of both ends share nothing. */
export function reportNoSelectors(
  context: Context,
  where: Where,
  offered: { local: TrafficSelector[]; remote: TrafficSelector[] },
  allowed: { local: TrafficSelector[]; remote: TrafficSelector[] }[],
): void {
  report(context, {
    ...where,
    level: 'error',
    code: 'ts-unacceptable',
    text: 'the traffic selectors of both ends share nothing',
    offered: [pairText(offered)],
    allowed: allowed.map(pairText),
    advice: 'make traffic-selector local and remote mirror the peer’s',
  })
}

/** `local 10.1.0.0/24 remote 10.2.0.0/24`: as seen from here. */
function pairText(pair: { local: TrafficSelector[]; remote: TrafficSelector[] }): string {
  const list = (selectors: TrafficSelector[]) => selectors.map(describeSelector).join(' ')
  return `local ${list(pair.local)} remote ${list(pair.remote)}`
}

/** What the operator reads about an authentication that failed; the peer reads one text only. */
export function reportAuthFailed(
  context: Context,
  where: Where,
  why: string,
  more: Partial<Report> = {},
): void {
  report(context, {
    ...where,
    level: 'error',
    code: 'auth-failed',
    text: `authentication of the peer failed: ${why}`,
    advice: 'compare pre-shared keys or certificates, and the identities of both ends',
    ...more,
  })
}

/** We cannot prove ourselves: certificate, key, identity, or a hash that the peer takes. */
export function reportOwnAuth(context: Context, where: Where, why: string): void {
  report(context, {
    ...where,
    level: 'error',
    code: 'auth-failed',
    text: `we cannot authenticate to the peer: ${why}`,
    advice: 'see local-auth, local-id, identity and pre-shared-key of the ike-policy',
  })
}

export function reportIdentity(
  context: Context,
  where: Where,
  got: Identity,
  wanted: (Identity | 'any')[],
): void {
  reportAuthFailed(context, where, `no tunnel here expects ${describeIdentity(got)}`, {
    offered: [describeIdentity(got)],
    allowed: wanted.map(describeIdentity),
  })
}

/** An error notification that the peer sent us. */
export function reportPeerError(
  context: Context,
  where: Where,
  during: string,
  type: number,
  ours: { offered?: string[]; authentic: boolean },
): void {
  const proof = ours.authentic ? '' : ' in clear, which proves nothing: still waiting for a usable answer'
  report(context, {
    ...where,
    level: ours.authentic ? 'error' : 'warning',
    code: codeOf(type),
    text: `the peer answered ${during} with ${notifyName(type)}${proof}`,
    ...(ours.offered ? { allowed: ours.offered } : {}),
    advice: ADVICE[codeOf(type)] ?? 'see the peer’s log',
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
  'no-proposal': 'make one proposal equal at both ends; the peer’s log names what it offers',
  'auth-failed': 'the peer did not accept our identity, key or certificate: see its log',
  'ts-unacceptable': 'make traffic-selector local and remote mirror the peer’s',
}
