// TEMPORARY_FAILURE (RFC 7296 §2.25): the peer is busy with something that collides. Not at once, not in step with
// the peer, and not for ever: after several minutes both ends are out of step and the IKE SA ends.

import { randomBelow, report } from './context.ts'
import { beginDelete } from './delete.ts'
import { tunnelOf } from './sas.ts'
import type { Context, IkeSa } from './state.ts'

/** When to ask again, monotonic ms; null: it has lasted too long, the IKE SA is being deleted. */
export function retryAt(context: Context, sa: IkeSa): number | null {
  const { temporaryFailureMs, outOfStepMs } = context.options
  sa.refusedSince = Math.min(sa.refusedSince, context.now)
  if (context.now - sa.refusedSince < outOfStepMs) {
    return context.now + temporaryFailureMs + randomBelow(context, temporaryFailureMs)
  }
  report(context, {
    tunnel: tunnelOf(sa),
    level: 'error',
    code: 'ike-out-of-step',
    text: `the peer has answered TEMPORARY_FAILURE for ${Math.round(outOfStepMs / 1000)} s; the IKE SA ends`,
    advice: 'the tunnel is tried again by itself; see the peer’s log',
    peer: sa.remote,
  })
  beginDelete(context, sa, 'peer-dead')
  return null
}
