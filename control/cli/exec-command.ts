// `asegate show ...`, `clear ...`, `trace ...`: one exec command, its answer as a table or as JSON.

import { RouteGuards } from '../../bindings/linux/guards.ts'
import { ask, NoGatewayError } from '../manage/client.ts'
import { type Answer, parseCommand, refusal } from '../manage/exec.ts'
import { render } from '../manage/render.ts'
import { EXIT, type ExitCode, ExitError, printError, printJson, printLines } from './exit.ts'

export type ExecOptions = { json?: boolean; socket: string }

/** Refusals of a gateway that are the operator's typing. */
const USAGE = new Set(['usage'])

export async function runExec(words: string[], options: ExecOptions): Promise<ExitCode> {
  const line = words.map(quoteWord).join(' ')
  const parsed = parseCommand(line)
  if (!parsed.ok) return finish(refusal(line, parsed.message), options)
  const answer = await askOrAct(line, parsed.name, options.socket)
  if (options.json || !answer.ok) return finish(answer, options)
  printLines(render(parsed.name, answer.data, parsed.values.has('detail'), terminalWidth()))
  return EXIT.done
}

/** `clear guard-routes` needs no gateway: what an earlier one left is removed here. */
async function askOrAct(line: string, name: string, socket: string): Promise<Answer> {
  try {
    return await ask(socket, line)
  } catch (error) {
    if (!(error instanceof NoGatewayError)) throw error
    if (name !== 'clear-guards') throw new ExitError(EXIT.noGateway, 'no-gateway', error.message)
    return { ok: true, data: clearGuards() }
  }
}

function clearGuards() {
  const guards = new RouteGuards()
  try {
    return { cleared: guards.clear(), kept: [] }
  } finally {
    guards.close()
  }
}

function finish(answer: Answer, { json }: ExecOptions): ExitCode {
  if (json) printJson(answer)
  else if (!answer.ok) printError(false, answer.error)
  if (answer.ok) return EXIT.done
  return USAGE.has(answer.error.code) ? EXIT.usage : EXIT.failed
}

/** A word of the command line as a word of the command language. */
function quoteWord(word: string): string {
  return /^[^\s"!\\]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`
}

function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY
}
