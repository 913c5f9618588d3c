// One gateway of the lab: a real `asegate run` in its namespace, asked over its control socket.

import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inNamespace, type NamespaceFd } from '../../bindings/linux/namespace.ts'
import { ask } from '../manage/client.ts'

const PROGRAM = fileURLToPath(new URL('./asegate.js', import.meta.url))
const LOG_LINES = 200
const ANSWER_DEADLINE = 30_000 // ms
const READY_POLL = 50 // ms
const STOP_DEADLINE = 15_000 // ms: Deletes are sent and answered, devices removed

export type GatewayProcess = {
  readonly name: string
  readonly socket: string
  /** process id as this process's PID namespace counts, null before it exists */
  readonly pid: number | null
  /** null while it runs; else how it ended */
  ended(): string | null
  onEnd(handler: (how: string) => void): void
  /** waits until it answers; throws when it ends before or the deadline (monotonic ms) passes */
  ready(deadline: number): Promise<void>
  /** `data` of the answer to a control command; throws with the gateway's own message */
  ask(command: string): Promise<unknown>
  lastLog(): string[]
  /** SIGTERM, then SIGKILL */
  stop(): Promise<void>
  /** SIGKILL at once */
  kill(): Promise<void>
}

/** Starts `asegate run --config config --socket socket` inside the namespace. */
export function startGateway(
  name: string,
  namespace: NamespaceFd,
  config: string,
  socket: string,
): GatewayProcess {
  const parameters = [PROGRAM, 'run', '--config', config, '--socket', socket]
  const child = inNamespace(namespace, () =>
    spawn(process.execPath, parameters, { stdio: ['ignore', 'pipe', 'pipe'] }),
  )
  const log = collectLog(child)
  let how: string | null = null
  const handlers: ((how: string) => void)[] = []
  child.once('error', (error) => settle(error.message))
  child.once('exit', (code, signal) => settle(signal === null ? `exit code ${code}` : `signal ${signal}`))
  function settle(text: string): void {
    how ??= text
    for (const handler of handlers.splice(0)) handler(how)
  }
  return {
    name,
    socket,
    pid: child.pid ?? null,
    ended: () => how,
    onEnd: (handler) => {
      if (how === null) handlers.push(handler)
      else handler(how)
    },
    ready: (deadline) => waitReady(name, socket, () => how, deadline),
    ask: (command) => askGateway(socket, command),
    lastLog: () => [...log],
    stop: () => endChild(child, () => how !== null, 'SIGTERM'),
    kill: () => endChild(child, () => how !== null, 'SIGKILL'),
  }
}

function collectLog(child: ChildProcess): string[] {
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      lines.push(...parts)
      lines.splice(0, lines.length - LOG_LINES)
    })
  }
  return lines
}

async function waitReady(
  name: string,
  socket: string,
  ended: () => string | null,
  deadline: number,
): Promise<void> {
  for (;;) {
    const how = ended()
    if (how !== null) throw new Error(`gateway ${name} ended before it was ready: ${how}`)
    if (performance.now() > deadline) throw new Error(`gateway ${name} does not answer at its control socket`)
    try {
      await askGateway(socket, 'show version')
      return
    } catch {
      await sleep(READY_POLL)
    }
  }
}

/** `data` of one command's answer; throws with the gateway's own message. */
async function askGateway(socket: string, command: string): Promise<unknown> {
  const answer = await ask(socket, command, ANSWER_DEADLINE)
  if (answer.ok) return answer.data
  throw new Error(answer.error.message)
}

async function endChild(
  child: ChildProcess,
  ended: () => boolean,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<void> {
  if (ended()) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE)
  await gone
  clearTimeout(timer)
}
