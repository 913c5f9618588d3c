// Routes that a daemon puts on ase0 join the card's FIB: a gateway names the tunnel, one that leads nowhere drops.
// First the rule, then a gateway on a bed, then the kernel's notices, then two gateway processes that carry packets.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createNamespace,
  currentNamespace,
  inNamespace as inside,
  type NamespaceFd,
} from '../bindings/linux/namespace.ts'
import { addLinkAddress, createVeth, raiseLink } from '../bindings/linux/namespace-links.ts'
import { LinuxRoutes } from '../bindings/linux/routes.ts'
import { close } from '../bindings/linux/syscalls.ts'
import { createTun } from '../bindings/linux/tun.ts'
import { type GatewayProcess, startGateway } from '../control/cli/lab-gateway.ts'
import { requireCard } from '../control/cli/preflight.js'
import type { StaticRoute } from '../control/config/model.ts'
import type { LearnedRoute } from '../control/ports.ts'
import { learnedFib, tunnelTowards } from '../control/tunnel/learned.ts'
import { inNamespace } from './bindings-namespace.ts'
import { Bed, pass } from './gateway-bed.ts'

const towards = (prefix: string, name: string, distance = 1): StaticRoute => ({
  prefix,
  nextHop: { kind: 'tunnel', name },
  distance,
  withdraw: false,
  line: 1,
})
const STATICS = [towards('10.0.0.0/8', 'wide'), towards('10.2.0.0/16', 'near'), towards('fd02::/32', 'six')]
const learned = (prefix: string, gateway: string | null, metric = 20): LearnedRoute => ({
  prefix,
  gateway,
  metric,
})

test('a gateway is looked up in the static tunnel routes, the longest prefix wins', () => {
  assert.equal(tunnelTowards('10.2.0.9', STATICS), 'near')
  assert.equal(tunnelTowards('10.3.0.9', STATICS), 'wide')
  assert.equal(tunnelTowards('fd02::1', STATICS), 'six')
  assert.equal(tunnelTowards('192.0.2.1', STATICS), null)
})

test('the smallest metric counts, a static route of the same prefix stays, an unknown gateway drops', () => {
  const fib = learnedFib(
    [
      learned('10.9.0.0/16', '10.3.0.1', 30),
      learned('10.9.0.0/16', '10.2.0.1', 20),
      learned('10.8.0.0/16', '192.0.2.1'),
      learned('10.7.0.0/16', null),
      learned('10.2.0.0/16', '10.3.0.1'),
      learned('fd09::/32', 'fd02::7'),
    ],
    STATICS,
  )
  assert.deepEqual(fib, [
    { prefix: '10.9.0.0/16', target: { tunnel: 'near' } },
    { prefix: '10.8.0.0/16', target: 'null0' },
    { prefix: 'fd09::/32', target: { tunnel: 'six' } },
  ])
  const far = [towards('10.2.0.0/16', 'near', 200), towards('10.3.0.0/16', 'other')]
  assert.deepEqual(learnedFib([learned('10.2.0.0/16', '10.3.0.1')], far), [
    { prefix: '10.2.0.0/16', target: { tunnel: 'other' } },
  ])
})

const PSK = 'pre-shared-key text "a key of more than sixteen bytes"'
const economical = (local: string, remote: string, net: string) => `context local
 ip route ${net} tunnel t
ike policy peer
 ${PSK}
tunnel ipsec t
 mode economical
 peer-end-point local ${local} remote ${remote}
 ike-policy peer
`

test('a gateway swaps its FIB when they change, and shows through which tunnel they lead', async () => {
  const bed = new Bed(economical('198.51.100.1', '203.0.113.1', '10.2.0.0/16'))
  bed.gateway.start()
  const ref = bed.card.refOf('t')
  await pass(100, bed.wire, bed)
  assert.deepEqual(bed.card.fib, [{ prefix: '10.2.0.0/16', target: { tunnel: ref } }])
  bed.routes.foreign = [learned('10.9.0.0/16', '10.2.0.1'), learned('10.8.0.0/16', '192.0.2.1')]
  bed.routes.changed()
  await pass(100, bed.wire, bed)
  assert.deepEqual(bed.card.fib, [
    { prefix: '10.2.0.0/16', target: { tunnel: ref } },
    { prefix: '10.9.0.0/16', target: { tunnel: ref } },
    { prefix: '10.8.0.0/16', target: 'null0' },
  ])
  const rows = (await bed.ask('show ip route')).filter(({ source }) => source === 'kernel')
  assert.deepEqual(
    rows.map(({ prefix, target, tunnel }) => [prefix, target, tunnel]),
    [
      ['10.9.0.0/16', 't', 't'],
      ['10.8.0.0/16', 'ase0', null],
    ],
  )
  bed.routes.foreign = []
  bed.routes.changed()
  await pass(100, bed.wire, bed)
  assert.equal(bed.card.fib.length, 1)
  bed.routes.foreign = [learned('10.9.0.0/16', '10.2.0.1')]
  assert.ok(bed.gateway.reload(bed.config(economical('198.51.100.1', '203.0.113.1', '10.0.0.0/8'))).ok)
  await pass(100, bed.wire, bed)
  assert.deepEqual(bed.card.fib.map(({ prefix }) => prefix).sort(), ['10.0.0.0/8', '10.9.0.0/16'])
  await bed.gateway.stop()
})

const PATIENCE = 20_000
const ip = (...words: string[]) => execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe' })

async function until(condition: () => boolean | Promise<boolean>, complaint: () => string) {
  for (const end = performance.now() + PATIENCE; !(await condition()); ) {
    assert.ok(performance.now() < end, complaint())
    await sleep(25)
  }
}

/** The kernel tells of routes over ase0, and only of those. */
function kernelTest() {
  test('the kernel tells of routes that others put on the shared device, one or several next hops', async (context) => {
    const queues = new Map<string, number[]>()
    const routes = new LinuxRoutes({
      open: (name, shared) => void queues.set(name, createTun(name, shared ? 2 : 1)),
      close: (name) => {
        for (const fd of queues.get(name) ?? []) close(fd)
      },
    })
    context.after(() => {
      routes.removeAll()
      routes.close()
    })
    let told = 0
    routes.onChange(() => {
      told += 1
    })
    raiseLink(currentNamespace(), 'lo')
    routes.createDevice('ase0', { mtu: 1400, multicast: false })
    routes.addAddress('ase0', '169.254.9.1/32')
    routes.createDevice('t0', { mtu: 1400, multicast: true })
    await sleep(300) // the notices of what was just made
    const next = async (...words: string[]) => {
      const before = told
      ip(...words)
      await until(
        () => told > before,
        () => `nobody was told of ${words.join(' ')}`,
      )
      return routes.learned('ase0').map(({ prefix, gateway, metric }) => `${prefix} ${gateway} ${metric}`)
    }
    assert.deepEqual(
      await next('route', 'add', '10.9.0.0/16', 'via', '10.2.0.1', 'dev', 'ase0', 'onlink', 'metric', '20'),
      ['10.9.0.0/16 10.2.0.1 20'],
    )
    const several = [
      'nexthop',
      'via',
      '10.2.0.5',
      'dev',
      'ase0',
      'onlink',
      'nexthop',
      'via',
      '10.2.0.6',
      'dev',
      'ase0',
      'onlink',
    ]
    assert.deepEqual(await next('route', 'add', '10.8.0.0/16', 'metric', '20', ...several), [
      '10.8.0.0/16 10.2.0.5 20',
      '10.9.0.0/16 10.2.0.1 20',
    ])
    await next('route', 'del', '10.8.0.0/16')
    assert.deepEqual(await next('route', 'del', '10.9.0.0/16'), [])
    routes.addRoute({ prefix: '10.5.0.0/16', device: 'ase0', metric: 1 })
    assert.deepEqual(routes.learned('ase0'), [], 'our own is not learned')
    const quiet = told
    for (let count = 0; count < 4; count++) ip('route', 'add', `10.77.${count}.0/24`, 'dev', 't0')
    await sleep(300)
    assert.equal(told, quiet, 'routes over other devices are nobody’s business')
  })
}

const metrics = (gateway: GatewayProcess) => gateway.ask('show tunnel ipsec') as Promise<{ state: string }[]>

function processTest() {
  const folder = mkdtempSync(join(tmpdir(), 'asegate-learned-'))
  const rooms: NamespaceFd[] = [currentNamespace(), createNamespace()]
  const gateways: GatewayProcess[] = []
  before(requireCard)
  after(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()))
    rmSync(folder, { recursive: true, force: true })
  })

  test('a network behind a learned route is reached through the tunnel of its gateway', async () => {
    createVeth({ namespace: rooms[0], name: 'wan' }, { namespace: rooms[1], name: 'wan' })
    for (const [side, room] of rooms.entries()) {
      raiseLink(room, 'lo')
      addLinkAddress(room, 'wan', `192.0.2.${side + 1}/24`)
      raiseLink(room, 'wan')
      addLinkAddress(room, 'lo', `10.${side + 1}.0.1/32`)
      const config = join(folder, `${side}.conf`)
      writeFileSync(config, economical(`192.0.2.${side + 1}`, `192.0.2.${2 - side}`, `10.${2 - side}.0.0/24`))
      chmodSync(config, 0o600)
      gateways.push(startGateway(`g${side}`, room, config, join(folder, `${side}.sock`)))
    }
    addLinkAddress(rooms[1], 'lo', '10.9.0.1/32')
    for (const gateway of gateways) await gateway.ready(performance.now() + 30_000)
    for (const gateway of gateways)
      await until(
        async () => (await metrics(gateway))[0].state === 'up',
        () => gateway.lastLog().join('\n'),
      )
    const ping = (to: string) => {
      const words = ['-q', '-c', '1', '-W', '1', '-I', '10.1.0.1', to]
      return inside(rooms[0], () => {
        try {
          return execFileSync('ping', words, { encoding: 'utf8', stdio: 'pipe' }).includes(' 0% packet loss')
        } catch {
          return false
        }
      })
    }
    await until(
      () => ping('10.2.0.1'),
      () => gateways[0].lastLog().join('\n'),
    )
    ip(
      'route',
      'add',
      '10.9.0.0/24',
      'via',
      '10.2.0.1',
      'dev',
      'ase0',
      'onlink',
      'proto',
      'bgp',
      'metric',
      '20',
    )
    await until(
      () => ping('10.9.0.1'),
      () => gateways[0].lastLog().join('\n'),
    )
    ip(
      'route',
      'replace',
      '10.9.0.0/24',
      'via',
      '192.0.2.99',
      'dev',
      'ase0',
      'onlink',
      'proto',
      'bgp',
      'metric',
      '20',
    )
    await until(
      () => !ping('10.9.0.1'),
      () => 'a gateway that leads nowhere is still reached',
    )
    ip('route', 'del', '10.9.0.0/24')
  })
}

inNamespace(import.meta.filename, () => {
  kernelTest()
  processTest()
})
