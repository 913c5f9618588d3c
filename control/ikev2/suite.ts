// What the chosen suite of an IKE SA means for the functions of control/crypto.

import { isSkSuite } from '../crypto/sk.ts'
import type { HashName } from '../crypto/suite.ts'
import type { DhGroup, Kem } from '../ports.ts'
import type { IkeSuite, PeerConfig } from '../sa/contract.ts'
import type { Handshake, IkeSa } from './state.ts'

/** PRF of the SA; the configuration has no proposal without one. */
export function prfOf(sa: IkeSa): HashName {
  return hashOf(sa.suite!)
}

export function hashOf(suite: IkeSuite): HashName {
  return suite.prf as HashName
}

/** Throws RangeError for a proposal that the engine cannot run: the configuration should have refused it. */
export function assertBuilt(peer: PeerConfig): void {
  for (const { encryption, integrity, prf } of peer.ikeProposals) {
    if (!isSkSuite(encryption, integrity) || prf === 'none') {
      throw new RangeError(`${peer.tunnel}: IKE proposal ${encryption} ${integrity} prf ${prf} is not built`)
    }
  }
  if (peer.ikeProposals.length === 0) throw new RangeError(`${peer.tunnel}: no IKE proposal`)
  if (peer.childProposals.length === 0) throw new RangeError(`${peer.tunnel}: no IPsec proposal`)
}

/** True when the suite wants key exchanges beside Diffie-Hellman (RFC 9370). */
export function hasAdditional({ additionalKe }: { additionalKe?: readonly Kem[] }): boolean {
  return additionalKe !== undefined && additionalKe.length > 0
}

/** IKE_INTERMEDIATE exchanges that the chosen suite asks for, and the chains that their messages go into. */
export function expectAdditional(handshake: Handshake, suite: IkeSuite): void {
  if (!hasAdditional(suite)) return
  handshake.additional = [...suite.additionalKe!]
  handshake.intAuth = { i: new Uint8Array(0), r: new Uint8Array(0) }
}

/** True when one of our proposals has this group: the only ones an INVALID_KE_PAYLOAD may ask for (RFC 7296 §1.2). */
export function offersGroup(suites: { dhGroup: DhGroup | null }[], group: number): group is DhGroup {
  return suites.some((suite) => suite.dhGroup === group)
}
