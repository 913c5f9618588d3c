// A path that carries less than its ends: the kernel learns it from ICMP, the tunnel and its device shrink, and what
// is too big is told to its sender instead of being lost.
//
//   left ---1500--- this namespace ---1400--- far ---1500--- right

import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inNamespace } from './bindings-namespace.ts'
import { transfer } from './transfer.ts'

const MAIN = new URL('../control/cli/asegate.js', import.meta.url).pathname
const CEILING = 1500

/** A tunnel between the gateways; case n has addresses, device and networks with n in them. */
type Case = {
  outer: 4 | 6
  force: boolean
  df: 'copy' | 'set' | 'clear'
  /** MTU of the left tunnel once it has learned */
  mtu: number
}
// ESP: 8 header, 16 IV, 12 ICV, and 2 in whole blocks of 16; UDP 8.
const CASES: Case[] = [
  { outer: 4, force: false, df: 'copy', mtu: 1342 }, // 1400 - 20 - 36 = 1344
  { outer: 4, force: true, df: 'set', mtu: 1326 }, // 1400 - 28 - 36 = 1336 -> 1328
  { outer: 6, force: false, df: 'set', mtu: 1310 }, // 1400 - 40 - 36 = 1324 -> 1312
  { outer: 6, force: true, df: 'copy', mtu: 1310 }, // 1400 - 48 - 36 = 1316 -> 1312
  { outer: 4, force: false, df: 'clear', mtu: 1438 }, // fragments of the outer packet; nothing is learned
]

inNamespace(import.meta.filename, () => {
  const directory = mkdtempSync(join(tmpdir(), 'aspmtu-'))
  const holders: ChildProcess[] = []
  const gateways: Running[] = []

  before(async () => {
    for (let index = 0; index < 3; index++) holders.push(await holdNamespace())
    layNetwork(holders.map(({ pid }) => String(pid)))
    for (const side of [1, 0]) gateways.push(startGateway(holders[side], side, directory))
    await Promise.all(gateways.map(allUp))
  })
  after(async () => {
    for (const { process } of gateways) process.kill('SIGTERM')
    await Promise.all(gateways.map(({ exit }) => exit))
    for (const holder of holders) holder.kill('SIGKILL')
    rmSync(directory, { recursive: true })
  })

  for (const [index, one] of CASES.entries())
    test(`IPv${one.outer}, ${one.force ? 'UDP' : 'raw'}, df-bit ${one.df}: a transfer passes, MTU ${one.mtu}`, async () => {
      const [left, right] = holders
      assert.equal(deviceMtu(left, `t${index}`), unlearned(one))
      const ends = { from: `10.${index}.1.1`, to: `10.${index}.2.1` }
      const passed = await transfer(left.pid!, right.pid!, ends, TRANSFER)
      assert.ok(passed, gateways.map(({ lines }) => lines.join('\n')).join('\n'))
      assert.equal(deviceMtu(left, `t${index}`), one.mtu)
      const large = ping(left, `10.${index}.2.1`, one.mtu - 28)
      assert.match(large, /3 received/, large)
      if (one.df === 'clear') return
      const tooLarge = ping(left, `10.${index}.2.1`, one.mtu - 27)
      assert.match(tooLarge, new RegExp(`mtu=${one.mtu}`), tooLarge)
    })
})

// ---- the network

/** A process that does nothing in a namespace of its own. */
async function holdNamespace(): Promise<ChildProcess> {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo there; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout!, 'data')
  return holder
}

/** Index n of a case in outer addresses: 192.0.2.n and 198.51.100.n, 2001:db8:1::n and 2001:db8:2::n (n from 10). */
function outerAddress(side: number, { outer }: Case, index: number): string {
  if (outer === 4) return `${['192.0.2', '198.51.100'][side]}.${10 + index}`
  return `2001:db8:${side + 1}::${10 + index}`
}

function layNetwork([left, right, far]: string[]): void {
  const ip = (...args: string[]) => run('ip', ...args)
  const farIp = (...args: string[]) => inside(far, 'ip', ...args)
  ip('link', 'add', 'toleft', 'type', 'veth', 'peer', 'name', 'wire', 'netns', left)
  ip(
    'link',
    'add',
    'tofar',
    'mtu',
    '1400',
    'type',
    'veth',
    'peer',
    'name',
    'back',
    'mtu',
    '1400',
    'netns',
    far,
  )
  ip('link', 'add', 'x', 'netns', far, 'type', 'veth', 'peer', 'name', 'wire', 'netns', right)
  run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  inside(far, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  address(ip, 'toleft', '192.0.2.1/24', '2001:db8:1::1/64')
  address(ip, 'tofar', '10.255.0.1/30', '2001:db8:f::1/64')
  address(farIp, 'back', '10.255.0.2/30', '2001:db8:f::2/64')
  address(farIp, 'x', '198.51.100.1/24', '2001:db8:2::1/64')
  route(ip, '198.51.100.0/24', '10.255.0.2', '2001:db8:2::/64', '2001:db8:f::2')
  route(farIp, '192.0.2.0/24', '10.255.0.1', '2001:db8:1::/64', '2001:db8:f::1')
  for (const [side, namespace] of [left, right].entries()) {
    const sideIp = (...args: string[]) => inside(namespace, 'ip', ...args)
    for (const [index, one] of CASES.entries())
      sideIp(
        'address',
        'add',
        `${outerAddress(side, one, index)}/${one.outer === 4 ? 24 : 64}`,
        'dev',
        'wire',
        'nodad',
      )
    sideIp('link', 'set', 'wire', 'up')
    route(sideIp, '0.0.0.0/0', ['192.0.2.1', '198.51.100.1'][side], '::/0', `2001:db8:${side + 1}::1`)
  }
}

type Ip = (...args: string[]) => string

function address(ip: Ip, device: string, ...addresses: string[]): void {
  for (const one of addresses) ip('address', 'add', one, 'dev', device, 'nodad')
  ip('link', 'set', device, 'up')
}

function route(ip: Ip, four: string, via4: string, six: string, via6: string): void {
  ip('route', 'add', four, 'via', via4)
  ip('-6', 'route', 'add', six, 'via', via6)
}

function inside(namespace: string, ...command: string[]): string {
  return run('nsenter', '--target', namespace, '--net', ...command)
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120000 })
}

function deviceMtu({ pid }: ChildProcess, device: string): number {
  return JSON.parse(inside(String(pid), 'ip', '-j', 'link', 'show', device))[0].mtu
}

/** Before anything was learned the path is taken for 1500 bytes. */
function unlearned({ outer, force }: Case): number {
  if (outer === 4) return force ? 1422 : 1438
  return force ? 1406 : 1422
}

// ---- the gateways

type Running = { process: ChildProcess; lines: string[]; exit: Promise<unknown> }

function configuration(side: number): string {
  const interfaces = CASES.map(
    (_, index) => ` interface t${index}\n  ip address 10.${index}.${side + 1}.1/32\n  ip mtu ${CEILING}\n`,
  )
  const routes = CASES.map((_, index) => ` ip route 10.${index}.${2 - side}.0/24 interface t${index}\n`)
  const tunnels = CASES.map((one, index) => tunnel(side, one, index))
  return ['context local\n', ...interfaces, ...routes, policies(side), ...tunnels].join('')
}

const policies = (side: number) => `ike proposal p
 encryption aes-128
 authentication sha256
 dh-group 31
ike policy peer
 seq 10 proposal p
 pre-shared-key text "a key of more than sixteen bytes"
 role ${side === 0 ? 'initiator' : 'responder'}
ipsec proposal e
 esp encryption aes-128
 esp authentication sha1
`

const tunnel = (side: number, one: Case, index: number) => `ipsec policy p${index}
 seq 10 proposal e
 df-bit ${one.df}
tunnel ipsec t${index}
 peer-end-point local ${outerAddress(side, one, index)} remote ${outerAddress(1 - side, one, index)}
 bind interface t${index} local
 ike-policy peer
 ipsec-policy p${index}
 nat-traversal ${one.force ? 'force' : 'off'}
`

function startGateway({ pid }: ChildProcess, side: number, directory: string): Running {
  const file = join(directory, `gateway${side}.conf`)
  writeFileSync(file, configuration(side), { mode: 0o600 })
  const options = ['run', '--config', file, '--socket', join(directory, `${side}.sock`)]
  const command = ['--target', String(pid), '--net', process.execPath, MAIN, ...options]
  const child = spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  return { process: child, lines, exit: once(child, 'exit') }
}

/** Waits until every tunnel is up; fails when the gateway ends before. */
async function allUp({ lines, exit }: Running): Promise<void> {
  let ended = false
  void exit.then(() => {
    ended = true
  })
  while (lines.filter((line) => line.includes('tunnel up')).length < CASES.length) {
    if (ended) throw new Error(`the gateway has ended:\n${lines.join('\n')}`)
    await sleep(50)
  }
}

// ---- traffic

const TRANSFER = 200000

/** Three echo requests with DF at once; what ping says of them. It waits for late answers as long as its interval. */
function ping({ pid }: ChildProcess, to: string, size: number): string {
  const command = ['ping', '-M', 'do', '-c', '3', '-l', '3', '-i', '1', '-W', '5', '-s', String(size), to]
  try {
    return inside(String(pid), ...command)
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    return `${stdout}${stderr}`
  }
}
