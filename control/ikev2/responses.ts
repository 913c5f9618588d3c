// The authentic answer to our request in flight: the exchange ends, its file goes on (RFC 7296 §2.1, §2.21.3).

import type { IkeDatagram } from '../ports.ts'
import { NotifyError } from '../wire/notify.ts'
import { describeMalformed } from '../wire/reasons.ts'
import type { Malformed, Message } from '../wire/types.ts'
import { receiveAuthResponse } from './auth-initiator.ts'
import { drop, report } from './context.ts'
import { receiveChildResponse } from './create-child-initiator.ts'
import { beginDelete, receiveDeleteResponse } from './delete.ts'
import { receiveFollowUp } from './followup-initiator.ts'
import { failHandshake } from './handshake.ts'
import { receiveIntermediateResponse } from './intermediate-initiator.ts'
import { receiveAddressCheck, receiveUpdateResponse } from './mobike.ts'
import { hasNotify } from './payloads.ts'
import { receiveRekeyResponse } from './rekey-ike.ts'
import { noteLife } from './requests.ts'
import { abandonExchange, endIkeSa, forget, tunnelOf } from './sas.ts'
import type { Context, IkeSa, Purpose, Received } from './state.ts'

/** Dispatch by what the request was for. The message is authentic, legal and awaited. */
export function receiveResponse(context: Context, sa: IkeSa, message: Received, datagram: IkeDatagram) {
  const { purpose } = sa.exchange!
  const { payloads } = message
  noteLife(context, sa, datagram)
  if (isFatal(sa, message)) return endByError(context, sa, datagram)
  if (sa.state === 'deleting' && !isWantedStill(purpose)) return abandonExchange(context, sa)
  sa.exchange = null
  switch (purpose.kind) {
    case 'init':
      return drop(context, 'ike-direction', datagram.remote)
    case 'intermediate':
      return receiveIntermediateResponse(context, sa, message, purpose.pair)
    case 'auth':
      return receiveAuthResponse(context, sa, payloads, purpose.child)
    case 'child':
      if (purpose.offer.followUp) return receiveFollowUp(context, sa, payloads, purpose)
      return receiveChildResponse(context, sa, payloads, purpose.offer)
    case 'rekey-ike':
      if (purpose.offer.followUp) return receiveFollowUp(context, sa, payloads, purpose)
      return receiveRekeyResponse(context, sa, payloads, purpose.offer)
    case 'delete-child':
      return receiveDeleteResponse(context, sa, purpose.children)
    case 'delete-ike':
    case 'auth-failed':
      return forget(context, sa)
    case 'probe':
      return
    case 'update-addresses':
      return receiveUpdateResponse(context, sa, payloads, purpose.local, datagram)
    case 'check-address':
      return receiveAddressCheck(context, sa, payloads, purpose.cookie)
  }
}

/** On an SA that is being deleted: its end, and a renewal whose new SA has to be deleted too. */
function isWantedStill({ kind }: Purpose): boolean {
  return kind === 'delete-ike' || kind === 'auth-failed' || kind === 'rekey-ike'
}

/** INVALID_SYNTAX to an authenticated request: both ends are out of step, the SA ends (§2.21.3). */
function isFatal(sa: IkeSa, message: Message): boolean {
  return sa.state === 'established' && hasNotify(message.payloads, NotifyError.INVALID_SYNTAX)
}

function endByError(context: Context, sa: IkeSa, datagram: IkeDatagram): void {
  report(context, {
    tunnel: tunnelOf(sa),
    level: 'error',
    code: 'ike-syntax',
    text: 'the peer calls our request malformed, so both ends have lost step; the IKE SA ends',
    advice: 'the tunnel is tried again by itself; see the peer’s log',
    peer: datagram.remote,
  })
  endIkeSa(context, sa, 'peer-deleted')
}

/** An authentic answer that is no sense: the exchange cannot be finished, so the SA ends. */
export function refuseResponse(context: Context, sa: IkeSa, bad: Malformed, datagram: IkeDatagram) {
  drop(context, bad.reason, datagram.remote)
  report(context, {
    tunnel: tunnelOf(sa),
    level: 'error',
    code: bad.reason,
    text: `the peer sent an answer that is malformed inside its protection: ${describeMalformed(bad)}`,
    advice: 'see the peer’s log and version',
    peer: datagram.remote,
  })
  if (sa.state === 'auth') return failHandshake(context, sa, 'no-answer')
  abandonExchange(context, sa)
  if (sa.state === 'established') return beginDelete(context, sa, 'peer-deleted')
  forget(context, sa)
}
