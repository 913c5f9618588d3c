// Word classes of the language: which words belong to NAME, INT, ADDR ..., and what is out of range.

import { compareBytes, networkOf, parseAddress, parsePrefix } from '../address.ts'
import type { Word } from './text.ts'

type Limits = { min: number | null; max: number | null }
type ClassRules = {
  /** what the class looks like, for messages */
  shape: string
  /** whether a word can stand there at all: else the line is a syntax error */
  fits: (word: Word) => boolean
  /** null, or why a word of the right shape is out of range */
  outOfRange?: (text: string, limits: Limits) => string | null
}

const INT = /^(\d+|0x[0-9a-fA-F]+)$/
const NAME = /^[A-Za-z][A-Za-z0-9._-]{0,31}$/
const PREFIX_SHAPE = /^[0-9a-fA-F.:]+\/\d+$/
const ADDRESS_SHAPE = /^(\d+(\.\d+){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*)$/

/** Value of an INT word. */
export function intOf(text: string): number {
  return Number(text)
}

/** `N` or `N-M` as two numbers. */
export function portsOf(text: string): [number, number] {
  const [from, to] = text.split('-').map(Number)
  return [from, to ?? from]
}

/** `N,N` as numbers. */
export function listOf(text: string): number[] {
  return text.split(',').map(Number)
}

export const CLASSES = {
  NAME: {
    shape: 'a name: letter, then letters, digits, . _ -, at most 32',
    fits: (word) => !word.quoted && NAME.test(word.text),
  },
  INT: {
    shape: 'a number, decimal or 0x',
    fits: (word) => !word.quoted && INT.test(word.text),
    outOfRange: (text, limits) => outside([intOf(text)], limits),
  },
  ADDR: {
    shape: 'an IPv4 or IPv6 address',
    fits: (word) => !word.quoted && ADDRESS_SHAPE.test(word.text),
    outOfRange: (text) => (parseAddress(text) === null ? `${text} is no IPv4 or IPv6 address` : null),
  },
  PREFIX: {
    shape: 'a prefix such as 10.1.0.0/24 or 2001:db8::/32',
    fits: (word) => !word.quoted && PREFIX_SHAPE.test(word.text),
    outOfRange: (text) => (parsePrefix(text) === null ? `${text} is no IPv4 or IPv6 prefix` : null),
  },
  NETWORK: {
    shape: 'a prefix such as 10.1.0.0/24 or 2001:db8::/32',
    fits: (word) => !word.quoted && PREFIX_SHAPE.test(word.text),
    outOfRange: networkFault,
  },
  PORTS: {
    shape: 'a port N or ports N-M',
    fits: (word) => !word.quoted && /^\d+(-\d+)?$/.test(word.text),
    outOfRange: (text, limits) => portsFault(portsOf(text), limits),
  },
  LIST: {
    shape: 'numbers N,N',
    fits: (word) => !word.quoted && /^\d+(,\d+)*$/.test(word.text),
    outOfRange: (text, limits) => outside(listOf(text), limits),
  },
  HEX: {
    shape: 'an even number of hexadecimal digits',
    fits: (word) => !word.quoted && /^([0-9a-fA-F]{2})+$/.test(word.text),
  },
  STRING: { shape: 'a word, or "..." with \\" and \\\\', fits: () => true },
  PATH: { shape: 'a path', fits: (word) => word.text !== '' },
} satisfies Record<string, ClassRules>

export type WordClass = keyof typeof CLASSES

/** Rules of a class under their common type. */
export function classRules(name: WordClass): ClassRules {
  return CLASSES[name]
}

function outside(values: number[], { min, max }: Limits): string | null {
  if (min === null || max === null) return null
  const bad = values.find((value) => value < min || value > max)
  return bad === undefined ? null : `${bad} is not between ${min} and ${max}`
}

function portsFault(ports: [number, number], limits: Limits): string | null {
  if (ports[0] > ports[1]) return `ports ${ports[0]}-${ports[1]} run backwards`
  return outside(ports, limits)
}

/** The kernel and the peer want the network's own address, so host bits are a mistake worth showing. */
function networkFault(text: string): string | null {
  const prefix = parsePrefix(text)
  if (prefix === null) return `${text} is no IPv4 or IPv6 prefix`
  const network = networkOf(text) as string
  const same = compareBytes(parsePrefix(network)!.address, prefix.address) === 0
  return same ? null : `${text} has host bits set; write ${network}`
}
