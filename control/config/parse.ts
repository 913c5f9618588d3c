// Configuration text to configuration: every line finds its statement or a finding that says why not.
//
// A line is tried in the innermost mode first; a line unknown there closes the mode and is tried one mode out.
// After a mistake the parser goes on as if the obvious correction stood there, so that one typing error does not
// bring ten findings: the configuration is refused anyway.

import { emptyConfig } from './defaults.ts'
import { globalMode } from './grammar/global.ts'
import { type BoundEntry, enter, type OpenMode, type Site } from './grammar/mode.ts'
import { type Capture, captureFault, matchPattern, Values } from './match.ts'
import { corrections, explainMismatch, type Misfit, statementName } from './mismatch.ts'
import type { Config, Finding } from './model.ts'
import type { Leaf } from './pattern.ts'
import { splitLine, type Word } from './text.ts'

export type Parsed = { config: Config; errors: Finding[]; warnings: Finding[] }

type Found = { depth: number; entry: BoundEntry; captures: Capture[] }

/** Parses the whole text. Never throws; `file` names the text in PATH resolution only. */
export function parseConfig(file: string, text: string): Parsed {
  const parser = new Parser(file)
  const lines = text.replace(/^\uFEFF/, '').split('\n')
  for (const [index, line] of lines.entries()) parser.line(index + 1, line.replace(/\r$/, ''))
  return { config: parser.config, errors: parser.errors, warnings: parser.warnings }
}

class Parser {
  readonly config: Config
  readonly errors: Finding[] = []
  readonly warnings: Finding[] = []
  #stack: OpenMode[]
  #site: Site

  constructor(file: string) {
    this.config = emptyConfig(file)
    this.#stack = [enter(globalMode, this.config)]
    this.#site = { line: 0, path: (path) => resolvePath(file, path) }
  }

  line(number: number, text: string) {
    this.#site = { ...this.#site, line: number }
    const split = splitLine(text)
    if (!split.ok) this.#error('syntax', split.message)
    else if (split.words.length > 0) this.#statement(split.words)
  }

  #statement(words: Word[]) {
    const found = this.#find(words)
    if (found !== null) this.#apply(found, words)
    else if (words.length === 1 && isBare(words[0], 'exit')) this.#exit()
    else if (isBare(words[0], 'no'))
      this.#error(
        'syntax',
        '"no" removes statements in the shell only; delete the line from the file instead',
      )
    else this.#mismatch(words)
  }

  /** Innermost mode first. */
  #find(words: Word[]): Found | null {
    for (let depth = this.#stack.length - 1; depth >= 0; depth--) {
      for (const entry of this.#stack[depth].entries) {
        const match = matchPattern(entry.pattern, words)
        if (match.ok) return { depth, entry, captures: match.captures }
      }
    }
    return null
  }

  #apply({ depth, entry, captures }: Found, words: Word[]) {
    this.#stack.length = depth + 1
    const values = new Values(captures)
    const outOfRange = captures.map(captureFault).find((fault) => fault !== null)
    const fault = outOfRange
      ? { code: 'range', message: `${statementName(entry)}: ${outOfRange}` }
      : entry.fault(values)
    if (fault) return this.#error(fault.code, fault.message)
    this.#remember(entry, values)
    this.config.statements.push(`${' '.repeat(depth)}${shownStatement(words, entry.secret, captures)}`)
    const opened = entry.run(values, this.#site)
    if (opened !== null) this.#stack.push(opened)
  }

  #remember(entry: BoundEntry, values: Values) {
    for (const key of entry.keys(values)) {
      const earlier = entry.lines[key]
      if (earlier !== undefined)
        this.#warn('duplicate', `${key} was already given in line ${earlier}; this one counts`)
      entry.lines[key] = this.#site.line
    }
  }

  #exit() {
    if (this.#stack.length > 1) this.#stack.pop()
    else this.#error('syntax', '"exit" closes a mode, and none is open here; delete the line')
  }

  #mismatch(words: Word[]) {
    const misfit = this.#furthest(words)
    this.#error('syntax', explainMismatch(misfit, words, this.#stack))
    for (const corrected of corrections(misfit, words, this.#site.line)) {
      const found = this.#find(corrected)
      if (found !== null) return this.#apply(found, corrected)
    }
  }

  /** The mode that understood most of the line; the innermost of equals. */
  #furthest(words: Word[]): Misfit {
    let best: Misfit = { fitted: 0, expected: [], complete: false, entries: [] }
    for (let depth = this.#stack.length - 1; depth >= 0; depth--) {
      const misfit = misfitIn(this.#stack[depth], words)
      if (misfit.fitted > best.fitted || best.entries.length === 0) best = misfit
    }
    return best
  }

  #error(code: string, message: string) {
    this.errors.push({ line: this.#site.line, code, message })
  }

  #warn(code: string, message: string) {
    this.warnings.push({ line: this.#site.line, code, message })
  }
}

/** What all statements of a mode that fit furthest would have taken. */
function misfitIn(mode: OpenMode, words: Word[]): Misfit {
  const merged: Misfit = { fitted: 0, expected: [], complete: false, entries: [] }
  for (const entry of mode.entries) {
    const match = matchPattern(entry.pattern, words)
    if (match.ok || match.fitted < merged.fitted) continue
    if (match.fitted > merged.fitted)
      Object.assign(merged, { fitted: match.fitted, expected: [], complete: false, entries: [] })
    merged.expected.push(...match.expected)
    merged.complete ||= match.complete
    merged.entries.push(entry)
  }
  return merged
}

/** The statement as it may be shown; of one that carries a secret, no free text and no digits of a key. */
function shownStatement(words: Word[], isSecret: boolean, captures: Capture[]): string {
  const hidden = new Set(
    isSecret ? captures.filter(({ leaf }) => maySecret(leaf)).map(({ word }) => word) : [],
  )
  return words.map((word) => (hidden.has(word) ? '<hidden>' : wordText(word))).join(' ')
}

function maySecret(leaf: Leaf): boolean {
  return leaf.kind === 'class' && (leaf.class === 'STRING' || leaf.class === 'HEX')
}

function wordText({ text, quoted }: Word): string {
  return quoted ? `"${text.replace(/["\\]/g, '\\$&')}"` : text
}

function isBare(word: Word, text: string): boolean {
  return !word.quoted && word.text === text
}

/** PATH is relative to the file's directory. */
function resolvePath(file: string, path: string): string {
  if (path.startsWith('/')) return path
  const directory = file.slice(0, file.lastIndexOf('/') + 1)
  return `${directory}${path}`
}
