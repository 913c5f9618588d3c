// NAT between two gateways: what the card is told about encapsulation and about a peer that moves (RFC 7296 §2.23).

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Endpoint } from '../control/ports.ts'
import type { Action, Engine } from '../control/sa/contract.ts'
import { Bed, pass } from './gateway-bed.ts'
import { circuit, LEFT, pair, RIGHT, type Site, upPair } from './gateway-pair.ts'

/** What the card accepts for the tunnel, whatever this end sends. */
function accepts(bed: Bed): boolean | undefined {
  const [tunnel] = bed.card.tunnels.values()
  return tunnel.anyEncapsulation
}

describe('encapsulation that the card accepts', () => {
  for (const mode of ['auto', 'force'])
    test(`nat-traversal ${mode}: UDP and native ESP, before and after the tunnel is up`, async () => {
      const site: Site = { tunnel: ` nat-traversal ${mode}` }
      const down = pair(site)
      down.a.gateway.start()
      assert.equal(accepts(down.a), true)
      const { a, b } = await upPair(site, site)
      assert.deepEqual([accepts(a), accepts(b)], [true, true])
      const [tunnel] = a.card.tunnels.values()
      assert.equal(tunnel.encapsulation, mode === 'force' ? 'udp' : 'raw')
    })

  test('nat-traversal off: only what this end sends', async () => {
    const site: Site = { tunnel: ' nat-traversal off' }
    const { a } = await upPair(site, site)
    assert.equal(accepts(a), false)
  })

  test('manual keys: only what is configured, for nothing was negotiated', () => {
    const key = 'hex 00112233445566778899aabbccddeeff'
    const hash = 'hex 000102030405060708090a0b0c0d0e0f10111213'
    const sa = `encryption aes-128 key ${key} authentication sha1 key ${hash}`
    const bed = new Bed(`ipsec sa keys
 outbound esp spi 4096 ${sa}
 inbound esp spi 4097 ${sa}
tunnel ipsec m manual
 mode economical
 nat-traversal force
 peer-end-point local 198.51.100.1 remote 192.0.2.99
 seq 10 ipsec-sa keys
`)
    bed.gateway.start()
    assert.equal(accepts(bed), false)
  })
})

/** An engine that says what the test wants said, and remembers what it was asked. */
function scripted(answers: Action[]) {
  const asked: [string, Endpoint][] = []
  const nothing = () => []
  const engine: Engine = {
    setPeer: () => {},
    removePeer: nothing,
    initiate: () => answers.splice(0),
    receive: nothing,
    computed: nothing,
    tick: nothing,
    deadline: () => Number.POSITIVE_INFINITY,
    activity: nothing,
    rekeyChild: nothing,
    expireChild: nothing,
    rekeyIke: nothing,
    clear: nothing,
    ikeSas: () => [],
    shutdown: nothing,
    peerAddress: (tunnel, remote) => {
      asked.push([tunnel, remote])
      return answers.splice(0)
    },
  }
  return { engine, asked, answers }
}

function installed(): Extract<Action, { kind: 'install' }> {
  const keys = () => ({ encryptionKey: new Uint8Array(16).fill(1), integrityKey: new Uint8Array(20).fill(2) })
  return {
    kind: 'install',
    child: {
      child: 7,
      ikeSa: 1,
      tunnel: 't',
      spiIn: 1000,
      spiOut: 2000,
      protocol: 'esp',
      cipher: 'aes-128',
      integrity: 'sha1',
      esn: false,
      inbound: keys(),
      outbound: keys(),
      localSelectors: [],
      remoteSelectors: [],
      encapsulation: 'udp',
      local: LEFT,
      remote: { address: RIGHT, port: 4500 },
      replayWindow: 64,
      lifetime: { seconds: 3600, bytes: 0, packets: 0 },
      softSeconds: 3000,
      activateOutbound: true,
      replaces: null,
    },
  }
}

describe('a peer whose NAT gives it another address', () => {
  const elsewhere = { address: '203.0.113.99', port: 31_000 }

  function up() {
    const script = scripted([installed()])
    const bed = new Bed(circuit(LEFT, RIGHT, '10.2.0.0/16'), { createEngine: () => script.engine })
    bed.gateway.start()
    return { bed, ...script }
  }

  test('what the card saw goes to the engine and changes nothing by itself', async () => {
    const { bed, asked } = up()
    bed.card.raise({ kind: 'peer-address', tunnel: bed.card.refOf('t'), remote: elsewhere })
    assert.deepEqual(asked, [['t', elsewhere]])
    assert.equal([...bed.card.tunnels.values()][0].remote.address, RIGHT)
    assert.equal((await bed.ask('show tunnel ipsec'))[0].remote, RIGHT)
  })

  test('is followed when the engine says so: card, show and log', async () => {
    const { bed, answers } = up()
    answers.push({ kind: 'moved', ikeSa: 1, tunnel: 't', remote: elsewhere })
    bed.card.raise({ kind: 'peer-address', tunnel: bed.card.refOf('t'), remote: elsewhere })
    const [tunnel] = bed.card.tunnels.values()
    assert.deepEqual([tunnel.remote, tunnel.encapsulation, tunnel.local], [elsewhere, 'udp', LEFT])
    assert.equal((await bed.ask('show tunnel ipsec'))[0].remote, '203.0.113.99')
    const [line] = bed.entries().filter(({ message }) => message === 'the peer moved')
    assert.deepEqual([line.tunnel, line.fields.remote], ['t', '203.0.113.99:31000'])
  })

  test('an event of a tunnel that is gone asks nobody', () => {
    const { bed, asked } = up()
    bed.card.raise({ kind: 'peer-address', tunnel: 99, remote: elsewhere })
    assert.deepEqual(asked, [])
  })
})

test('a keepalive of the engine leaves as one, not as an IKE message', () => {
  const local = { address: LEFT, port: 4500 }
  const remote = { address: RIGHT, port: 4500 }
  const { engine } = scripted([{ kind: 'keepalive', local, remote }])
  const bed = new Bed(circuit(LEFT, RIGHT, '10.2.0.0/16'), { createEngine: () => engine })
  bed.gateway.start()
  assert.deepEqual(bed.keepalives, [{ local, remote }])
  assert.equal(bed.wire.sent.length, 0)
})

describe('keepalives of a gateway behind a NAT', () => {
  const site: Site = { tunnel: ' nat-traversal force', policy: ' dpd interval 300 retries 3' }

  async function forced() {
    const bed = await upPair(site, { ...site, policy: `${site.policy}\n role responder` })
    return { ...bed, tick: () => pass(5_000, bed.wire, ...bed.beds) }
  }

  test('a tunnel without traffic sends one in 20 s', async () => {
    const { a, tick } = await forced()
    for (let step = 0; step < 9; step++) await tick()
    assert.equal(a.keepalives.length, 2)
    assert.deepEqual(a.keepalives[0].remote, { address: RIGHT, port: 4500 })
  })

  test('a tunnel that sends needs none', async () => {
    const { a, tick } = await forced()
    const [sender] = a.card.of('out').filter(({ active }) => active)
    for (let step = 0; step < 9; step++) {
      sender.packets += 1n
      await tick()
    }
    assert.deepEqual(a.keepalives, [])
  })
})
