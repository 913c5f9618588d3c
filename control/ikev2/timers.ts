// What time does: retransmission, lifetimes, liveness, and the tasks that wait (RFC 7296 §2.4, §2.8).

import type { Reason } from '../sa/contract.ts'
import { activateChild, dropChild } from './children.ts'
import { report } from './context.ts'
import { beginCreateChild, beginRekeyChild } from './create-child-initiator.ts'
import { beginDelete, beginDeleteChildren, sendDelete } from './delete.ts'
import { endDuplicate } from './duplicates.ts'
import { isSetUp, transmit } from './exchange.ts'
import { failHandshake } from './handshake.ts'
import { beginProbe } from './informational.ts'
import { beginAddressCheck, beginUpdate } from './mobike.ts'
import { keepAlive, keepaliveAt } from './mobility.ts'
import { abandonPending } from './offers.ts'
import { SPARE_IDS } from './options.ts'
import { beginRekeyIke } from './rekey-ike.ts'
import { reasonOfNotify } from './reports.ts'
import { endIkeSa, forget, tunnelOf } from './sas.ts'
import type { ChildSa, Context, Exchange, IkeSa, Task } from './state.ts'
import { addTask, takeTask, taskDeadline } from './tasks.ts'

const never = Number.POSITIVE_INFINITY

/** When this SA wants tick() next, monotonic ms. Asked of every SA after each event: it allocates nothing. */
export function saDeadline(context: Pick<Context, 'options'>, sa: IkeSa): number {
  const work = Math.min(probeAt(sa), keepaliveAt(context, sa), taskDeadline(sa))
  let earliest = Math.min(sa.endAt, sa.softAt, sa.hardAt, sa.duplicateAt, sa.exchange?.nextAt ?? never, work)
  if (sa.pending) earliest = Math.min(earliest, sa.pending.endAt)
  for (const { softAt, hardAt, removeAt, activateAt } of sa.children.values())
    earliest = Math.min(earliest, softAt, hardAt, removeAt, activateAt)
  return earliest
}

/** Liveness is asked for after silence only, and not while a request waits for its answer anyway (§2.4). */
function probeAt(sa: IkeSa): number {
  const dpd = sa.peer?.dpd
  if (sa.state !== 'established' || !dpd || sa.exchange || sa.jobs.length > 0) return never
  return sa.lastInbound + dpd.interval * 1000
}

/** Everything that is due on one SA, in the order: exchange, end, Child SAs, renewals, liveness, tasks. */
export function tickSa(context: Context, sa: IkeSa) {
  const { now } = context
  if (sa.exchange && now >= sa.exchange.nextAt) retransmitOrEnd(context, sa, sa.exchange)
  if (!context.state.sas.has(sa.id)) return
  if (now >= sa.endAt) return endHalfDone(context, sa)
  if (sa.pending && now >= sa.pending.endAt) abandonPending(context, sa)
  for (const child of [...sa.children.values()]) tickChild(context, sa, child)
  const idsLeft = messageIdsLeft(context, sa)
  if (now >= sa.hardAt || idsLeft < -SPARE_IDS) return expireIke(context, sa)
  if (now >= sa.softAt || idsLeft < 0) renewIke(sa)
  if (now >= sa.duplicateAt) endDuplicate(context, sa)
  if (now >= probeAt(sa)) addTask(sa, { kind: 'probe' })
  if (now >= keepaliveAt(context, sa)) keepAlive(context, sa)
  runTasks(context, sa)
}

/** Ids never wrap (§2.2): below zero the SA is renewed, and if that fails, it ends. */
function messageIdsLeft(context: Context, sa: IkeSa): number {
  if (sa.state !== 'established') return Number.POSITIVE_INFINITY
  return context.options.messageIdLimit - Math.max(sa.nextRequestId, sa.expectedRequestId)
}

function renewIke(sa: IkeSa): void {
  sa.softAt = never
  addTask(sa, { kind: 'rekey-ike', keRounds: 0, group: null })
}

function retransmitOrEnd(context: Context, sa: IkeSa, exchange: Exchange) {
  if (context.now < exchange.giveUpAt) return transmit(context, sa, exchange)
  const { kind } = exchange.purpose
  if (isSetUp(exchange.purpose)) return failHandshake(context, sa, silenceReason(context, sa))
  if (kind === 'delete-ike' || kind === 'auth-failed' || sa.state !== 'established')
    return forget(context, sa)
  declareDead(context, sa, exchange)
}

/** Nothing came, or only an error in clear: then that is the best we know (§2.21.1). */
function silenceReason(context: Context, sa: IkeSa): Reason {
  const error = sa.handshake?.clearError ?? null
  if (error !== null) return reasonOfNotify(error)
  report(context, {
    tunnel: tunnelOf(sa),
    level: 'error',
    code: 'no-answer',
    text: `the peer did not answer ${UNANSWERED[sa.exchange?.purpose.kind ?? ''] ?? 'IKE_AUTH'}`,
    advice: 'check its address, that it runs, and that UDP 500 and 4500 pass both ways',
    peer: sa.remote,
  })
  return 'no-answer'
}

const UNANSWERED: Record<string, string> = { init: 'IKE_SA_INIT', intermediate: 'IKE_INTERMEDIATE' }

/** -- established -> gone: the schedule has run out (§2.4). */
function declareDead(context: Context, sa: IkeSa, exchange: Exchange): void {
  report(context, {
    tunnel: tunnelOf(sa),
    level: 'error',
    code: 'peer-dead',
    text: `the peer answered none of ${exchange.attempt} transmissions`,
    advice: 'the tunnel is tried again by itself',
    peer: sa.remote,
  })
  endIkeSa(context, sa, 'peer-dead')
}

/** Half-open, lingering, replaced or deleting for too long. */
function endHalfDone(context: Context, sa: IkeSa) {
  if (sa.role === 'initiator' && (sa.state === 'init' || sa.state === 'auth')) {
    return failHandshake(context, sa, 'no-answer')
  }
  forget(context, sa)
}

function expireIke(context: Context, sa: IkeSa): void {
  report(context, {
    tunnel: tunnelOf(sa),
    level: 'error',
    code: 'expired',
    text: 'the IKE SA reached its hard lifetime before it was renewed',
    advice: 'see why the renewal failed; the tunnel is tried again by itself',
    peer: sa.remote,
  })
  beginDelete(context, sa, 'expired')
  runTasks(context, sa)
}

function tickChild(context: Context, sa: IkeSa, child: ChildSa) {
  const { now } = context
  if (now >= child.removeAt) return dropChild(context, child, child.endReason)
  if (now >= child.hardAt) return expireChild(context, sa, child)
  if (now >= child.activateAt) activateChild(context, child)
  if (now < child.softAt) return
  child.softAt = never
  addTask(sa, { kind: 'rekey-child', child: child.id, keRounds: 0, group: null })
}

/** -- active -> gone: never used past the limit, and the peer is told (features K10). */
export function expireChild(context: Context, sa: IkeSa, child: ChildSa): void {
  dropChild(context, child, 'expired')
  addTask(sa, { kind: 'delete-child', children: [], spis: [child.spiIn] })
}

/** Begins what may begin: one exchange at a time. */
export function runTasks(context: Context, sa: IkeSa): void {
  for (;;) {
    const task = takeTask(context, sa)
    if (!task) return
    begin(context, sa, task)
  }
}

function begin(context: Context, sa: IkeSa, task: Task) {
  switch (task.kind) {
    case 'create-child':
      return createFor(context, sa, task)
    case 'rekey-child': {
      const child = sa.children.get(task.child)
      if (child) beginRekeyChild(context, sa, child, task.keRounds, task.group)
      return
    }
    case 'rekey-ike':
      return beginRekeyIke(context, sa, task.keRounds, task.group)
    case 'delete-child':
      return beginDeleteChildren(context, sa, task.children, task.spis)
    case 'delete-ike':
      return sendDelete(context, sa)
    case 'probe':
      return beginProbe(context, sa)
    case 'update-addresses':
      return beginUpdate(context, sa)
    case 'check-address':
      return beginAddressCheck(context, sa)
  }
}

/** The tunnel may be gone from the configuration, or have got its Child SA meanwhile. */
function createFor(context: Context, sa: IkeSa, task: Extract<Task, { kind: 'create-child' }>): void {
  const peer = context.state.peers.get(task.tunnel)
  const isCovered = context.state.sending.has(task.tunnel)
  if (peer && !isCovered) beginCreateChild(context, sa, peer, task.keRounds, task.group)
}
