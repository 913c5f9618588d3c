// `show configuration candidate|diff|rollback`, `commit` and `rollback`: values of a command line to Commits and back.

import type { Values } from '../config/match.ts'
import type { Gateway } from '../gateway.ts'
import { missing } from './commits.ts'
import { CommandError } from './error.ts'

/** The file as far as it is understood, without a secret. */
export function showCandidate({ commits }: Gateway) {
  const { config, errors } = commits.candidate()
  return { file: config.file, errors, lines: config.statements }
}

/** What committing the file would change: lines of the text, and tunnels. */
export function showDiff({ commits }: Gateway) {
  const { plan } = commits.check()
  const { config } = commits.candidate()
  return { file: config.file, lines: commits.diff(config), plan: plan.filter(({ code }) => code !== 'keep') }
}

/** One that ran before, 1 the last, and what a rollback to it would change. */
export function showRollback({ commits }: Gateway, values: Values) {
  const count = values.int('count')
  const wanted = commits.old[count - 1]
  if (wanted === undefined) throw new CommandError('not-found', missing(count, commits.old.length))
  return {
    file: wanted.config.file,
    until: new Date(wanted.until).toISOString(),
    lines: wanted.config.statements,
    diff: commits.diff(wanted.config),
  }
}

export function commit({ commits }: Gateway, values: Values) {
  if (values.has('check')) return commits.check()
  return commits.commit(values.maybeInt('minutes') ?? null)
}

export function rollback({ commits }: Gateway, values: Values) {
  return commits.rollback(values.maybeInt('count') ?? 1)
}
