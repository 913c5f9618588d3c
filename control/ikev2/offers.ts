// Our half of a negotiation under way: what it prepared, and how that is given back.

import { wipe } from '../crypto/suite.ts'
import type { ChildOffer, Context, DhPair, FollowUp, IkeOffer, IkeSa, KemPair } from './state.ts'

/** The private value of a key exchange is used once (RFC 7296 §2.12 is not used: fresh values always). */
export function wipeDh(dh: DhPair | KemPair | null): void {
  wipe(dh?.privateValue)
}

/** A Child SA that did not come up: its SPI is free again, its secrets are gone. */
export function releaseOffer(context: Context, offer: ChildOffer): void {
  context.environment.releaseSpi?.(offer.spiIn)
  wipeDh(offer.dh)
  wipeFollowUp(offer.followUp)
  wipe(offer.nonce)
}

/** A renewal of an IKE SA that is over, whatever came of it. */
export function wipeIkeOffer(offer: IkeOffer): void {
  wipeDh(offer.dh)
  wipeFollowUp(offer.followUp)
}

function wipeFollowUp(followUp: FollowUp | null): void {
  wipeDh(followUp?.pair ?? null)
  wipe(...(followUp?.secrets ?? []))
}

/** The peer's unfinished exchange is forgotten: what it asks for next is STATE_NOT_FOUND (RFC 9370 §2.2.4). */
export function abandonPending(context: Context, sa: IkeSa): void {
  const { pending } = sa
  sa.pending = null
  if (!pending) return
  wipe(...pending.secrets)
  pending.abandon(context)
}
