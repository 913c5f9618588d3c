// The lab on a terminal: each event as one line with its time, tables that fit 80 columns.
//
// Colour only when the output is a terminal and NO_COLOR is unset (no-color.org).

import type { LabEvent, LabMode, LabResult, LabRow, PingResult } from './lab-events.ts'
import type { LabPlan } from './lab-plan.ts'
import type { WireCounts } from './lab-wire.ts'

export type Write = (text: string) => void

const TITLE_WIDTH = 10
const MODES: Record<LabMode, string> = {
  namespaces: 'network namespaces, TUN devices and processes of its own',
  'user-namespaces': 'network namespaces inside a user namespace (no privileges needed)',
  'in-process': 'one process over in-process wires: no namespaces, no TUN devices',
}

/** Prints events as they come; `start` is the monotonic ms the lab began. */
export class LabView {
  readonly #write: Write
  readonly #colour: boolean
  readonly #start = performance.now()
  #opened = false

  constructor(write: Write, colour: boolean) {
    this.#write = write
    this.#colour = colour
  }

  opening(plan: LabPlan, mode: LabMode): void {
    if (!this.#opened)
      this.#write(`asegate lab ${plan.name}\n${plan.title}\n\n${plan.picture.join('\n')}\n\n`)
    this.#opened = true
    this.#line('where', MODES[mode])
  }

  show(event: LabEvent): void {
    const show = this.#shows[event.kind] as (event: LabEvent) => void
    show(event)
  }

  readonly #shows: { [K in LabEvent['kind']]: (event: Extract<LabEvent, { kind: K }>) => void } = {
    hello: ({ pid }) => this.#line('holder', `process ${pid} holds everything; it dies with this one`),
    unavailable: ({ reason }) => this.#line('where', `no network namespaces here: ${reason}`),
    step: ({ title, text }) => this.#line(title, text),
    ike: ({ seen, fromName, toName }) => {
      const kind = seen.response ? 'response' : 'request'
      this.#line(
        'IKE',
        `${fromName} > ${toName}  ${seen.exchange} ${kind} ${seen.messageId}, ${seen.bytes} bytes`,
      )
    },
    tunnel: ({ tunnel }) => {
      const why = tunnel.reason ? ` (${tunnel.reason})` : ''
      const state = tunnel.state === 'up' ? this.#green('up') : `${tunnel.state}${why}`
      this.#line(tunnel.gateway, `tunnel ${tunnel.name}: ${state}`)
    },
    'ike-sas': ({ gateway, rows }) => {
      for (const row of rows) this.#line(gateway, `IKE SA ${ikeSuite(row)}`)
    },
    'ipsec-sas': ({ gateway, rows }) => {
      for (const row of rows) this.#line(gateway, `${String(row.direction).padEnd(8)} SA ${saText(row)}`)
    },
    drops: ({ gateway, rows }) => {
      for (const row of rows) this.#line(gateway, `dropped ${row.packets}: ${row.reason}`)
    },
    pings: ({ results }) => {
      for (const result of results) this.#line('ping', this.#pingText(result))
    },
    wire: ({ counts }) => this.#line('wire', wireText(counts)),
    result: ({ ok, result }) => {
      if (ok) this.#write(`\n${this.#green('everything holds')}\n`)
      this.#write(`${resultText(result)}\n`)
    },
    next: ({ commands }) => this.#next(commands),
    failed: ({ reason, logs }) => {
      this.#write(`\n${this.#red(`failed: ${reason}`)}\n`)
      for (const { gateway, lines } of logs)
        this.#write(
          `\nlast lines of ${gateway}:\n${lines
            .slice(-15)
            .map((line) => `  ${line}\n`)
            .join('')}`,
        )
    },
  }

  #line(title: string, text: string): void {
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(2).padStart(6)
    this.#write(`${seconds}  ${title.padEnd(TITLE_WIDTH)}  ${text}\n`)
  }

  #pingText({ from, to, sent, received, averageMs }: PingResult): string {
    const count = `${received}/${sent}`
    const time = averageMs === null ? '' : `  ${averageMs.toFixed(2)} ms`
    return `${from} > ${to}  ${received === sent ? this.#green(count) : this.#red(count)}${time}`
  }

  #next(commands: [command: string, does: string][]): void {
    this.#write('\nThe lab stands until Ctrl-C. Try in another terminal:\n')
    for (const [command, does] of commands) this.#write(`\n  # ${does}\n  ${command}\n`)
    this.#write('\n')
  }

  #green(text: string): string {
    return this.#colour ? `\x1b[32m${text}\x1b[0m` : text
  }

  #red(text: string): string {
    return this.#colour ? `\x1b[31m${text}\x1b[0m` : text
  }
}

export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

function ikeSuite(row: LabRow): string {
  return `v${row.version} ${row.role} ${cipherText(row)} prf ${row.prf} group ${row.dhGroup}`
}

function saText(row: LabRow): string {
  const spi = typeof row.spi === 'number' ? `0x${row.spi.toString(16).padStart(8, '0')}` : String(row.spi)
  return `${spi} ${row.protocol} ${cipherText(row)}, tunnel ${row.tunnel}`
}

/** A cipher that authenticates by itself stands alone. */
function cipherText({ encryption, authentication }: LabRow): string {
  return authentication === 'aead' || authentication === 'none'
    ? String(encryption)
    : `${encryption} ${authentication}`
}

function wireText(counts: WireCounts): string {
  return `${counts.ike} IKE, ${counts.esp} ESP, ${counts.arp} ARP, ${counts.leaked} in clear`
}

function resultText({ tunnels, pings, pingsWhileDown, clearOnWire, seconds }: LabResult): string {
  const up = tunnels.filter((tunnel) => tunnel.state === 'up').length
  return [
    `  ${up} of ${tunnels.length} tunnel ends up, ${pings.received} of ${pings.sent} pings answered,`,
    `  ${clearOnWire} frames in clear on the wire (${plural(pingsWhileDown.sent, 'ping')} tried while tunnels were down), ${seconds} s`,
  ].join('\n')
}
