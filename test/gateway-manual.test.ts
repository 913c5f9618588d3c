// Manual keys in two gateways of one process: ESP, AH and AH around ESP, from the text of the configuration to the
// packets on the wire; what the operator sees of them; several sets in use at once.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ask, assertUp, INNER, NETS, OUTER, pings, world } from './gateway-world.ts'
import { type ManualSet, type ManualSite, manualText } from './manual-world.ts'

const SUITES: [string, ManualSet, string[]][] = [
  ['ESP', { esp: 'aes-128 sha1' }, ['esp']],
  ['AH sha1', { ah: 'sha1' }, ['ah']],
  ['AH sha256', { ah: 'sha256' }, ['ah']],
  ['AH sha512', { ah: 'sha512' }, ['ah']],
  ['AH sha1 around ESP aes-256, sha256', { ah: 'sha1', esp: 'aes-256 sha256' }, ['esp', 'ah']],
  ['AH sha384 around ESP null, sha1', { ah: 'sha384', esp: 'null sha1' }, ['esp', 'ah']],
]
const textOf = (side: number, site: Pick<ManualSite, 'mode' | 'sets' | 'all' | 'mtu'>) =>
  manualText(side, { outer: OUTER, nets: NETS, ...site })
const NUMBER = { esp: 50, ah: 51 } as Record<string, number>

describe('manual keys', () => {
  for (const mode of ['circuit', 'economical'] as const)
    for (const [name, set, protocols] of SUITES)
      test(`${name}, ${mode}: pings both ways, only its protocol on the wire, SAs shown`, async () => {
        const seen = new Set<number>()
        const one = await world((side) => textOf(side, { mode, sets: [set] }))
        one.net.observe((packet) => void seen.add(packet[9]))
        await assertUp(one)
        assert.equal(await pings(one, 40), 40)
        assert.equal(one.clear(), 0)
        assert.deepEqual([...seen], [NUMBER[protocols.at(-1)!]])
        const rows = await ask(one.sites[0], 'show ipsec sa')
        assert.deepEqual(rows.map(({ protocol }) => protocol).sort(), [...protocols, ...protocols].sort())
        for (const { direction, sending, packets, hardIn, ikeSa } of rows)
          assert.deepEqual([sending, packets, hardIn, ikeSa], [direction === 'out', 40, null, null])
        await one.stop()
      })

  test('several sets: all are accepted, the lowest sends; the ends may differ in which', async () => {
    const sets: ManualSet[] = [
      { ah: 'sha1', esp: 'aes-128 sha1' },
      { ah: 'sha256' },
      { esp: 'aes-256 sha256' },
    ]
    const turned = [sets[2], sets[0], sets[1]]
    const one = await world((side) =>
      textOf(side, { mode: 'economical', sets: side === 0 ? sets : turned, all: sets }),
    )
    await assertUp(one)
    assert.equal(await pings(one, 40), 40)
    const sending = async (side: number) =>
      (await ask(one.sites[side], 'show ipsec sa')).filter((row) => row.sending).map((row) => row.protocol)
    assert.deepEqual(await sending(0), ['esp', 'ah'])
    assert.deepEqual(await sending(1), ['esp'])
    await one.stop()
  })

  test('a key that differs at one end: nothing gets through, and the counter says why', async () => {
    const one = await world((side) =>
      textOf(side, { mode: 'economical', sets: [{ ah: 'sha256', key: side === 0 ? 0x77 : 0x0f }] }),
    )
    await assertUp(one)
    assert.equal(await pings(one, 4), 0)
    assert.equal(one.clear(), 0)
    const drops = await ask(one.sites[1], 'show counters drop')
    assert.equal(drops.find(({ reason }) => reason === 'bad-icv')?.packets, 2)
    await one.stop()
  })

  test('the ESP of a bundle is accepted inside its AH only', async () => {
    const bundle = { ah: 'sha1', esp: 'aes-128 sha1' }
    const one = await world((side) =>
      textOf(side, { mode: 'economical', sets: [side === 0 ? { esp: bundle.esp } : bundle] }),
    )
    await assertUp(one)
    assert.equal(await pings(one, 4), 0)
    const drops = await ask(one.sites[1], 'show counters drop')
    assert.equal(drops.find(({ reason }) => reason === 'sa-mismatch')?.packets, 2)
    await one.stop()
  })

  test('the largest packet of a bundle fits the path of 1500 bytes', async () => {
    let largest = 0
    const one = await world((side) => textOf(side, { mode: 'circuit', sets: [SUITES[4][1]], mtu: 9000 }))
    one.net.observe((packet) => {
      largest = Math.max(largest, (packet[2] << 8) | packet[3])
    })
    await assertUp(one)
    const [{ mtu }] = await ask(one.sites[0], 'show circuit')
    const answer = one.sites[0].host.ping(INNER[1], 500, Number(mtu) - 28)
    await one.time.advance(600)
    assert.notEqual(await answer, null)
    assert.ok(largest <= 1500 && largest > 1484, `${largest} bytes`)
    await one.stop()
  })
})
