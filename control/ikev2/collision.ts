// Both ends renew the same SA at once (RFC 7296 §2.8.1, §2.8.2). Each answers the other as usual, so two new SAs stand
// beside the old one. All four nonces are then known to both ends: the exchange that holds the lowest of them loses,
// and the end that began it deletes what came of it. The end that began the other deletes the old SA.

import type { ChildOffer, ChildSa, Context, IkeSa } from './state.ts'

/** Octet by octet; where one nonce is the beginning of the other, the shorter one is lower (§2.8.1). */
export function compareNonces(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length)
  for (let at = 0; at < common; at++) if (a[at] !== b[at]) return a[at] - b[at]
  return a.length - b.length
}

/** The lower nonce of one exchange, in memory of its own. */
export function lowestNonce(ni: Uint8Array, nr: Uint8Array): Uint8Array {
  return (compareNonces(ni, nr) <= 0 ? ni : nr).slice()
}

/** Does our exchange (ni, nr) lose against the peer's, whose lower nonce is `rival`? */
export function isLoser(ni: Uint8Array, nr: Uint8Array, rival: Uint8Array): boolean {
  return compareNonces(lowestNonce(ni, nr), rival) < 0
}

/** Our request in flight for the same SA: of `old` when it renews, of the tunnel's first one otherwise. */
export function collidingOffer(sa: IkeSa, tunnel: string, old: ChildSa | null): ChildOffer | null {
  const purpose = sa.exchange?.purpose
  if (purpose?.kind !== 'child') return null
  const { offer } = purpose
  if (old) return offer.replaces === old.id ? offer : null
  return offer.replaces === null && offer.tunnel === tunnel ? offer : null
}

/** What the peer's colliding exchange made, as long as it lives. */
export function livingRival(context: Context, offer: ChildOffer): ChildSa | null {
  const id = offer.rival?.child ?? null
  const child = id === null ? undefined : context.state.children.get(id)
  return child && (child.state === 'fresh' || child.state === 'active') ? child : null
}

/** IKE SA that the peer's colliding renewal of `sa` made, as long as nobody has decided about it. */
export function livingIkeRival(context: Context, sa: IkeSa): IkeSa | null {
  const purpose = sa.exchange?.purpose
  const rival = purpose?.kind === 'rekey-ike' ? purpose.offer.rival : null
  const found = rival?.sa ? context.state.sas.get(rival.sa) : undefined
  return found?.state === 'fresh' ? found : null
}
