// IKE_INTERMEDIATE as initiator: one exchange for each additional key exchange, between IKE_SA_INIT and IKE_AUTH
// (RFC 9242 §3, RFC 9370 §2.2.2). Each is protected by the keys of the one before.
//
//   HDR, SK {KEi(n)}  -->
//                     <--  HDR, SK {KEr(n)}

import { sentOctets } from '../crypto/int-auth.ts'
import { checkKemCiphertext } from '../crypto/kem.ts'
import type { Kem } from '../ports.ts'
import { describeMalformed, malformed } from '../wire/reasons.ts'
import { kemId } from '../wire/transforms.ts'
import { Exchange, type Malformed, type Payload } from '../wire/types.ts'
import { coverMessage, takeSecret } from './additional-keys.ts'
import { beginAuth } from './auth-initiator.ts'
import { errorIn } from './child-offer.ts'
import { report } from './context.ts'
import { headerOf, sendRequest } from './exchange.ts'
import { failHandshake } from './handshake.ts'
import { compute } from './jobs.ts'
import { wipeDh } from './offers.ts'
import { find } from './payloads.ts'
import { reasonOfNotify, reportPeerError } from './reports.ts'
import { tunnelOf } from './sas.ts'
import type { Context, IkeSa, KemPair, Received } from './state.ts'

/** -- auth: the keys of the last exchange are there: the next one begins, or IKE_AUTH. */
export function goOnWithKeys(context: Context, sa: IkeSa) {
  const [kem] = sa.handshake!.additional
  if (kem === undefined) return beginAuth(context, sa)
  compute(context, sa, { kind: 'kem-generate', kem }, (later, result) => {
    if (result.kind !== 'kem-generate') return failHandshake(later, sa, 'no-answer')
    const { publicValue, privateValue } = result
    send(later, sa, { kem, publicValue, privateValue })
  })
}

function send(context: Context, sa: IkeSa, pair: KemPair): void {
  const payloads: Payload[] = [{ kind: 'KE', group: kemId(pair.kem), data: pair.publicValue }]
  const fields = headerOf(sa, Exchange.IKE_INTERMEDIATE, sa.nextRequestId, false)
  coverMessage(sa, 'i', sentOctets(fields, payloads))
  sendRequest(context, sa, Exchange.IKE_INTERMEDIATE, payloads, { kind: 'intermediate', pair })
}

/** The authentic answer: the ciphertext that our pair opens. */
export function receiveIntermediateResponse(context: Context, sa: IkeSa, message: Received, pair: KemPair) {
  const { payloads, octets } = message
  const error = errorIn(payloads)
  if (error) return refusedByPeer(context, sa, error.type, pair)
  const ke = find(payloads, 'KE')!
  const bad = judgeCiphertext(pair.kem, ke.group, ke.data)
  if (bad) return refuse(context, sa, bad, pair)
  coverMessage(sa, 'r', octets!)
  const { kem, privateValue } = pair
  const job = { kind: 'kem-decapsulate', kem, privateValue, ciphertext: ke.data.slice() } as const
  compute(context, sa, job, (later, result) => {
    wipeDh(pair)
    if (result.kind !== 'kem-decapsulate') return refuse(later, sa, malformed('ike-ke-value', kem), pair)
    takeSecret(sa, result.secret)
    goOnWithKeys(later, sa)
  })
}

function judgeCiphertext(kem: Kem, group: number, data: Uint8Array): Malformed | null {
  return group === kemId(kem) ? checkKemCiphertext(kem, data) : malformed('ike-ke-group', `method ${group}`)
}

/** -- auth -> gone: the responder could not use what we sent. */
function refusedByPeer(context: Context, sa: IkeSa, type: number, pair: KemPair): void {
  wipeDh(pair)
  reportPeerError(context, { tunnel: tunnelOf(sa), peer: sa.remote }, 'IKE_INTERMEDIATE', type, {
    authentic: true,
  })
  failHandshake(context, sa, reasonOfNotify(type))
}

/** -- auth -> gone: nothing can come of this answer; the responder's half-open SA times out. */
function refuse(context: Context, sa: IkeSa, bad: Malformed, pair: KemPair): void {
  wipeDh(pair)
  report(context, {
    tunnel: tunnelOf(sa),
    level: 'error',
    code: bad.reason,
    text: `the peer’s answer in the additional key exchange is of no use: ${describeMalformed(bad)}`,
    advice: 'see the peer’s log and version',
    peer: sa.remote,
  })
  failHandshake(context, sa, 'no-proposal')
}
