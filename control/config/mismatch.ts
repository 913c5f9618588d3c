// A line that fits no statement: the message that helps, and the corrections worth trying.

import { LANGUAGE } from './grammar/global.ts'
import type { BoundEntry, OpenMode } from './grammar/mode.ts'
import { nearestWord, shown } from './nearest.ts'
import { type Leaf, leadingKeywords, leafText, patternText } from './pattern.ts'
import type { Word } from './text.ts'
import { classRules } from './words.ts'

/** How far a line fitted (`fitted` words), and what its next word could have been, over the statements that fitted so far. */
export type Misfit = { fitted: number; expected: Leaf[]; complete: boolean; entries: BoundEntry[] }

/** The sentence of a `syntax` error. Words of statements that carry secrets are not repeated. */
export function explainMismatch(misfit: Misfit, words: Word[], stack: OpenMode[]): string {
  if (misfit.fitted === 0) return explainUnknown(words[0], stack)
  const secret = misfit.entries.some((entry) => entry.secret)
  const sentence = explainPlace(misfit, words, secret)
  const near = nearestExpected(misfit, words)
  const hint = near === null || secret ? '' : `; did you mean "${near}"?`
  return `${sentence}${hint}${explainExpected(misfit)}`
}

function explainUnknown(word: Word, stack: OpenMode[]): string {
  const mode = stack[stack.length - 1]
  const near = nearestWord(word.text, firstWords(stack))
  const where = mode.name === 'configuration' ? '' : ` in ${mode.name}`
  const home = LANGUAGE.filter((each) => each.statements.some((text) => text.split(' ')[0] === word.text))
  const belongs = home.length === 0 ? '' : `; it belongs in ${home.map((each) => each.name).join(' or ')}`
  const hint = near === null || home.length > 0 ? belongs : `; did you mean "${near}"?`
  return `unknown statement ${shown(word.text)}${where}${hint}; ${mode.name} takes ${statementNames(mode).join(', ')}`
}

function explainPlace(misfit: Misfit, words: Word[], secret: boolean): string {
  if (secret) return explainSecretPlace(misfit, words)
  const before = words.slice(0, misfit.fitted).map((word) => word.text)
  const after = shown(before.join(' '))
  if (misfit.fitted === words.length) return `the line ends too early after ${after}`
  const word = shown(words[misfit.fitted].text)
  if (misfit.complete && misfit.expected.length === 0) return `nothing may follow ${after}, but ${word} does`
  return `${word} does not fit after ${after}`
}

/** Names the place by number: any word of such a line may be the secret. */
function explainSecretPlace(misfit: Misfit, words: Word[]): string {
  const name = statementName(misfit.entries[0])
  if (misfit.fitted === words.length) return `${name} ends too early, after word ${misfit.fitted}`
  return `word ${misfit.fitted + 1} of ${name} does not fit`
}

function explainExpected(misfit: Misfit): string {
  const leaves = unique(misfit.expected.map(leafText))
  if (leaves.length === 0)
    return `; write ${unique(misfit.entries.map((entry) => patternText(entry.pattern))).join(' or ')}`
  const end = misfit.complete ? ['end of line'] : []
  const shapes = unique(misfit.expected.flatMap(shapeOf))
  const explained = shapes.length === 1 ? ` (${shapes[0]})` : ''
  return `; expected ${[...leaves, ...end].join(', ')}${explained}`
}

function shapeOf(leaf: Leaf): string[] {
  return leaf.kind === 'class' ? [classRules(leaf.class).shape] : []
}

function nearestExpected(misfit: Misfit, words: Word[]): string | null {
  const word = words[misfit.fitted]
  if (word === undefined || word.quoted || /^\d/.test(word.text)) return null
  return nearestWord(word.text, keywordsOf(misfit.expected))
}

function keywordsOf(leaves: Leaf[]): string[] {
  return unique(leaves.flatMap((leaf) => (leaf.kind === 'keyword' ? [leaf.word] : [])))
}

function firstWords(stack: OpenMode[]): string[] {
  return unique(stack.toReversed().flatMap((mode) => mode.entries.flatMap((entry) => firstKeywords(entry))))
}

function firstKeywords(entry: BoundEntry): string[] {
  const leading = leadingKeywords(entry.pattern)
  if (leading.length > 0) return [leading[0]]
  const first = entry.pattern.kind === 'sequence' ? entry.pattern.items[0] : entry.pattern
  return first.kind === 'choice'
    ? first.items.flatMap((item) => (item.kind === 'keyword' ? [item.word] : []))
    : []
}

function statementNames(mode: OpenMode): string[] {
  return unique(mode.entries.map(statementName))
}

/** A statement by its leading keywords: `ip mtu`, `inbound|outbound`. */
export function statementName(entry: BoundEntry): string {
  return leadingKeywords(entry.pattern).join(' ') || firstKeywords(entry).join('|')
}

/** Lines to try instead: the nearest keyword, the line without its excess, a head with a usable name. */
export function corrections(misfit: Misfit, words: Word[], line: number): Word[][] {
  const near = misfit.fitted === 0 ? null : nearestExpected(misfit, words)
  const tries: Word[][] = []
  if (near !== null) tries.push(replaced(words, misfit.fitted, near))
  if (misfit.fitted === 0) tries.push(...correctedFirst(misfit, words))
  if (misfit.complete) tries.push(words.slice(0, misfit.fitted))
  const opensWithName = misfit.entries.some((entry) => entry.opens) && misfit.expected.some(isName)
  if (opensWithName) tries.push(replaced(words.slice(0, misfit.fitted + 1), misfit.fitted, `line-${line}`))
  return tries
}

function correctedFirst(misfit: Misfit, words: Word[]): Word[][] {
  const near = nearestWord(words[0].text, keywordsOf(misfit.expected))
  return near === null ? [] : [replaced(words, 0, near)]
}

function isName(leaf: Leaf): boolean {
  return leaf.kind === 'class' && leaf.class === 'NAME'
}

function replaced(words: Word[], at: number, text: string): Word[] {
  const copy = words.slice()
  copy[at] = { text, quoted: false, column: words[at]?.column ?? 0 }
  return copy
}

function unique(texts: string[]): string[] {
  return [...new Set(texts)]
}
