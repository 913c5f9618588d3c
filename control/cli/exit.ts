// Exit codes (command language, section 1) and how every command ends.

import type { Answer } from '../manage/exec.ts'

export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, noGateway: 4, unfit: 5 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Ends a command with a code and a sentence; nothing else of it is printed. */
export class ExitError extends Error {
  readonly exit: ExitCode
  /** stable word for --json */
  readonly code: string
  constructor(exit: ExitCode, code: string, message: string) {
    super(message)
    this.exit = exit
    this.code = code
  }
}

/** The sentence on stderr, or with --json the answer on stdout. */
export function printError(json: boolean, error: { code: string; message: string }) {
  if (json) printJson({ ok: false, error: { code: error.code, message: error.message } })
  else process.stderr.write(`asegate: ${error.message}\n`)
}

export function printJson(answer: Answer | Record<string, unknown>) {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

export function printLines(lines: string[]) {
  for (const line of lines) process.stdout.write(`${line}\n`)
}
