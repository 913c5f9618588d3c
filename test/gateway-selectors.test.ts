// Several traffic selectors a tunnel (RFC 7296 §2.9), and tunnels that share one IKE SA: from the configuration through
// the negotiation into both cards and the output of show.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { describeSelector } from '../control/address.ts'
import { Bed, BedWire, pass } from './gateway-bed.ts'
import { assertMirrored, circuit, LEFT, RIGHT, type Site, upPair } from './gateway-pair.ts'

type Sides = { source: string[]; destination: string[] }

/** What the card's SA of that direction takes. */
function inCard(bed: Bed, direction: 'in' | 'out'): Sides {
  const [{ sa }] = bed.card.of(direction)
  return { source: sa.source.map(describeSelector), destination: sa.destination.map(describeSelector) }
}

async function shown(bed: Bed): Promise<Sides[]> {
  return (await bed.ask('show ipsec sa')).map(({ selectors }) => selectors as Sides)
}

const lines = (...texts: string[]) => texts.map((text) => ` traffic-selector ${text}`).join('\n')

describe('several selectors a tunnel', () => {
  test('all lines make one Child SA: union of locals, union of remotes, in both cards and in show', async () => {
    const left: Site = {
      tunnel: lines('local 10.1.1.0/24 remote 10.2.1.0/24', 'local 10.1.2.0/24 remote 10.2.2.0/24'),
    }
    const right: Site = {
      tunnel: lines('local 10.2.1.0/24 remote 10.1.1.0/24', 'local 10.2.2.0/24 remote 10.1.2.0/24'),
    }
    const { a, b } = await upPair(left, right)
    const ours = { source: ['10.1.1.0/24', '10.1.2.0/24'], destination: ['10.2.1.0/24', '10.2.2.0/24'] }
    const theirs = { source: ours.destination, destination: ours.source }
    assert.deepEqual([inCard(a, 'out'), inCard(b, 'in')], [ours, ours])
    assert.deepEqual([inCard(a, 'in'), inCard(b, 'out')], [theirs, theirs])
    assert.deepEqual(await shown(a), [theirs, ours])
    const [{ selectors }] = await a.ask('show tunnel ipsec t detail')
    assert.deepEqual(selectors, { local: ours.source, remote: ours.destination })
    assertMirrored(a, b)
  })

  test('pairs and an access list together, with protocols and ports', async () => {
    const list = (local: string, remote: string) => `ipsec access-list web
 seq 20 permit udp ${local} ${remote} port 5060-5061
 seq 10 permit tcp ${local} ${remote} port 443
`
    const left: Site = {
      global: list('10.1.1.0/24', '10.2.1.0/24'),
      tunnel: lines('access-list web', 'icmp local host 10.1.9.9 remote range 10.2.9.1 10.2.9.9'),
    }
    const right: Site = {
      tunnel: lines(
        'tcp local 10.2.1.0/24 port 443 remote 10.1.1.0/24',
        'udp local 10.2.1.0/24 port 5060-5061 remote 10.1.1.0/24',
        'icmp local range 10.2.9.1 10.2.9.9 remote host 10.1.9.9',
      ),
    }
    const { a, b } = await upPair(left, right)
    const expected = {
      source: ['10.1.1.0/24 tcp', '10.1.1.0/24 udp', '10.1.9.9 icmp'],
      destination: ['10.2.1.0/24 tcp 443', '10.2.1.0/24 udp 5060-5061', '10.2.9.1-10.2.9.9 icmp'],
    }
    assert.deepEqual(inCard(a, 'out'), expected)
    assert.deepEqual(inCard(b, 'in'), expected)
  })

  test('the answer is narrowed to what both have, whoever is the wider one', async () => {
    const wide = lines('local any remote any')
    const both = { source: ['10.1.1.0/24', '10.1.2.0/24'], destination: ['10.2.0.0/16'] }
    const narrow = (local: string, remote: string) =>
      lines(...local.split(' ').map((one) => `local ${one} remote ${remote}`))
    const initiatorWide = await upPair(
      { tunnel: wide },
      { tunnel: lines('local 10.2.0.0/16 remote 10.1.1.0/24', 'local 10.2.0.0/16 remote 10.1.2.0/24') },
    )
    assert.deepEqual([inCard(initiatorWide.a, 'out'), inCard(initiatorWide.b, 'in')], [both, both])
    const responderWide = await upPair(
      { tunnel: narrow('10.1.1.0/24 10.1.2.0/24', '10.2.0.0/16') },
      { tunnel: wide },
    )
    assert.deepEqual([inCard(responderWide.a, 'out'), inCard(responderWide.b, 'in')], [both, both])
  })

  test('survive a rekey unchanged', async () => {
    const left = { tunnel: lines('local 10.1.1.0/24 remote any', 'local 10.1.2.0/24 remote any') }
    const { a, b, wire, beds } = await upPair(left)
    const before = inCard(a, 'out')
    await a.ask('clear ipsec sa')
    await pass(7_000, wire, ...beds)
    assert.equal(a.card.sas.size, 2)
    assert.deepEqual(inCard(a, 'out'), before)
    assert.deepEqual(inCard(b, 'in'), before)
  })
})

describe('tunnels with equal end points and IKE policy', () => {
  const second = (local: string, remote: string, net: string, policy = 'peer') => `
context local
 interface t2
 ip route ${net} interface t2
tunnel ipsec u
 peer-end-point local ${local} remote ${remote}
 bind interface t2 local
 ike-policy ${policy}
 ipsec-policy data
 traffic-selector local any remote any
`

  function twoTunnels(extra = '') {
    const wire = new BedWire()
    const a = new Bed(
      `${circuit(LEFT, RIGHT, '10.2.0.0/16')}${extra}${second(LEFT, RIGHT, '10.3.0.0/16', extra ? 'other' : 'peer')}`,
      {
        wire,
        address: LEFT,
      },
    )
    const site: Site = { policy: ' role responder' }
    const b = new Bed(
      `${circuit(RIGHT, LEFT, '10.1.0.0/16', site)}${extra}${second(RIGHT, LEFT, '10.4.0.0/16', extra ? 'other' : 'peer')}`,
      {
        wire,
        address: RIGHT,
      },
    )
    a.gateway.start()
    b.gateway.start()
    return { wire, a, b, beds: [a, b] as const }
  }

  async function states(bed: Bed) {
    return (await bed.ask('show tunnel ipsec')).map(({ name, state }) => `${name} ${state}`)
  }

  test('share one IKE SA and have a pair of Child SAs each', async () => {
    const { a, b, wire, beds } = twoTunnels()
    await pass(3_000, wire, ...beds)
    for (const bed of beds) {
      assert.deepEqual(await states(bed), ['t up', 'u up'], bed.lines.join(''))
      assert.equal((await bed.ask('show ike sa')).length, 1)
      assert.equal(bed.card.sas.size, 4)
    }
    const ikeSas = new Set((await a.ask('show ipsec sa')).map(({ ikeSa }) => ikeSa))
    assert.equal(ikeSas.size, 1)
    const tunnels = new Set((await b.ask('show ipsec sa')).map(({ tunnel }) => tunnel))
    assert.deepEqual(tunnels, new Set(['t', 'u']))
  })

  test('clearing one leaves the other and the IKE SA alone', async () => {
    const { a, wire, beds } = twoTunnels()
    await pass(3_000, wire, ...beds)
    const [ike] = await a.ask('show ike sa')
    const spisOf = async (name: string) => (await a.ask(`show ipsec sa tunnel ${name}`)).map(({ spi }) => spi)
    const [t, u] = [await spisOf('t'), await spisOf('u')]
    await a.ask('clear tunnel ipsec u')
    await pass(8_000, wire, ...beds)
    assert.deepEqual(await spisOf('t'), t)
    assert.notDeepEqual(await spisOf('u'), u)
    assert.equal((await a.ask('show ike sa'))[0].initiatorSpi, ike.initiatorSpi)
    assert.deepEqual(await states(a), ['t up', 'u up'])
    assert.deepEqual(
      a.card.history.filter((line) => line.startsWith('t ')),
      ['t up'],
    )
  })

  test('another IKE policy means another IKE SA', async () => {
    const other = `
ike policy other
 seq 10 proposal p
 pre-shared-key text "another key of more than sixteen bytes"
 local-id fqdn other.example
 remote-id fqdn other.example
`
    const { a, wire, beds } = twoTunnels(other)
    await pass(3_000, wire, ...beds)
    assert.equal((await a.ask('show ike sa')).length, 2)
    assert.deepEqual(await states(a), ['t up', 'u up'])
  })
})
