// Statement patterns: the notation of the language's grammar, compiled from text.
//
//   keyword            a word that must stand there
//   CLASS  CLASS{a..b} a word of that class (words.ts), with a range for INT, PORTS and LIST
//   a b   [a]  (a|b)   sequence, option, choice
//   name=...           what the word (or the keyword of the choice) is called in the match
//   name=<rule>        a rule (rules.ts); its own names get the prefix `name.`
//
// The same compiled pattern matches a line, says what may follow (`?`, Tab) and prints itself as documentation.

import { CLASSES, type WordClass } from './words.ts'

export type Leaf =
  | { kind: 'keyword'; word: string; capture: string | null }
  | { kind: 'class'; class: WordClass; min: number | null; max: number | null; capture: string | null }
export type Pattern =
  | Leaf
  | { kind: 'sequence'; items: Pattern[] }
  | { kind: 'choice'; items: Pattern[] }
  | { kind: 'optional'; item: Pattern }

type Reader = { tokens: string[]; at: number; rules: Readonly<Record<string, string>> }

const TOKEN = /[[\]()|]|[^\s[\]()|]+/g

/** Compiles a pattern. A mistake in the text is a programming error and throws. */
export function compilePattern(text: string, rules: Readonly<Record<string, string>>): Pattern {
  const reader: Reader = { tokens: text.match(TOKEN) ?? [], at: 0, rules }
  const pattern = readChoice(reader, '', null)
  if (reader.at < reader.tokens.length)
    throw new Error(`pattern "${text}": unexpected ${reader.tokens[reader.at]}`)
  return pattern
}

function readChoice(reader: Reader, prefix: string, capture: string | null): Pattern {
  const items = [readSequence(reader, prefix, capture)]
  while (reader.tokens[reader.at] === '|') {
    reader.at++
    items.push(readSequence(reader, prefix, capture))
  }
  return items.length === 1 ? items[0] : { kind: 'choice', items }
}

function readSequence(reader: Reader, prefix: string, capture: string | null): Pattern {
  const items: Pattern[] = []
  while (reader.at < reader.tokens.length && !/^[|\])]$/.test(reader.tokens[reader.at])) {
    items.push(readItem(reader, prefix, capture))
  }
  return items.length === 1 ? items[0] : { kind: 'sequence', items }
}

function readItem(reader: Reader, prefix: string, capture: string | null): Pattern {
  const token = reader.tokens[reader.at++]
  if (token === '[') return { kind: 'optional', item: readGroup(reader, ']', prefix, null) }
  if (token === '(') return readGroup(reader, ')', prefix, capture)
  const equals = token.indexOf('=')
  const name = equals < 0 ? capture : prefix + token.slice(0, equals)
  const body = token.slice(equals + 1)
  if (body === '') return readItem(reader, prefix, name) // name=( ... )
  const rule = /^<(.+)>$/.exec(body)
  return rule ? readRule(reader, rule[1], prefix, name) : readLeaf(body, name)
}

function readGroup(reader: Reader, close: string, prefix: string, capture: string | null): Pattern {
  const inner = readChoice(reader, prefix, capture)
  if (reader.tokens[reader.at++] !== close) throw new Error(`pattern: ${close} missing`)
  return inner
}

/** A rule that starts with `=` names a plain choice (captured as name); any other is a structure (captured below name.). */
function readRule(reader: Reader, rule: string, prefix: string, name: string | null): Pattern {
  const text = reader.rules[rule]
  if (text === undefined) throw new Error(`pattern: no rule <${rule}>`)
  const inner: Reader = { tokens: text.replace(/^=/, '').match(TOKEN) ?? [], at: 0, rules: reader.rules }
  if (text.startsWith('=')) return readChoice(inner, prefix, name)
  if (name === null) throw new Error(`pattern: <${rule}> needs a name`)
  return readChoice(inner, `${name}.`, null)
}

function readLeaf(body: string, capture: string | null): Pattern {
  const parts = /^([A-Z]+)(?:\{(\d+)\.\.(\d+)\})?$/.exec(body)
  if (parts === null) return { kind: 'keyword', word: body, capture }
  if (!(parts[1] in CLASSES)) throw new Error(`pattern: no word class ${parts[1]}`)
  const range = { min: parts[2] ? Number(parts[2]) : null, max: parts[3] ? Number(parts[3]) : null }
  if (parts[1] === 'INT' && range.max === null) throw new Error('pattern: INT needs a range')
  return { kind: 'class', class: parts[1] as WordClass, ...range, capture }
}

/** What stands at a leaf, for messages and `?`: the keyword, or the class with its range. */
export function leafText(leaf: Leaf): string {
  if (leaf.kind === 'keyword') return leaf.word
  return leaf.max === null ? classText(leaf.class) : `${classText(leaf.class)} (${leaf.min}-${leaf.max})`
}

/** NETWORK is the language's PREFIX with its host bits clear. */
function classText(name: WordClass): string {
  return name === 'NETWORK' ? 'PREFIX' : name
}

/** The pattern as one line of grammar. */
export function patternText(pattern: Pattern): string {
  switch (pattern.kind) {
    case 'keyword':
      return pattern.word
    case 'class':
      return classText(pattern.class)
    case 'sequence':
      return pattern.items.map(patternText).join(' ')
    case 'choice':
      return `(${pattern.items.map(patternText).join('|')})`
    case 'optional':
      return `[${patternText(pattern.item)}]`
  }
}

/** The keywords a pattern begins with, up to the first other part: `ip mtu` of `ip mtu INT`. */
export function leadingKeywords(pattern: Pattern): string[] {
  if (pattern.kind === 'keyword') return pattern.capture === null ? [pattern.word] : []
  if (pattern.kind !== 'sequence') return []
  const end = pattern.items.findIndex((item) => item.kind !== 'keyword' || item.capture !== null)
  return pattern.items.slice(0, end < 0 ? undefined : end).flatMap(leadingKeywords)
}
