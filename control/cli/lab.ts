// `asegate lab`: a complete example network on this machine, from nothing, until Ctrl-C.
//
// Where it runs is found out by trying: network namespaces (root), the same in a user namespace (everybody where
// the kernel allows it), else one process over in-process wires. The output says which it was.

import { readFileSync } from 'node:fs'
import type { LabEvent, LabMode } from './lab-events.ts'
import { type LabOutcome, runHeld } from './lab-held.ts'
import { JsonOutput, type LabOutput, TextOutput } from './lab-output.ts'
import { LAB_NAMES, LAB_TITLES, type LabName, type LabPlan, PLANS } from './lab-plan.ts'

export type LabOptions = {
  name?: string
  list?: boolean
  once?: boolean
  json?: boolean
  inProcess?: boolean
}

const DONE = 0
const FAILED = 1
const USAGE = 2
const PARENT_POLL = 500 // ms
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs `asegate lab` and resolves to the exit code: 0 it held, 1 it did not, 2 there is no such lab. */
export async function runLab(options: LabOptions): Promise<number> {
  const json = options.json === true
  if (options.list) return listLabs(json)
  const name = options.name ?? 'figure3'
  if (!isLabName(name)) return refuseName(name, json)
  return new LabSession(PLANS[name], options).run()
}

const isLabName = (name: string): name is LabName => (LAB_NAMES as readonly string[]).includes(name)

const print = (text: string): void => {
  process.stdout.write(text)
}

function listLabs(json: boolean): number {
  const data = LAB_NAMES.map((name) => ({ name, title: LAB_TITLES[name] }))
  if (json) print(`${JSON.stringify({ ok: true, data })}\n`)
  else for (const { name, title } of data) print(`${name.padEnd(8)}  ${title}\n`)
  return DONE
}

function refuseName(name: string, json: boolean): number {
  const message = `no lab "${name}": there are ${LAB_NAMES.join(', ')}`
  if (json) print(`${JSON.stringify({ ok: false, error: { code: 'usage', message } })}\n`)
  else process.stderr.write(`asegate lab: ${message}\n`)
  return USAGE
}

/** One run: which worlds to try, the verdict, and what ends it. */
class LabSession {
  readonly #plan: LabPlan
  readonly #once: boolean
  readonly #modes: LabMode[]
  readonly #output: LabOutput
  readonly #stopped: Promise<void>
  #stop: () => void = () => {}
  #interrupted = false
  #held = false

  constructor(plan: LabPlan, options: LabOptions) {
    this.#plan = plan
    this.#once = options.once === true
    this.#modes = modesFor(options.inProcess === true)
    const colour = process.stdout.isTTY === true && !process.env.NO_COLOR
    this.#output = options.json
      ? new JsonOutput(print, !this.#once)
      : new TextOutput(print, !this.#once, colour)
    this.#stopped = new Promise((resolve) => {
      this.#stop = resolve
    })
  }

  async run(): Promise<number> {
    const release = watchForEnd(() => {
      this.#interrupted = true
      this.#stop()
    })
    const outcome = await this.#tryWorlds()
    release()
    this.#output.finish(this.#interrupted && !this.#held)
    return outcome === 'done' && this.#held ? DONE : FAILED
  }

  async #tryWorlds(): Promise<LabOutcome> {
    for (const mode of this.#modes) {
      if (this.#interrupted) return 'failed'
      this.#output.opening(this.#plan, mode)
      const outcome = await this.#runWorld(mode)
      if (outcome !== 'unavailable') return outcome
    }
    return 'failed'
  }

  async #runWorld(mode: LabMode): Promise<LabOutcome> {
    const take = (event: LabEvent) => this.#take(event)
    if (mode !== 'in-process') return runHeld(this.#plan, mode, take, this.#stopped)
    const { runInProcess } = await import('./lab-in-process.ts')
    return runInProcess(this.#plan, take, this.#stopped)
  }

  #take(event: LabEvent): void {
    this.#output.take(event)
    if (event.kind === 'result') this.#held = event.ok
    if (event.kind === 'next' && this.#once) this.#stop()
  }
}

function modesFor(inProcess: boolean): LabMode[] {
  if (inProcess) return ['in-process']
  const root = process.getuid?.() === 0
  return root ? ['namespaces', 'user-namespaces', 'in-process'] : ['user-namespaces', 'in-process']
}

/**
 * Calls `end` once on Ctrl-C, SIGTERM or SIGHUP, when nobody reads the output any more, and when npm is gone:
 * npm can be killed without a word to us, and nobody would stop the lab then.
 */
function watchForEnd(end: () => void): () => void {
  for (const signal of SIGNALS) process.once(signal, end)
  process.stdout.on('error', end)
  const started = ancestors()
  const byNpm = process.env.npm_lifecycle_event !== undefined
  const timer = setInterval(() => {
    if (byNpm && ancestors() !== started) end()
  }, PARENT_POLL)
  return () => {
    clearInterval(timer)
    for (const signal of SIGNALS) process.off(signal, end)
  }
}

/** The parent and its parent: npm runs a script through a shell. */
function ancestors(): string {
  try {
    const status = readFileSync(`/proc/${process.ppid}/status`, 'latin1')
    return `${process.ppid} ${/^PPid:\s*(\d+)/m.exec(status)?.[1]}`
  } catch {
    return `${process.ppid}` // it has just ended
  }
}
