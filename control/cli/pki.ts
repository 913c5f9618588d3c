// `asegate pki ...` and `asegate show pki ...`: the store of this host, without gateway and without network.

import { SystemFiles } from '../../bindings/files.ts'
import { wipe } from '../crypto/suite.ts'
import { type PkiCommand, parsePki } from '../pki/command-line.ts'
import { type Refusal, type Result, refuse } from '../pki/reasons.ts'
import { showPki } from '../pki/show.ts'
import { readFile } from '../pki/store.ts'
import {
  type Done,
  generate,
  importFile,
  importPkcs12,
  type Pkcs12,
  type Place,
  remove,
  request,
} from '../pki/store-write.ts'
import { EXIT, type ExitCode, ExitError, printJson, printLines } from './exit.ts'
import { readPkcs12 } from './pki-pkcs12.ts'
import { renderDone, renderShow } from './pki-render.ts'

export type PkiOptions = { store: string; json?: boolean }

/** Runs the words of one command, `pki ...` or `show pki ...`. Throws ExitError with an operator sentence. */
export async function runPki(words: string[], options: PkiOptions): Promise<ExitCode> {
  const parsed = parsePki(words.map((text, index) => ({ text, quoted: false, column: index + 1 })))
  if (!parsed.ok) throw new ExitError(EXIT.usage, 'usage', parsed.message)
  const place = { files: new SystemFiles(), store: options.store, wall: Date.now() }
  return parsed.command.kind === 'show'
    ? show(place, parsed.command, options)
    : finish(await run(place, parsed.command), options)
}

type Show = Extract<PkiCommand, { kind: 'show' }>

function show(place: Place, { what, name }: Show, options: PkiOptions): ExitCode {
  const rows = showPki(place, what, name)
  if (!rows.ok) throw failure(rows)
  if (options.json) printJson({ ok: true, data: rows.value })
  else printLines(renderShow(what, rows.value, name !== null, terminalWidth()))
  return EXIT.done
}

function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY
}

/** Notes go to stderr, or with --json beside the data. */
function finish(done: Result<Done>, { json }: PkiOptions): ExitCode {
  if (!done.ok) throw failure(done)
  const { data, notes } = done.value
  if (json) printJson({ ok: true, data: { ...data, notes } })
  else {
    printLines(renderDone(done.value))
    for (const note of notes) process.stderr.write(`asegate: warning: ${note}\n`)
  }
  return EXIT.done
}

const failure = ({ reason, sentence }: Refusal): ExitError => new ExitError(EXIT.failed, reason, sentence)

async function run(place: Place, command: Exclude<PkiCommand, Show>): Promise<Result<Done>> {
  switch (command.kind) {
    case 'generate':
      return generate(place, command.name, command.request)
    case 'request':
      return request(place, command.name, command)
    case 'import':
      return importFile(place, command.what, command.name, command.file)
    case 'import-pkcs12': {
      const content = await openPkcs12(place, command.file, command.passphraseFile)
      return content.ok ? importPkcs12(place, command.name, command.file, content.value) : content
    }
    case 'delete':
      return remove(place, command.what, command.name)
  }
}

async function openPkcs12(
  place: Place,
  path: string,
  passphraseFile: string | null,
): Promise<Result<Pkcs12>> {
  const content = readFile(path, (each) => place.files.read(each))
  if (!content.ok) return content
  const passphrase = readPassphrase(place, passphraseFile)
  if (!passphrase.ok) return passphrase
  const read = await readPkcs12(content.value, trimLineEnd(passphrase.value), path)
  wipe(passphrase.value)
  const isMissing = !read.ok && read.reason === 'pkcs12-passphrase' && passphraseFile === null
  return isMissing ? refuse('pkcs12-passphrase', path, 'none was given: name a passphrase-file') : read
}

function readPassphrase({ files }: Place, path: string | null): Result<Uint8Array> {
  return path === null
    ? { ok: true, value: new Uint8Array(0) }
    : readFile(path, (each) => files.readSecret(each))
}

/** View without one line end: what an editor puts behind a passphrase. */
function trimLineEnd(bytes: Uint8Array): Uint8Array {
  const end = bytes.at(-1) === 0x0a ? bytes.length - 1 : bytes.length
  return bytes.subarray(0, bytes[end - 1] === 0x0d ? end - 1 : end)
}
