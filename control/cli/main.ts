// The command line: which words exist, and which file does each of them.
//
// The composition root: only files of this room know both control/ and bindings/. What a command needs is
// imported when it runs, so that `asegate check` does not wait for the card.

import { Command, CommanderError, Option } from 'commander'
import { nearestWord, shown } from '../config/nearest.ts'
import { DEFAULT_SOCKET } from '../manage/protocol.ts'
import { EXIT, type ExitCode, ExitError, printError } from './exit.ts'
import { addPki, runPkiWords, withStore } from './pki-command.ts'
import { VERSION } from './version.ts'

type Shared = { json?: boolean; socket: string }
type Finish = (exit: ExitCode | number) => void

/** Of the command language, but not built yet. */
const NOT_BUILT: Record<string, string> = {
  ping: 'ping through a tunnel',
  shell: 'the interactive router CLI',
}

/** Runs the command line; resolves with the exit code and never rejects. */
export async function main(argv: string[]): Promise<number> {
  let exit: number = EXIT.done
  const json = argv.includes('--json')
  const program = build((code) => {
    exit = code
  })
  try {
    await program.parseAsync(argv)
    return exit
  } catch (error) {
    return failed(error, json)
  }
}

function failed(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return usage(error, json)
  if (error instanceof ExitError) {
    printError(json, error)
    return error.exit
  }
  printError(json, { code: 'failed', message: error instanceof Error ? error.message : String(error) })
  return EXIT.failed
}

/** Commander ends --help and --version the same way as a mistake. */
function usage(error: CommanderError, json: boolean): number {
  if (error.exitCode === 0) return EXIT.done
  const message = error.message.replace(/^error: /, '')
  printError(json, {
    code: 'usage',
    message: message === '(outputHelp)' ? 'no command; see asegate --help' : message,
  })
  return EXIT.usage
}

function build(finish: Finish): Command {
  const program = new Command('asegate')
  program
    .description('IPsec site-to-site VPN gateway')
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  program.version(VERSION).helpCommand(false).showSuggestionAfterError(true).enablePositionalOptions()
  shared(program)
  addRun(program, finish)
  addCheck(program, finish)
  addExec(program, finish)
  addPki(sub(program, 'pki', PKI), finish)
  addLab(program, finish)
  addVersion(program, finish)
  addNotBuilt(program)
  program.on('command:*', ([word]: string[]) => unknownCommand(program, word))
  return program
}

function shared(command: Command): Command {
  return command
    .option('--json', 'print data as JSON')
    .addOption(new Option('--socket <path>', 'control socket').default(undefined, DEFAULT_SOCKET))
}

/** Options may stand before or after the command word. */
function sharedOf(command: Command): Shared {
  const { json, socket } = command.optsWithGlobals() as { json?: boolean; socket?: string }
  return { json, socket: socket ?? DEFAULT_SOCKET }
}

function sub(program: Command, name: string, description: string): Command {
  return shared(program.command(name).description(description).exitOverride())
}

function addRun(program: Command, finish: Finish) {
  sub(program, 'run', 'the gateway in the foreground; SIGHUP reloads FILE, SIGTERM ends it')
    .requiredOption('--config <file>', 'configuration file')
    .addOption(new Option('--log <format>', 'format of log lines').choices(['text', 'json']).default('text'))
    .addOption(
      new Option('--log-level <level>', 'least level')
        .choices(['debug', 'info', 'warning', 'error'])
        .default('info'),
    )
    .action(async (options, command: Command) => {
      const { runGateway } = await import('./run.ts')
      finish(await runGateway({ ...options, ...sharedOf(command) }))
    })
}

function addCheck(program: Command, finish: Finish) {
  sub(program, 'check', 'all commit checks on FILE; changes nothing')
    .argument('<file>')
    .option('--plan', 'what a commit would keep, change and delete in the running gateway')
    .action(async (file: string, { plan }: { plan?: boolean }, command: Command) => {
      const { checkFile } = await import('./check.ts')
      finish(await checkFile(file, { plan, ...sharedOf(command) }))
    })
}

const EXEC = {
  show: 'version | configuration | tunnel ipsec | ike sa | ipsec sa | ip route | asp | circuit | counters | alarms | log | pki',
  clear: 'tunnel ipsec NAME | ike sa | ipsec sa | alarm N | asp N | counters | guard-routes',
  trace: 'packet NAME [count N]',
  commit: '[check | confirmed MINUTES]: the configuration file takes effect',
  rollback: '[N]: what ran before the last N commits takes effect again',
}

const PKI = 'generate keypair | request | import | delete: key pairs and certificates, without a gateway'

function addExec(program: Command, finish: Finish) {
  for (const [name, description] of Object.entries(EXEC))
    (name === 'show' ? withStore(sub(program, name, description)) : sub(program, name, description))
      .argument('[words...]')
      .action(async (words: string[], _options, command: Command) => {
        if (name === 'show' && words[0] === 'pki') return finish(await runPkiWords([name, ...words], command))
        const { runExec } = await import('./exec-command.ts')
        finish(await runExec([name, ...words], sharedOf(command)))
      })
}

function addLab(program: Command, finish: Finish) {
  sub(program, 'lab', 'a complete example network on this machine until Ctrl-C')
    .argument('[name]')
    .option('--list', 'the labs there are')
    .option('--once', 'check everything once, then leave')
    .option('--in-process', 'no privileges: one process over in-process wires')
    .action(async (name: string | undefined, options, command: Command) => {
      const { requireCard } = await import('./preflight.js')
      if (!options.list) await requireCard()
      const { runLab } = await import('./lab.ts')
      finish(await runLab({ name, ...options, json: sharedOf(command).json }))
    })
}

function addVersion(program: Command, finish: Finish) {
  sub(program, 'version', 'version of this program, of Node and of the card').action(
    async (_options, command: Command) => {
      const { printVersion } = await import('./print-version.ts')
      finish(printVersion(sharedOf(command).json === true))
    },
  )
}

function addNotBuilt(program: Command) {
  for (const [name, what] of Object.entries(NOT_BUILT))
    program
      .command(name, { hidden: true })
      .argument('[words...]')
      .allowUnknownOption()
      .action(() => {
        throw new ExitError(EXIT.failed, 'unsupported', `${what} (asegate ${name}) is not built yet`)
      })
}

function unknownCommand(program: Command, word: string) {
  const names = program.commands.map((command) => command.name()).filter((name) => !(name in NOT_BUILT))
  const near = nearestWord(word, names)
  const hint = near === null ? '' : `; did you mean "${near}"?`
  throw new ExitError(EXIT.usage, 'usage', `no command ${shown(word)}${hint}; there are ${names.join(', ')}`)
}
