// What a gateway makes of its paths: who is told of a change, and how tunnel and device follow.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeMachine } from '../bindings/fake/machine.ts'
import { FakeNet } from '../bindings/fake/net.ts'
import { VirtualTime } from '../bindings/fake/time.ts'
import { PathWatch } from '../bindings/path-watch.ts'
import { loadConfig } from '../control/config/load.ts'
import type { CardEvent } from '../control/ports.ts'
import { fitTunnel, ipv6Carriers } from '../control/tunnel/mtu.ts'
import { installManual } from './asp-tunnel.ts'
import { LEFT, RIGHT, upPair } from './gateway-pair.ts'

const NO_FILES = {
  read: (path: string): Uint8Array => {
    throw new Error(`${path}: no such file`)
  },
  readSecret: (path: string): Uint8Array => NO_FILES.read(path),
  list: () => [],
  exists: () => false,
}

function watch() {
  const kernel = new Map<string, number | null>()
  const told: [tunnel: number, mtu: number][] = []
  const paths = new PathWatch(
    (_, remote) => kernel.get(remote) ?? null,
    (tunnel, mtu) => told.push([tunnel, mtu]),
  )
  return { kernel, told, paths }
}

test('a path is told when it is set and when it changes, smaller and larger again', () => {
  const { kernel, told, paths } = watch()
  kernel.set('192.0.2.1', 1500)
  paths.set(7, '0.0.0.0', '192.0.2.1')
  paths.set(7, '0.0.0.0', '192.0.2.1')
  paths.look(7)
  kernel.set('192.0.2.1', 1400)
  paths.look(7)
  paths.look(7)
  kernel.set('192.0.2.1', 1500)
  paths.lookAll()
  assert.deepEqual(told.splice(0), [
    [7, 1500],
    [7, 1400],
    [7, 1500],
  ])
  kernel.set('192.0.2.1', null)
  paths.lookAll()
  paths.delete(7)
  kernel.set('192.0.2.1', 1000)
  paths.lookAll()
  assert.deepEqual(told, [], 'no route says nothing, a deleted tunnel hears nothing')
})

test('an unknown peer has no path; a moved one is looked at anew; an error concerns those it names', () => {
  const { kernel, told, paths } = watch()
  kernel.set('0.0.0.0', 1).set('192.0.2.1', 1500).set('192.0.2.2', 1500)
  paths.set(1, '0.0.0.0', '0.0.0.0')
  paths.set(2, '10.0.0.1', '2001:db8::1')
  assert.deepEqual(told, [])
  paths.setRemote(1, '192.0.2.1')
  paths.set(2, '10.0.0.1', '192.0.2.2')
  paths.setRemote(1, '192.0.2.2')
  assert.deepEqual(told.splice(0), [
    [1, 1500],
    [2, 1500],
    [1, 1500],
  ])
  paths.setRemote(1, '192.0.2.1')
  told.length = 0
  kernel.set('192.0.2.1', 1300).set('192.0.2.2', 1200)
  paths.lookAt('192.0.2.2')
  assert.deepEqual(told, [[2, 1200]])
})

test('a refused datagram is counted and leads to an event with what the path carries', async () => {
  const time = new VirtualTime()
  const net = new FakeNet({ time })
  const addresses = ['192.0.2.1', '2001:db8::1']
  const machine = await createFakeMachine(net, { asps: 1, ikePort: 500, natTPort: 4500, addresses })
  const events: CardEvent[] = []
  machine.card.onEvent((event) => events.push(event))
  machine.routes.createDevice('tun1', { mtu: 1400, multicast: true })
  machine.routes.addRoute({ prefix: 'fd02::/64', device: 'tun1', metric: 1 })
  const ends = { local: '2001:db8::1', remote: '2001:db8::2' }
  const way = {
    name: 't',
    device: 'tun1',
    asp: 1,
    encapsulation: 'udp',
    ends,
    spis: { in: 1001, out: 1002 },
  } as const
  const { tunnel } = installManual(machine.card, way)
  await time.advance(200)
  net.mtu = 1280
  const host = machine.host('fd01::9')
  void host.ping('fd02::9', 100, 1350)
  await time.advance(200)
  const paths = events.filter(({ kind }) => kind === 'path-mtu')
  assert.deepEqual(paths, [
    { kind: 'path-mtu', tunnel, mtu: 1500 },
    { kind: 'path-mtu', tunnel, mtu: 1280 },
  ])
  const dropped = machine.card.drops().filter(({ packets }) => packets > 0n)
  assert.deepEqual(
    dropped.map(({ reason, packets }) => [reason, packets]),
    [['path-mtu', 1n]],
  )
  await machine.stop()
})

test('the floor: what an inner family must get is given, in fragments where it does not fit', () => {
  const esp = { cipher: 'aes-128', integrity: 'sha1', encapsulation: 'raw', outerFamily: 4 } as const
  const at = (path: number, carriesIpv6: boolean, ceiling = 1400) =>
    fitTunnel(ceiling, [{ ...esp, path }], carriesIpv6)
  assert.deepEqual(at(1500, true), { mtu: 1400, fragments: false })
  assert.deepEqual(at(1400, true), { mtu: 1342, fragments: false })
  assert.deepEqual(at(1300, true), { mtu: 1280, fragments: true })
  assert.deepEqual(at(1300, false), { mtu: 1230, fragments: false })
  assert.deepEqual(at(552, false), { mtu: 576, fragments: true })
  assert.deepEqual(at(552, false, 500), { mtu: 500, fragments: true })
  assert.deepEqual(at(552, false, 480), { mtu: 480, fragments: false })
})

test('tunnel, card and device follow the path down and up; a floor clears DF', async () => {
  const { a } = await upPair()
  const ref = a.card.refOf('t')
  const sizes = () => ({
    card: a.card.tunnels.get(ref)?.mtu,
    device: a.routes.devices.get('t1')?.mtu,
    df: a.card.tunnels.get(ref)?.dfBit,
  })
  const path = (mtu: number) => a.card.raise({ kind: 'path-mtu', tunnel: ref, mtu })
  assert.deepEqual(sizes(), { card: 1400, device: 1400, df: 'copy' })
  path(1400)
  assert.deepEqual(sizes(), { card: 1342, device: 1342, df: 'copy' })
  path(552)
  assert.deepEqual(sizes(), { card: 576, device: 576, df: 'clear' })
  path(9000)
  assert.deepEqual(sizes(), { card: 1400, device: 1400, df: 'copy' })
  a.card.raise({ kind: 'path-mtu', tunnel: 99, mtu: 600 })
  assert.deepEqual(sizes(), { card: 1400, device: 1400, df: 'copy' })
  assert.match(a.lines.join(''), /the path to the peer carries 1400 bytes: the tunnel's MTU is 1342 now/)
})

test('which tunnels must carry IPv6: by a route or by an address of their interface', () => {
  const text = `context local
 interface t1
  ip address fd00::1/64
 interface t2
  ip address 10.0.0.1/24
 interface t3
 ip route 10.1.0.0/16 interface t1
 ip route 10.2.0.0/16 interface t2
 ip route fd03::/64 interface t3
 ip route fd04::/64 tunnel e4
 ip route fd05::/64 null0
ipsec sa k
 outbound esp spi 4096 encryption aes-128 key hex ${'0f'.repeat(16)} authentication sha1 key hex ${'f0'.repeat(20)}
 inbound esp spi 4097 encryption aes-128 key hex ${'0f'.repeat(16)} authentication sha1 key hex ${'f0'.repeat(20)}
`
  const tunnel = (name: string, way: string) =>
    `tunnel ipsec ${name} manual\n peer-end-point local 192.0.2.1 remote 192.0.2.2\n ${way}\n seq 10 ipsec-sa k\n`
  const tunnels = ['t1', 't2', 't3'].map((name) => tunnel(name, `bind interface ${name} local`))
  const { config } = loadConfig(
    '/t.conf',
    text + tunnels.join('') + tunnel('e4', 'mode economical'),
    NO_FILES,
    {
      privateFile: true,
    },
  )
  assert.deepEqual([...ipv6Carriers(config)], ['t1', 't3', 'e4'])
})

test('what was learned of one path is not believed of another', async () => {
  const { a } = await upPair()
  const ref = a.card.refOf('t')
  const remote = { address: RIGHT, port: 4500 }
  a.card.raise({ kind: 'path-mtu', tunnel: ref, mtu: 1300 })
  const learned = a.card.tunnels.get(ref)?.mtu
  a.gateway.dataplane.setEndPoints('t', { local: LEFT, remote, encapsulation: 'udp' })
  assert.equal(a.card.tunnels.get(ref)?.mtu, learned, 'another port is the same path')
  const elsewhere = { address: '203.0.113.77', port: 4500 }
  a.gateway.dataplane.setEndPoints('t', { local: LEFT, remote: elsewhere, encapsulation: 'udp' })
  a.card.raise({ kind: 'path-mtu', tunnel: ref, mtu: 1500 })
  assert.equal(a.card.tunnels.get(ref)?.mtu, 1400)
})
