// Two complete gateways in one process, in virtual time: configuration, IKE, card and packets, only the kernel and
// the wire are in-process. What a user would see, several minutes of it in a second.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  ask,
  assertUp,
  configOf,
  makeSite,
  NETS,
  OUTER,
  pings,
  stateOf,
  type Text,
  world,
} from './gateway-world.ts'

const POLICY = `ike proposal p
 encryption aes-128
 authentication sha256
 dh-group 31
ike policy peer
 seq 10 proposal p
 pre-shared-key text "a key of more than sixteen bytes"
 dpd interval 10 retries 3
ipsec proposal e
 esp encryption aes-128
 esp authentication sha1
ipsec policy data
 seq 10 proposal e
 perfect-forward-secrecy dh-group 31
`

const circuit: Text = (side) => `context local
 interface t1
 ip route ${NETS[1 - side]} interface t1
${POLICY}tunnel ipsec t
 peer-end-point local ${OUTER[side]} remote ${OUTER[1 - side]}
 bind interface t1 local
 ike-policy peer
 ipsec-policy data
`

const economical: Text = (side) => `context local
 ip route ${NETS[1 - side]} tunnel t
${POLICY}tunnel ipsec t
 mode economical
 peer-end-point local ${OUTER[side]} remote ${OUTER[1 - side]}
 ike-policy peer
 ipsec-policy data
 traffic-selector local ${NETS[side]} remote ${NETS[1 - side]}
`

const manual: Text = (side) => {
  const line = (direction: string, spi: number) =>
    ` ${direction} esp spi ${spi} encryption aes-128 key hex ${'0f'.repeat(16)} authentication sha1 key hex ${'f0'.repeat(20)}`
  return `context local
 ip route ${NETS[1 - side]} tunnel t
ipsec sa k
${line('outbound', 4096 + side)}
${line('inbound', 4097 - side)}
tunnel ipsec t manual
 mode economical
 peer-end-point local ${OUTER[side]} remote ${OUTER[1 - side]}
 seq 10 ipsec-sa k
`
}

describe('two gateways in one process', () => {
  for (const [name, text, stages] of [
    ['circuit', circuit, ['ippa', 'eppa', 'loop', 'ippa', 'ase', 'egress', 'port']],
    ['economical', economical, ['ippa', 'ase', 'egress', 'port']],
    ['manual', manual, ['ippa', 'ase', 'egress', 'port']],
  ] as const)
    test(`${name}: up, pings both ways, nothing in clear, its own way through the card`, async () => {
      const one = await world(text)
      await assertUp(one)
      assert.equal(await pings(one, 40), 40)
      assert.equal(one.clear(), 0)
      const tracing = ask(one.sites[0], 'trace packet t')
      await pings(one, 2)
      assert.deepEqual((await tracing)[0].stages, stages)
      const [row] = await ask(one.sites[0], 'show tunnel ipsec')
      assert.equal(row.mode, name === 'circuit' ? 'circuit' : 'economical')
      const [counters] = await ask(one.sites[0], 'show counters')
      assert.equal(counters.txPackets, 42)
      const circuits = await ask(one.sites[0], 'show circuit')
      assert.deepEqual(
        circuits.map(({ loopback }) => loopback),
        name === 'circuit' ? [42] : [],
      )
      await one.stop()
    })

  test('a trace without a packet ends with a sentence', async () => {
    const one = await world(circuit)
    await assertUp(one)
    const traced = one.sites[0].gateway.command('trace packet t')
    await one.time.advance(11_000)
    const answer = await traced
    assert.ok(!answer.ok && answer.error.code === 'timeout')
    await one.stop()
  })

  test('ten Child rekeys under ping, with PFS: no ping lost', async () => {
    const one = await world(circuit)
    await assertUp(one)
    let answered = 0
    const spis = new Set<unknown>()
    for (let i = 0; i < 10; i += 1) {
      await ask(one.sites[i % 2], 'clear ipsec sa')
      answered += await pings(one, 20)
      for (const { spi } of await ask(one.sites[0], 'show ipsec sa')) spis.add(spi)
    }
    assert.equal(answered, 200)
    assert.ok(spis.size >= 20, `${spis.size} SPIs`)
    await one.time.advance(6_000) // the old pair still receives for 5 s
    assert.equal((await ask(one.sites[0], 'show ipsec sa')).length, 2)
    assert.equal(one.clear(), 0)
    await one.stop()
  })

  test('clear counters starts the count again', async () => {
    const one = await world(circuit)
    await assertUp(one)
    await pings(one, 10)
    await ask(one.sites[0], 'clear counters')
    assert.equal((await ask(one.sites[0], 'show counters'))[0].txPackets, 0)
    await pings(one, 4)
    assert.equal((await ask(one.sites[0], 'show counters'))[0].txPackets, 4)
    await one.stop()
  })

  test('a peer that vanishes and comes back: drops meanwhile, never clear, then traffic again', async () => {
    const one = await world(circuit)
    await assertUp(one)
    one.net.impairments.loss = 1
    assert.equal(await pings(one, 10), 0)
    await one.time.advance(60_000)
    assert.notEqual(await stateOf(one.sites[0]), 'up')
    assert.equal(await pings(one, 10), 0)
    const drops = await ask(one.sites[0], 'show counters drop')
    assert.ok(
      drops.some(({ packets }) => Number(packets) >= 5),
      JSON.stringify(drops),
    )
    one.net.impairments.loss = 0
    await assertUp(one, 90_000)
    assert.equal(await pings(one, 20), 20)
    assert.equal(one.clear(), 0)
    await one.stop()
  })

  test('a gateway that was killed comes back, and the tunnel with it', async () => {
    const one = await world(circuit)
    await assertUp(one)
    await one.sites[1].machine.stop() // no Delete, no guard taken away, like kill -9
    await one.time.advance(2_000)
    one.sites[1] = await makeSite(one.net, 1, circuit(1))
    await one.time.advance(3_000)
    await assertUp(one)
    assert.equal(await pings(one, 20), 20)
    assert.equal(
      (await ask(one.sites[0], 'show ike sa')).filter(({ state }) => state === 'established').length,
      1,
    )
    assert.equal(one.clear(), 0)
    await one.stop()
  })

  test('reload under ping: the unchanged tunnel loses nothing', async () => {
    const one = await world(circuit)
    await assertUp(one)
    await one.time.advance(15_000) // both began at once: one of two equal pairs goes
    const [before] = await ask(one.sites[0], 'show ipsec sa')
    const added = `${circuit(0)}tunnel ipsec u\n mode economical\n peer-end-point local ${OUTER[0]} remote 192.0.2.9\n ike-policy peer\ncontext local\n ip route 10.9.0.0/16 tunnel u\n`
    const flood = pings(one, 60)
    await one.time.advance(100)
    for (const text of [added, circuit(0), added]) {
      assert.ok(one.sites[0].gateway.reload(configOf(text)).ok)
      await one.time.advance(100)
    }
    assert.equal(await flood, 60)
    assert.equal((await ask(one.sites[0], 'show ipsec sa'))[0].spi, before.spi)
    assert.equal((await ask(one.sites[0], 'show tunnel ipsec')).length, 2)
    await one.stop()
  })

  test('a wire with 20 % loss, duplicates and reordering: up all the same, one SA pair', async () => {
    const one = await world(circuit, { loss: 0.2, duplicate: 0.2, reorder: 0.2, delay: 10, jitter: 50 })
    await assertUp(one, 60_000)
    Object.assign(one.net.impairments, { loss: 0, duplicate: 0, reorder: 0, jitter: 0 })
    await one.time.advance(45_000)
    assert.equal((await ask(one.sites[0], 'show ipsec sa')).length, 2)
    assert.equal(await pings(one, 20), 20)
    await one.stop()
  })

  test('hours pass: Child and IKE SAs are renewed by time, no ping is lost', async () => {
    const one = await world((side) =>
      circuit(side)
        .replace('ipsec policy data', 'ipsec policy data\n lifetime seconds 300')
        .replace(' dh-group 31\nike policy', ' dh-group 31\n lifetime 900\nike policy'),
    )
    await assertUp(one)
    const [first] = await ask(one.sites[0], 'show ike sa')
    let answered = 0
    for (let i = 0; i < 40; i += 1) {
      answered += await pings(one, 4)
      await one.time.advance(60_000)
    }
    assert.equal(answered, 160, one.sites.map(({ lines }) => lines.join('')).join('-----\n'))
    const [last] = await ask(one.sites[0], 'show ike sa')
    assert.notEqual(last.initiatorSpi, first.initiatorSpi)
    const pairs = async () => (await ask(one.sites[0], 'show ipsec sa')).length / 2
    if ((await pairs()) === 2) await one.time.advance(8_000) // an old pair still receives for 5 s
    assert.equal(await pairs(), 1)
    assert.ok(!one.sites[0].lines.some((line) => /tunnel down/.test(line)))
    await one.stop()
  })

  test('shutdown by configuration stops traffic and leaks nothing; no shutdown brings it back', async () => {
    const one = await world(circuit)
    await assertUp(one)
    assert.ok(one.sites[0].gateway.reload(configOf(`${circuit(0)} shutdown\n`)).ok)
    await one.time.advance(3_000)
    assert.equal(await stateOf(one.sites[0]), 'shutdown')
    assert.equal(await pings(one, 10), 0)
    assert.equal(one.clear(), 0)
    assert.ok(one.sites[0].gateway.reload(configOf(circuit(0))).ok)
    await assertUp(one, 60_000)
    assert.equal(await pings(one, 10), 10)
    await one.stop()
  })
})
