// Two gateways that start at the same time end up with two IKE SAs; RFC 7296 leaves what follows to policy. Both ends
// keep the same one: that with the greater initiator SPI. The end that began the other deletes it soon; if that end
// does not know the rule, we do it later.

import { livingChildren } from './children.ts'
import { beginDelete } from './delete.ts'
import { sharesIkeSa } from './peers.ts'
import { forget, leaveToSibling, siblingOf, tunnelOf } from './sas.ts'
import type { Context, IkeSa } from './state.ts'
import { addTask } from './tasks.ts'

/** Time for the other end to see both SAs up before one of them goes, ms. */
const SETTLE_MS = 1_000

/** After `sa` came up, or took over from another: attempts that it makes needless end, and of two equal SAs one is marked. */
export function settleDuplicates(context: Context, sa: IkeSa): void {
  for (const other of [...context.state.sas.values()]) {
    if (other === sa || !other.peer || !sharesIkeSa(other.peer, sa.peer!)) continue
    if (other.state === 'init' && other.role === 'initiator') giveUpAttempt(context, other, sa)
  }
  const twin = siblingOf(context, sa)
  if (twin) mark(context, sa.initiatorSpi < twin.initiatorSpi ? sa : twin)
}

/** Our own attempt has shown the peer nothing but IKE_SA_INIT: it ends without a trace, its tunnels go on with `sa`. */
function giveUpAttempt(context: Context, attempt: IkeSa, sa: IkeSa): void {
  const waiting = [tunnelOf(attempt), ...attempt.wanted]
  forget(context, attempt)
  for (const tunnel of waiting) ensureChild(sa, tunnel)
}

function ensureChild(sa: IkeSa, tunnel: string): void {
  if (livingChildren(sa, tunnel).length > 0) return
  addTask(sa, { kind: 'create-child', tunnel, keRounds: 0, group: null })
}

function mark(context: Context, loser: IkeSa): void {
  const wait = loser.role === 'initiator' ? SETTLE_MS : context.options.duplicateMs
  loser.duplicateAt = Math.min(loser.duplicateAt, context.now + wait)
}

/**
 * -- established -> deleting: the time of a marked SA has come, if its twin lives at both ends: our last answer to it
 * may have been lost, so the peer is asked first.
 */
export function endDuplicate(context: Context, sa: IkeSa) {
  sa.duplicateAt = Number.POSITIVE_INFINITY
  const twin = siblingOf(context, sa)
  if (!twin) return
  if (!twin.confirmed) {
    sa.duplicateAt = context.now + SETTLE_MS
    return addTask(twin, { kind: 'probe' })
  }
  for (const child of sa.children.values()) ensureChild(twin, child.tunnel)
  leaveToSibling(context, sa, 'cleared')
  beginDelete(context, sa, 'cleared')
}
