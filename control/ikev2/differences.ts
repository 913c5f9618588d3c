// What did not match, as the data of a report (sa/contract.ts, Explanation) and as a part of its sentence.

import { GATE_STATEMENT, gateOfTransform } from '../config/gates.ts'
import type { TrafficSelector } from '../ports.ts'
import type {
  Explanation,
  PeerConfig,
  ProposalDifference,
  RefusedOffer,
  SelectorSides,
  TransformDifference,
} from '../sa/contract.ts'
import { describeIdentity } from '../wire/identity.ts'
import type { ProposalRefusal } from '../wire/proposals.ts'
import { describeSelector, narrowSelectors } from '../wire/selectors.ts'

/** Both sides of an offer or a tunnel, as seen from here. */
export type Sides = { local: TrafficSelector[]; remote: TrafficSelector[] }

/** Proposals named in the sentence; the data has them all. */
const TOLD = 4

// ---- proposals

export function proposalDifferences(refusal: ProposalRefusal[]): ProposalDifference[] {
  return refusal.map(({ number, offered, nearest, differs, mismatch }) => ({
    number,
    offered,
    nearest,
    differs,
    fault: differs.length > 0 ? null : mismatch.join(' and '),
  }))
}

/** `proposal 1 lacks dh-group group-14 (it has group-2); proposal 2 ...` */
export function proposalText(refusal: ProposalRefusal[]): string {
  const told = refusal.slice(0, TOLD).map(({ number, differs, mismatch }) => {
    const lacks = differs.length > 0 ? differs.map(lackText) : mismatch
    return `proposal ${number} lacks ${lacks.join(' and ')}`
  })
  const more = refusal.length > TOLD ? [`${refusal.length - TOLD} more`] : []
  return [...told, ...more].join('; ') || 'it offers none'
}

/** `; 3des would need legacy-crypto permit here`: what the peer offers and no proposal has without a gate. */
export function gateText(refusal: ProposalRefusal[]): string {
  const offered = new Set(refusal.flatMap(({ differs }) => differs.flatMap((each) => each.offered)))
  const closed = (['legacy', 'insecure'] as const).flatMap((gate) => {
    const names = [...offered].filter((name) => gateOfTransform(name) === gate)
    return names.length > 0 ? [`${names.join(' and ')} would need ${GATE_STATEMENT[gate]} here`] : []
  })
  return closed.map((text) => `; ${text}`).join('')
}

function lackText({ type, offered, allowed }: TransformDifference): string {
  if (allowed.length === 0) return `a proposal of ours with ${type} ${offered.join(' or ')}`
  return `${type} ${allowed.join(' or ')} (it has ${offered.join(' or ') || 'none'})`
}

// ---- selectors

export function sidesText({ local, remote }: Sides): SelectorSides {
  return { local: local.map(describeSelector), remote: remote.map(describeSelector) }
}

/** Where the offer meets each tunnel, side by side; of the tunnel that shares most. */
export function selectorDifference(
  offered: Sides,
  tunnels: (Sides & { tunnel: string })[],
): Extract<Explanation, { kind: 'selectors' }> {
  const commons = tunnels.map((ours) => ({
    local: narrowSelectors(offered.local, ours.local) ?? [],
    remote: narrowSelectors(offered.remote, ours.remote) ?? [],
  }))
  const shared = ({ local, remote }: Sides) => Number(local.length > 0) + Number(remote.length > 0)
  const best = commons.reduce((one, other) => (shared(other) > shared(one) ? other : one), {
    local: [],
    remote: [],
  })
  return {
    kind: 'selectors',
    offered: sidesText(offered),
    allowed: tunnels.map(({ tunnel, ...sides }) => ({ tunnel, ...sidesText(sides) })),
    common: sidesText(best),
  }
}

/** `local: the peer has 10.9.0.0/16, here is 10.1.0.0/16`: the sides that share nothing. */
export function selectorText({ offered, allowed, common }: ReturnType<typeof selectorDifference>): string {
  const sides = (['local', 'remote'] as const).filter((side) => common[side].length === 0)
  const told = sides.map((side) => {
    const ours = [...new Set(allowed.flatMap((each) => each[side]))]
    return `${side}: the peer has ${list(offered[side])}, here is ${list(ours)}`
  })
  return told.join('; ')
}

function list(texts: string[]): string {
  return texts.slice(0, 8).join(' ') + (texts.length > 8 ? ' ...' : '') || 'nothing'
}

// ---- identities and keys

/** What was tried to believe the peer: of each tunnel its remote-id and the proof that it takes. */
export function searched(tunnels: PeerConfig[]): { tunnel: string; remoteId: string; proof: string }[] {
  return tunnels.map((peer) => ({
    tunnel: peer.tunnel,
    remoteId: describeIdentity(peer.remoteId),
    proof:
      peer.remoteAuth === 'pre-shared-key'
        ? 'pre-shared-key'
        : `certificate of ${[...new Set(peer.trust.map(({ name }) => name))].join(' or ') || 'no CA'}`,
  }))
}

/** Our own identity and proof, for a peer that did not take them. */
export function ownProof(peer: PeerConfig): RefusedOffer {
  return { what: 'identity', identity: describeIdentity(peer.localId), method: peer.localAuth }
}

/** What the peer's refusal means for what we sent. */
export function refusalText(sent: RefusedOffer): string {
  switch (sent.what) {
    case 'proposals':
      return sent.wantedGroup === null
        ? ': it takes none of our proposals'
        : `: it wants dh-group ${sent.wantedGroup}, which none of our proposals has`
    case 'selectors':
      return `: it shares nothing with local ${list(sent.local)} remote ${list(sent.remote)}`
    case 'identity':
      return `: it does not accept us as ${sent.identity} with ${PROOF[sent.method] ?? sent.method}`
    case 'other':
      return ''
  }
}

const PROOF: Record<string, string> = {
  'pre-shared-key': 'our pre-shared key',
  'rsa-signature': 'our certificate',
  'digital-signature': 'our certificate',
}
