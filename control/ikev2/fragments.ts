// A fragment's way into the engine (RFC 7383 §2.6): as receive.ts, but steps 4 and 5 take several datagrams.
//
//   1 parse the clear part     2 find the SA     3 window     4 numbers, integrity, put aside     5 all there: the inside

import { reassembledOctets } from '../crypto/int-auth.ts'
import { unseal } from '../crypto/sk-cipher.ts'
import { openFragment } from '../crypto/skf.ts'
import type { IkeDatagram } from '../ports.ts'
import { checkClearPayloads } from '../wire/legality.ts'
import { decodeFragment } from '../wire/message.ts'
import { Exchange, type FragmentMessage } from '../wire/types.ts'
import { drop } from './context.ts'
import { digestOf, receiveKeys } from './exchange.ts'
import { deriveThen } from './late-keys.ts'
import {
  deliver,
  findSa,
  hold,
  isRepeated,
  judgeWindow,
  refuseUnknown,
  repeatAnswer,
  repeatLast,
} from './receive.ts'
import type { Context, IkeSa } from './state.ts'

/** A datagram that decodeMessage took for a fragment. */
export function receiveFragment(context: Context, datagram: IkeDatagram) {
  const decoded = decodeFragment(datagram.data)
  if (!decoded.ok) return drop(context, decoded.reason, datagram.remote)
  const message = decoded.value
  const sa = findSa(context, message.header)
  if (!sa) return refuseUnknown(context, message.header, datagram)
  if (!sa.fragmentation) return drop(context, 'ike-fragment', datagram.remote)
  if (sa.state === 'lingering') return repeatLast(context, sa, datagram)
  const refused = judgeWindow(sa, message.header) ?? checkClearPayloads(message.payloads)?.reason
  if (refused) return drop(context, refused, datagram.remote)
  if (!sa.keys) return deriveThen(context, sa, datagram)
  if (isRepeated(sa, message.header)) return repeatForFirst(context, sa, message, datagram)
  if (sa.jobs.length > 0) return holdAuthentic(context, sa, message, datagram)
  collect(context, sa, message, datagram)
}

/** The peer repeats all fragments of its request; one of them is enough to repeat the answer (§2.6.1). */
function repeatForFirst(context: Context, sa: IkeSa, message: FragmentMessage, datagram: IkeDatagram) {
  if (message.skf.number > 1) return drop(context, 'ike-fragment-repeated', datagram.remote)
  if (sa.state === 'auth') return repeatLast(context, sa, datagram)
  const inside = unseal(datagram.data, message.skf.offset, receiveKeys(sa))
  if (!inside.ok) return drop(context, inside.reason, datagram.remote)
  inside.value.fill(0)
  repeatAnswer(context, sa, datagram)
}

/** A public-key operation is under way: what is authentic waits, what is not is not kept. */
function holdAuthentic(context: Context, sa: IkeSa, message: FragmentMessage, datagram: IkeDatagram) {
  const inside = unseal(datagram.data, message.skf.offset, receiveKeys(sa))
  if (!inside.ok) return drop(context, inside.reason, datagram.remote)
  inside.value.fill(0)
  hold(context, sa, message.header, datagram)
}

/** Authentic fragments are put aside until the message is whole; then it goes the way of every other. */
function collect(context: Context, sa: IkeSa, message: FragmentMessage, datagram: IkeDatagram) {
  const { header, skf } = message
  const whole = openFragment(datagram.data, message, receiveKeys(sa), context.state.reassembly, context.now)
  if (!whole.ok && !whole.notify) return drop(context, whole.reason, datagram.remote)
  if (skf.number === 1 && !header.response)
    sa.firstFragment = { messageId: header.messageId, digest: digestOf(datagram.data) }
  if (!whole.ok) return deliver(context, sa, header, whole, datagram)
  if (whole.value === null) return
  const isCovered = header.exchange === Exchange.IKE_INTERMEDIATE
  const octets = isCovered ? reassembledOctets(datagram.data, whole.inner) : null
  deliver(context, sa, header, whole, datagram, octets)
}
