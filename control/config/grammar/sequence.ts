// Statements `seq N ... NAME`: ordered references to other objects.

import type { Values } from '../match.ts'
import type { Site } from './mode.ts'

export type Sequenced = { sequence: number; name: string; line: number }

/** A number given twice is the same statement given twice. */
export function sequenceKey(values: Values): string {
  return `seq ${values.int('sequence')}`
}

/** Puts the entry in its place: lowest number first, the last of a number wins. */
export function addSequenced(entries: Sequenced[], values: Values, site: Site) {
  putSequenced(entries, { sequence: values.int('sequence'), name: values.text('name'), line: site.line })
}

export function putSequenced<T extends { sequence: number }>(entries: T[], entry: T) {
  const twin = entries.findIndex((each) => each.sequence === entry.sequence)
  if (twin < 0) entries.push(entry)
  else entries[twin] = entry
  entries.sort((a, b) => a.sequence - b.sequence)
}
