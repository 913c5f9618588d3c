// The words `pki` and `show pki` of the command line. What they do is loaded when they are used.

import type { Command } from 'commander'
import { DEFAULT_STORE } from '../config/defaults.ts'
import type { ExitCode } from './exit.ts'

type Finish = (exit: ExitCode) => void

/** Gives a command the option that says where the certificate store is. */
export function withStore(command: Command): Command {
  return command.option('--store <path>', 'certificate store, for pki', DEFAULT_STORE)
}

/** Registers `pki`; `command` is made by the caller so that it has the shared options. */
export function addPki(command: Command, finish: Finish): void {
  withStore(command)
    .argument('[words...]')
    .action(async (words: string[]) => finish(await runPkiWords(['pki', ...words], command)))
}

/** `pki ...` and `show pki ...`; the options are those of the command that was typed. */
export async function runPkiWords(words: string[], command: Command): Promise<ExitCode> {
  const { store, json } = command.optsWithGlobals() as { store: string; json?: boolean }
  const { runPki } = await import('./pki.ts')
  return runPki(words, { store, json })
}
