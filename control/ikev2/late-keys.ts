// The keys of a half-open responder SA are computed when its IKE_AUTH comes: a flood of IKE_SA_INIT costs key pairs,
// never shared secrets, and nothing at all above the cookie threshold (design, section 4).

import type { IkeDatagram } from '../ports.ts'
import { drop } from './context.ts'
import { deriveKeys } from './init-initiator.ts'
import { compute } from './jobs.ts'
import { holdDatagram } from './receive.ts'
import { forget } from './sas.ts'
import type { Context, IkeSa } from './state.ts'

/** The datagram waits for the keys; the first one starts their computation. */
export function deriveThen(context: Context, sa: IkeSa, datagram: IkeDatagram) {
  const { handshake } = sa
  if (sa.role !== 'responder' || sa.state !== 'auth' || !handshake?.dh || !handshake.peerPublic) {
    return drop(context, 'ike-state', datagram.remote)
  }
  holdDatagram(context, sa, datagram)
  if (sa.jobs.length > 0) return
  const { group, privateValue } = handshake.dh
  const job = { kind: 'dh-derive', group, privateValue, peerPublic: handshake.peerPublic } as const
  compute(context, sa, job, (later, result) => {
    if (result.kind === 'dh-derive') return deriveKeys(sa, result.secret)
    drop(later, 'ike-ke-value', datagram.remote)
    forget(later, sa)
  })
}
