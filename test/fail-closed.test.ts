// Nothing that belongs into a tunnel leaves in clear, whatever an operator does to addresses and devices: a real
// kernel, its routes and guards as the gateway lays them, and eyes on the outer device.
//
// The change and the packet after it happen in one turn of the event loop: what puts lost routes back cannot have run
// between them, so each case holds the very window in which the kernel has dropped the tunnel's routes.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { openSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Arena } from '../bindings/linux/arena.ts'
import { type Capture, openCapture } from '../bindings/linux/capture.ts'
import { AF_INET, AF_INET6, SOCK_DGRAM } from '../bindings/linux/constants.ts'
import { linkIndex } from '../bindings/linux/namespace-links.ts'
import { LinuxRoutes } from '../bindings/linux/routes.ts'
import { putSockaddr } from '../bindings/linux/sockaddr.ts'
import { close, sendmsg, socket } from '../bindings/linux/syscalls.ts'
import { createTun } from '../bindings/linux/tun.ts'
import { loadConfig } from '../control/config/load.ts'
import type { Config } from '../control/config/model.ts'
import type { Log } from '../control/ports.ts'
import { Devices } from '../control/tunnel/devices.ts'
import { GUARD_METRIC, type MachinePlan, planMachine } from '../control/tunnel/plan.ts'
import { inNamespace } from './bindings-namespace.ts'

const ip = (...words: string[]) => execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe' })
/** each lies behind the tunnel: a route of it, and the network of its device's own address */
const INSIDE = ['10.2.0.9', '10.9.0.2', 'fd02::9', 'fd09::2']
const OUTSIDE = ['203.0.113.9', '2001:db8:1::9']
const PREFIXES = ['10.2.0.0/24', '10.9.0.0/30', 'fd02::/64', 'fd09::/64']
const PATIENCE = 20_000 // ms

const marker = randomBytes(40)
const log: Log = { log: () => {} }
const queues = new Map<string, number[]>()
let routes: LinuxRoutes
let devices: Devices
let capture: Capture
let clear = 0

/** Guards, device, routes: as a configuration with two routes and two addresses gives them. */
const PLAN: MachinePlan = {
  devices: new Map([
    [
      't1',
      {
        name: 't1',
        tunnels: ['t'],
        multicast: true,
        addresses: ['10.9.0.1/30', 'fd09::1/64'],
        shutdown: false,
      },
    ],
  ]),
  guards: PREFIXES.map((prefix) => ({ prefix, device: null, metric: GUARD_METRIC, blackhole: true })),
  routes: [
    { prefix: '10.2.0.0/24', device: 't1', metric: 1, source: '10.1.0.1' },
    { prefix: '10.3.0.0/24', device: 't1', metric: 1 },
    { prefix: 'fd02::/64', device: 't1', metric: 1 },
  ],
  fib: [],
}

const CHANGES: [string, () => void][] = [
  [
    'the outer address goes and another comes',
    () => {
      ip('address', 'add', '192.0.2.4/24', 'dev', 'wan')
      ip('address', 'del', '192.0.2.1/24', 'dev', 'wan')
      ip('address', 'replace', '192.0.2.4/24', 'dev', 'wan')
      wayOut()
    },
  ],
  ['the device loses its addresses', () => loseAddresses()],
  [
    'the device goes down and comes up',
    () => {
      ip('link', 'set', 't1', 'down')
      ip('link', 'set', 't1', 'up')
    },
  ],
  [
    'the inner address that is the source of a route goes',
    () => {
      ip('address', 'del', '10.1.0.1/24', 'dev', 'lan')
      assert.equal(seenInClear(INSIDE), 0)
      ip('address', 'add', '10.1.0.1/24', 'dev', 'lan')
    },
  ],
  [
    'the routes into the tunnel are deleted',
    () => {
      ip('route', 'flush', 'dev', 't1', 'proto', '165')
      ip('-6', 'route', 'flush', 'dev', 't1', 'proto', '165')
    },
  ],
]

inNamespace(import.meta.filename, () => {
  before(layOut)
  after(() => {
    capture.close()
    routes.removeAll()
    routes.close()
  })

  test('the eyes work: what belongs into no tunnel is seen on the outer device', () => {
    assert.equal(seenInClear(OUTSIDE), OUTSIDE.length)
    assert.equal(seenInClear(INSIDE), 0)
  })

  for (const [name, change] of CHANGES)
    test(`${name}: nothing leaves in clear, and the routes come back`, async () => {
      change()
      assert.equal(seenInClear(INSIDE), 0)
      assert.equal(seenInClear(OUTSIDE), OUTSIDE.length)
      await until(
        () => missing().length === 0,
        () => `missing: ${JSON.stringify(missing())}`,
      )
      assert.equal(seenInClear(INSIDE), 0)
    })

  test('a device that stays down: its routes cannot stand, the guards hold', async () => {
    ip('link', 'set', 't1', 'down')
    assert.equal(seenInClear(INSIDE), 0)
    await sleep(100) // whatever tries to put them back has tried
    assert.equal(seenInClear(INSIDE), 0)
    ip('link', 'set', 't1', 'up')
    await until(
      () => missing().length === 0,
      () => `missing: ${JSON.stringify(missing())}`,
    )
  })

  test('the program has died: the guards hold', () => {
    for (const fd of queues.get('t1') ?? []) close(fd)
    queues.delete('t1')
    assert.equal(seenInClear(INSIDE), 0)
    assert.equal(seenInClear(OUTSIDE), OUTSIDE.length)
  })

  test('all traffic belongs into the tunnel, and the program dies: the host’s own default route does not take it', () => {
    for (const via of ['192.0.2.2', '2001:db8::2']) {
      ip('route', 'add', 'default', 'via', via, 'metric', '100')
      ip('route', 'del', 'default', 'via', via, 'metric', via.includes(':') ? '1024' : '0')
    }
    assert.equal(seenInClear(OUTSIDE), OUTSIDE.length)
    const { guards } = planMachine(everything(), new Set())
    const defaults = guards.filter(({ prefix }) => prefix.endsWith('/0'))
    assert.equal(defaults.length, 2)
    for (const guard of defaults) routes.addRoute(guard)
    assert.equal(seenInClear(OUTSIDE), 0)
    for (const guard of defaults) routes.deleteRoute(guard)
    assert.equal(seenInClear(OUTSIDE), OUTSIDE.length)
  })
})

/** A tunnel for whatever has no better route. */
function everything(): Config {
  const text = `context local
 interface t1
 ip route 0.0.0.0/0 interface t1
 ip route ::/0 interface t1
ike policy p
 pre-shared-key text "a key of more than sixteen bytes"
tunnel ipsec c
 peer-end-point local 192.0.2.1 remote 192.0.2.2
 bind interface t1 local
 ike-policy p
`
  const files = { read: () => new Uint8Array(), readSecret: () => new Uint8Array(32), exists: () => true }
  const { config, errors } = loadConfig('/x.conf', text, files, { privateFile: true })
  assert.deepEqual(errors, [])
  return config
}

/** The kernel drops every IPv4 route of a device with its last address. */
function loseAddresses(): void {
  ip('address', 'flush', 'dev', 't1')
  assert.equal(ip('route', 'show', 'dev', 't1').trim(), '')
}

function layOut(): void {
  ip('link', 'set', 'lo', 'up')
  for (const [device, four, six] of [
    ['wan', '192.0.2.1/24', '2001:db8::1/64'],
    ['lan', '10.1.0.1/24', 'fd01::1/64'],
  ]) {
    ip('link', 'add', device, 'type', 'veth', 'peer', 'name', `${device}-far`)
    for (const each of [device, `${device}-far`]) ip('link', 'set', each, 'up')
    ip('address', 'add', four, 'dev', device)
    ip('address', 'add', six, 'dev', device, 'nodad')
  }
  wayOut()
  routes = new LinuxRoutes({
    open: (name) => void queues.set(name, createTun(name, 1)),
    close: (name) => {
      for (const fd of queues.get(name) ?? []) close(fd)
      queues.delete(name)
    },
  })
  devices = new Devices(routes, log)
  devices.commit(PLAN, () => 1400)
  routes.onChange(() => devices.repair())
  const here = openSync('/proc/self/ns/net', 'r')
  const wan = linkIndex(here, 'wan')
  capture = openCapture(here, (frame) => {
    if (frame.device === wan && frame.outgoing && Buffer.from(frame.bytes).includes(marker)) clear++
  })
}

/** Default routes over `wan` to a neighbour that needs no asking: a packet that takes them is seen at once. */
function wayOut(): void {
  for (const address of ['192.0.2.2', '2001:db8::2']) {
    ip('neighbour', 'replace', address, 'lladdr', '02:00:00:00:00:02', 'dev', 'wan', 'nud', 'permanent')
    ip('route', 'replace', 'default', 'via', address)
  }
}

function missing() {
  return routes.missing([...PLAN.guards, ...PLAN.routes])
}

/** Sends the marker to every destination from this host itself, and counts how often it left through `wan`. */
function seenInClear(destinations: string[]): number {
  capture.drain()
  clear = 0
  for (const destination of destinations) sendMarker(destination)
  capture.drain()
  assert.equal(capture.dropped(), 0)
  return clear
}

/** One UDP datagram. That the kernel refuses it (no route, blackhole) is one of the honest outcomes. */
function sendMarker(address: string): void {
  const arena = new Arena(4096)
  const fd = socket(address.includes(':') ? AF_INET6 : AF_INET, SOCK_DGRAM, 0)
  assert.ok(fd >= 0)
  const length = putSockaddr(arena, 64, { address, port: 9 })
  arena.bytes.set(marker, 192)
  arena.setWord(0, arena.address(64))
  arena.setInt(8, length)
  arena.setWord(16, arena.address(128))
  arena.setWord(24, 1)
  arena.setWord(128, arena.address(192))
  arena.setWord(136, marker.length)
  sendmsg(fd, arena.address(0), 0)
  close(fd)
}

async function until(isDone: () => boolean, tell: () => string): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!isDone()) {
    assert.ok(performance.now() < deadline, tell())
    await sleep(20)
  }
}
