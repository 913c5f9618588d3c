// What a mode of the language is: the statements that may stand in it, as data.

import type { Values } from '../match.ts'
import { compilePattern, leadingKeywords, type Pattern, patternText } from '../pattern.ts'
import { RULES } from './rules.ts'

/** Where a statement stands, for what it stores. */
export type Site = {
  line: number
  /** PATH relative to the configuration file */
  path: (text: string) => string
}

/** Objects remember the line of each single-valued statement under its key. */
export type Target = { lines: Record<string, number> }

/** How an entry is declared. `key`: what counts as the same statement given twice; null: it may repeat. */
export type StatementSpec<T extends Target> = {
  pattern: string
  apply: (target: T, values: Values, site: Site) => void
  key?: ((values: Values) => string | string[]) | null
  /** its words may be secret: messages never repeat them */
  secret?: boolean
  /** what the word classes cannot see; a fault keeps the statement from being applied */
  fault?: (values: Values) => Fault | null
}

export type Fault = { code: 'syntax' | 'range'; message: string }

type HeadSpec<T extends Target> = {
  pattern: string
  open: (target: T, values: Values, site: Site) => OpenMode
}

/** A statement bound to the object that it changes; `opens` tells heads from plain statements. */
export type BoundEntry = {
  pattern: Pattern
  opens: boolean
  secret: boolean
  /** keys under which a repetition counts as `duplicate` */
  keys: (values: Values) => string[]
  lines: Record<string, number>
  fault: (values: Values) => Fault | null
  run: (values: Values, site: Site) => OpenMode | null
}

/** A mode on one object, its type erased: what the parser's stack holds. */
export type OpenMode = { name: string; entries: BoundEntry[] }

type Bind<T extends Target> = { pattern: Pattern; bind: (target: T, pattern: Pattern) => BoundEntry }
export type Mode<T extends Target> = { name: string; entries: Bind<T>[] }

/** A statement of a mode. */
export function statement<T extends Target>(spec: StatementSpec<T>): Bind<T> {
  const pattern = compilePattern(spec.pattern, RULES)
  const fixed = leadingKeywords(pattern).join(' ')
  const keys = (values: Values): string[] => {
    if (spec.key === null) return []
    return spec.key === undefined ? [fixed] : [spec.key(values)].flat()
  }
  const bind = (target: T): BoundEntry => ({
    pattern,
    opens: false,
    secret: spec.secret ?? false,
    keys,
    lines: target.lines,
    fault: spec.fault ?? (() => null),
    run: (values, site) => {
      spec.apply(target, values, site)
      return null
    },
  })
  return { pattern, bind }
}

/** A line that opens a mode. */
export function head<T extends Target>(spec: HeadSpec<T>): Bind<T> {
  const pattern = compilePattern(spec.pattern, RULES)
  const bind = (target: T): BoundEntry => ({
    pattern,
    opens: true,
    secret: false,
    keys: () => [],
    lines: target.lines,
    fault: () => null,
    run: (values, site) => spec.open(target, values, site),
  })
  return { pattern, bind }
}

export function defineMode<T extends Target>(name: string, entries: Bind<T>[]): Mode<T> {
  return { name, entries }
}

/** The mode on one object. */
export function enter<T extends Target>(mode: Mode<T>, target: T): OpenMode {
  return { name: mode.name, entries: mode.entries.map((entry) => entry.bind(target, entry.pattern)) }
}

/** The grammar lines of a mode, in order: for documentation and messages. */
export function modeGrammar<T extends Target>(mode: Mode<T>): string[] {
  return mode.entries.map((entry) => patternText(entry.pattern))
}

/** Gets the named object, or makes it: naming an object again re-opens it. */
export function reopen<T>(map: Map<string, T>, name: string, make: () => T): T {
  const existing = map.get(name)
  if (existing !== undefined) return existing
  const fresh = make()
  map.set(name, fresh)
  return fresh
}
