// `pki ...` and `show pki ...` as words: the grammar, and what a line asks for. Nothing is done here.

import { identityOf, RULES } from '../config/grammar/rules.ts'
import { captureFault, type Mismatch, matchPattern, Values } from '../config/match.ts'
import type { Identity } from '../config/model.ts'
import { nearestWord, shown } from '../config/nearest.ts'
import { compilePattern, leafText } from '../config/pattern.ts'
import type { Word } from '../config/text.ts'
import type { CurveName, KeyRequest, KeyType } from './keypair.ts'
import type { ShowKind } from './show.ts'
import type { DeleteKind, ImportKind } from './store-write.ts'

export type PkiCommand =
  | { kind: 'generate'; name: string; request: KeyRequest }
  | { kind: 'request'; name: string; subject: string; altNames: Identity[]; file: string | null }
  | { kind: 'import'; what: ImportKind; name: string; file: string }
  | { kind: 'import-pkcs12'; name: string; file: string; passphraseFile: string | null }
  | { kind: 'delete'; what: DeleteKind; name: string }
  | { kind: 'show'; what: ShowKind; name: string | null }

export type ParsedPki = { ok: true; command: PkiCommand } | { ok: false; message: string }

type Row = { grammar: (altNames: number) => string; read: (values: Values) => PkiCommand }

/** `{ alt-name <id> }` has no end, so the pattern is made for as many as the line has. */
const altNamePatterns = (count: number): string =>
  Array.from({ length: count + 1 }, (_, index) =>
    index < count ? `alt-name id${index}=<id>` : `[alt-name id${index}=<id>]`,
  ).join(' ')

const rows: Row[] = [
  {
    grammar: () =>
      'pki generate keypair name=NAME [type type=(rsa|ecdsa|ed25519)] [(modulus modulus=INT{2048..8192}|curve curve=(p256|p384|p521))]',
    read: (values) => ({ kind: 'generate', name: values.text('name'), request: keyRequest(values) }),
  },
  {
    grammar: (count) =>
      `pki request name=NAME subject subject=STRING ${altNamePatterns(count)} [file file=PATH]`,
    read: (values) => ({
      kind: 'request',
      name: values.text('name'),
      subject: values.text('subject'),
      altNames: altNamesOf(values),
      file: values.maybe('file') ?? null,
    }),
  },
  {
    grammar: () => 'pki import pkcs12 name=NAME file file=PATH [passphrase-file passphrase=PATH]',
    read: (values) => ({
      kind: 'import-pkcs12',
      name: values.text('name'),
      file: values.text('file'),
      passphraseFile: values.maybe('passphrase') ?? null,
    }),
  },
  {
    grammar: () => 'pki import what=(trust|certificate|crl) name=NAME file file=PATH',
    read: (values) => ({
      kind: 'import',
      what: values.text('what') as ImportKind,
      name: values.text('name'),
      file: values.text('file'),
    }),
  },
  {
    grammar: () => 'pki delete what=(trust|certificate|crl|keypair) name=NAME',
    read: (values) => ({
      kind: 'delete',
      what: values.text('what') as DeleteKind,
      name: values.text('name'),
    }),
  },
  {
    grammar: () => 'show pki what=(trust|identity|keypair|crl) [name=NAME]',
    read: (values) => ({
      kind: 'show',
      what: values.text('what') as ShowKind,
      name: values.maybe('name') ?? null,
    }),
  },
]

function keyRequest(values: Values): KeyRequest {
  const request: KeyRequest = {}
  if (values.has('type')) request.type = values.text('type') as KeyType
  if (values.has('modulus')) request.modulus = values.int('modulus')
  if (values.has('curve')) request.curve = values.text('curve') as CurveName
  return request
}

function altNamesOf(values: Values): Identity[] {
  const identities: Identity[] = []
  const kinds = ['address', 'fqdn', 'user-fqdn', 'dn', 'key-id']
  for (let index = 0; kinds.some((kind) => values.has(`id${index}.${kind}`)); index++)
    identities.push(identityOf(values, `id${index}`))
  return identities
}

/** What the words ask for; the message of a misfit names what could have stood there. */
export function parsePki(words: Word[]): ParsedPki {
  const altNames = words.filter(({ text, quoted }) => text === 'alt-name' && !quoted).length
  const misfits: Mismatch[] = []
  for (const { grammar, read } of rows) {
    const match = matchPattern(compilePattern(grammar(altNames), RULES), words)
    if (match.ok) {
      const fault = match.captures.map((each) => ({ each, why: captureFault(each) })).find(({ why }) => why)
      if (fault) return { ok: false, message: `${shown(fault.each.word.text)}: ${fault.why}` }
      return { ok: true, command: read(new Values(match.captures)) }
    }
    misfits.push(match)
  }
  return { ok: false, message: explain(misfits, words) }
}

function explain(misfits: Mismatch[], words: Word[]): string {
  const fitted = Math.max(...misfits.map((each) => each.fitted))
  const expected = misfits.filter((each) => each.fitted === fitted).flatMap((each) => each.expected)
  const choices = [...new Set(expected.map(leafText))].join(', ')
  const before = words.slice(0, fitted).map(({ text }) => text)
  const after = before.length === 0 ? '' : ` after ${shown(before.join(' '))}`
  const follows = choices === '' ? 'nothing may follow' : `expected ${choices}`
  const word = words[fitted]
  if (word === undefined) return `the command ends too early${after}; ${follows}`
  const keywords = expected.flatMap((leaf) => (leaf.kind === 'keyword' ? [leaf.word] : []))
  const near = nearestWord(word.text, keywords)
  const hint = near === null ? '' : `; did you mean "${near}"?`
  return `${shown(word.text)} does not fit${after}${hint}; ${follows}`
}
