// A configuration file on this host: read, parsed, checked with everything the host can answer.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { loadConfig } from '../config/load.ts'
import type { CheckResult } from '../config/model.ts'
import { ask } from '../manage/client.ts'
import { pkiFacts } from '../pki/facts.ts'
import type { Files } from '../ports.ts'
import { EXIT, ExitError } from './exit.ts'

/**
 * Throws ExitError when the file cannot be read; every other fault is a finding. `own` names devices that the
 * running gateway has made itself.
 */
export function loadFile(path: string, files: Files, own: ReadonlySet<string> = new Set()): CheckResult {
  const file = resolve(path)
  const foreign = hostDevices().difference(own)
  return loadConfig(file, readText(path, files), files, {
    pki: pkiFacts(files),
    foreignDevice: (name) => foreign.has(name),
    wall: Date.now(),
  })
}

/** Devices of a gateway that runs here are no strangers; without one every device of that name is. */
export async function gatewayDevices(socket: string): Promise<Set<string>> {
  const answer = await ask(socket, 'show circuit').catch(() => null)
  const rows = answer?.ok ? (answer.data as { device: string }[]) : []
  return new Set(rows.map(({ device }) => device))
}

/** Network devices of this process's namespace; /sys may still show those of another one. */
function hostDevices(): Set<string> {
  const lines = readFileSync('/proc/self/net/dev', 'utf8').split('\n').slice(2)
  return new Set(lines.flatMap((line) => /^\s*([^:\s]+):/.exec(line)?.[1] ?? []))
}

function readText(path: string, files: Files): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(files.read(resolve(path)))
  } catch (error) {
    const why = error instanceof TypeError ? 'it is no UTF-8 text' : messageOf(error)
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new ExitError(EXIT.failed, 'file', `cannot read ${path}: ${absent ? 'there is no such file' : why}`)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
