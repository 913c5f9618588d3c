// The packet's way through two whole machines in one process: manual SAs through the Card port, pings through.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { familyOf } from '../bindings/address.ts'
import type { FakeHost } from '../bindings/fake/host.ts'
import { buildUdp, parseIp } from '../bindings/fake/ip.ts'
import { createFakeMachine, type FakeMachine, type FakeMachineOptions } from '../bindings/fake/machine.ts'
import { FakeNet, type FakeNetOptions } from '../bindings/fake/net.ts'
import { VirtualTime } from '../bindings/fake/time.ts'
import type { Encapsulation, SaRef } from '../control/ports.ts'
import { HOT_KEYS, HOT_PACKETS } from '../dataplane-as/abi.ts'
import { installManual, manualSa, type TunnelOptions } from './asp-tunnel.ts'

const OUTER = { 4: ['192.0.2.1', '192.0.2.2'], 6: ['2001:db8::1', '2001:db8::2'] } as const
const INNER = { 4: ['10.1.0.9', '10.2.0.9'], 6: ['fd01::9', 'fd02::9'] } as const
const NETWORKS = [
  ['10.1.0.0/16', 'fd01::/64'],
  ['10.2.0.0/16', 'fd02::/64'],
]

type Bed = {
  time: VirtualTime
  net: FakeNet
  machines: FakeMachine[]
  hosts: Record<4 | 6, FakeHost[]>
  stop(): Promise<void>
}

/** Two machines with a host of either family behind each. */
async function bed(options: Partial<FakeMachineOptions> = {}, netOptions: FakeNetOptions = {}): Promise<Bed> {
  const time = new VirtualTime()
  const net = new FakeNet({ time, ...netOptions })
  const machines = await Promise.all(
    [0, 1].map((side) =>
      createFakeMachine(net, {
        asps: 2,
        ikePort: 500,
        natTPort: 4500,
        addresses: [OUTER[4][side], OUTER[6][side]],
        ...options,
      }),
    ),
  )
  const hosts = (family: 4 | 6) => machines.map((machine, side) => machine.host(INNER[family][side]))
  const stop = async () => {
    for (const machine of machines) await machine.stop()
  }
  return { time, net, machines, hosts: { 4: hosts(4), 6: hosts(6) }, stop }
}

type Way = {
  outer?: 4 | 6
  encapsulation?: Encapsulation
  protocol?: 'esp' | 'ah'
  device?: string
  asp?: number
  spis?: [toOne: number, toOther: number]
  families?: (4 | 6)[]
}

/** A tunnel between the machines, its device and routes at both ends. */
async function join({ machines, time }: Bed, way: Way = {}) {
  const {
    outer = 4,
    encapsulation = 'udp',
    protocol = 'esp',
    device = 'tun1',
    asp = 1,
    spis = [1001, 1002],
    families = [4, 6],
  } = way
  const networks = (side: number) => NETWORKS[side].filter((prefix) => families.includes(familyOf(prefix)))
  const installed = machines.map((machine, side) => {
    machine.routes.createDevice(device, { mtu: 1400, multicast: device !== 'ase0' })
    for (const prefix of networks(1 - side)) machine.routes.addRoute({ prefix, device, metric: 1 })
    const options: TunnelOptions = {
      name: 't',
      device,
      asp,
      encapsulation,
      protocol,
      ends: { local: OUTER[outer][side], remote: OUTER[outer][1 - side] },
      spis: { in: spis[side], out: spis[1 - side] },
    }
    return installManual(machine.card, options)
  })
  if (device === 'ase0')
    machines.forEach((machine, side) => {
      const entries = networks(1 - side).map((prefix) => ({
        prefix,
        target: { tunnel: installed[side].tunnel },
      }))
      void machine.card.setFib(entries)
    })
  await time.advance(200)
  return installed
}

/** Pings in both directions, two milliseconds apart; how many were answered. */
async function pings({ time, hosts }: Bed, family: 4 | 6, count: number): Promise<number> {
  const answers: Promise<number | null>[] = []
  for (let index = 0; index < count; index++) {
    const from = hosts[family][index % 2]
    answers.push(from.ping(hosts[family][1 - (index % 2)].address, 500))
    await time.advance(2)
  }
  await time.advance(600)
  return (await Promise.all(answers)).filter((one) => one !== null).length
}

/** Reasons with packets behind them, of both cards. */
function drops({ machines }: Bed): Record<string, bigint> {
  const all = machines.flatMap((machine) => machine.card.drops()).filter((one) => one.packets > 0n)
  const sums: Record<string, bigint> = {}
  for (const { reason, packets } of all) sums[reason] = (sums[reason] ?? 0n) + packets
  return sums
}

for (const outer of [4, 6] as const)
  for (const encapsulation of ['udp', 'raw'] as const)
    for (const device of ['tun1', 'ase0'])
      test(`pings of both families through ${device} over IPv${outer}, ${encapsulation}`, async () => {
        const one = await bed()
        const clear: string[] = []
        one.net.observe((packet) => {
          const { protocol, payload } = parseIp(packet)!
          if (protocol !== 50 && protocol !== 17) clear.push(`protocol ${protocol}`)
          if (Buffer.from(payload).includes(Buffer.from([10, 1, 0, 9, 10, 2, 0, 9]))) clear.push('addresses')
        })
        const [left] = await join(one, { outer, encapsulation, device })
        assert.equal(await pings(one, 4, 20), 20)
        assert.equal(await pings(one, 6, 20), 20)
        assert.deepEqual(clear, [])
        assert.deepEqual(drops(one), {})
        const { txPackets, rxPackets } = one.machines[0].card.tunnelCounters(left.tunnel)
        assert.deepEqual([txPackets, rxPackets], [40n, 40n])
        await one.stop()
      })

for (const outer of [4, 6] as const)
  test(`AH over IPv${outer}: pings of both families, at their own ASP and at the wrong one`, async () => {
    const one = await bed()
    await join(one, { outer, encapsulation: 'raw', protocol: 'ah', asp: 2, spis: [2000, 2001] })
    assert.equal(await pings(one, 4, 20), 20)
    assert.equal(await pings(one, 6, 20), 20)
    assert.deepEqual(drops(one), {})
    await one.stop()
  })

test('packets at the wrong ASP are handed over: all arrives at ASP 1, the tunnel lives on ASP 2', async () => {
  const one = await bed({ steering: 'first' })
  await join(one, { asp: 2, device: 'ase0' })
  assert.equal(await pings(one, 4, 50), 50)
  assert.deepEqual(drops(one), {})
  await one.stop()
})

test('ESP that reaches control goes to an ASP and on to the one with the SA', async () => {
  const one = await bed({ steering: 'control' })
  await join(one, { asp: 1, device: 'tun1', spis: [2000, 2001], families: [4] })
  await join(one, { asp: 2, device: 'tun2', spis: [3000, 3001], families: [6] })
  assert.equal(await pings(one, 4, 700), 700)
  assert.equal(await pings(one, 6, 700), 700)
  assert.deepEqual(drops(one), {})
  const { foreign, inboxFull } = one.machines[0].counters()
  assert.deepEqual({ foreign, inboxFull }, { foreign: 1400, inboxFull: 0 })
  await one.stop()
})

test('a flood of ESP at control fills the ring, is dropped and counted, and the ring works on', async () => {
  const one = await bed({ steering: 'control' })
  await join(one)
  const header = { source: OUTER[4][0], destination: OUTER[4][1], protocol: 17, tos: 0, dontFragment: true }
  const large = new Uint8Array(1400).fill(9)
  const [, machine] = one.machines
  for (let index = 0; index < 200; index++) one.net.send(buildUdp(header, [4500, 4500], large))
  await one.time.advance(50)
  const { foreign, inboxFull } = machine.counters()
  assert.equal(foreign + inboxFull, 200)
  assert.ok(inboxFull > 0, 'the ring holds 128 KiB')
  assert.deepEqual(drops(one), { 'unknown-spi': BigInt(foreign) })
  assert.equal(await pings(one, 4, 4), 4)
  await one.stop()
})

test('IKE that reaches an ASP goes to control with both addresses and without its marker', async () => {
  const one = await bed({ steering: 'first' })
  const received: unknown[] = []
  one.machines[1].sockets.onDatagram((datagram) => received.push(datagram))
  const local = { address: OUTER[4][0], port: 4500 }
  const remote = { address: OUTER[4][1], port: 4500 }
  one.machines[0].sockets.send({ local, remote, data: Uint8Array.of(7, 8, 9, 10, 11) })
  await one.time.advance(10)
  assert.deepEqual(received, [{ local: remote, remote: local, data: Uint8Array.of(7, 8, 9, 10, 11) }])
  await one.stop()
})

test('two tunnels, each on its ASP; half of the SPIs steer to the wrong one', async () => {
  const one = await bed()
  await join(one, { asp: 1, device: 'tun1', spis: [2000, 2001], families: [4] })
  await join(one, { asp: 2, device: 'tun2', spis: [3000, 3001], families: [6] })
  assert.equal(await pings(one, 4, 10), 10)
  const busy = () => one.machines.map(({ card }) => card.asps().map((status) => status.packets > 0n))
  assert.deepEqual(busy(), [
    [true, false],
    [true, true], // SPI 2001 steers to the second ASP, which hands it over
  ])
  assert.equal(await pings(one, 6, 10), 10)
  assert.deepEqual(drops(one), {})
  await one.stop()
})

test('duplicates on the wire are dropped by the replay window and counted', async () => {
  const one = await bed({}, { seed: 3, impairments: { duplicate: 1, delay: 2 } })
  await join(one)
  assert.equal(await pings(one, 4, 20), 20)
  assert.deepEqual(drops(one), { replay: 40n })
  await one.stop()
})

test('with loss, delay and reordering what arrives is right and what is lost is lost on the wire', async () => {
  const impairments = { loss: 0.1, reorder: 0.1, delay: 5, jitter: 5, reorderDelay: 10 }
  const one = await bed({}, { seed: 11, impairments })
  await join(one)
  const answered = await pings(one, 4, 200)
  assert.ok(answered >= 200 - one.net.counters.lost && answered < 200)
  assert.deepEqual(drops(one), {})
  await one.stop()
})

test('a tunnel that is down drops and asks for an SA; nothing leaves', async () => {
  const one = await bed()
  const [left] = await join(one)
  one.machines[0].card.setTunnelState(left.tunnel, false)
  const events: string[] = []
  one.machines[0].card.onEvent((event) => events.push(event.kind))
  const sent = one.net.counters.sent
  const from = one.hosts[4][0]
  const answers = [from.ping(INNER[4][1], 200), from.ping(INNER[4][1], 200)]
  await one.time.advance(300)
  assert.deepEqual(await Promise.all(answers), [null, null])
  assert.equal(one.net.counters.sent, sent)
  assert.deepEqual(drops(one), { 'tunnel-down': 2n })
  assert.deepEqual(events, ['acquire'])
  await one.stop()
})

test('garbage, short datagrams, unknown SPIs and keepalives end as counted drops', async () => {
  const one = await bed()
  await join(one)
  const header = { source: OUTER[4][0], destination: OUTER[4][1], protocol: 17, tos: 0, dontFragment: true }
  const send = (data: Uint8Array) => one.net.send(buildUdp(header, [4500, 4500], data))
  send(Uint8Array.of(0xff))
  send(Uint8Array.of(1, 2, 3))
  send(new Uint8Array(100).fill(9))
  send(Uint8Array.of(0, 0, 1002 >> 8, 1002 & 255, 0, 0, 0, 1, ...new Uint8Array(60)))
  await one.time.advance(50)
  const counted = drops(one)
  assert.equal(
    Object.values(counted).reduce((sum, packets) => sum + packets, 0n),
    3n,
    JSON.stringify(Object.keys(counted)),
  )
  assert.equal(counted['unknown-spi'], 1n)
  assert.equal(await pings(one, 4, 4), 4)
  await one.stop()
})

test('a deleted tunnel carries nothing, its device can serve another', async () => {
  const one = await bed()
  const installed = await join(one)
  for (const [side, machine] of one.machines.entries()) {
    machine.card.deleteTunnel(installed[side].tunnel)
    machine.routes.deleteDevice('tun1')
  }
  assert.equal(await pings(one, 4, 4), 0)
  await join(one, { spis: [5001, 5002] })
  assert.equal(await pings(one, 4, 4), 4)
  await one.stop()
})

/** Makes the card trap with the next packet of this SA: its keys lie beyond the memory. */
function breakKeys({ card }: FakeMachine, sa: SaRef): void {
  const { cardMemory } = card
  const sequence = card.saCounters(sa).packets
  for (let record = 0; record < 16; record++) {
    const hot = cardMemory.hotOut(record)
    if (sequence > 0n && cardMemory.u64(hot + HOT_PACKETS) === sequence)
      cardMemory.setU32(hot + HOT_KEYS, 0xffffff00)
  }
}

test('a trap costs its burst, is counted and told; the instance is rebuilt without the SAs', async () => {
  const one = await bed()
  const installed = await join(one)
  assert.equal(await pings(one, 4, 2), 2)
  const [machine] = one.machines
  const events: string[] = []
  machine.card.onEvent((event) => events.push(event.kind))
  breakKeys(machine, installed[0].outbound)
  assert.equal(await pings(one, 4, 1), 0)
  assert.equal(drops(one).trap, 1n)
  assert.deepEqual(events.slice(0, 2), ['asp-failed', 'ready'])
  assert.deepEqual(
    machine.card.asps().map(({ state }) => state),
    ['up', 'up'],
  )
  assert.equal(await pings(one, 4, 2), 0, 'the old SAs are gone')
  for (const [side, { card }] of one.machines.entries()) {
    const { tunnel } = installed[side]
    card.addInbound(manualSa(tunnel, 7001 + side, 1 + side))
    card.activateOutbound(card.addOutbound(manualSa(tunnel, 7002 - side, 2 - side)))
  }
  assert.equal(await pings(one, 4, 4), 4)
  await one.stop()
})

test('an ASP that traps again and again ends; the other one goes on', async () => {
  const one = await bed()
  const [left] = await join(one, { asp: 1, device: 'tun1', families: [4] })
  await join(one, { asp: 2, device: 'tun2', spis: [4000, 4002], families: [6] })
  const [machine] = one.machines
  const failures: string[] = []
  machine.card.onEvent((event) => {
    if (event.kind === 'asp-failed') failures.push(event.reason)
  })
  for (let attempt = 0; attempt < 4; attempt++) {
    const sa = machine.card.addOutbound(manualSa(left.tunnel, 8000 + attempt, attempt))
    machine.card.activateOutbound(sa)
    one.hosts[4][0].ping(INNER[4][1], 1)
    await one.time.advance(10)
    breakKeys(machine, sa)
    one.hosts[4][0].ping(INNER[4][1], 1)
    await one.time.advance(10)
  }
  assert.match(failures.at(-1) ?? '', /again and again; the ASP has ended/)
  assert.deepEqual(
    machine.card.asps().map(({ state }) => state),
    ['down', 'up'],
  )
  assert.equal(await pings(one, 6, 4), 4)
  await one.stop()
})
