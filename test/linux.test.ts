// The Linux bindings against a real kernel: devices, routes, sockets, steering, raw ESP.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { ForeignDatagram } from '../bindings/control-inbox.ts'
import { Arena } from '../bindings/linux/arena.ts'
import { READY_DEVICE } from '../bindings/linux/asp-io.ts'
import { attachSteering, type Instruction } from '../bindings/linux/bpf.ts'
import {
  AF_INET,
  IPPROTO_AH,
  IPPROTO_ESP,
  IPPROTO_UDP,
  MSG_DONTWAIT,
  SOCK_RAW,
} from '../bindings/linux/constants.ts'
import { Datagrams } from '../bindings/linux/datagrams.ts'
import { createLinuxMachine } from '../bindings/linux/machine.ts'
import { closeRaw, openRaw, type RawFamily, shareRaw } from '../bindings/linux/raw.ts'
import { LinuxRoutes } from '../bindings/linux/routes.ts'
import { putSockaddr } from '../bindings/linux/sockaddr.ts'
import { LinuxSockets } from '../bindings/linux/sockets.ts'
import { close, read, recvmsg, sendmsg, socket, watchReadable, write } from '../bindings/linux/syscalls.ts'
import { createTun } from '../bindings/linux/tun.ts'
import { closeUdp, openUdp, steerUdp, type UdpFamily } from '../bindings/linux/udp.ts'
import type { IkeDatagram } from '../control/ports.ts'
import { installManual } from './asp-tunnel.ts'
import { inNamespace } from './bindings-namespace.ts'

const IP = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' })
const PORTS = { ikePort: 500, natTPort: 4500 }
const ASPS = 2

inNamespace(import.meta.filename, () => {
  before(() => {
    IP('link', 'set', 'lo', 'up')
    IP('address', 'add', '10.255.0.1/32', 'dev', 'lo')
    IP('address', 'add', '10.255.0.2/32', 'dev', 'lo')
  })
  deviceTests()
  routeTests()
  socketTests()
  rawTests()
  machineTests()
})

/** Routes whose devices' descriptors the test can see. */
function openRoutes(): { routes: LinuxRoutes; queues: Map<string, number[]> } {
  const queues = new Map<string, number[]>()
  const routes = new LinuxRoutes({
    open: (name, shared) => void queues.set(name, createTun(name, shared ? ASPS : 1)),
    close: (name) => {
      for (const fd of queues.get(name) ?? []) close(fd)
      queues.delete(name)
    },
  })
  return { routes, queues }
}

function deviceTests(): void {
  test('a datagram goes out through a TUN device, also while it is dormant, and the answer comes in', async () => {
    const { routes, queues } = openRoutes()
    routes.createDevice('t0', { mtu: 1400, multicast: true })
    routes.addAddress('t0', '10.9.0.1/30')
    assert.match(IP('link', 'show', 't0'), /mtu 1400 .*state DORMANT/)
    const [fd] = queues.get('t0')!
    const socket = createSocket('udp4').bind(7000, '10.9.0.1')
    await once(socket, 'listening')
    const answer = once(socket, 'message')
    socket.send('to the tunnel', 7001, '10.9.0.2')
    await turnAround(fd)
    const [data, from] = (await answer) as [Buffer, RemoteInfo]
    assert.equal(data.toString(), 'to the tunnel')
    assert.deepEqual([from.address, from.port], ['10.9.0.2', 7001])
    socket.close()
    routes.removeAll()
    routes.close()
  })

  test('operational state, MTU and multicast follow the port', () => {
    const { routes, queues } = openRoutes()
    routes.createDevice('ase0', { mtu: 1400, multicast: false })
    assert.equal(queues.get('ase0')?.length, ASPS, 'a shared device has a queue for each ASP')
    assert.doesNotMatch(IP('link', 'show', 'ase0'), /MULTICAST/)
    routes.setOperational('ase0', true)
    assert.match(IP('link', 'show', 'ase0'), /state UP/)
    routes.setOperational('ase0', false)
    assert.match(IP('link', 'show', 'ase0'), /state DORMANT/)
    routes.setMtu('ase0', 1300)
    assert.match(IP('link', 'show', 'ase0'), /mtu 1300/)
    assert.doesNotMatch(
      IP('-6', 'address', 'show', 'dev', 'ase0'),
      /inet6/,
      'no link-local address of its own',
    )
    routes.deleteDevice('ase0')
    assert.throws(() => IP('link', 'show', 'ase0'))
    routes.close()
  })

  test('refusals speak: taken name, unknown device, no device name', () => {
    const { routes } = openRoutes()
    const options = { mtu: 1400, multicast: true }
    assert.throws(
      () => routes.createDevice('lo', options),
      /cannot create TUN device lo: EBUSY; another process/,
    )
    assert.throws(() => routes.createDevice('a/b', options), /'a\/b' is no device name/)
    assert.throws(() => routes.createDevice('x'.repeat(16), options), /1 to 15 bytes/)
    assert.throws(
      () => routes.addAddress('none0', '10.0.0.1/32'),
      /device none0: ENODEV; there is no such device/,
    )
    routes.close()
  })
}

/** One datagram from port 9999 to port 4500 with the checksum as given: the kernel leaves a raw socket's alone. */
function sendCrafted(address: string, checksum: number, payload: Uint8Array): void {
  const arena = new Arena(4096)
  const fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP)
  assert.ok(fd >= 0)
  const length = putSockaddr(arena, 64, { address, port: 0 })
  const header = [9_999, 4_500, 8 + payload.length, checksum]
  for (const [at, value] of header.entries()) arena.view.setUint16(192 + 2 * at, value)
  arena.bytes.set(payload, 200)
  arena.setWord(0, arena.address(64))
  arena.setInt(8, length)
  arena.setWord(16, arena.address(128))
  arena.setWord(24, 1)
  arena.setWord(128, arena.address(192))
  arena.setWord(136, 8 + payload.length)
  assert.equal(sendmsg(fd, arena.address(0), 0), 8 + payload.length)
  close(fd)
}

/** Reads the next UDP packet of the device and writes it back with addresses and ports exchanged. */
async function turnAround(fd: number): Promise<void> {
  const arena = new Arena(65536)
  await readable(fd)
  const length = read(fd, arena.address(0), 65536)
  assert.equal(arena.bytes[0], 0x45)
  assert.equal(arena.view.getUint16(2), length)
  swap(arena.bytes, 12, 16, 4)
  swap(arena.bytes, 20, 22, 2)
  assert.equal(write(fd, arena.address(0), length), length)
}

function swap(bytes: Uint8Array, one: number, other: number, length: number): void {
  const kept = bytes.slice(one, one + length)
  bytes.copyWithin(one, other, other + length)
  bytes.set(kept, other)
}

function readable(fd: number): Promise<void> {
  return new Promise((resolve) => {
    const watch = watchReadable(fd, () => {
      watch.close()
      resolve()
    })
  })
}

function routeTests(): void {
  test('routes: add, list, replace our own, delete; guards outlive removeAll', () => {
    const { routes } = openRoutes()
    routes.createDevice('r0', { mtu: 1400, multicast: true })
    routes.addAddress('r0', '10.8.0.1/32')
    routes.addRoute({ prefix: '10.1.0.0/16', device: 'r0', metric: 5 })
    routes.addRoute({ prefix: '10.1.0.0/16', device: 'r0', metric: 5, source: '10.8.0.1' })
    routes.addRoute({ prefix: 'fd01::/64', device: 'r0', metric: 7 })
    const guard = { prefix: '10.1.0.0/16', device: null, metric: 4000, blackhole: true }
    routes.addRoute(guard)
    assert.deepEqual(routes.listRoutes('r0'), [
      { prefix: '10.1.0.0/16', device: 'r0', metric: 5, source: '10.8.0.1' },
      { prefix: 'fd01::/64', device: 'r0', metric: 7 },
    ])
    assert.equal(routes.sourceFor('10.1.2.3'), '10.8.0.1')
    assert.equal(routes.sourceFor('203.0.113.1'), null)
    routes.deleteRoute({ prefix: 'fd01::/64', device: 'r0', metric: 7 })
    assert.equal(routes.listRoutes('r0').length, 1)
    routes.removeAll()
    assert.match(IP('route'), /^blackhole 10\.1\.0\.0\/16 .*metric 4000 $/m)
    assert.deepEqual(routes.listGuards(), [guard])
    routes.deleteRoute(guard)
    assert.equal(IP('route').trim(), '')
    routes.close()
  })

  test('a route of another program with the same prefix and metric is not touched', () => {
    const { routes } = openRoutes()
    routes.createDevice('r1', { mtu: 1400, multicast: true })
    IP('route', 'add', '10.77.0.0/16', 'dev', 'lo', 'metric', '9')
    assert.throws(
      () => routes.addRoute({ prefix: '10.77.0.0/16', device: 'r1', metric: 9 }),
      /another program has a route with this prefix and metric/,
    )
    IP('route', 'del', '10.77.0.0/16', 'dev', 'lo', 'metric', '9')
    assert.throws(
      () => routes.addRoute({ prefix: '10.77.0.1/16', device: 'r1', metric: 9 }),
      /cannot add route 10\.77\.0\.1\/16 .*Invalid prefix/,
    )
    routes.removeAll()
    routes.close()
  })

  test('host settings that lose packets are named with their remedy', () => {
    const { routes } = openRoutes()
    const findings = routes.hostFindings()
    assert.ok(findings.some((one) => /ip_forward is 0.*sysctl -w net\.ipv4\.ip_forward=1/.test(one)))
    routes.close()
  })
}

function socketTests(): void {
  let families: UdpFamily[] = []
  let sockets: LinuxSockets
  const received: IkeDatagram[] = []
  const foreign: ForeignDatagram[] = []

  before(() => {
    families = openUdp({ asps: ASPS, ...PORTS })
    sockets = new LinuxSockets(families, PORTS, {
      sourceFor: () => null,
      foreign: (datagram) => foreign.push(datagram) === 1,
    })
    sockets.onDatagram((datagram) => received.push(datagram))
  })
  after(() => {
    sockets.stop()
    closeUdp(families)
  })

  for (const [one, other] of [
    ['10.255.0.1', '10.255.0.2'],
    ['::1', '::1'],
  ])
    test(`IKE between ${one} and ${other}: source as asked, marker added and removed`, async () => {
      received.length = 0
      const data = Uint8Array.of(1, 2, 3, 4, 5)
      for (const [from, to] of [
        [500, 500],
        [4500, 4500],
        [500, 4500],
      ])
        sockets.send({
          local: { address: one, port: from },
          remote: { address: other, port: to },
          data: from === to ? data : Uint8Array.of(0, 0, 0, 0, ...data),
        })
      await until(() => received.length === 3)
      received.sort((a, b) => a.local.port - b.local.port || a.remote.port - b.remote.port)
      for (const { remote, data: got } of received) {
        assert.equal(remote.address, one)
        assert.deepEqual(got, data)
      }
      assert.deepEqual(
        received.map(({ local }) => [local.address, local.port]),
        [
          [other, 500],
          [other, 4500],
          [other, 4500],
        ],
      )
    })

  test('ESP on the NAT traversal port reaches the ASP of its SPI, keepalives the first', async () => {
    const [{ asps, natT }] = families
    const sender = createSocket('udp4').bind(0, '10.255.0.1')
    await once(sender, 'listening')
    const reader = new Datagrams()
    for (const spi of [256, 257, 1002, 1003]) {
      sender.send(Uint8Array.of(0, 0, spi >> 8, spi & 255, 0, 0, 0, 1), 4500, '10.255.0.2')
      const fd = asps[spi % ASPS]
      await readable(fd)
      const [datagram] = reader.receive(fd)
      assert.equal(datagram.data[3], spi & 255)
      assert.equal(datagram.local, '10.255.0.2')
    }
    sender.send(Uint8Array.of(0xff), 4500, '10.255.0.2')
    await readable(asps[0])
    assert.deepEqual([...reader.receive(asps[0])[0].data], [0xff])
    assert.deepEqual(reader.receive(natT), [])
    assert.equal(sockets.counters.foreign, 0)
    sender.close()
  })

  test('ESP that comes to control is handed over with addresses and TOS; refused, it is counted', async () => {
    const everythingToControl: Instruction[] = [[0x06, 0, 0, 0]]
    attachSteering(families[0].natT, everythingToControl)
    const sender = createSocket('udp4').bind(0, '10.255.0.1')
    await once(sender, 'listening')
    const esp = Uint8Array.of(0, 0, 1, 44, 0, 0, 0, 1, 5, 6, 7, 8)
    sender.send(esp, 4500, '10.255.0.2')
    sender.send(esp, 4500, '10.255.0.2')
    await until(() => foreign.length === 2)
    steerUdp(families, [1, 2])
    const remote = { address: '10.255.0.1', port: sender.address().port }
    assert.deepEqual(foreign[0], { local: { address: '10.255.0.2', port: 4500 }, remote, tos: 0, data: esp })
    assert.deepEqual([sockets.counters.foreign, sockets.counters.inboxFull], [1, 1])
    sender.close()
  })

  test('H6 a UDP checksum of zero is taken (RFC 3948 §2.1), a wrong one is dropped', async () => {
    received.length = 0
    for (const [mark, checksum] of [
      [1, 0],
      [2, 0xdead],
      [3, 0],
    ])
      sendCrafted('10.255.0.2', checksum, Uint8Array.of(0, 0, 0, 0, mark, ...Array(27).fill(0)))
    await until(() => received.some(({ data }) => data[0] === 3))
    assert.deepEqual(
      received.map(({ data }) => data[0]),
      [1, 3],
    )
  })

  test('a keepalive leaves from the NAT traversal port as one byte, in either family', async () => {
    const unsent = sockets.counters.unsent
    for (const [type, from, to] of [
      ['udp4', '10.255.0.1', '10.255.0.2'],
      ['udp6', '::1', '::1'],
    ] as const) {
      const peer = createSocket(type).bind(0, to)
      await once(peer, 'listening')
      const arrived = once(peer, 'message')
      const { port } = peer.address()
      sockets.keepalive({ address: from, port: 4500 }, { address: to, port })
      const [data, source] = await arrived
      assert.deepEqual([[...data], source.address, source.port], [[0xff], from, 4500])
      peer.close()
    }
    assert.equal(sockets.counters.unsent, unsent)
    sockets.keepalive({ address: '10.255.0.1', port: 500 }, { address: '10.255.0.2', port: 4500 })
    assert.equal(sockets.counters.noSocket, 1)
  })

  test('when an ASP has ended, the other one gets its datagrams', async () => {
    const [{ asps }] = families
    steerUdp(families, [2])
    const sender = createSocket('udp4').bind(0, '10.255.0.1')
    await once(sender, 'listening')
    const reader = new Datagrams()
    for (const spi of [256, 257]) {
      sender.send(Uint8Array.of(0, 0, spi >> 8, spi & 255, 0, 0, 0, 1), 4500, '10.255.0.2')
      await readable(asps[1])
      assert.equal(reader.receive(asps[1])[0].data[3], spi & 255)
    }
    steerUdp(families, [1, 2])
    sender.close()
  })

  test('a taken port is refused with a remedy and leaves nothing open', () => {
    const before = descriptors()
    assert.throws(
      () => openUdp({ asps: 1, ikePort: 500, natTPort: 4501 }),
      /cannot bind UDP port 500 \(IPv4\): EADDRINUSE; another process has it/,
    )
    assert.ok(descriptors() <= before)
  })
}

function rawTests(): void {
  let families: RawFamily[] = []
  before(() => {
    families = openRaw(IPPROTO_ESP, ASPS)
  })
  after(() => closeRaw(families))

  test('native ESP: exactly one ASP sees a packet; IPv4 with its header, IPv6 without', () => {
    for (const [index, address] of [
      [0, '10.255.0.2'],
      [1, '::1'],
    ] as const)
      for (const spi of [300, 301]) {
        sendRaw(families[index].aspsDontFragment[0], address, spi)
        const packets = families[index].asps.map(receiveRaw)
        const mine = packets[spi % ASPS]
        assert.ok(mine !== null, `ASP ${(spi % ASPS) + 1} received nothing`)
        assert.equal(packets[1 - (spi % ASPS)], null, 'the other ASP must not see it')
        const start = index === 0 ? 20 : 0
        if (index === 0) assert.deepEqual([mine[0], mine[9]], [0x45, IPPROTO_ESP])
        assert.equal((mine[start + 2] << 8) | mine[start + 3], spi)
      }
  })

  test('when an ASP has ended, the other one sees its ESP', () => {
    shareRaw(families, [1])
    for (const spi of [300, 301]) {
      sendRaw(families[0].aspsDontFragment[0], '10.255.0.2', spi)
      assert.deepEqual(
        families[0].asps.map((fd) => receiveRaw(fd)?.length ?? 0),
        [36, 0],
      )
    }
    shareRaw(families, [1, 2])
  })

  test('AH: exactly one ASP sees a packet; over IPv4 it goes out with the header that was made for it', () => {
    const ah = openRaw(IPPROTO_AH, ASPS)
    try {
      for (const [index, address] of [
        [0, '10.255.0.2'],
        [1, '::1'],
      ] as const)
        for (const spi of [300, 301]) {
          const packet = ahPacket(spi)
          const header = index === 0 ? ahHeader('10.255.0.1', address, packet.length) : []
          const bytes = Uint8Array.of(...header, ...packet)
          const sender = ah[index].aspsDontFragment[0]
          assert.equal(new Datagrams().send(sender, null, { address, port: 0 }, [], bytes), bytes.length)
          const received = ah[index].asps.map(receiveRaw)
          assert.equal(received[1 - (spi % ASPS)], null, 'the other ASP must not see it')
          const mine = received[spi % ASPS]
          assert.ok(mine !== null, `ASP ${(spi % ASPS) + 1} received nothing`)
          assert.deepEqual(withoutChecksum(mine, index === 0), withoutChecksum(bytes, index === 0))
        }
    } finally {
      closeRaw(ah)
    }
  })

  test('a packet too short for an SPI reaches the first ASP alone', () => {
    sendRaw(families[0].aspsDontFragment[1], '10.255.0.2', 1, 3)
    assert.equal(receiveRaw(families[0].asps[0])?.length, 23)
    assert.equal(receiveRaw(families[0].asps[1]), null)
  })
}

function machineTests(): void {
  test('M4 a device that somebody else removes costs its packets and no more', async (context) => {
    const machine = await createLinuxMachine({ asps: 1, ikePort: 5000, natTPort: 5500 })
    context.after(() => machine.stop())
    machine.routes.createDevice('gone0', { mtu: 1400, multicast: true })
    machine.routes.createDevice('stays0', { mtu: 1400, multicast: true })
    const ends = { local: '10.255.0.1', remote: '10.255.0.2' }
    for (const [index, device] of ['gone0', 'stays0'].entries())
      installManual(machine.card, {
        ...{ name: device, device, asp: 1, encapsulation: 'udp', ends },
        spis: { in: 1000 + index, out: 2000 + index },
      })
    assert.deepEqual([watched(0), watched(1)], [true, true])
    IP('link', 'delete', 'gone0')
    await until(() => !watched(0))
    assert.equal(watched(1), true)
    assert.throws(() => machine.routes.setOperational('gone0', true), /ENODEV/)
    machine.routes.deleteDevice('gone0')
    machine.routes.setOperational('stays0', true)
    assert.equal(machine.card.asps()[0].state, 'up')
  })

  test('a packet above the tunnel MTU is answered by the card, in either family', async (context) => {
    const machine = await createLinuxMachine({ asps: 1, ikePort: 5000, natTPort: 5500 })
    context.after(() => machine.stop())
    machine.routes.createDevice('big0', { mtu: 1500, multicast: true })
    for (const prefix of ['10.77.0.1/24', 'fd77::1/64']) machine.routes.addAddress('big0', prefix)
    const ends = { local: '10.255.0.1', remote: '10.255.0.2' }
    const spis = { in: 1000, out: 2000 }
    installManual(machine.card, { name: 'big', device: 'big0', asp: 1, encapsulation: 'udp', ends, spis })
    machine.routes.setOperational('big0', true)
    assert.match(await largePing('10.77.0.9'), /From 10\.77\.0\.9 .*Frag needed and DF set \(mtu = 1400\)/)
    assert.match(await largePing('fd77::9'), /From fd77::9 .*Packet too big: mtu=1400/)
  })

  test('two machines cannot have the same ports; the second says so and leaves nothing open', async (context) => {
    const first = await createLinuxMachine({ asps: 2, ikePort: 5000, natTPort: 5500 })
    context.after(() => first.stop())
    const before = descriptors()
    await assert.rejects(
      createLinuxMachine({ asps: 2, ikePort: 5000, natTPort: 5501 }),
      /cannot bind UDP port 5000 .*EADDRINUSE/,
    )
    await until(() => descriptors() <= before)
    await first.stop()
  })
}

/**
 * What ping says of echo requests of 1478 or 1498 bytes with DF. Several: the kernel sends none over IPv6 until it has
 * noticed that the device is up.
 */
async function largePing(address: string): Promise<string> {
  const ping = spawn('ping', ['-M', 'do', '-c', '4', '-i', '0.3', '-W', '1', '-s', '1450', address])
  let said = ''
  ping.stdout.on('data', (text) => {
    said += text
  })
  await once(ping, 'close')
  return said
}

/** Whether an epoll set holds the queue of this device number: a removed device would be ready without end. */
function watched(device: number): boolean {
  const tag = (READY_DEVICE | device).toString(16)
  return readdirSync('/proc/self/fdinfo').some((fd) => {
    try {
      return new RegExp(`data:\\s+${tag}\\b`).test(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))
    } catch {
      return false // closed meanwhile
    }
  })
}

/** AH around nothing, an ICV of 12 bytes (RFC 4302 §2). */
function ahPacket(spi: number): number[] {
  return [59, 4, 0, 0, 0, 0, spi >> 8, spi & 255, 0, 0, 0, 1, ...Array.from({ length: 12 }, (_, i) => i)]
}

/** An IPv4 header with a TOS, an identification and DF; the kernel puts the checksum. */
function ahHeader(source: string, destination: string, payload: number): number[] {
  const addresses = [source, destination].flatMap((address) => address.split('.').map(Number))
  return [0x45, 0x28, 0, 20 + payload, 0x12, 0x34, 0x40, 0, 64, IPPROTO_AH, 0, 0, ...addresses]
}

function withoutChecksum(packet: Uint8Array, hasHeader: boolean): number[] {
  return [...packet].map((byte, index) => (hasHeader && (index === 10 || index === 11) ? 0 : byte))
}

function sendRaw(fd: number, address: string, spi: number, length = 16): void {
  const bytes = Uint8Array.of(0, 0, spi >> 8, spi & 255, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9).subarray(
    0,
    length,
  )
  assert.equal(new Datagrams().send(fd, null, { address, port: 0 }, [], bytes), length)
}

/** Loopback delivers within the send call, so nothing has to be waited for. */
function receiveRaw(fd: number): Uint8Array | null {
  const arena = new Arena(4096)
  arena.setWord(0, arena.address(256))
  arena.setInt(8, putSockaddr(arena, 256, { address: '::', port: 0 }))
  arena.setWord(16, arena.address(128))
  arena.setWord(24, 1)
  arena.setWord(128, arena.address(1024))
  arena.setWord(136, 2048)
  const length = recvmsg(fd, arena.address(0), MSG_DONTWAIT)
  return length < 0 ? null : arena.bytes.slice(1024, 1024 + length)
}

/** Sockets and TUN queues of this process. Closing of earlier ones may be under way: the number must not rise. */
function descriptors(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /^socket:|^\/dev\/net\/tun/.test(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      return false // closed meanwhile
    }
  }).length
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 30_000
  while (!condition() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 2))
  assert.ok(condition(), 'waited thirty seconds in vain')
}
