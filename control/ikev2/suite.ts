// What the chosen suite of an IKE SA means for the functions of control/crypto.

import { isSkSuite } from '../crypto/sk.ts'
import type { HashName } from '../crypto/suite.ts'
import type { DhGroup } from '../ports.ts'
import type { IkeSuite, PeerConfig } from '../sa/contract.ts'
import type { IkeSa } from './state.ts'

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

/** True when one of our proposals has this group: the only ones an INVALID_KE_PAYLOAD may ask for (RFC 7296 §1.2). */
export function offersGroup(suites: { dhGroup: DhGroup | null }[], group: number): group is DhGroup {
  return suites.some((suite) => suite.dhGroup === group)
}
