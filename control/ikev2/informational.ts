// INFORMATIONAL: Deletes, liveness, and the initiator's late AUTHENTICATION_FAILED (RFC 7296 §1.4, §2.4, §2.21.2).
// Status notifies that nobody knows are skipped; the answer says nothing about them (§3.10.1).

import type { IkeDatagram } from '../ports.ts'
import { NotifyError } from '../wire/notify.ts'
import { Exchange, type Message } from '../wire/types.ts'
import { receiveDeletes } from './delete.ts'
import { ownProof } from './differences.ts'
import { sendRequest, sendResponse } from './exchange.ts'
import { answerMobility } from './mobike.ts'
import { hasNotify } from './payloads.ts'
import { reportPeerError } from './reports.ts'
import { leave, linger, tunnelOf } from './sas.ts'
import type { Context, IkeSa } from './state.ts'

/** An authentic request on an SA that is up or on its way out. An empty one is answered by an empty one. */
export function receiveInformational(context: Context, sa: IkeSa, message: Message, datagram: IkeDatagram) {
  if (hasNotify(message.payloads, NotifyError.AUTHENTICATION_FAILED))
    return end(context, sa, message, datagram)
  const answer = receiveDeletes(context, sa, message, datagram)
  if (!answer) return
  const more = answerMobility(context, sa, message.payloads, datagram)
  sendResponse(context, sa, message.header, [...answer, ...more], datagram)
}

/** -- established -> lingering: the initiator did not believe us after all. */
function end(context: Context, sa: IkeSa, message: Message, datagram: IkeDatagram): void {
  const where = { tunnel: tunnelOf(sa), peer: datagram.remote }
  const sent = sa.peer ? ownProof(sa.peer) : { what: 'other' as const }
  reportPeerError(context, where, 'our AUTH', NotifyError.AUTHENTICATION_FAILED, { authentic: true, sent })
  sendResponse(context, sa, message.header, [], datagram)
  leave(context, sa, 'auth-failed')
  linger(context, sa)
}

/** Is the peer alive? Any authentic answer will do (§2.4). */
export function beginProbe(context: Context, sa: IkeSa): void {
  sendRequest(context, sa, Exchange.INFORMATIONAL, [], { kind: 'probe' })
}
