// npm run bench -- kernel | card | ike | flood: how fast this is here, against references that run interleaved with it.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { benchCard, benchIdle } from './card.ts'
import { benchFlood, floodJson, floodText, USUAL_FLOOD } from './flood.ts'
import { benchIke, ikeChart, ikeHeading, ikeJson, ikeLine } from './ike.ts'
import { benchKernels } from './kernel.ts'
import { nativeRefusal } from './native.ts'
import { chart, heading, json, line, type Report, type Row, type Selection } from './report.ts'
import { USUAL } from './rounds.ts'
import { svg } from './svg.ts'
import { SIZES, type Size } from './traffic.ts'

const USAGE = `npm run bench -- kernel|card|ike|flood [options]
  kernel            one algorithm, messages of a burst, against node:crypto a message
  card              whole ESP and AH packets, ring to ring, against node:crypto a packet
  ike               IKE_SAs a second of one core, against their public-key work alone
  flood             a gateway under a flood of IKE_SA_INIT (needs root)
  --suite TEXT      only suites (kernels; ike: "psk 14") whose name holds TEXT; may be given again
  --size SIZE       64, 576, 1400 or imix; may be given again
  --direction DIR   out or in
  --rounds N        alternating rounds a figure (${USUAL.rounds})
  --native          adds ipsec-mb (needs cc and libipsec-mb-dev)
  --idle N          card: throughput beside N idle SAs against none
  --seconds N       flood: how long (${USUAL_FLOOD.seconds})
  --json            one line of JSON instead of tables
  --svg FILE        writes a chart for a page`

const EXIT_USAGE = 2
const EXIT_UNFIT = 5

/** Node 24's createCipheriv and createHmac are several times slower than those of 22 and 26: they would flatter us. */
function refuseNode(): string | null {
  if (!process.version.startsWith('v24.')) return null
  return 'node:crypto of Node 24 is 4 to 5 times slower than before and after it and is no reference: use Node 26 (npm ci brings it)'
}

function fail(text: string, code: number): never {
  console.error(`bench: ${text}`)
  process.exit(code)
}

const options = {
  suite: { type: 'string', multiple: true },
  size: { type: 'string', multiple: true },
  direction: { type: 'string' },
  rounds: { type: 'string', default: String(USUAL.rounds) },
  native: { type: 'boolean', default: false },
  idle: { type: 'string' },
  seconds: { type: 'string', default: String(USUAL_FLOOD.seconds) },
  json: { type: 'boolean', default: false },
  svg: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const

function readArguments() {
  try {
    return parseArgs({ options, allowPositionals: true })
  } catch (error) {
    return fail(`${(error as Error).message}\n${USAGE}`, EXIT_USAGE)
  }
}

function selectionOf(values: ReturnType<typeof readArguments>['values']): Selection {
  const { suite, size, direction, native } = values
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) fail('--rounds takes a number from 1', EXIT_USAGE)
  if (direction !== undefined && direction !== 'out' && direction !== 'in')
    fail('--direction takes out or in', EXIT_USAGE)
  const sizes = (size ?? SIZES.map(String)).map((text) => SIZES.find((known) => String(known) === text))
  if (sizes.includes(undefined)) fail('--size takes 64, 576, 1400 or imix', EXIT_USAGE)
  return {
    suites: (name) => suite === undefined || suite.some((text) => name.includes(text)),
    sizes: sizes as Size[],
    directions: direction === undefined ? ['out', 'in'] : [direction],
    pace: { ...USUAL, rounds },
    native,
  }
}

function measure(
  kind: string | undefined,
  selection: Selection,
  idle: string | undefined,
  quiet: boolean,
): Report {
  const announce = (row: Row) => {
    if (!quiet) console.log(line(row))
  }
  if (!quiet) console.log(heading(selection.native))
  if (idle !== undefined) {
    const count = Number(idle)
    if (!Number.isInteger(count) || count < 1 || count > 60000) fail('--idle takes 1 to 60000', EXIT_USAGE)
    const rows = benchIdle(selection, count)
    rows.forEach(announce)
    return { rows, left: [] }
  }
  return kind === 'kernel' ? benchKernels(selection, announce) : benchCard(selection, announce)
}

async function measureIke({ suites, pace }: Selection, quiet: boolean): Promise<void> {
  if (!quiet) console.log(ikeHeading)
  const rows = await benchIke(suites, pace.rounds, (row) => quiet || console.log(ikeLine(row)))
  console.log(quiet ? ikeJson(rows) : `\n${ikeChart(rows)}`)
}

async function measureFlood(seconds: number, quiet: boolean): Promise<void> {
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 60) fail('--seconds takes 1 to 60', EXIT_USAGE)
  if (process.getuid?.() !== 0) fail('flood makes network namespaces: run it as root', EXIT_UNFIT)
  const row = await benchFlood({ ...USUAL_FLOOD, seconds })
  console.log(quiet ? floodJson(row) : floodText(row))
}

const { values, positionals } = readArguments()
const [kind] = positionals
if (values.help) console.log(USAGE)
else if (positionals.length === 1 && kind === 'flood') await measureFlood(Number(values.seconds), values.json)
else if (positionals.length === 1 && kind === 'ike') await measureIke(selectionOf(values), values.json)
else {
  if (positionals.length !== 1 || (kind !== 'kernel' && kind !== 'card'))
    fail(`kernel, card, ike or flood?\n${USAGE}`, EXIT_USAGE)
  const unfit = refuseNode() ?? (values.native ? nativeRefusal() : null)
  if (unfit !== null) fail(unfit, EXIT_UNFIT)
  const report = measure(kind, selectionOf(values), values.idle, values.json)
  if (values.json) console.log(json(report))
  else
    console.log([`\n${chart(report.rows)}`, ...report.left.map((text) => `not measured: ${text}`)].join('\n'))
  if (values.svg !== undefined) writeFileSync(values.svg, svg(report.rows))
}
