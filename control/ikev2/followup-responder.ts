// IKE_FOLLOWUP_KE as the end that was asked with CREATE_CHILD_SA (RFC 9370 §2.2.4). What was agreed on waits here until
// the last key exchange; who comes with another link, or too late, hears STATE_NOT_FOUND and begins anew.

import { checkKemPublic } from '../crypto/kem.ts'
import type { IkeDatagram, Kem } from '../ports.ts'
import { equalBytes } from '../wire/bytes.ts'
import { NotifyError, NotifyStatus } from '../wire/notify.ts'
import { kemId } from '../wire/transforms.ts'
import type { Header, Message, Payload } from '../wire/types.ts'
import { sendResponse } from './exchange.ts'
import { compute } from './jobs.ts'
import { abandonPending } from './offers.ts'
import { find, notifies, notify } from './payloads.ts'
import type { Context, IkeSa, PendingFollowUp } from './state.ts'

const LINK_LENGTH = 8

/** Puts aside what a CREATE_CHILD_SA agreed on; its answer gets these payloads more. Takes the secret over. */
export function awaitFollowUp(
  context: Context,
  sa: IkeSa,
  what: PendingFollowUp['what'],
  additional: readonly Kem[],
  secret: Uint8Array,
  ends: Pick<PendingFollowUp, 'finish' | 'abandon'>,
): Payload[] {
  abandonPending(context, sa)
  const link = context.environment.random(LINK_LENGTH)
  const endAt = context.now + context.options.followUpMs
  sa.pending = { what, link, additional: [...additional], secrets: [secret], endAt, ...ends }
  return [notify(NotifyStatus.ADDITIONAL_KEY_EXCHANGE, link)]
}

/** An authentic request: the next key exchange of what waits. */
export function receiveFollowUpRequest(context: Context, sa: IkeSa, message: Message, datagram: IkeDatagram) {
  const { header, payloads } = message
  const pending = linked(sa, payloads)
  if (!pending) return refuse(context, sa, header, NotifyError.STATE_NOT_FOUND, datagram)
  const [kem] = pending.additional
  const ke = find(payloads, 'KE')!
  if (ke.group !== kemId(kem) || checkKemPublic(kem, ke.data)) {
    abandonPending(context, sa)
    return refuse(context, sa, header, NotifyError.INVALID_SYNTAX, datagram)
  }
  compute(context, sa, { kind: 'kem-encapsulate', kem, peerPublic: ke.data.slice() }, (later, result) => {
    if (result.kind === 'kem-encapsulate' && sa.pending === pending) {
      pending.secrets.push(result.secret)
      return answer(
        later,
        sa,
        pending,
        header,
        { kind: 'KE', group: ke.group, data: result.ciphertext },
        datagram,
      )
    }
    refuse(later, sa, header, NotifyError.STATE_NOT_FOUND, datagram)
  })
}

/** What the link names, as long as the SA is in use. */
function linked(sa: IkeSa, payloads: Payload[]): PendingFollowUp | null {
  const [link] = notifies(payloads, NotifyStatus.ADDITIONAL_KEY_EXCHANGE)
  const isMeant = link && sa.pending && equalBytes(link.data, sa.pending.link)
  return isMeant && sa.state === 'established' ? sa.pending : null
}

function refuse(context: Context, sa: IkeSa, header: Header, error: number, datagram: IkeDatagram): void {
  sendResponse(context, sa, header, [notify(error)], datagram)
}

/** With a new link; or, after the last one, without: what was agreed on is in place when the peer hears it. */
function answer(
  context: Context,
  sa: IkeSa,
  pending: PendingFollowUp,
  header: Header,
  ke: Payload,
  datagram: IkeDatagram,
): void {
  pending.additional.shift()
  const isLast = pending.additional.length === 0
  pending.link = context.environment.random(LINK_LENGTH)
  pending.endAt = context.now + context.options.followUpMs
  const more = isLast ? [] : [notify(NotifyStatus.ADDITIONAL_KEY_EXCHANGE, pending.link)]
  if (isLast) {
    sa.pending = null
    pending.finish(context, pending.secrets)
  }
  sendResponse(context, sa, header, [ke, ...more], datagram)
}
