// Matching the words of a line with a compiled pattern.

import type { Leaf, Pattern } from './pattern.ts'
import type { Word } from './text.ts'
import { classRules, intOf, listOf, portsOf } from './words.ts'

export type Capture = { name: string; word: Word; leaf: Leaf }
export type Matched = { ok: true; captures: Capture[] }
/** How many words fit before the line went wrong, and what could have stood there; complete: the line might have ended there. */
export type Mismatch = { ok: false; fitted: number; expected: Leaf[]; complete: boolean }

type State = { words: Word[]; fitted: number; expected: Leaf[]; complete: boolean }
type Next = (at: number, captures: Capture[]) => Capture[] | null

/** Matches all words; options are tried before they are left out, choices in their order. */
export function matchPattern(pattern: Pattern, words: Word[]): Matched | Mismatch {
  const state: State = { words, fitted: 0, expected: [], complete: false }
  const captures = walk(pattern, 0, [], state, (at, found) => {
    if (at === words.length) return found
    note(state, at, null)
    return null
  })
  if (captures !== null) return { ok: true, captures }
  return { ok: false, fitted: state.fitted, expected: state.expected, complete: state.complete }
}

function walk(pattern: Pattern, at: number, found: Capture[], state: State, next: Next): Capture[] | null {
  switch (pattern.kind) {
    case 'sequence':
      return walkSequence(pattern.items, 0, at, found, state, next)
    case 'choice':
      for (const item of pattern.items) {
        const result = walk(item, at, found, state, next)
        if (result !== null) return result
      }
      return null
    case 'optional':
      return walk(pattern.item, at, found, state, next) ?? next(at, found)
    default:
      return walkLeaf(pattern, at, found, state, next)
  }
}

function walkSequence(
  items: Pattern[],
  index: number,
  at: number,
  found: Capture[],
  state: State,
  next: Next,
): Capture[] | null {
  if (index === items.length) return next(at, found)
  return walk(items[index], at, found, state, (after, captures) =>
    walkSequence(items, index + 1, after, captures, state, next),
  )
}

function walkLeaf(leaf: Leaf, at: number, found: Capture[], state: State, next: Next): Capture[] | null {
  const word = state.words[at]
  if (word === undefined || !leafFits(leaf, word)) {
    note(state, at, leaf)
    return null
  }
  const captures = leaf.capture === null ? found : [...found, { name: leaf.capture, word, leaf }]
  return next(at + 1, captures)
}

/** Remembers the furthest point reached and what was tried there; leaf null: the end of the line was. */
function note(state: State, at: number, leaf: Leaf | null) {
  if (at < state.fitted) return
  if (at > state.fitted) Object.assign(state, { fitted: at, expected: [], complete: false })
  if (leaf === null) state.complete = true
  else state.expected.push(leaf)
}

/** Whether the word can stand at the leaf. */
export function leafFits(leaf: Leaf, word: Word): boolean {
  if (leaf.kind === 'keyword') return !word.quoted && word.text === leaf.word
  return classRules(leaf.class).fits(word)
}

/** Why a captured word is out of range, or null. */
export function captureFault(capture: Capture): string | null {
  if (capture.leaf.kind === 'keyword') return null
  const { class: name, min, max } = capture.leaf
  return classRules(name).outOfRange?.(capture.word.text, { min, max }) ?? null
}

/** Named words of a matched line, read by the statement's apply. Asking for an absent name without a fallback is a programming error. */
export class Values {
  readonly #words: Map<string, string>

  constructor(captures: Capture[]) {
    this.#words = new Map(captures.map((capture) => [capture.name, capture.word.text]))
  }

  has(name: string): boolean {
    return this.#words.has(name)
  }

  text(name: string): string {
    const text = this.#words.get(name)
    if (text === undefined) throw new Error(`statement has no word named ${name}`)
    return text
  }

  maybe(name: string): string | undefined {
    return this.#words.get(name)
  }

  int(name: string): number {
    return intOf(this.text(name))
  }

  maybeInt(name: string): number | undefined {
    return this.has(name) ? this.int(name) : undefined
  }

  ports(name: string): [number, number] {
    return portsOf(this.text(name))
  }

  list(name: string): number[] {
    return listOf(this.text(name))
  }
}
