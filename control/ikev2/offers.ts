// Our half of a negotiation under way: what it prepared, and how that is given back.

import { wipe } from '../crypto/suite.ts'
import type { ChildOffer, Context, DhPair, KemPair } from './state.ts'

/** The private value of a key exchange is used once (RFC 7296 §2.12 is not used: fresh values always). */
export function wipeDh(dh: DhPair | KemPair | null): void {
  wipe(dh?.privateValue)
}

/** A Child SA that did not come up: its SPI is free again, its secrets are gone. */
export function releaseOffer(context: Context, offer: ChildOffer): void {
  context.environment.releaseSpi?.(offer.spiIn)
  wipeDh(offer.dh)
  wipe(offer.nonce)
}
