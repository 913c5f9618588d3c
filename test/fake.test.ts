// The in-process network itself: time, impairments by seed, the routing of its hosts, capture files.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeHost } from '../bindings/fake/host.ts'
import { buildEcho, buildUdp, forwarded, parseEcho, parseIp, parseUdp } from '../bindings/fake/ip.ts'
import { FakeKernel } from '../bindings/fake/kernel.ts'
import { FakeNet, type Impairments } from '../bindings/fake/net.ts'
import { VirtualTime } from '../bindings/fake/time.ts'
import { pcapHeader, pcapRecord } from '../bindings/pcap.ts'

const HEADER = { source: '192.0.2.1', destination: '192.0.2.2', protocol: 17, tos: 0, dontFragment: true }

test('virtual time: handlers run in order of time, each at its own, cancelled ones never', async () => {
  const time = new VirtualTime(0)
  const ran: string[] = []
  time.at(20, () => ran.push(`b ${time.now()}`))
  time.at(10, () => {
    ran.push(`a ${time.now()}`)
    time.at(15, () => ran.push(`nested ${time.now()}`))
  })
  time.at(20, () => ran.push('c'))
  time.at(12, () => ran.push('cancelled'))()
  await time.advance(19)
  assert.deepEqual([ran, time.now()], [['a 10', 'nested 15'], 19])
  await time.advance(1)
  assert.deepEqual(ran, ['a 10', 'nested 15', 'b 20', 'c'])
})

test('virtual time waits for held work', async () => {
  const time = new VirtualTime(0)
  let finished = -1
  void time.hold(new Promise((resolve) => setTimeout(resolve, 20))).then(() => {
    finished = time.now()
  })
  time.at(5, () => {})
  await time.advance(5)
  assert.equal(finished, 0, 'the work was finished before time went on')
})

/** Sends 1000 datagrams and returns the numbers that arrived, in their order. */
async function traffic(seed: number, impairments: Partial<Impairments>) {
  const time = new VirtualTime(0)
  const net = new FakeNet({ seed, time, impairments })
  const arrived: number[] = []
  net.attach(['192.0.2.2'], (packet) => {
    const data = parseUdp(parseIp(packet)!.payload)!.data
    arrived.push(data[0] * 256 + data[1])
  })
  for (let number = 0; number < 1000; number++) {
    time.at(number, () => net.send(buildUdp(HEADER, [1, 2], Uint8Array.of(number >> 8, number & 255))))
  }
  await time.advance(2000)
  return { arrived, net }
}

test('an unimpaired wire delivers everything once and in order', async () => {
  const { arrived } = await traffic(1, {})
  assert.deepEqual(
    arrived,
    Array.from({ length: 1000 }, (_, index) => index),
  )
})

test('loss, duplication and reordering come in the asked measure, and again the same with the same seed', async () => {
  const impairments = { loss: 0.1, duplicate: 0.05, reorder: 0.02, delay: 3, jitter: 1 }
  const { arrived, net } = await traffic(7, impairments)
  assert.deepEqual((await traffic(7, impairments)).arrived, arrived)
  assert.notDeepEqual((await traffic(8, impairments)).arrived, arrived)
  assert.equal(arrived.length, 1000 - net.counters.lost + net.counters.duplicated)
  within(net.counters.lost, 60, 140)
  within(net.counters.duplicated, 20, 75)
  within(net.counters.reordered, 5, 40)
  const late = arrived.filter((number, index) => index > 0 && number < arrived[index - 1])
  assert.ok(late.length >= net.counters.reordered / 2, 'held packets arrive behind later ones')
})

function within(value: number, low: number, high: number): void {
  assert.ok(value >= low && value <= high, `${value} is not within ${low}..${high}`)
}

test('the wire refuses what is too big with DF, unknown addresses and what is no IP', async () => {
  const time = new VirtualTime()
  const net = new FakeNet({ time, mtu: 576 })
  net.send(buildUdp(HEADER, [1, 2], new Uint8Array(600)))
  net.send(buildUdp({ ...HEADER, dontFragment: false }, [1, 2], new Uint8Array(600)))
  net.send(Uint8Array.of(0x45, 0))
  await time.advance(10)
  const { tooBig, unreachable, malformed } = net.counters
  assert.deepEqual({ tooBig, unreachable, malformed }, { tooBig: 1, unreachable: 1, malformed: 1 })
  net.attach(['192.0.2.2'], () => {})
  assert.throws(() => net.attach(['192.0.2.2'], () => {}), /192\.0\.2\.2 is taken/)
})

for (const [name, left, right, networkLeft, networkRight] of [
  ['IPv4', '10.1.0.1', '10.2.0.1', '10.1.0.0/16', '10.2.0.0/16'],
  ['IPv6', 'fd01::1', 'fd02::1', 'fd01::/64', 'fd02::/64'],
])
  test(`hosts ping through devices and routes (${name}), TTL counts each gateway`, async () => {
    const time = new VirtualTime()
    const [one, other] = [new FakeKernel(), new FakeKernel()]
    for (const kernel of [one, other]) kernel.createDevice('ase0', { mtu: 1400, multicast: false })
    one.addRoute({ prefix: networkRight, device: 'ase0', metric: 1 })
    other.addRoute({ prefix: networkLeft, device: 'ase0', metric: 1 })
    const ttls: number[] = []
    one.setReader('ase0', (packet) => time.at(time.now() + 4, () => other.fromDevice(packet)))
    other.setReader('ase0', (packet) => time.at(time.now() + 4, () => one.fromDevice(packet)))
    const host = new FakeHost(left, one, time)
    new FakeHost(right, other, time).onPacket((packet) => ttls.push(parseIp(packet)!.ttl))
    const answer = host.ping(right)
    await time.advance(10)
    assert.equal(await answer, 8)
    assert.deepEqual(ttls, [62])
    const lost = host.ping('192.0.2.99', 50)
    await time.advance(100)
    assert.equal(await lost, null)
  })

test('the longest prefix wins, then the lowest metric; guards remain', () => {
  const kernel = new FakeKernel()
  for (const name of ['a', 'b']) kernel.createDevice(name, { mtu: 1400, multicast: true })
  const read: string[] = []
  for (const name of ['a', 'b']) kernel.setReader(name, () => read.push(name))
  kernel.addRoute({ prefix: '10.0.0.0/8', device: 'a', metric: 1 })
  kernel.addRoute({ prefix: '10.1.0.0/16', device: 'b', metric: 5 })
  kernel.addRoute({ prefix: '10.1.0.0/16', device: null, metric: 9, blackhole: true })
  const send = (destination: string) =>
    kernel.fromHost(buildUdp({ ...HEADER, destination }, [1, 2], new Uint8Array(1)))
  send('10.2.0.1')
  send('10.1.0.1')
  kernel.deleteDevice('b')
  send('10.1.0.1')
  send('11.0.0.1')
  assert.deepEqual(read, ['a', 'b'])
  assert.deepEqual([kernel.counters.blackholed, kernel.counters.noRoute], [1, 1])
  kernel.removeAll()
  assert.equal(kernel.listGuards().length, 1)
})

test('malformed packets are no packets', () => {
  const echo = buildEcho('10.1.0.1', '10.2.0.1', {
    request: true,
    id: 1,
    sequence: 2,
    data: new Uint8Array(8),
  })
  assert.equal(parseEcho(parseIp(echo)!)?.sequence, 2)
  for (let length = 0; length < echo.length; length++) assert.equal(parseIp(echo.subarray(0, length)), null)
  const damaged = Uint8Array.from(echo)
  damaged[25] ^= 1
  assert.equal(parseEcho(parseIp(damaged)!), null)
  const last = Uint8Array.from(echo)
  last[8] = 1
  assert.equal(forwarded(last), null)
})

test('capture files: classic pcap, raw IP, microseconds', () => {
  const header = new DataView(pcapHeader().buffer)
  assert.deepEqual([header.getUint32(0, true), header.getUint32(20, true)], [0xa1b2c3d4, 101])
  const record = new DataView(pcapRecord(Uint8Array.of(1, 2, 3), 5250.5).buffer)
  const words = [0, 4, 8, 12].map((at) => record.getUint32(at, true))
  assert.deepEqual(words, [5, 250500, 3, 3])
})
