// What the user sees of a lab: text for a person, or JSON lines of which the last is the verdict.

import type { LabEvent, LabMode, LabResult } from './lab-events.ts'
import type { LabPlan } from './lab-plan.ts'
import { LabView } from './lab-view.ts'

export interface LabOutput {
  opening(plan: LabPlan, mode: LabMode): void
  take(event: LabEvent): void
  /** all is torn down; interrupted: a signal came before there was a verdict */
  finish(interrupted: boolean): void
}

type Write = (text: string) => void

/** Lines and tables; colour on a terminal only. */
export class TextOutput implements LabOutput {
  readonly #write: Write
  readonly #stays: boolean
  readonly #view: LabView

  constructor(write: Write, stays: boolean, colour: boolean) {
    this.#write = write
    this.#stays = stays
    this.#view = new LabView(write, colour)
  }

  opening(plan: LabPlan, mode: LabMode): void {
    this.#view.opening(plan, mode)
  }

  take(event: LabEvent): void {
    if (event.kind !== 'next' || this.#stays) this.#view.show(event)
  }

  finish(interrupted: boolean): void {
    this.#write(
      interrupted ? '\ninterrupted; everything the lab made is gone\n' : 'everything the lab made is gone\n',
    )
  }
}

/** `{"event":...}` lines and the verdict `{"ok":...}`: at once while the lab stands on, else after the tear-down. */
export class JsonOutput implements LabOutput {
  readonly #write: Write
  readonly #stays: boolean
  #result: LabResult | null = null
  #reason: string | null = null
  #told = false

  constructor(write: Write, stays: boolean) {
    this.#write = write
    this.#stays = stays
  }

  opening(): void {}

  take(event: LabEvent): void {
    if (event.kind === 'result') {
      this.#result = event.result
      this.#reason = event.reason
      return
    }
    if (event.kind === 'failed') this.#reason ??= event.reason
    if (!this.#told) this.#write(`${JSON.stringify({ event })}\n`)
    if (event.kind === 'next' && this.#stays) this.#tell()
    if (event.kind === 'failed' && this.#told) this.#tell()
  }

  finish(interrupted: boolean): void {
    if (interrupted) this.#reason = 'interrupted before there was a verdict'
    if (!this.#told) this.#tell()
  }

  #tell(): void {
    this.#told = true
    const ok = this.#result !== null && this.#reason === null
    const error = { code: 'lab-failed', message: this.#reason ?? 'the lab could not be run here' }
    const line = ok ? { ok, data: this.#result } : { ok, error, data: this.#result ?? undefined }
    this.#write(`${JSON.stringify(line)}\n`)
  }
}
