// A lab in namespaces, seen from the process the user started: a child inside the namespaces does the work
// (lab-holder.ts), tells it line by line, and dies with this process because its standard input ends then.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Emit, LabEvent, LabMode } from './lab-events.ts'
import type { LabPlan } from './lab-plan.ts'

const HOLDER = fileURLToPath(new URL('./lab-holder.ts', import.meta.url))
const STOP_DEADLINE = 20_000 // ms for the child to stop its gateways
const COMPLAINT = 4_000 // characters of standard error worth repeating
const NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--kill-child']
const USER_NAMESPACE = ['--user', '--map-root-user']

/** done: it ended as told; unavailable: this machine gives no such namespaces; failed: with the reason told. */
export type LabOutcome = 'done' | 'failed' | 'unavailable'

/** Runs the lab in new namespaces until `stopped` resolves or it fails. */
export async function runHeld(
  plan: LabPlan,
  mode: Exclude<LabMode, 'in-process'>,
  emit: Emit,
  stopped: Promise<void>,
): Promise<LabOutcome> {
  const namespaces = mode === 'user-namespaces' ? [...USER_NAMESPACE, ...NAMESPACES] : NAMESPACES
  // detached: a Ctrl-C of the terminal reaches only this process, which says `stop`
  const child = spawn('unshare', [...namespaces, process.execPath, HOLDER, plan.name, mode], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const story = listen(child, emit)
  const ended = whenEnded(child)
  void stopped.then(() => stopHolder(child))
  const how = await ended
  if (!story.met || story.unavailable) {
    if (!story.unavailable) emit({ kind: 'unavailable', reason: story.complaint || how })
    return 'unavailable'
  }
  if (how === 'code 0') return 'done'
  if (!story.failed)
    emit({
      kind: 'failed',
      reason: `the process that held the lab ended with ${how} ${story.complaint}`,
      logs: [],
    })
  return 'failed'
}

type Story = { met: boolean; unavailable: boolean; failed: boolean; complaint: string }

/** Passes every event on and remembers what kind of story it was. */
function listen(child: ChildProcess, emit: Emit): Story {
  const story: Story = { met: false, unavailable: false, failed: false, complaint: '' }
  let rest = ''
  child.stdin?.on('error', () => {}) // EPIPE: the holder is gone, which its exit tells
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = JSON.parse(line) as LabEvent
      story.met = true
      if (event.kind === 'unavailable') story.unavailable = true
      if (event.kind === 'failed') story.failed = true
      emit(event)
    }
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    story.complaint = (story.complaint + text).slice(-COMPLAINT).trim()
  })
  return story
}

function whenEnded(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(signal === null ? `code ${code}` : `signal ${signal}`))
  })
}

/** Says stop; a holder that does not end in time is killed, and the kernel takes everything with it. */
function stopHolder(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.stdin?.write('stop\n')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE)
  child.once('close', () => clearTimeout(timer))
}
