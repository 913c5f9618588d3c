// The lab as a user starts it: it must hold what it shows, and leave nothing however it ends.
//
// What belongs to one run is told by a mark in its environment, which all its processes inherit. A namespace
// without a name lives only through processes, so no marked process means no namespace, device or mount of the lab.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { LabResult } from '../control/cli/lab-events.ts'

const ROOT_DIRECTORY = fileURLToPath(new URL('..', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../control/cli/asegate.js', import.meta.url))
const RUN_DEADLINE = 300_000 // ms
const GONE_DEADLINE = 60_000 // ms from the end of a lab to its last process
const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
const ROOT = process.getuid?.() === 0

type Lab = { child: ChildProcess; mark: string; output: () => string; ended: Promise<number | null> }

const running = new Set<Lab>()
after(async () => {
  for (const lab of running) lab.child.kill('SIGKILL')
})

function start(parameters: string[], as: string[] = [], environment: NodeJS.ProcessEnv = {}): Lab {
  return launch([...as, process.execPath, PROGRAM, 'lab', ...parameters], environment)
}

function launch(words: string[], environment: NodeJS.ProcessEnv = {}): Lab {
  const mark = randomUUID()
  const [command, ...rest] = words as [string, ...string[]]
  const child = spawn(command, rest, {
    cwd: ROOT_DIRECTORY,
    env: { ...process.env, ...environment, ASELAB_MARK: mark },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const lab: Lab = { child, mark, output: () => output, ended: once(child, 'close').then(([code]) => code) }
  running.add(lab)
  return lab
}

/** Process ids whose environment carries the mark. */
function marked(mark: string): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      return readFileSync(`/proc/${name}/environ`, 'latin1').includes(`ASELAB_MARK=${mark}`)
    } catch {
      return false // it ended meanwhile, or belongs to somebody else
    }
  })
}

async function assertNothingLeft(lab: Lab): Promise<void> {
  const deadline = performance.now() + GONE_DEADLINE
  while (marked(lab.mark).length > 0 && performance.now() < deadline) await sleep(20)
  assert.deepEqual(marked(lab.mark), [], 'processes are left')
  running.delete(lab)
  const names = (directory: string) => (existsSync(directory) ? readdirSync(directory) : [])
  assert.deepEqual(
    names('/run/netns').filter((name) => name.startsWith('aselab')),
    [],
    'named namespaces',
  )
  assert.deepEqual(
    names('/sys/class/net').filter((name) => /^(t-|ase|aselab|to-)/.test(name)),
    [],
    'devices',
  )
  assert.deepEqual(
    names(tmpdir()).filter((name) => name.startsWith('aselab')),
    [],
    'files',
  )
}

type Verdict = { ok: boolean; data: LabResult; error?: { message: string } }

function verdict(lab: Lab): Verdict {
  const line = lab.output().trimEnd().split('\n').at(-1)!
  return JSON.parse(line) as Verdict
}

/** Runs a lab with --once --json to its end and judges its last line. */
async function assertHolds(parameters: string[], tunnels: number, as: string[] = []): Promise<LabResult> {
  const lab = start([...parameters, '--once', '--json'], as)
  const code = await lab.ended
  await assertNothingLeft(lab)
  assert.equal(code, 0, lab.output())
  const { ok, data } = verdict(lab)
  assert.equal(ok, true)
  assert.deepEqual(Object.keys({ ok, data }), ['ok', 'data'])
  assert.equal(data.tunnels.length, tunnels)
  for (const tunnel of data.tunnels) assert.equal(tunnel.state, 'up', tunnel.name)
  assert.ok(data.pings.sent > 0)
  assert.equal(data.pings.received, data.pings.sent)
  assert.ok(data.pingsWhileDown.sent > 0)
  assert.equal(data.pingsWhileDown.received, 0)
  assert.equal(data.clearOnWire, 0)
  assert.ok(data.wire.esp >= data.pings.sent, `${data.wire.esp} ESP packets for ${data.pings.sent} pings`)
  assert.ok(data.captureTest.seen >= data.captureTest.sent, 'the capture must see clear packets')
  assert.equal(data.captureDropped, 0)
  return data
}

const options = { timeout: RUN_DEADLINE }
const needsRoot = { ...options, skip: ROOT ? false : 'needs root' }
const mode = ROOT ? 'namespaces' : 'user-namespaces'

/** Why nobody cannot run this checkout here, or false. */
function refusedToNobody(): string | false {
  if (!ROOT) return 'is the case of the other tests: they run as an ordinary user'
  const [command, ...rest] = [
    ...NOBODY,
    'unshare',
    '--user',
    '--map-root-user',
    '--net',
    process.execPath,
    '--version',
  ]
  if (spawnSync(command!, rest).status !== 0)
    return 'no user namespaces, or this checkout is not readable to others'
  return false
}

test('lab figure3 holds', options, async () => {
  const data = await assertHolds([], 2)
  assert.equal(data.lab, 'figure3')
  assert.equal(data.mode, mode)
  assert.ok(data.wire.ike >= 4)
})

test('lab figure3 holds for an ordinary user', { ...options, skip: refusedToNobody() }, async () => {
  assert.equal((await assertHolds(['figure3'], 2, NOBODY)).mode, 'user-namespaces')
})

test('lab figure5 holds', options, async () => {
  await assertHolds(['figure5'], 6)
})

test('lab manual holds', options, async () => {
  const data = await assertHolds(['manual'], 2)
  assert.equal(data.wire.ike, 0)
})

for (const name of ['figure3', 'figure5', 'manual'])
  test(`lab ${name} holds in one process`, options, async () => {
    const data = await assertHolds([name, '--in-process'], name === 'figure5' ? 6 : 2)
    assert.equal(data.mode, 'in-process')
  })

test('two labs stand side by side', options, async () => {
  await Promise.all([assertHolds(['figure3'], 2), assertHolds(['figure3'], 2)])
})

test('without namespaces the lab runs in one process and says so', options, async () => {
  const lab = start(['--once'], [], { PATH: '/nonexistent' })
  assert.equal(await lab.ended, 0, lab.output())
  assert.match(lab.output(), /no network namespaces here: spawn unshare ENOENT/)
  assert.match(lab.output(), /one process over in-process wires/)
  await assertNothingLeft(lab)
})

/** Waits until a lab that stays says what to try next. */
async function standing(lab: Lab = start(['figure3'])): Promise<Lab> {
  const deadline = performance.now() + RUN_DEADLINE / 2
  while (!lab.output().includes('until Ctrl-C')) {
    assert.equal(lab.child.exitCode, null, lab.output())
    assert.ok(performance.now() < deadline, lab.output())
    await sleep(50)
  }
  return lab
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test(`a standing lab ends with ${signal}`, options, async () => {
    const lab = await standing()
    assert.ok(marked(lab.mark).length >= 4, 'the lab, its holder and two gateways')
    lab.child.kill(signal)
    assert.equal(await lab.ended, 0, lab.output())
    await assertNothingLeft(lab)
  })

for (const after of [30, 150, 400, 900, 1_600, 2_600])
  test(`kill -9 of the lab after ${after} ms leaves nothing`, options, async () => {
    const lab = start(['figure3', '--once'])
    await sleep(after)
    lab.child.kill('SIGKILL')
    await lab.ended
    await assertNothingLeft(lab)
  })

test('kill -9 of a standing lab leaves nothing', options, async () => {
  const lab = await standing()
  lab.child.kill('SIGKILL')
  await lab.ended
  await assertNothingLeft(lab)
})

test('kill -9 of npm ends the lab it started', options, async () => {
  const lab = await standing(launch(['npm', 'start']))
  lab.child.kill('SIGKILL')
  await once(lab.child, 'exit')
  await assertNothingLeft(lab)
})

test('a gateway that dies ends the lab, which names it', needsRoot, async () => {
  const lab = await standing()
  const gateway = marked(lab.mark).find((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('pe2/gateway.conf'),
  )
  assert.ok(gateway, 'gateway process of pe2')
  process.kill(Number(gateway), 'SIGKILL')
  assert.equal(await lab.ended, 1)
  assert.match(lab.output(), /gateway pe2 ended: signal SIGKILL/)
  await assertNothingLeft(lab)
})

test('lab --list names the labs, and an unknown one is refused', options, async () => {
  const list = start(['--list', '--json'])
  assert.equal(await list.ended, 0)
  const { data } = JSON.parse(list.output()) as { data: { name: string }[] }
  assert.deepEqual(
    data.map((one) => one.name),
    ['figure3', 'figure5', 'manual'],
  )
  const unknown = start(['figure9'])
  assert.equal(await unknown.ended, 2)
  assert.match(unknown.output(), /no lab "figure9"/)
})
