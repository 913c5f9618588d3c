// What a commit check sees and how it speaks.

import type { Files } from '../../ports.ts'
import type { PkiFacts } from '../certificates.ts'
import type { Config, Lined } from '../model.ts'
import { nearestWord, shown } from '../nearest.ts'

/** The machine as far as the checks may look at it. */
export type CheckFiles = Pick<Files, 'readSecret' | 'exists' | 'read'>
export type CheckEnvironment = {
  /** whether owner and mode of the configuration file fit a secret; left out: asked from readSecret(file) */
  privateFile?: boolean
  /** facts about certificates; left out: only the presence and mode of files named in the configuration are checked */
  pki?: PkiFacts
  /** whether the host has a device of this name that is not ours */
  foreignDevice?: (name: string) => boolean
  /** wall clock, milliseconds since 1970; left out: no certificate is near its end */
  wall?: number
}

export type CheckContext = {
  config: Config
  files: CheckFiles
  environment: CheckEnvironment
  error: (line: number, code: string, message: string) => void
  warn: (line: number, code: string, message: string) => void
}
export type Check = (context: CheckContext) => void

/** The line of a statement of an object, else that of the object's head. */
export function lineOf(object: Pick<Lined, 'line' | 'lines'>, statement: string): number {
  return object.lines[statement] ?? object.line
}

/** `; did you mean "a"? there are: a, b` for a name that is not among those that exist. */
export function alternatives(name: string, existing: Iterable<string>): string {
  const names = [...existing]
  if (names.length === 0) return '; there is none'
  const near = nearestWord(name, names)
  const hint = near === null ? '' : `; did you mean ${shown(near)}?`
  return `${hint}; there ${names.length === 1 ? 'is' : 'are'}: ${names.slice(0, 10).join(', ')}`
}

/** Why a secret could not be read: the file is not there, or what the ports threw. */
export function whyUnreadable(files: CheckFiles, path: string | undefined, error: unknown): string {
  if (path !== undefined && !files.exists(path)) return `there is no file ${path}; make it with mode 0600`
  return error instanceof Error ? error.message : 'unreadable'
}
