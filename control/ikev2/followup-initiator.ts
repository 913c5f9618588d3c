// IKE_FOLLOWUP_KE as the end that asked with CREATE_CHILD_SA (RFC 9370 §2.2.4): one exchange for each additional key
// exchange. The notify ADDITIONAL_KEY_EXCHANGE, which means something to the responder only, links them.
//
//   HDR, SK {KEi(n), N(ADDITIONAL_KEY_EXCHANGE)(link)}  -->
//                                  <--  HDR, SK {KEr(n), [N(ADDITIONAL_KEY_EXCHANGE)(link)]}
//
// The request stays that of its purpose, a Child SA or a renewed IKE SA: whoever looks for collisions finds it.

import { checkKemCiphertext } from '../crypto/kem.ts'
import { wipe } from '../crypto/suite.ts'
import type { Kem } from '../ports.ts'
import { NotifyError, NotifyStatus } from '../wire/notify.ts'
import { kemId } from '../wire/transforms.ts'
import { Exchange, type Payload } from '../wire/types.ts'
import { errorIn } from './child-offer.ts'
import { sendRequest } from './exchange.ts'
import { compute } from './jobs.ts'
import { releaseOffer, wipeDh, wipeIkeOffer } from './offers.ts'
import { find, notifies, notify } from './payloads.ts'
import type { Context, FollowUp, IkeSa, Purpose } from './state.ts'

/** Errors that a second attempt, a little later, may not meet again (RFC 7296 §2.25, RFC 9370 §2.2.4). */
export const PASSING = new Set<number>([NotifyError.TEMPORARY_FAILURE, NotifyError.STATE_NOT_FOUND])

type Followed = Extract<Purpose, { kind: 'child' | 'rekey-ike' }>
type Ends = Pick<FollowUp, 'isLost' | 'standBack' | 'finish' | 'fail'>

/** The responder's link, in memory of its own; null: there is none. */
export function linkIn(payloads: Payload[]): Uint8Array | null {
  const [found] = notifies(payloads, NotifyStatus.ADDITIONAL_KEY_EXCHANGE)
  return found && found.data.length > 0 ? found.data.slice() : null
}

/** CREATE_CHILD_SA has been answered and its Diffie-Hellman secret computed: the rest follows. Takes the secret over. */
export function beginFollowUp(
  context: Context,
  sa: IkeSa,
  purpose: Followed,
  additional: readonly Kem[],
  secret: Uint8Array,
  link: Uint8Array | null,
  ends: Ends,
) {
  if (link === null) {
    wipe(secret)
    return ends.fail(context, null)
  }
  purpose.offer.followUp = { link, additional: [...additional], pair: null, secrets: [secret], ...ends }
  goOn(context, sa, purpose)
}

/** The next exchange, or the end; in a lost collision nothing more is said (RFC 9370 §2.2.4). */
function goOn(context: Context, sa: IkeSa, purpose: Followed) {
  const followUp = purpose.offer.followUp!
  const [kem] = followUp.additional
  if (kem === undefined) return followUp.finish(context, followUp.secrets)
  if (followUp.isLost(context)) return followUp.standBack(context)
  compute(
    context,
    sa,
    { kind: 'kem-generate', kem },
    (later, result) => {
      if (result.kind !== 'kem-generate') return followUp.fail(later, null)
      const { publicValue, privateValue } = result
      followUp.pair = { kem, publicValue, privateValue }
      send(later, sa, purpose)
    },
    (later) => release(later, purpose),
  )
}

/** The IKE SA ends while a job runs. */
function release(context: Context, purpose: Followed): void {
  if (purpose.kind === 'child') releaseOffer(context, purpose.offer)
  else wipeIkeOffer(purpose.offer)
}

function send(context: Context, sa: IkeSa, purpose: Followed): void {
  const { link, pair } = purpose.offer.followUp!
  const payloads: Payload[] = [
    { kind: 'KE', group: kemId(pair!.kem), data: pair!.publicValue },
    notify(NotifyStatus.ADDITIONAL_KEY_EXCHANGE, link),
  ]
  sendRequest(context, sa, Exchange.IKE_FOLLOWUP_KE, payloads, purpose)
}

/** The authentic answer: a ciphertext, and a link unless it was the last. */
export function receiveFollowUp(context: Context, sa: IkeSa, payloads: Payload[], purpose: Followed) {
  const followUp = purpose.offer.followUp!
  const error = errorIn(payloads)
  if (error) return followUp.fail(context, error)
  const { kem, privateValue } = followUp.pair!
  const ke = find(payloads, 'KE')!
  const link = linkIn(payloads)
  const isLast = followUp.additional.length === 1
  const isBad = ke.group !== kemId(kem) || (link === null && !isLast)
  if (isBad || checkKemCiphertext(kem, ke.data)) return followUp.fail(context, null)
  const job = { kind: 'kem-decapsulate', kem, privateValue, ciphertext: ke.data.slice() } as const
  compute(
    context,
    sa,
    job,
    (later, result) => {
      wipeDh(followUp.pair)
      if (result.kind !== 'kem-decapsulate') return followUp.fail(later, null)
      followUp.secrets.push(result.secret)
      followUp.additional.shift()
      followUp.link = link ?? followUp.link
      goOn(later, sa, purpose)
    },
    (later) => release(later, purpose),
  )
}
