// IKE_INTERMEDIATE as responder (RFC 9242 §3, RFC 9370 §2.2.2): the peer's encapsulation key is judged, the answer holds
// a ciphertext, and from then on new keys are in force. The answer itself still goes out under the old ones.

import { sentOctets } from '../crypto/int-auth.ts'
import { checkKemPublic } from '../crypto/kem.ts'
import type { IkeDatagram, Kem } from '../ports.ts'
import { malformed } from '../wire/reasons.ts'
import { kemId } from '../wire/transforms.ts'
import { Exchange, type Malformed, type Payload } from '../wire/types.ts'
import { coverMessage, takeSecret } from './additional-keys.ts'
import { headerOf, sendResponse } from './exchange.ts'
import { compute } from './jobs.ts'
import { find } from './payloads.ts'
import { refuseRequest } from './requests.ts'
import type { Context, IkeSa, Received } from './state.ts'

/** -- auth: the next of the key exchanges that were agreed on. Anything else ends the attempt (RFC 7296 §2.21.2). */
export function receiveIntermediateRequest(
  context: Context,
  sa: IkeSa,
  message: Received,
  datagram: IkeDatagram,
) {
  const { header, payloads, octets } = message
  const [kem] = sa.handshake!.additional
  const ke = find(payloads, 'KE')!
  const bad = judgeKey(kem, ke.group, ke.data)
  if (bad) return refuseRequest(context, sa, header, bad, datagram)
  const job = { kind: 'kem-encapsulate', kem, peerPublic: ke.data.slice() } as const
  compute(context, sa, job, (later, result) => {
    if (result.kind !== 'kem-encapsulate')
      return refuseRequest(later, sa, header, malformed('ike-ke-value', kem), datagram)
    const answer: Payload[] = [{ kind: 'KE', group: kemId(kem), data: result.ciphertext }]
    const fields = headerOf(sa, Exchange.IKE_INTERMEDIATE, header.messageId, true)
    coverMessage(sa, 'i', octets!)
    coverMessage(sa, 'r', sentOctets(fields, answer))
    sendResponse(later, sa, header, answer, datagram)
    takeSecret(sa, result.secret)
  })
}

function judgeKey(kem: Kem, group: number, data: Uint8Array): Malformed | null {
  return group === kemId(kem) ? checkKemPublic(kem, data) : malformed('ike-ke-group', `method ${group}`)
}
