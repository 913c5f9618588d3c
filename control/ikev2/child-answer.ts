// A Child SA from the side that is asked: which tunnel, which suite, which selectors (RFC 7296 §2.7, §2.9).

import type { Endpoint, TrafficSelector } from '../ports.ts'
import type { ChildSuite, PeerConfig } from '../sa/contract.ts'
import { u32 } from '../wire/bytes.ts'
import { NotifyError, NotifyStatus } from '../wire/notify.ts'
import { chooseChildProposal, spiBytes } from '../wire/proposals.ts'
import { addressesMeet, narrowSelectors, selectorsWithin } from '../wire/selectors.ts'
import { type Payload, ProtocolId, type Transform } from '../wire/types.ts'
import { find, notify } from './payloads.ts'
import { reportNoProposal, reportNoSelectors, reportOverlap } from './reports.ts'
import type { Context } from './state.ts'

export type ChosenChild = {
  ok: true
  peer: PeerConfig
  suite: ChildSuite
  number: number
  transforms: Transform[]
  spiOut: number
  localSelectors: TrafficSelector[]
  remoteSelectors: TrafficSelector[]
}
export type RefusedChild = { ok: false; error: Payload }

type Narrowed = { peer: PeerConfig; local: TrafficSelector[]; remote: TrafficSelector[]; isWhole: boolean }

/** TSi is the peer's side, TSr is ours. null: nothing in common with this tunnel. */
function narrowFor(peer: PeerConfig, tsi: TrafficSelector[], tsr: TrafficSelector[]): Narrowed | null {
  const local = narrowSelectors(tsr, peer.localSelectors)
  const remote = narrowSelectors(tsi, peer.remoteSelectors)
  if (!local || !remote) return null
  const isWhole = selectorsWithin(tsr, local) && selectorsWithin(tsi, remote)
  return { peer, local, remote, isWhole }
}

/**
 * Among tunnels that share the IKE SA: one whose selectors take the whole offer first, then any that shares something;
 * `prefers` breaks ties (a tunnel that has no Child SA yet). Reports what it refuses.
 */
export function chooseChild(
  context: Context,
  tunnels: PeerConfig[],
  payloads: Payload[],
  withDh: boolean,
  source: Endpoint,
  prefers: (peer: PeerConfig) => boolean,
): ChosenChild | RefusedChild {
  const [offered, tsi, tsr] = [find(payloads, 'SA')!, find(payloads, 'TSi')!, find(payloads, 'TSr')!]
  const narrowed = tunnels
    .map((peer) => narrowFor(peer, tsi.selectors, tsr.selectors))
    .filter((each) => each !== null)
    .sort((a, b) => rank(b, prefers) - rank(a, prefers))
  const where = { tunnel: tunnels[0]?.tunnel ?? null, peer: source }
  if (narrowed.length === 0) {
    const allowed = tunnels.map((peer) => ({
      tunnel: peer.tunnel,
      local: peer.localSelectors,
      remote: peer.remoteSelectors,
    }))
    reportNoSelectors(context, where, { local: tsr.selectors, remote: tsi.selectors }, allowed)
    return { ok: false, error: notify(NotifyError.TS_UNACCEPTABLE) }
  }
  const [{ peer, local, remote }] = narrowed
  if (overlapsAnother(context, peer, remote)) {
    reportOverlap(context, { ...where, tunnel: peer.tunnel }, remote)
    return { ok: false, error: notify(NotifyError.TS_UNACCEPTABLE) }
  }
  const choice = chooseChildProposal(offered.proposals, peer.childProposals, withDh)
  if (!choice.ok) {
    reportNoProposal(context, { ...where, tunnel: peer.tunnel }, 'IPsec', choice.refusal, peer.childProposals)
    return { ok: false, error: notify(NotifyError.NO_PROPOSAL_CHOSEN) }
  }
  const { suite, proposal } = choice
  const spiOut = u32(proposal.spi, 0)
  return {
    ok: true,
    peer,
    suite,
    number: proposal.number,
    transforms: proposal.transforms,
    spiOut,
    localSelectors: local,
    remoteSelectors: remote,
  }
}

/** On-demand: what two peers both claim would be routed to one of them only. */
function overlapsAnother(context: Context, peer: PeerConfig, remote: TrafficSelector[]): boolean {
  if (peer.template === undefined) return false
  const { children, peers } = context.state
  return [...children.values()].some(
    (child) =>
      child.tunnel !== peer.tunnel &&
      peers.get(child.tunnel)?.template !== undefined &&
      addressesMeet(child.remoteSelectors, remote),
  )
}

function rank(each: Narrowed, prefers: (peer: PeerConfig) => boolean): number {
  return (each.isWhole ? 2 : 0) + (prefers(each.peer) ? 1 : 0)
}

/** SA, [Nr, [KEr]], TSi, TSr of the answer; the proposal keeps the peer's number and carries our SPI (§3.3.1). */
export function answerPayloads(
  chosen: ChosenChild,
  spiIn: number,
  nonce: Uint8Array | null,
  ke: { group: number; data: Uint8Array } | null,
): Payload[] {
  const { number, transforms } = chosen
  const proposal = { number, protocol: ProtocolId.ESP, spi: spiBytes(spiIn), transforms }
  return [
    { kind: 'SA', proposals: [proposal] },
    ...(nonce ? [{ kind: 'NONCE', data: nonce } as const] : []),
    ...(ke ? [{ kind: 'KE', ...ke } as const] : []),
    { kind: 'TSi', selectors: chosen.remoteSelectors },
    { kind: 'TSr', selectors: chosen.localSelectors },
    notify(NotifyStatus.ESP_TFC_PADDING_NOT_SUPPORTED),
  ]
}
