// Long public-key work: one queue per IKE SA, one job at a time, continued in computed() (design, section 4).

import { wipe } from '../crypto/suite.ts'
import type { CryptoJob, CryptoResult } from '../ports.ts'
import type { IkeSaId } from '../sa/contract.ts'
import type { Context, IkeSa } from './state.ts'

/** Queues a job; `then` runs in computed(). When the SA ends before, `abandon` runs instead and gives back what was prepared. */
export function compute(
  context: Context,
  sa: IkeSa,
  job: CryptoJob,
  then: (context: Context, result: CryptoResult) => void,
  abandon: (context: Context) => void = () => {},
): void {
  sa.jobs.push({ token: context.state.nextToken++, job, then, abandon })
  if (sa.jobs.length === 1) emitHead(context, sa)
}

function emitHead(context: Context, sa: IkeSa): void {
  const { token, job } = sa.jobs[0]
  context.actions.push({ kind: 'compute', ikeSa: sa.id, token, job })
}

/**
 * Continues the transition that waits for this result. Returns the SA when its queue has run empty, so that held
 * datagrams can go on; null otherwise. A result nobody waits for is wiped.
 */
export function continueJob(
  context: Context,
  ikeSa: IkeSaId,
  token: number,
  result: CryptoResult,
): IkeSa | null {
  const sa = context.state.sas.get(ikeSa)
  const head = sa?.jobs[0]
  if (!sa || !head || head.token !== token) {
    wipeResult(result)
    return null
  }
  sa.jobs.shift()
  head.then(context, result)
  if (sa.jobs.length > 0) emitUnsent(context, sa)
  return sa.jobs.length === 0 ? sa : null
}

/** The next job goes out now unless compute() has just sent it. */
function emitUnsent(context: Context, sa: IkeSa): void {
  const { token } = sa.jobs[0]
  const isOut = context.actions.some((action) => action.kind === 'compute' && action.token === token)
  if (!isOut) emitHead(context, sa)
}

/** Nobody will continue these jobs: their private values go now, their results when they come. */
export function cancelJobs(context: Context, sa: IkeSa): void {
  const { jobs } = sa
  sa.jobs = []
  for (const { job, abandon } of jobs) {
    if (job.kind === 'dh-derive' || job.kind === 'kem-decapsulate') wipe(job.privateValue)
    abandon(context)
  }
}

export function wipeResult(result: CryptoResult): void {
  if ('privateValue' in result) wipe(result.privateValue)
  if ('secret' in result) wipe(result.secret)
}
