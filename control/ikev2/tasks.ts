// What an IKE SA still has to do: one exchange in flight, the rest waits here (RFC 7296 §2.3, window of one).

import type { Context, IkeSa, Task } from './state.ts'

/** A task without the time before which it rests. */
export type NewTask = Task extends infer T ? (T extends Task ? Omit<T, 'notBefore'> : never) : never

/** Queues a task, at once or at `notBefore`. A second one of the same kind and object is not added. */
export function addTask(sa: IkeSa, task: NewTask, notBefore = 0): void {
  if (sa.tasks.some((each) => isSame(each, task))) return
  sa.tasks.push({ ...task, notBefore } as Task)
}

function isSame(a: NewTask, b: NewTask): boolean {
  if (a.kind !== b.kind) return false
  if (a.kind === 'create-child' && b.kind === 'create-child') return a.tunnel === b.tunnel
  if (a.kind === 'rekey-child' && b.kind === 'rekey-child') return a.child === b.child
  if (a.kind === 'delete-child') return false
  return true
}

/** A window of one; and while the peer renews this SA, nothing new is begun on it (RFC 7296 §2.25). */
function isOccupied({ exchange, jobs, pending, state }: IkeSa): boolean {
  return exchange !== null || jobs.length > 0 || (pending?.what === 'ike' && state === 'established')
}

/** Takes the next task that may begin now, or null: an exchange or a job is under way, or nothing is due. */
export function takeTask(context: Context, sa: IkeSa): Task | null {
  if (isOccupied(sa)) return null
  const isReady = (task: Task) =>
    task.notBefore <= context.now &&
    (sa.state === 'established' ||
      ((sa.state === 'replaced' || sa.state === 'deleting') && task.kind === 'delete-ike'))
  const at = sa.tasks.findIndex(isReady)
  return at < 0 ? null : sa.tasks.splice(at, 1)[0]
}

/** When the next task becomes due, monotonic ms. */
export function taskDeadline(sa: IkeSa): number {
  let earliest = Number.POSITIVE_INFINITY
  if (isOccupied(sa)) return earliest
  for (const { notBefore } of sa.tasks) earliest = Math.min(earliest, notBefore)
  return earliest
}
