// Exec commands: a line in, an answer out. The grammar is a table in the notation of the configuration
// language; a line that fits no row is answered with the nearest valid words.

import { type Capture, captureFault, matchPattern, Values } from '../config/match.ts'
import { nearestWord, shown } from '../config/nearest.ts'
import { compilePattern, type Leaf, leafText } from '../config/pattern.ts'
import { splitLine, type Word } from '../config/text.ts'
import type { Gateway } from '../gateway.ts'
import { showDrops } from './baseline.ts'
import { clearAsp, clearCounters, clearIkeSas, clearIpsecSas, clearTunnel } from './clear.ts'
import { CommandError } from './error.ts'
import { clearAlarm, showAlarms } from './show-alarms.ts'
import { commit, rollback, showCandidate, showDiff, showRollback } from './show-commits.ts'
import {
  showConfiguration,
  showIkePolicies,
  showIkeProposals,
  showIpsecPolicies,
  showIpsecProposals,
} from './show-config.ts'
import { showAccessLists, showAspGroups, showAspPools, showQosPolicies } from './show-groups.ts'
import { showAsps, showCircuits, showLog, showRoutes, showStages, showVersion } from './show-machine.ts'
import { showIkeSas, showIpsecSas } from './show-sa.ts'
import { showEspStatistics, showIkeStatistics } from './show-statistics.ts'
import { showTunnels } from './show-tunnel.ts'
import { tracePackets } from './trace.ts'

export type Answer = { ok: true; data: unknown } | { ok: false; error: { code: string; message: string } }

/** `name` chooses the table that prints the data. */
export type Parsed = { ok: true; name: CommandName; values: Values } | { ok: false; message: string }

type Run = (gateway: Gateway, values: Values) => unknown | Promise<unknown>

const FILTER = '[(tunnel name=NAME|spi spi=STRING)]'

// name, grammar, function
const TABLE = [
  ['version', 'show version', showVersion],
  ['configuration', 'show configuration [running]', showConfiguration],
  ['candidate', 'show configuration candidate', showCandidate],
  ['diff', 'show configuration diff', showDiff],
  ['old', 'show configuration rollback count=INT{1..10}', showRollback],
  ['ike-proposal', 'show ike proposal [name=NAME]', showIkeProposals],
  ['ike-policy', 'show ike policy [name=NAME]', showIkePolicies],
  ['ipsec-proposal', 'show ipsec proposal [name=NAME]', showIpsecProposals],
  ['ipsec-policy', 'show ipsec policy [name=NAME]', showIpsecPolicies],
  ['tunnel', 'show tunnel ipsec [(detail=detail|name=NAME [detail=detail])]', showTunnels],
  ['ike-statistics', 'show tunnel ipsec statistics ike [name=NAME]', showIkeStatistics],
  ['esp-statistics', 'show tunnel ipsec statistics esp [name=NAME]', showEspStatistics],
  ['ike-sa', 'show ike sa [tunnel name=NAME] [detail=detail]', showIkeSas],
  ['ipsec-sa', 'show ipsec sa [tunnel name=NAME] [detail=detail]', showIpsecSas],
  ['route', 'show ip route [context context=NAME]', showRoutes],
  ['asp', 'show asp', showAsps],
  ['asp-pool', 'show asp pool', showAspPools],
  ['asp-group', 'show asp group', showAspGroups],
  ['access-list', 'show ipsec access-list [name=NAME]', showAccessLists],
  ['qos-policy', 'show ipsec qos-policy [name=NAME]', showQosPolicies],
  ['circuit', 'show circuit [name=NAME]', showCircuits],
  ['drop', 'show counters drop', showDrops],
  ['stage', 'show counters', showStages],
  ['alarms', 'show alarms [history=history]', showAlarms],
  ['log', 'show log [last last=INT{1..1000}] [tunnel name=NAME]', showLog],
  ['clear-tunnel', 'clear tunnel ipsec name=NAME', clearTunnel],
  ['clear-ike', `clear ike sa ${FILTER} [rekey=rekey]`, clearIkeSas],
  ['clear-ipsec', `clear ipsec sa ${FILTER}`, clearIpsecSas],
  ['clear-counters', 'clear counters [tunnel name=NAME]', clearCounters],
  ['clear-asp', 'clear asp asp=INT{1..16}', clearAsp],
  ['clear-alarm', 'clear alarm id=INT{1..1000000000}', clearAlarm],
  ['clear-guards', 'clear guard-routes', (gateway: Gateway) => gateway.clearGuards()],
  ['commit', 'commit [(check=check|confirmed minutes=INT{1..1440})]', commit],
  ['rollback', 'rollback [count=INT{1..10}]', rollback],
  ['plan', 'plan file file=STRING', (gateway: Gateway, values: Values) => gateway.plan(values.text('file'))],
  ['trace', 'trace packet name=NAME [count count=INT{1..1000}]', tracePackets],
] as const satisfies readonly (readonly [string, string, Run])[]

export type CommandName = (typeof TABLE)[number][0]

// Of the command language, but not built: refused by name instead of as a mistake.
const NOT_BUILT = ['show pki', 'configure', 'save', 'debug', 'no debug', 'ping']

const COMMANDS = TABLE.map(([name, grammar, run]) => ({
  name,
  grammar,
  run: run as Run,
  pattern: compilePattern(grammar, {}),
}))

/** The grammar, a line a command, for help and documentation. */
export function commandGrammar(): string[] {
  return COMMANDS.map(({ grammar }) => grammar.replace(/\w+=|\{\d+\.\.\d+\}/g, '').replace(/STRING/g, 'INT'))
}

/** Finds the command of a line; the message of a misfit names what could have stood there. */
export function parseCommand(line: string): Parsed {
  const split = splitLine(line)
  if (!split.ok) return { ok: false, message: split.message }
  if (split.words.length === 0) return { ok: false, message: 'the command is empty' }
  let fitted = 0
  let expected: Leaf[] = []
  for (const { name, pattern } of COMMANDS) {
    const match = matchPattern(pattern, split.words)
    if (match.ok) return checkRange(name, match.captures)
    if (match.fitted > fitted) [fitted, expected] = [match.fitted, []]
    if (match.fitted === fitted) expected.push(...match.expected)
  }
  return { ok: false, message: explainMisfit(split.words, fitted, expected) }
}

function checkRange(name: CommandName, captures: Capture[]): Parsed {
  for (const capture of captures) {
    const fault = captureFault(capture)
    if (fault !== null) return { ok: false, message: `${shown(capture.word.text)}: ${fault}` }
  }
  return { ok: true, name, values: new Values(captures) }
}

function explainMisfit(words: Word[], fitted: number, expected: Leaf[]): string {
  const choices = [...new Set(expected.map(leafText))]
  const before = words.slice(0, fitted).map(({ text }) => text)
  const after = before.length === 0 ? '' : ` after ${shown(before.join(' '))}`
  const follows = choices.length === 0 ? 'nothing may follow' : `expected ${choices.join(', ')}`
  const word = words[fitted]
  if (word === undefined) return `the command ends too early${after}; ${follows}`
  const near = nearestWord(
    word.text,
    expected.flatMap((leaf) => (leaf.kind === 'keyword' ? [leaf.word] : [])),
  )
  const hint = near === null ? '' : `; did you mean "${near}"?`
  return `${shown(word.text)} does not fit${after}${hint}; ${follows}`
}

/** The not-yet-built command a line asks for, or null. */
export function notBuilt(line: string): string | null {
  const words = line.trim().split(/\s+/)
  return NOT_BUILT.find((known) => known.split(' ').every((word, i) => words[i] === word)) ?? null
}

/** Runs a command on the gateway. Never rejects. */
export async function execute(gateway: Gateway, line: string): Promise<Answer> {
  const parsed = parseCommand(line)
  if (!parsed.ok) return refusal(line, parsed.message)
  const command = COMMANDS.find(({ name }) => name === parsed.name)
  try {
    return { ok: true, data: await command?.run(gateway, parsed.values) }
  } catch (error) {
    const code = error instanceof CommandError ? error.code : 'failed'
    return { ok: false, error: { code, message: error instanceof Error ? error.message : String(error) } }
  }
}

/** Why a line is no command: `unsupported` when the language knows it, else `usage`. */
export function refusal(line: string, message: string): Extract<Answer, { ok: false }> {
  const known = notBuilt(line)
  if (known === null) return { ok: false, error: { code: 'usage', message } }
  return { ok: false, error: { code: 'unsupported', message: `"${known}" is not built yet` } }
}
