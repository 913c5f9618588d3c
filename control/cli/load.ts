// A configuration file on this host: read, parsed, checked with everything the host can answer.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { loadConfig } from '../config/load.ts'
import type { CheckResult } from '../config/model.ts'
import { pkiFacts } from '../pki/facts.ts'
import type { Files } from '../ports.ts'
import { EXIT, ExitError } from './exit.ts'

/**
 * Throws ExitError when the file cannot be read; every other fault is a finding. `own` names devices that the
 * running gateway has made itself.
 */
export function loadFile(path: string, files: Files, own: ReadonlySet<string> = new Set()): CheckResult {
  const file = resolve(path)
  return loadConfig(file, readText(path, files), files, {
    pki: pkiFacts(files),
    foreignDevice: (name) => !own.has(name) && existsSync(`/sys/class/net/${name}`),
    wall: Date.now(),
  })
}

function readText(path: string, files: Files): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(files.read(resolve(path)))
  } catch (error) {
    const why = error instanceof TypeError ? 'it is no UTF-8 text' : messageOf(error)
    throw new ExitError(EXIT.failed, 'file', `cannot read ${path}: ${why}`)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
