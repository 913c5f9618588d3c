// The packet's way on a real kernel: two processes in two namespaces, TUN devices, UDP and raw sockets between them.

import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import type { CardTunnel, Encapsulation } from '../control/ports.ts'
import type { EndOptions, EndReport } from './asp-end.ts'
import { inNamespace } from './bindings-namespace.ts'
import { transfer } from './transfer.ts'

const OUTER = { 4: ['192.0.2.1', '192.0.2.2'], 6: ['2001:db8::1', '2001:db8::2'] } as const
const ASPS = 2
const END = new URL('./asp-end.ts', import.meta.url).pathname

type Side = { process: ChildProcess; pid: number; lines: AsyncIterator<string>; exit: Promise<unknown[]> }

inNamespace(import.meta.filename, () => {
  for (const outer of [4, 6] as const)
    for (const encapsulation of ['udp', 'raw'] as const)
      test(`pings between processes over IPv${outer}, ${encapsulation}: circuit on ASP 1, ase0 on ASP 2`, () =>
        pingBothWays(outer, encapsulation, 'esp'))
  for (const outer of [4, 6] as const)
    test(`pings between processes over IPv${outer}, AH: circuit on ASP 1, ase0 on ASP 2`, () =>
      pingBothWays(outer, 'raw', 'ah'))
  for (const outer of [4, 6] as const)
    test(`TCP over IPv${outer}: trains of datagrams leave and arrive in one message`, () => trains(outer))
  for (const outer of [4, 6] as const)
    test(`TCP over IPv${outer}, a wire too narrow for a datagram: no trains, fragments without DF`, () =>
      narrow(outer))
})

type Protocol = 'esp' | 'ah'
type Way = { encapsulation: Encapsulation; protocol: Protocol; dfBit?: CardTunnel['dfBit'] }

async function pingBothWays(outer: 4 | 6, encapsulation: Encapsulation, protocol: Protocol): Promise<void> {
  const reports = await withSides(outer, { encapsulation, protocol }, async (sides) => {
    for (const [index, side] of sides.entries()) pingFrom(side, 2 - index)
  })
  for (const { packets } of reports)
    assert.ok(
      packets.every((count) => count > 0),
      `both ASPs had work: ${packets}`,
    )
}

/** Both ends on one wire; afterwards nothing was dropped but for `allowed` reasons, and nothing is left of them. */
async function withSides(
  outer: 4 | 6,
  way: Way,
  run: (sides: Side[]) => Promise<void>,
  allowed: string[] = [],
): Promise<EndReport[]> {
  const sides = await Promise.all([0, 1].map((index) => startSide(index, outer, way)))
  try {
    layWire(sides)
    await Promise.all(sides.map(begin))
    await run(sides)
  } finally {
    for (const side of sides) side.process.stdin?.end()
  }
  return Promise.all(sides.map((side) => checkEnd(side, allowed)))
}

const TRANSFER = 4000000

/** A sender as fast as TCP may fill the ring between two ASPs when the other one has no processor: then it repeats. */
const OVERRUN = ['inbox-full']

/** The kernel counts messages as datagrams: there are far fewer of them than packets. */
async function trains(outer: 4 | 6): Promise<void> {
  await withSides(
    outer,
    { encapsulation: 'udp', protocol: 'esp' },
    async (sides) => {
      assert.ok(await transfer(sides[0].pid, sides[1].pid, { from: '10.1.0.1', to: '10.2.0.1' }, TRANSFER))
      const sent = udpSent(sides[0], outer)
      assert.ok(sent < TRANSFER / 1400 / 2, `${sent} messages for ${TRANSFER / 1400} packets`)
    },
    OVERRUN,
  )
}

async function narrow(outer: 4 | 6): Promise<void> {
  await withSides(
    outer,
    { encapsulation: 'udp', protocol: 'esp', dfBit: 'clear' },
    async (sides) => {
      for (const side of sides) inside(side, 'ip', 'link', 'set', 'wire', 'mtu', '1300')
      assert.ok(
        await transfer(sides[0].pid, sides[1].pid, { from: '10.1.0.1', to: '10.2.0.1' }, TRANSFER / 8),
      )
    },
    OVERRUN,
  )
}

/** UDP messages that a namespace has sent over the family. */
function udpSent(side: Side, family: 4 | 6): number {
  const name = family === 4 ? 'UdpOutDatagrams' : 'Udp6OutDatagrams'
  const found = new RegExp(`${name}\\s+(\\d+)`).exec(inside(side, 'nstat', '-asz'))
  return Number(found?.[1])
}

/** A process in a namespace of its own that waits for its line. Networks: 10.1, 10.11, fd01 and 10.2, 10.12, fd02. */
async function startSide(index: number, outer: 4 | 6, way: Way): Promise<Side> {
  const [here, there] = [index + 1, 2 - index]
  const ends = { local: OUTER[outer][index], remote: OUTER[outer][1 - index] }
  const spis = (base: number) => ({ in: base + here, out: base + there })
  const options: EndOptions = {
    asps: ASPS,
    tunnels: [
      {
        ...{ name: 'circuit', device: 'tun1', asp: 1, ...way, ends, spis: spis(1000) },
        addresses: [`10.${here}.0.1/32`, `fd0${here}::1/128`],
        routes: [`10.${there}.0.0/16`, `fd0${there}::/64`],
      },
      {
        ...{ name: 'economical', device: 'ase0', asp: 2, ...way, ends, spis: spis(2000) },
        addresses: [`10.${here + 10}.0.1/32`],
        routes: [`10.${there + 10}.0.0/16`],
      },
    ],
  }
  const child = spawn('unshare', ['--net', process.execPath, END, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  assert.equal((await lines.next()).value, 'waiting')
  return { process: child, pid: child.pid!, lines, exit }
}

/** A veth pair between the namespaces, addresses of both families at its ends. */
function layWire(sides: Side[]): void {
  const [one, other] = sides.map(({ pid }) => String(pid))
  run('ip', 'link', 'add', 'wire', 'netns', one, 'type', 'veth', 'peer', 'name', 'wire', 'netns', other)
  for (const [index, side] of sides.entries()) {
    inside(side, 'ip', 'link', 'set', 'lo', 'up')
    inside(side, 'ip', 'address', 'add', `${OUTER[4][index]}/24`, 'dev', 'wire')
    inside(side, 'ip', 'address', 'add', `${OUTER[6][index]}/64`, 'dev', 'wire', 'nodad')
    inside(side, 'ip', 'link', 'set', 'wire', 'up')
  }
}

async function begin(side: Side): Promise<void> {
  side.process.stdin?.write('go\n')
  assert.equal((await side.lines.next()).value, 'ready')
}

function pingFrom(side: Side, other: number): void {
  for (const address of [`10.${other}.0.1`, `fd0${other}::1`]) {
    ping(side, address, 10, 56)
    ping(side, address, 3, 4000)
  }
  const source = `10.${13 - other}.0.1`
  ping(side, `10.${other + 10}.0.1`, 10, 56, '-I', source)
}

/**
 * Every request must be answered. All leave at once (-l): ping waits for late answers no longer than its interval or two
 * round trips, so a short interval would call a slow answer lost.
 */
function ping(side: Side, address: string, count: number, size: number, ...more: string[]): void {
  const options = [
    '-q',
    '-c',
    String(count),
    '-l',
    String(count),
    '-i',
    '5',
    '-W',
    '10',
    '-s',
    String(size),
    ...more,
  ]
  const output = inside(side, 'ping', ...options, address)
  assert.match(output, new RegExp(`${count} received`), output)
}

async function checkEnd(side: Side, allowed: string[]): Promise<EndReport> {
  const report = JSON.parse((await side.lines.next()).value) as EndReport
  const drops = Object.entries(report.drops).filter(([reason]) => !allowed.includes(reason))
  assert.deepEqual(drops, [])
  assert.deepEqual(report.leaked, [], 'stop leaves no descriptor')
  assert.deepEqual(report.devices, [], 'stop leaves no device')
  assert.deepEqual(await side.exit, [0, null])
  return report
}

function inside(side: Side, ...command: string[]): string {
  return run('nsenter', '--target', String(side.pid), '--net', ...command)
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120000 })
}
