// What is committed, what was, and what would be: the configuration file is the candidate, the gateway keeps the last
// ten that ran. SIGHUP and the commands commit, rollback and show configuration end here.
//
// A rollback changes what runs and never the file; committing the file again undoes it.

import { diffLines } from '../config/line-diff.ts'
import { formatFinding } from '../config/load.ts'
import type { CheckResult, Config, Finding } from '../config/model.ts'
import type { Gateway } from '../gateway.ts'
import type { ReloadResult } from '../tunnel/changes.ts'
import { CommandError } from './error.ts'

/** Old configurations kept. */
const KEPT = 10
const MINUTE = 60_000

export type OldConfig = { config: Config; until: number }

/** What a commit answers; `plan`: keep, change, add or delete by tunnel. */
export type CommitAnswer = {
  committed: boolean
  plan: Finding[]
  warnings: Finding[]
  confirmIn: number | null
}

export class Commits {
  readonly #gateway: Gateway
  #old: OldConfig[] = []
  /** `commit confirmed`: what comes back, and which one of the waits is the living one */
  #unconfirmed: { before: Config } | null = null

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  /** The newest first. */
  get old(): readonly OldConfig[] {
    return this.#old
  }

  /** The file as it is now, judged. */
  candidate(): CheckResult {
    const { load } = this.#gateway.options
    if (load === undefined) throw new CommandError('unsupported', 'this gateway reads no files')
    return load(this.#gateway.config.file)
  }

  /** All checks and what a commit would do; nothing changes. Throws CommandError with every error of the file. */
  check(): CommitAnswer {
    const { config, warnings } = this.#accepted()
    const { findings, refused } = this.#gateway.planFor(config)
    if (refused.length > 0) throw refusal(this.#gateway.config.file, refused)
    return { committed: false, plan: findings, warnings, confirmIn: null }
  }

  /**
   * The file takes effect; unchanged tunnels keep their SAs. `minutes`: what ran before comes back after that time
   * unless another commit follows.
   */
  commit(minutes: number | null = null): CommitAnswer {
    const { config, warnings } = this.#accepted()
    const before = this.#unconfirmed?.before ?? this.#gateway.config
    const plan = this.#take(config)
    this.#unconfirmed = null
    if (minutes !== null) this.#await({ before }, minutes)
    return { committed: true, plan, warnings, confirmIn: minutes === null ? null : minutes * 60 }
  }

  /** The configuration before the last `count` commits takes effect again. */
  rollback(count: number): CommitAnswer {
    const wanted = this.old[count - 1]
    if (wanted === undefined) throw new CommandError('not-found', missing(count, this.old.length))
    this.#unconfirmed = null
    return { committed: true, plan: this.#take(wanted.config), warnings: [], confirmIn: null }
  }

  /** What would change if `config` took effect, as lines `- ` and `+ `. */
  diff(config: Config): string[] {
    const lines = diffLines(this.#gateway.config.statements, config.statements)
    return lines.map(({ sign, text }) => `${sign} ${text}`)
  }

  #accepted(): CheckResult {
    const result = this.candidate()
    if (result.errors.length > 0) throw refusal(this.#gateway.config.file, result.errors)
    return result
  }

  #take(config: Config): Finding[] {
    const before = this.#gateway.config
    const result: ReloadResult = this.#gateway.reload(config)
    if (!result.ok) throw refusal(config.file, result.errors)
    this.#old = [{ config: before, until: this.#gateway.ports.clock.wall() }, ...this.#old].slice(0, KEPT)
    this.#gateway.options.committed?.()
    return result.plan
  }

  #await(wait: { before: Config }, minutes: number) {
    this.#unconfirmed = wait
    void this.#gateway.after(minutes * MINUTE).then(() => this.#late(wait))
  }

  /** Nobody confirmed: a change that cut the operator off undoes itself. */
  #late(wait: { before: Config }) {
    if (this.#unconfirmed !== wait || this.#gateway.stopped) return
    this.#unconfirmed = null
    const { log } = this.#gateway.ports
    try {
      this.#take(wait.before)
      log.log('warning', 'the commit was not confirmed: the configuration before it runs again', {
        reason: 'rollback',
      })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      log.log('error', `the commit was not confirmed, and it cannot be undone: ${why}`, {
        reason: 'rollback',
      })
    }
  }
}

/** Why there is no configuration `count` commits ago. */
export function missing(count: number, kept: number): string {
  return kept === 0
    ? 'there is no older configuration: nothing was committed since the gateway started'
    : `there is no configuration ${count} commits ago; there are ${kept}`
}

function refusal(file: string, errors: readonly Finding[]): RefusedError {
  return new RefusedError(
    errors.map((finding) => ({ ...finding, text: formatFinding(file, finding, 'error') })),
  )
}

/** Every error of a configuration that was refused. */
export class RefusedError extends CommandError {
  readonly findings: readonly (Finding & { text: string })[]

  constructor(findings: readonly (Finding & { text: string })[]) {
    super('refused', ['nothing was changed', ...findings.map(({ text }) => text)].join('\n'))
    this.findings = findings
  }
}
