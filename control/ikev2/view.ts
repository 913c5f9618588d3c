// What `show ike sa` prints. No key is in it.

import type { IkeSaView } from '../sa/contract.ts'
import { hex, u64Bytes } from '../wire/bytes.ts'
import type { IkeSa } from './state.ts'

/** One IKE SA for the operator; rekeyIn in seconds, null when it is not going to be renewed. */
export function viewOf(sa: IkeSa, now: number): IkeSaView {
  const { suite } = sa
  return {
    id: sa.id,
    initiatorSpi: hex(u64Bytes(sa.initiatorSpi)),
    responderSpi: hex(u64Bytes(sa.responderSpi)),
    version: 2,
    role: sa.role,
    state: sa.state,
    tunnel: sa.peer?.tunnel ?? null,
    local: sa.local,
    remote: sa.remote,
    remoteId: sa.remoteId,
    encryption: suite?.encryption ?? '',
    authentication: suite ? (suite.integrity ?? 'aead') : '',
    prf: suite?.prf ?? '',
    dhGroup: suite?.dhGroup ?? 0,
    additionalKe: [...(suite?.additionalKe ?? [])],
    rekeyIn: Number.isFinite(sa.softAt) ? Math.max(0, Math.round((sa.softAt - now) / 1000)) : null,
    nat: { ...sa.nat },
    children: [...sa.children.keys()],
  }
}
