// What both ends do about additional key exchanges before an IKE SA is up: whether the peer can, and at each
// IKE_INTERMEDIATE exchange: its messages go into AUTH, its secret into the keys.

import { nextIntAuth } from '../crypto/int-auth.ts'
import { addKeyExchange, wipeIkeKeys } from '../crypto/keys.ts'
import { wipe } from '../crypto/suite.ts'
import { describeProposal, type ProposalRefusal } from '../wire/proposals.ts'
import type { Proposal } from '../wire/types.ts'
import type { IkeSa } from './state.ts'
import { prfOf } from './suite.ts'

/** The peer's proposal has an additional key exchange, and it does not know the exchange to make it in (RFC 9370 §2.2.1). */
export function withoutIntermediate(proposal: Proposal): ProposalRefusal {
  const mismatch = ['the notify INTERMEDIATE_EXCHANGE_SUPPORTED that additional-ke needs']
  return {
    number: proposal.number,
    offered: describeProposal(proposal),
    mismatch,
    nearest: null,
    differs: [],
  }
}

/** A message of one end joins its chain, under the keys in force before the exchange (RFC 9242 §3.3.2). */
export function coverMessage(sa: IkeSa, end: 'i' | 'r', octets: Uint8Array): void {
  const intAuth = sa.handshake!.intAuth!
  const before = intAuth[end]
  intAuth[end] = nextIntAuth(prfOf(sa), end === 'i' ? sa.keys!.pi : sa.keys!.pr, before, octets)
  wipe(before)
}

/** The exchange has ended: its secret makes the next keys and is wiped with the old ones (RFC 9370 §2.2.2). */
export function takeSecret(sa: IkeSa, secret: Uint8Array): void {
  const { nonce, peerNonce, additional } = sa.handshake!
  const [ni, nr] = sa.role === 'initiator' ? [nonce, peerNonce] : [peerNonce, nonce]
  const { encryption: cipher, integrity } = sa.suite!
  const spis = { spiI: sa.initiatorSpi, spiR: sa.responderSpi }
  const old = sa.keys!
  sa.keys = addKeyExchange(old, { prf: prfOf(sa), integrity, cipher, ni, nr, ...spis, sharedSecret: secret })
  additional.shift()
  wipe(secret)
  wipeIkeKeys(old)
}
