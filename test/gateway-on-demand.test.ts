// On-demand tunnels: one gateway that answers many peers at unknown addresses, told apart by the identity they prove.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formatPrefix, parseAddress, rangePrefixes } from '../control/address.ts'
import type { Endpoint } from '../control/ports.ts'
import type { Action, ChildInstall, Engine, EngineEnvironment } from '../control/sa/contract.ts'
import { Bed, BedWire, pass } from './gateway-bed.ts'

const HUB = '198.51.100.1'
const KEY = 'pre-shared-key text "a key of more than sixteen bytes"'

type HubOptions = {
  max?: number
  mode?: 'circuit' | 'economical'
  remote?: string
  local?: string
  extra?: string
}

function hubText({
  max,
  mode = 'circuit',
  remote = '10.4.0.0/16',
  local = HUB,
  extra = '',
}: HubOptions = {}): string {
  return `context local
 interface od multibind
  ip address 169.254.4.1/32
 ip route 10.4.0.0/16 null0 distance 250
ike proposal p
 encryption aes-128
 authentication sha1
 dh-group 31
ike policy customers
 seq 10 proposal p
 role responder
 ${KEY}
 local-id fqdn hub.example
 remote-id fqdn *.cpe.example
 dpd interval 10 retries 3
tunnel ipsec cpe on-demand
 mode ${mode}
 peer-end-point local ${local}
 ike-policy customers
 traffic-selector local any remote ${remote}
${mode === 'circuit' ? ' bind interface od local\n' : ''}${max === undefined ? '' : ` max-tunnels ${max}\n`}${extra}`
}

/** A customer's gateway; its network is 10.4.N.0/24 unless said otherwise. */
function customer(
  number: number,
  wire: BedWire,
  net = `10.4.${number}.0/24`,
  id = `c${number}.cpe.example`,
  hubId = 'fqdn hub.example',
): Bed {
  const address = `203.0.113.${number}`
  const text = `context local
 interface t1
 ip route 0.0.0.0/0 interface t1 distance 9
ike proposal p
 encryption aes-128
 authentication sha1
 dh-group 31
ike policy hub
 seq 10 proposal p
 role initiator
 ${KEY}
 local-id fqdn ${id}
 remote-id ${hubId}
 dpd interval 10 retries 3
tunnel ipsec up
 peer-end-point local ${address} remote ${HUB}
 bind interface t1 local
 ike-policy hub
 traffic-selector local ${net} remote any
`
  return new Bed(text, { wire, address })
}

function hub(wire: BedWire, options: HubOptions = {}): Bed {
  const bed = new Bed(hubText(options), { wire, address: HUB })
  bed.gateway.start()
  return bed
}

async function names(bed: Bed): Promise<string[]> {
  return (await bed.ask('show tunnel ipsec')).map(({ name, state }) => `${name} ${state}`)
}

const routes = (bed: Bed) =>
  bed.routes.routes.filter(({ blackhole }) => !blackhole).map(({ prefix, device }) => `${prefix} ${device}`)

/** A hub with `count` customers, all up. */
async function withCustomers(count: number, options: HubOptions = {}) {
  const wire = new BedWire()
  const a = hub(wire, options)
  const customers = Array.from({ length: count }, (_, index) => customer(index + 1, wire))
  for (const each of customers) {
    each.gateway.start()
    await pass(300, wire, a, ...customers)
  }
  return { wire, a, customers, beds: [a, ...customers] }
}

describe('accepted peers', () => {
  test('get a tunnel, a device and routes to their networks each', async () => {
    const { a } = await withCustomers(3)
    assert.deepEqual(await names(a), ['cpe up', 'cpe-1 up', 'cpe-2 up', 'cpe-3 up'], a.lines.join(''))
    assert.deepEqual(routes(a), ['10.4.1.0/24 od-1', '10.4.2.0/24 od-2', '10.4.3.0/24 od-3'])
    assert.deepEqual(a.routes.devices.get('od-2'), {
      mtu: 1400,
      up: true,
      addresses: ['169.254.4.1/32'],
      multicast: true,
    })
    assert.ok(!a.routes.devices.has('od'))
    assert.equal(a.card.sas.size, 6)
    assert.deepEqual(
      [...a.card.tunnels.values()].map(({ name, device, remote, up }) => [name, device, remote.address, up]),
      [
        ['cpe-1', 'od-1', '203.0.113.1', true],
        ['cpe-2', 'od-2', '203.0.113.2', true],
        ['cpe-3', 'od-3', '203.0.113.3', true],
      ],
    )
  })

  test('are shown: tunnels, SAs, circuits and routes of source peer', async () => {
    const { a } = await withCustomers(2)
    const [template, first] = await a.ask('show tunnel ipsec')
    assert.deepEqual(
      [template.kind, template.remote, template.remoteId],
      ['on-demand', null, 'fqdn *.cpe.example'],
    )
    assert.deepEqual(
      [first.kind, first.remote, first.remoteId],
      ['on-demand', '203.0.113.1', 'fqdn c1.cpe.example'],
    )
    assert.equal(first.interface, 'od-1')
    const ip = await a.ask('show ip route')
    assert.deepEqual(
      ip.map(({ prefix, kind, target, source }) => `${prefix} ${kind} ${target} ${source}`),
      ['10.4.0.0/16 null0 null0 static', '10.4.1.0/24 circuit od-1 peer', '10.4.2.0/24 circuit od-2 peer'],
    )
    assert.deepEqual(
      (await a.ask('show circuit')).map(({ device, tunnel }) => [device, tunnel]),
      [
        ['od-1', 'cpe-1'],
        ['od-2', 'cpe-2'],
      ],
    )
    assert.equal((await a.ask('show ipsec sa tunnel cpe-2')).length, 2)
    const [detail] = await a.ask('show tunnel ipsec cpe detail')
    assert.deepEqual([detail.peers, detail.maxTunnels], [['cpe-1', 'cpe-2'], 8])
    const [member] = await a.ask('show tunnel ipsec cpe-2 detail')
    assert.deepEqual([member.template, member.networks], ['cpe', ['10.4.2.0/24']])
  })

  test('in economical mode share ase0 and lie in the FIB', async () => {
    const { a } = await withCustomers(2, { mode: 'economical' })
    assert.deepEqual(routes(a), ['10.4.1.0/24 ase0', '10.4.2.0/24 ase0'])
    assert.deepEqual(a.card.fib, [
      { prefix: '10.4.0.0/16', target: 'null0' },
      { prefix: '10.4.1.0/24', target: { tunnel: a.card.refOf('cpe-1') } },
      { prefix: '10.4.2.0/24', target: { tunnel: a.card.refOf('cpe-2') } },
    ])
  })

  test('renew their SAs and keep device and routes', async () => {
    const { a, wire, beds } = await withCustomers(2)
    const before = (await a.ask('show ipsec sa')).map(({ spi }) => spi)
    const made = a.routes.history.length
    await a.ask('clear ipsec sa')
    await pass(8_000, wire, ...beds)
    const after = await a.ask('show ipsec sa')
    assert.equal(after.length, 4)
    assert.ok(after.every(({ spi }) => !before.includes(spi)))
    assert.equal(a.routes.history.length, made)
    assert.deepEqual(await names(a), ['cpe up', 'cpe-1 up', 'cpe-2 up'])
  })

  test('with local any: the identity is the address that the peer has come to', async () => {
    const wire = new BedWire()
    const text = hubText({ local: 'any' }).replace(' local-id fqdn hub.example\n', '')
    const a = new Bed(text, { wire, address: HUB })
    a.gateway.start()
    const one = customer(1, wire, '10.4.1.0/24', 'c1.cpe.example', `address ${HUB}`)
    one.gateway.start()
    await pass(500, wire, a, one)
    assert.deepEqual(await names(a), ['cpe up', 'cpe-1 up'], a.lines.join(''))
  })
})

describe('room', () => {
  test('the ninth peer is refused by default, logged, and comes in when another has left', async () => {
    const { a, wire, customers, beds } = await withCustomers(9)
    assert.equal((await names(a)).length, 9)
    assert.equal(a.card.sas.size, 16)
    assert.equal((await customers[8].ask('show tunnel ipsec'))[0].reason, 'auth-failed')
    const [line] = a.entries().filter(({ reason }) => reason === 'max-tunnels')
    assert.equal(line.tunnel, 'cpe')
    assert.match(
      line.message,
      /^fqdn c9\.cpe\.example is refused by on-demand tunnel cpe: all its 8 tunnels are in use/,
    )
    const [detail] = await a.ask('show tunnel ipsec cpe detail')
    assert.equal((detail.reports as { code: string }[])[0].code, 'max-tunnels')
    await customers[3].gateway.stop()
    await pass(40_000, wire, ...beds)
    assert.ok((await names(a)).includes('cpe-4 up'))
    assert.ok(routes(a).includes('10.4.9.0/24 od-4'))
  })

  test('max-tunnels says otherwise', async () => {
    const { a } = await withCustomers(3, { max: 2 })
    assert.deepEqual(await names(a), ['cpe up', 'cpe-1 up', 'cpe-2 up'])
  })

  test('a peer without the right key or identity gets nothing', async () => {
    const wire = new BedWire()
    const a = hub(wire)
    const stranger = customer(7, wire, '10.4.7.0/24', 'c7.elsewhere')
    stranger.gateway.start()
    await pass(3_000, wire, a, stranger)
    assert.deepEqual(await names(a), ['cpe down'])
    assert.equal(a.routes.devices.size, 0)
    const [{ reports }] = await a.ask('show tunnel ipsec cpe detail')
    assert.match(JSON.stringify(reports), /no tunnel here expects fqdn c7\.elsewhere/)
  })
})

describe('networks', () => {
  test('that another peer has are refused, and freed with it', async () => {
    const wire = new BedWire()
    const a = hub(wire)
    const first = customer(1, wire, '10.4.0.0/17')
    const second = customer(2, wire, '10.4.100.0/24')
    first.gateway.start()
    await pass(500, wire, a, first)
    second.gateway.start()
    await pass(2_000, wire, a, first, second)
    assert.deepEqual(routes(a), ['10.4.0.0/17 od-1'])
    const [refused] = await a.ask('show tunnel ipsec cpe-2 detail')
    assert.deepEqual([refused.state, refused.reason], ['down', 'ts-unacceptable'])
    assert.equal(refused.cause, 'the peer asks for 10.4.100.0/24, which overlaps what another peer has')
    await first.gateway.stop()
    await pass(40_000, wire, a, first, second)
    assert.deepEqual(routes(a), ['10.4.100.0/24 od-2'])
    assert.equal((await second.ask('show tunnel ipsec'))[0].state, 'up')
  })

  test('are narrowed to what the template allows', async () => {
    const wire = new BedWire()
    const a = hub(wire)
    const greedy = customer(1, wire, '10.0.0.0/8')
    greedy.gateway.start()
    await pass(500, wire, a, greedy)
    assert.deepEqual(routes(a), ['10.4.0.0/16 od-1'])
  })

  test('that hold the peer’s own end point are refused', async () => {
    const wire = new BedWire()
    const a = hub(wire, { remote: 'any' })
    const circle = customer(1, wire, '0.0.0.0/0')
    circle.gateway.start()
    await pass(2_000, wire, a, circle)
    assert.deepEqual(routes(a), [])
    assert.equal(a.card.sas.size, 0)
    assert.match(
      a.lines.join(''),
      /reason=recursive-route the peer asks for 0\.0\.0\.0\/0, which holds its own end point/,
    )
  })

  test('that are no prefix become the prefixes that make them up', () => {
    const prefixes = (from: string, to: string) =>
      rangePrefixes({
        family: from.includes(':') ? 6 : 4,
        start: parseAddress(from)!,
        end: parseAddress(to)!,
      }).map(formatPrefix)
    assert.deepEqual(prefixes('10.0.0.5', '10.0.0.9'), ['10.0.0.5/32', '10.0.0.6/31', '10.0.0.8/31'])
    assert.deepEqual(prefixes('0.0.0.0', '255.255.255.255'), ['0.0.0.0/0'])
    assert.deepEqual(prefixes('::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), ['::/0'])
    assert.deepEqual(prefixes('fd00::', 'fd00::2:ffff'), ['fd00::/111', 'fd00::2:0/112'])
    assert.equal(prefixes('0.0.0.1', '255.255.255.254').length, 62)
  })
})

describe('a peer that goes', () => {
  test('takes its tunnel, device and routes along, and leaves the others alone', async () => {
    const { a, wire, customers, beds } = await withCustomers(3)
    const spis = (await a.ask('show ipsec sa tunnel cpe-3')).map(({ spi }) => spi)
    await customers[1].gateway.stop()
    await pass(1_000, wire, ...beds)
    assert.deepEqual(await names(a), ['cpe up', 'cpe-1 up', 'cpe-3 up'])
    assert.deepEqual(routes(a), ['10.4.1.0/24 od-1', '10.4.3.0/24 od-3'])
    assert.ok(!a.routes.devices.has('od-2'))
    assert.equal(a.card.tunnels.size, 2)
    assert.deepEqual(
      (await a.ask('show ipsec sa tunnel cpe-3')).map(({ spi }) => spi),
      spis,
    )
    const [line] = a.entries().filter(({ message }) => /^peer left/.test(message))
    assert.deepEqual([line.tunnel, line.reason], ['cpe-2', 'peer-deleted'])
  })

  test('without a word is noticed', async () => {
    const { a, wire, customers, beds } = await withCustomers(2)
    wire.detach(customers[0].address)
    await pass(120_000, wire, ...beds)
    assert.deepEqual(await names(a), ['cpe up', 'cpe-2 up'])
  })

  test('and comes back from another address is the same tunnel', async () => {
    const { a, wire, customers, beds } = await withCustomers(2)
    wire.detach(customers[0].address)
    const again = customer(9, wire, '10.4.1.0/24', 'c1.cpe.example')
    again.gateway.start()
    await pass(60_000, wire, ...beds, again)
    assert.deepEqual(await names(a), ['cpe up', 'cpe-1 up', 'cpe-2 up'])
    const [row] = await a.ask('show tunnel ipsec cpe-1')
    assert.equal(row.remote, '203.0.113.9')
    assert.equal(a.card.sas.size, 4)
    assert.deepEqual(routes(a), ['10.4.1.0/24 od-1', '10.4.2.0/24 od-2'])
  })

  test('because the operator clears it: one, or all of the template', async () => {
    const { a, wire, beds } = await withCustomers(3)
    const spisOf = async (name: string) => (await a.ask(`show ipsec sa tunnel ${name}`)).map(({ spi }) => spi)
    const untouched = await spisOf('cpe-1')
    await a.ask('clear tunnel ipsec cpe-2')
    assert.ok(!(await names(a)).some((name) => name.startsWith('cpe-2')))
    await pass(40_000, wire, ...beds)
    assert.deepEqual(await names(a), ['cpe up', 'cpe-1 up', 'cpe-3 up', 'cpe-2 up'])
    assert.deepEqual(await spisOf('cpe-1'), untouched)
    await a.ask('clear tunnel ipsec cpe')
    assert.deepEqual(await names(a), ['cpe down'])
    assert.equal(a.routes.devices.size, 0)
    await pass(60_000, wire, ...beds)
    assert.equal((await names(a)).length, 4)
  })

  test('with the gateway: nothing is left', async () => {
    const { a } = await withCustomers(3)
    await a.gateway.stop()
    assert.deepEqual([a.card.sas.size, a.routes.devices.size, routes(a).length], [0, 0, 0])
  })
})

describe('a commit', () => {
  test('that leaves the template alone keeps its peers, also with more room', async () => {
    const { a, wire, beds } = await withCustomers(2, { max: 2 })
    const spis = (await a.ask('show ipsec sa')).map(({ spi }) => spi)
    const result = a.gateway.reload(a.config(hubText({ max: 3, extra: 'ike keepalive interval 99\n' })))
    assert.deepEqual(result.ok && result.plan.map(({ code }) => code), ['keep'])
    await pass(60_000, wire, ...beds)
    assert.deepEqual(
      (await a.ask('show ipsec sa')).map(({ spi }) => spi),
      spis,
    )
    const third = customer(3, wire)
    third.gateway.start()
    await pass(500, wire, ...beds, third)
    assert.equal((await names(a)).length, 4)
  })

  test('that changes it ends its peers, which come again under the new one', async () => {
    const { a, wire, beds } = await withCustomers(2)
    const result = a.gateway.reload(a.config(hubText({ remote: '10.4.1.0/24' })))
    assert.deepEqual(result.ok && result.plan.map(({ code }) => code), ['change'])
    await pass(60_000, wire, ...beds)
    assert.match(routes(a).join(), /^10\.4\.1\.0\/24 od-[12]$/)
  })

  test('that deletes it leaves nothing', async () => {
    const { a, wire, beds } = await withCustomers(2)
    assert.ok(a.gateway.reload(a.config('context local\n')).ok)
    await pass(1_000, wire, ...beds)
    assert.deepEqual(
      [await names(a), a.card.sas.size, a.card.tunnels.size, a.routes.devices.size],
      [[], 0, 0, 0],
    )
  })
})

test('a device that the kernel refuses costs that peer only', async () => {
  const wire = new BedWire()
  const a = hub(wire)
  const [one, two] = [customer(1, wire), customer(2, wire)]
  one.gateway.start()
  await pass(300, wire, a, one, two)
  a.routes.refused = 'od-2'
  two.gateway.start()
  await pass(2_000, wire, a, one, two)
  assert.deepEqual(
    (await names(a)).filter((name) => name.endsWith(' up')),
    ['cpe up', 'cpe-1 up'],
  )
  assert.match(a.lines.join(''), /od-2: the kernel says no/)
  assert.equal(a.card.sas.size, 2)
  a.routes.refused = null
  await pass(60_000, wire, a, one, two)
  assert.deepEqual(await names(a), ['cpe up', 'cpe-1 up', 'cpe-2 up'])
})

/** An engine that admits one more peer with every datagram, and gives it a Child SA for 10.x.y.0/24. */
function crowd(environment: EngineEnvironment): Engine {
  const nothing = () => []
  let count = 0
  const receive = (): Action[] => {
    const number = ++count
    const remote = { address: `203.0.${number >> 8}.${number & 255}`, port: 4500 }
    const identity = { kind: 'fqdn' as const, value: `c${number}.cpe.example` }
    const admission = environment.admit!('cpe', { identity, local: { address: HUB, port: 4500 }, remote })
    if (!admission.ok) return [{ kind: 'report', report: admission.report }]
    const { tunnel } = admission.peer
    return [
      { kind: 'ike-up', ikeSa: number, tunnel },
      { kind: 'install', child: childOf(number, tunnel, remote) },
    ]
  }
  return {
    ...{
      setPeer: () => {},
      removePeer: nothing,
      initiate: nothing,
      receive,
      computed: nothing,
      tick: nothing,
    },
    ...{ activity: nothing, rekeyChild: nothing, expireChild: nothing, rekeyIke: nothing, clear: nothing },
    ...{ deadline: () => Number.POSITIVE_INFINITY, ikeSas: nothing, shutdown: nothing },
  }
}

function childOf(number: number, tunnel: string, remote: Endpoint): ChildInstall {
  const keys = () => ({ encryptionKey: new Uint8Array(16), integrityKey: new Uint8Array(20) })
  const network = (host: number) => Uint8Array.of(10, number >> 8, number & 255, host)
  const ports = { family: 4 as const, protocol: 0, startPort: 0, endPort: 65535 }
  return {
    ...{ child: number, ikeSa: number, tunnel, spiIn: 1000 + number, spiOut: 9000 + number, protocol: 'esp' },
    ...{ cipher: 'aes-128', integrity: 'sha1', esn: false, inbound: keys(), outbound: keys() },
    ...{ localSelectors: [], remoteSelectors: [{ ...ports, start: network(0), end: network(255) }] },
    ...{ encapsulation: 'udp', local: HUB, remote, replayWindow: 64, activateOutbound: true, replaces: null },
    ...{ lifetime: { seconds: 3600, bytes: 0, packets: 0 }, softSeconds: 3000 },
  }
}

test('a template carries 1,024 peers and refuses the next', async () => {
  const text = hubText({ max: 1024, remote: 'any' })
  const bed = new Bed(text, { address: HUB, createEngine: crowd })
  bed.gateway.start()
  const ends = { local: { address: '203.0.113.1', port: 500 }, remote: { address: HUB, port: 500 } }
  for (let peer = 0; peer < 1030; peer++) {
    bed.wire.send({ ...ends, data: Uint8Array.of(1) })
    bed.wire.step()
  }
  assert.equal((await names(bed)).filter((name) => /^cpe-\d+ up$/.test(name)).length, 1024)
  assert.equal(routes(bed).length, 1024)
  assert.equal(bed.card.sas.size, 2048)
  const refused = bed.entries().filter(({ reason }) => reason === 'max-tunnels')
  assert.equal(refused.length, 6)
  assert.match(refused[0].message, /^fqdn c1025\.cpe\.example is refused .* all its 1024 tunnels are in use/)
  await bed.gateway.stop()
  assert.deepEqual([bed.card.sas.size, bed.routes.devices.size], [0, 0])
})
