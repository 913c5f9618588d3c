// `asegate check FILE [--plan]`: all commit checks, nothing changed.

import { resolve } from 'node:path'
import { SystemFiles } from '../../bindings/files.ts'
import { formatFinding } from '../config/load.ts'
import type { CheckResult, Finding } from '../config/model.ts'
import { ask, NoGatewayError } from '../manage/client.ts'
import { EXIT, type ExitCode, printJson, printLines } from './exit.ts'
import { gatewayDevices, loadFile } from './load.ts'

export type CheckOptions = { plan?: boolean; json?: boolean; socket: string }

export async function checkFile(file: string, options: CheckOptions): Promise<ExitCode> {
  const result = loadFile(file, new SystemFiles(), await gatewayDevices(options.socket))
  const refused = result.errors.length > 0
  const plan = options.plan && !refused ? await askPlan(file, options.socket) : []
  if (options.json) printCheckJson(result, plan)
  else printLines(checkLines(file, result, plan))
  return refused ? EXIT.refused : EXIT.done
}

function printCheckJson({ errors, warnings }: CheckResult, plan: Finding[]) {
  const data = { errors, warnings, plan }
  if (errors.length === 0) printJson({ ok: true, data })
  else printJson({ ok: false, error: { code: 'refused', message: countText(errors.length) }, data })
}

function countText(errors: number): string {
  return errors === 1 ? 'one error refuses the configuration' : `${errors} errors refuse the configuration`
}

function checkLines(file: string, { errors, warnings }: CheckResult, plan: Finding[]): string[] {
  return [
    ...errors.map((finding) => formatFinding(file, finding, 'error')),
    ...warnings.map((finding) => formatFinding(file, finding, 'warning')),
    ...plan.map(({ line, code, message }) => `${file}:${line}: ${code}: ${message}`),
  ]
}

/** What a commit would do to the running gateway; without one there is nothing to compare with. */
async function askPlan(file: string, socket: string): Promise<Finding[]> {
  try {
    const answer = await ask(socket, `plan file ${JSON.stringify(resolve(file))}`)
    if (answer.ok) return answer.data as Finding[]
    process.stderr.write(`asegate: no plan: ${answer.error.message}\n`)
  } catch (error) {
    if (!(error instanceof NoGatewayError)) throw error
    process.stderr.write(`asegate: no plan: ${error.message}\n`)
  }
  return []
}
