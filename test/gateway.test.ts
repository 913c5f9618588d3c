// Two gateways on ports made by hand, the real IKEv2 engine between them: what lies in their cards and kernels.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Bed, BedFiles, BedWire, pass, settle } from './gateway-bed.ts'
import { assertMirrored, circuit, LEFT, pair, RIGHT, reasonOf, stateOf, upPair } from './gateway-pair.ts'

describe('two gateways', () => {
  test('negotiate a tunnel and program card, device and routes', async () => {
    const { a, b } = await upPair()
    assertMirrored(a, b)
    assertMirrored(b, a)
    assert.equal(a.card.of('in')[0].sa.replayWindow, 64)
    assert.deepEqual(a.routes.devices.get('t1'), {
      mtu: 1400,
      up: true,
      addresses: ['169.254.10.0/31'],
      multicast: true,
    })
    const [guard, link, route] = a.routes.routes
    const blackhole = { device: null, metric: 0xffffffff, blackhole: true }
    assert.deepEqual(guard, { prefix: '10.2.0.0/16', ...blackhole })
    assert.deepEqual(link, { prefix: '169.254.10.0/31', ...blackhole })
    assert.deepEqual(route, { prefix: '10.2.0.0/16', device: 't1', metric: 1 })
    assert.deepEqual(a.routes.history, [
      'blackhole 10.2.0.0/16',
      'blackhole 169.254.10.0/31',
      'device t1',
      'route 10.2.0.0/16',
    ])
    const [tunnel] = a.card.tunnels.values()
    assert.equal(tunnel.up, true)
    assert.equal(tunnel.local, LEFT)
    assert.equal(tunnel.remote.address, RIGHT)
  })

  test('show SAs linked to each other and without keys', async () => {
    const { a } = await upPair()
    const [ike] = await a.ask('show ike sa detail')
    const children = await a.ask('show ipsec sa')
    assert.equal(ike.state, 'established')
    assert.equal(ike.dhGroup, 31)
    assert.deepEqual(
      children.map(({ direction, sending }) => [direction, sending]),
      [
        ['in', false],
        ['out', true],
      ],
    )
    assert.ok(children.every(({ ikeSa }) => ikeSa === ike.id))
    const printed = JSON.stringify([await a.ask('show tunnel ipsec t detail'), children, ike, a.entries()])
    for (const { sa } of a.card.sas.values()) {
      assert.ok(!printed.includes(Buffer.from(sa.encryptionKey).toString('hex')))
      assert.ok(!printed.includes(Buffer.from(sa.integrityKey).toString('base64')))
    }
    assert.ok(!printed.includes('sixteen bytes'))
  })

  test('rekey without a moment in which nothing sends', async () => {
    const { a, b, wire, beds } = await upPair()
    const before = a.card.of('out')[0].sa.spi
    await a.ask('clear ipsec sa')
    await pass(6_000, wire, ...beds)
    const after = a.card.of('out').filter(({ active }) => active)
    assert.equal(after.length, 1)
    assert.notEqual(after[0].sa.spi, before)
    assert.equal(a.card.sas.size, 2)
    assertMirrored(a, b)
    assertMirrored(b, a)
    assert.deepEqual(a.card.history, ['t up'])
    assert.deepEqual(b.card.history, ['t up'])
  })

  test('clear a tunnel: Deletes, then new SAs, and the reason is kept', async () => {
    const { a, b, wire, beds } = await upPair()
    const [old] = await a.ask('show ike sa')
    await a.ask('clear tunnel ipsec t')
    await pass(2_000, wire, ...beds)
    const [fresh] = await a.ask('show ike sa')
    assert.notEqual(fresh.initiatorSpi, old.initiatorSpi)
    assert.deepEqual(a.card.history, ['t up', 't down', 't up'])
    assertMirrored(a, b)
    const [detail] = await a.ask('show tunnel ipsec t detail')
    const deaths = detail.deaths as { kind: string; reason: string }[]
    assert.deepEqual(new Set(deaths.map(({ kind }) => kind)), new Set(['child', 'ike']))
    assert.ok(deaths.every(({ reason }) => reason === 'cleared'))
  })

  test('notice a dead peer, drop what is meant for it, and come back with it', async () => {
    const { a, b, wire, beds } = await upPair()
    wire.cut = true
    await pass(60_000, wire, ...beds)
    assert.notEqual(await stateOf(a), 'up')
    assert.equal(a.card.sas.size, 0)
    assert.equal(a.routes.devices.get('t1')?.up, false)
    assert.ok(a.routes.routes.some(({ blackhole }) => blackhole))
    assert.ok(
      a.routes.routes.some(({ device }) => device === 't1'),
      'the route stays and drops',
    )
    const [detail] = await a.ask('show tunnel ipsec t detail')
    assert.ok((detail.deaths as { reason: string }[]).some(({ reason }) => reason === 'peer-dead'))
    wire.cut = false
    await pass(70_000, wire, ...beds)
    assert.equal(await stateOf(a), 'up')
    assertMirrored(a, b)
  })

  test('say who does not answer, and never give up', async () => {
    const { a, wire } = pair()
    a.gateway.start()
    await pass(300_000, wire, a)
    assert.equal(await reasonOf(a), 'no-answer')
    const first = wire.sent.length
    await pass(600_000, wire, a)
    assert.ok(wire.sent.length > first + 5)
    const gaps = a
      .entries()
      .filter(({ reason, message }) => reason === 'no-answer' && /next attempt/.test(message))
    const waits = gaps.map(({ message }) => Number(/in ([\d.]+) s/.exec(message)?.[1]))
    assert.ok(Math.max(...waits) <= 37.5 && Math.max(...waits) > 20, waits.join(' '))
  })

  test('say that the pre-shared keys differ', async () => {
    const { a, b, wire, beds } = pair(
      { psk: 'one key that is long enough' },
      { psk: 'another key that is long', policy: ' role responder' },
    )
    a.gateway.start()
    b.gateway.start()
    await pass(3_000, wire, ...beds)
    assert.equal(await reasonOf(a), 'auth-failed')
    assert.equal(a.card.sas.size + b.card.sas.size, 0)
    assert.ok(!a.lines.join('').includes('long enough'))
  })

  test('say which proposal field differs', async () => {
    const { a, b, wire, beds } = pair({}, { policy: ' role responder', proposal: 'aes-256' })
    a.gateway.start()
    b.gateway.start()
    await pass(8_000, wire, ...beds)
    assert.equal(await reasonOf(a), 'no-proposal')
    const [detail] = await b.ask('show tunnel ipsec t detail')
    assert.match(JSON.stringify([detail.reports, b.entries()]), /aes-128.*aes-256|aes-256.*aes-128/)
  })

  test('a route that is missing: no-route, no packet, up when it appears', async () => {
    const { a, b, wire, beds } = pair({}, { policy: ' role responder' })
    a.source = null
    a.gateway.start()
    b.gateway.start()
    await pass(20_000, wire, ...beds)
    assert.equal(await reasonOf(a), 'no-route')
    assert.equal(wire.sent.length, 0)
    a.source = LEFT
    await pass(6_000, wire, ...beds)
    assert.equal(await stateOf(a), 'up')
  })

  test('a route to the peer that leads into the tunnel: recursive-route, no packet, up when it is mended', async () => {
    const { a, b, wire, beds } = pair({}, { policy: ' role responder' })
    a.routes.recursive = true
    a.gateway.start()
    b.gateway.start()
    await pass(20_000, wire, ...beds)
    assert.equal(await reasonOf(a), 'recursive-route')
    assert.equal(wire.sent.length, 0)
    assert.equal(a.entries().filter(({ message }) => /leads into t1/.test(message)).length, 1)
    a.routes.recursive = false
    await pass(6_000, wire, ...beds)
    assert.equal(await stateOf(a), 'up')
  })

  test('a peer known by name: resolved, retried, and up', async () => {
    const files = new BedFiles()
    const wire = new BedWire()
    const text = circuit(LEFT, RIGHT, '10.2.0.0/16').replace(`remote ${RIGHT}`, 'remote gw.example.net')
    const a = new Bed(text.replace(' dpd', ' local-id fqdn a.example\n remote-id fqdn b.example\n dpd'), {
      wire,
      address: LEFT,
      files,
    })
    const b = new Bed(
      circuit(RIGHT, LEFT, '10.1.0.0/16', {
        policy: ' role responder\n local-id fqdn b.example\n remote-id fqdn a.example',
      }),
      { wire, address: RIGHT },
    )
    a.gateway.start()
    b.gateway.start()
    await pass(3_000, wire, a, b)
    assert.equal(await reasonOf(a), 'no-route')
    a.names.set('gw.example.net', [RIGHT])
    await pass(6_000, wire, a, b)
    assert.equal(await stateOf(a), 'up', a.lines.join(''))
  })

  test('traffic starts a tunnel with start traffic', async () => {
    const { a, b, wire, beds } = pair({ tunnel: ' start traffic' }, { policy: ' role responder' })
    a.gateway.start()
    b.gateway.start()
    await pass(10_000, wire, ...beds)
    assert.equal(wire.sent.length, 0)
    a.card.raise({ kind: 'acquire', tunnel: a.card.refOf('t') })
    await pass(500, wire, ...beds)
    assert.equal(await stateOf(a), 'up')
  })

  test('a shut-down tunnel stays down, answers nobody, and keeps its guard', async () => {
    const { a, b, wire, beds } = pair({ tunnel: ' shutdown' })
    a.gateway.start()
    b.gateway.start()
    await pass(5_000, wire, ...beds)
    assert.equal(await stateOf(a), 'shutdown')
    assert.notEqual(await stateOf(b), 'up')
    assert.ok(a.routes.routes.some(({ blackhole }) => blackhole))
  })

  test('a hard limit of the card: Delete, reason expired, new SAs', async () => {
    const { a, b, wire, beds } = await upPair()
    const [ref] = [...a.card.sas].find(([, { direction }]) => direction === 'out') ?? [0]
    a.card.raise({ kind: 'sa-hard', sa: ref })
    await pass(3_000, wire, ...beds)
    assert.equal(await stateOf(a), 'up')
    assertMirrored(a, b)
    const [detail] = await a.ask('show tunnel ipsec t detail')
    assert.ok((detail.deaths as { reason: string }[]).some(({ reason }) => reason === 'expired'))
  })

  test('a soft limit of the card: rekey', async () => {
    const { a, wire, beds } = await upPair()
    const [ref, old] = [...a.card.sas].find(([, { direction }]) => direction === 'out') ?? []
    a.card.raise({ kind: 'sa-soft', sa: ref as number })
    await pass(6_000, wire, ...beds)
    assert.notEqual(a.card.of('out')[0].sa.spi, old?.sa.spi)
    assert.deepEqual(a.card.history, ['t up'])
  })

  test('an ASP that fails takes its tunnels down and gives them new SAs', async () => {
    const { a, b, wire, beds } = await upPair()
    const old = a.card.of('in')[0].sa.encryptionKey
    a.card.aspStates = ['down', 'down']
    a.card.raise({ kind: 'asp-failed', asp: 2, reason: 'trap' })
    a.card.raise({ kind: 'asp-failed', asp: 1, reason: 'trap' })
    await pass(5_000, wire, ...beds)
    assert.equal(await reasonOf(a), 'no-asp')
    a.card.aspStates = ['up', 'up']
    a.card.raise({ kind: 'ready', asp: 1 })
    await pass(2_000, wire, ...beds)
    assert.equal(await stateOf(a), 'up')
    assert.notDeepEqual(a.card.of('in')[0].sa.encryptionKey, old)
    assertMirrored(a, b)
  })

  test('a card that refuses an SA costs this attempt and no more', async () => {
    const bed = pair({}, { policy: ' role responder' })
    bed.a.card.refuse = 'the SA table is full'
    bed.a.gateway.start()
    bed.b.gateway.start()
    await pass(1_000, bed.wire, ...bed.beds)
    assert.equal(await reasonOf(bed.a), 'no-asp')
    assert.match(bed.a.lines.join(''), /the SA table is full/)
    bed.a.card.refuse = null
    await pass(40_000, bed.wire, ...bed.beds)
    assert.equal(await stateOf(bed.a), 'up')
  })

  test('stop: the peer learns it, keys leave the card, the guard stays', async () => {
    const { a, b, wire } = await upPair()
    await a.gateway.stop()
    await settle(wire, b)
    assert.equal(a.card.sas.size, 0)
    assert.deepEqual([...a.routes.devices], [])
    assert.deepEqual(
      a.routes.routes.map(({ blackhole }) => blackhole),
      [true, true],
    )
    assert.notEqual(await stateOf(b), 'up')
    assert.equal(await reasonOf(b), 'peer-deleted')
  })

  test('both start at once and end with one pair of SAs each', async () => {
    const { a, b, wire, beds } = pair()
    a.gateway.start()
    b.gateway.start()
    await pass(40_000, wire, ...beds)
    assert.equal((await a.ask('show ike sa')).filter(({ state }) => state === 'established').length, 1)
    assert.equal(a.card.sas.size, 2)
    assertMirrored(a, b)
    assertMirrored(b, a)
  })
})

describe('the data of show', () => {
  // members by the command language, section 7
  const contract: Record<string, string> = {
    'show tunnel ipsec': 'name kind mode state reason local remote remoteId interface asp gate',
    'show ike sa':
      'initiatorSpi responderSpi version role state tunnel local remote remoteId encryption authentication prf dhGroup rekeyIn gate',
    'show ipsec sa':
      'spi protocol direction destination tunnel ikeSa class encryption authentication esn selectors bytes packets softIn hardIn gate',
    'show circuit': 'id device tunnel state mtu rx tx drops loopback queues',
    'show asp': 'asp state role group tunnels packets',
    'show ip route': 'prefix kind target source',
    'show counters drop': 'reason packets',
    'show log': 'time level message tunnel reason',
  }
  for (const [command, members] of Object.entries(contract))
    test(command, async () => {
      const { a } = await upPair()
      const rows = await a.ask(command)
      assert.ok(rows.length > 0)
      for (const row of rows)
        for (const member of members.split(' '))
          assert.ok(member in row && row[member] !== undefined, `${member} of ${JSON.stringify(row)}`)
    })

  test('show counters drop tells what a refused IKE datagram was', async () => {
    const { a, wire, beds } = await upPair()
    const ends = { local: { address: RIGHT, port: 500 }, remote: { address: LEFT, port: 500 } }
    wire.send({ ...ends, data: new Uint8Array(28).fill(0x20) })
    await settle(wire, ...beds)
    const drops = (await a.ask('show counters drop')).filter(({ reason }) => /^ike-/.test(String(reason)))
    assert.equal(drops.length, 1)
    assert.notEqual(drops[0].sentence, drops[0].reason)
    assert.match(String(drops[0].sentence), /\w+ \w+/)
  })

  test('show configuration: the statements in effect, without secrets, that load again', async () => {
    const { a } = await upPair()
    const shown = await a.ask<{ file: string; lines: string[] }>('show configuration')
    assert.ok(shown.lines.includes(' pre-shared-key text <hidden>'), shown.lines.join('\n'))
    assert.ok(!JSON.stringify(shown).includes('sixteen'))
    const again = a.load(shown.lines.join('\n').replace('<hidden>', '"a key of more than sixteen bytes"'))
    assert.deepEqual([again.errors, again.config.statements], [[], shown.lines])
  })

  test('show proposals and policies by name, with what stands where nothing was said', async () => {
    const { a } = await upPair()
    const [proposal] = await a.ask('show ike proposal p')
    assert.deepEqual([proposal.prf, proposal.dhGroup, proposal.lifetime], ['sha1', 31, 28_800])
    const [policy] = await a.ask('show ike policy')
    assert.deepEqual([policy.tunnels, policy.dpd, policy.role], [['t'], { interval: 10, retries: 3 }, 'both'])
    assert.equal((await a.ask('show ipsec proposal'))[0].espEncryption, 'aes-128')
    const ipsec = await a.ask('show ipsec policy')
    assert.deepEqual(
      ipsec.map(({ name, builtIn, antiReplay, tunnels }) => [name, builtIn, antiReplay, tunnels]),
      [
        ['default', true, 64, []],
        ['data', false, 64, ['t']],
      ],
    )
    assert.ok(!JSON.stringify([policy, ipsec]).includes('sixteen'))
    await assert.rejects(a.ask('show ike policy pear'), /not-found: .*did you mean "peer"/)
  })

  test('show version', async () => {
    const { a } = await upPair()
    assert.deepEqual(await a.ask('show version'), {
      version: '0',
      node: 'bed',
      abi: 1,
      build: 'bed',
    } as never)
  })

  test('filters by tunnel and by number, and knows the nearest name', async () => {
    const { a } = await upPair()
    assert.equal((await a.ask('show log last 1')).length, 1)
    assert.ok((await a.ask('show log tunnel t')).every(({ tunnel }) => tunnel === 't'))
    assert.equal((await a.ask('show circuit t1')).length, 1)
    await assert.rejects(
      a.ask('show tunnel ipsec tt'),
      /not-found: there is no tunnel "tt"; did you mean "t"/,
    )
    await assert.rejects(a.ask('clear ipsec sa spi 0x1'), /not-found/)
    await assert.rejects(a.ask('clear ike sa spi zz'), /usage/)
    await assert.rejects(a.ask('show ip route context red'), /not-found/)
    await assert.rejects(a.ask('ping 10.2.0.1'), /unsupported/)
    assert.deepEqual(await a.ask('show asp pool'), [])
    const [group] = await a.ask('show asp group')
    assert.deepEqual(group, { name: 'default', pools: [], active: [1, 2], standby: [], tunnels: ['t'] })
    const [ike] = await a.ask('show tunnel ipsec statistics ike t')
    assert.deepEqual([ike.ups, ike.ikeSaSetups, ike.childSaSetups, ike.failed], [1, 1, 1, 0])
    const [esp] = await a.ask('show tunnel ipsec statistics esp')
    assert.deepEqual([esp.sas, esp.txPackets, esp.rxBytes], [1, 7, 500])
    await assert.rejects(a.ask('show ipsec access-list x'), /not-found: there is no ipsec access-list "x"/)
  })

  test('clears by SPI exactly what it names', async () => {
    const { a, wire, beds } = await upPair()
    const [{ initiatorSpi }] = await a.ask('show ike sa')
    const cleared = await a.ask<{ cleared: string[] }>(`clear ike sa spi 0x${initiatorSpi}`)
    assert.deepEqual(cleared, { cleared: ['t'] })
    await pass(3_000, wire, ...beds)
    const [{ spi }] = await a.ask('show ipsec sa')
    assert.deepEqual(await a.ask(`clear ipsec sa spi ${spi}`), { cleared: [spi] } as never)
    await pass(8_000, wire, ...beds)
    assert.notEqual((await a.ask('show ipsec sa'))[0].spi, spi)
  })

  test('clear ike sa ... rekey renews the IKE SA; its Child SAs go on', async () => {
    const { a, wire, beds } = await upPair()
    const [before] = await a.ask('show ike sa')
    const spis = (await a.ask('show ipsec sa')).map(({ spi }) => spi)
    assert.deepEqual(await a.ask('clear ike sa tunnel t rekey'), { cleared: ['t'] } as never)
    await pass(3_000, wire, ...beds)
    const after = await a.ask('show ike sa')
    assert.equal(after.length, 1)
    assert.notEqual(after[0].initiatorSpi, before.initiatorSpi)
    assert.deepEqual(
      (await a.ask('show ipsec sa')).map(({ spi }) => spi),
      spis,
    )
  })

  test('clear guard-routes keeps the guards that are needed', async () => {
    const { a } = await upPair()
    a.routes.routes.push({ prefix: '10.77.0.0/16', device: null, metric: 0xffffffff, blackhole: true })
    assert.deepEqual(await a.ask('clear guard-routes'), {
      cleared: ['10.77.0.0/16'],
      kept: ['10.2.0.0/16', '169.254.10.0/31'],
    } as never)
    assert.deepEqual(
      a.routes.listGuards().map(({ prefix }) => prefix),
      ['10.2.0.0/16', '169.254.10.0/31'],
    )
  })

  test('what the kernel loses is put back, guards first, and a route it refuses is named once', async () => {
    const { a } = await upPair()
    const before = [...a.routes.routes]
    a.routes.routes.splice(0)
    a.routes.changed()
    assert.deepEqual(a.routes.routes, before)
    a.routes.routes.splice(2)
    a.routes.refusedRoute = '10.2.0.0/16'
    a.routes.changed()
    a.routes.changed()
    const lost = a.log.entries(1000).filter(({ reason }) => reason === 'route-lost')
    assert.equal(lost.length, 1)
    assert.match(lost[0].message, /lost route 10\.2\.0\.0\/16 dev t1 metric 1: the kernel says no/)
    a.routes.refusedRoute = null
    a.routes.changed()
    assert.deepEqual(a.routes.routes, before)
  })
})

describe('reload', () => {
  const twoTunnels = (second: string) => `${circuit(LEFT, RIGHT, '10.2.0.0/16')}${second}`
  const OTHER = `ike policy other
 pre-shared-key text "some other long enough key"
tunnel ipsec u
 mode economical
 peer-end-point local ${LEFT} remote 192.0.2.77
 ike-policy other
`

  test('adds and removes a tunnel while the other keeps its SAs', async () => {
    const { a, wire, beds } = await upPair()
    const spis = [...a.card.sas.values()].map(({ sa }) => sa.spi)
    const added = a.gateway.reload(a.config(twoTunnels(OTHER)))
    assert.deepEqual(added.ok && added.plan.map(({ code }) => code), ['keep', 'add'])
    await pass(1_000, wire, ...beds)
    assert.ok(a.routes.devices.has('ase0'))
    assert.equal(a.routes.devices.get('ase0')?.multicast, false)
    const removed = a.gateway.reload(a.config(twoTunnels('')))
    assert.deepEqual(removed.ok && removed.plan.map(({ code }) => code), ['keep', 'delete'])
    await pass(1_000, wire, ...beds)
    assert.ok(!a.routes.devices.has('ase0'))
    assert.equal(a.card.tunnels.size, 1)
    assert.deepEqual(
      [...a.card.sas.values()].map(({ sa }) => sa.spi),
      spis,
    )
    assert.deepEqual(a.card.history, ['t up'])
  })

  test('moves a route without touching an SA', async () => {
    const { a, wire, beds } = await upPair()
    const spis = [...a.card.sas.values()].map(({ sa }) => sa.spi)
    const result = a.gateway.reload(a.config(circuit(LEFT, RIGHT, '10.9.0.0/16')))
    assert.ok(result.ok)
    await pass(100, wire, ...beds)
    assert.deepEqual(
      a.routes.routes.map(({ prefix }) => prefix),
      ['169.254.10.0/31', '10.9.0.0/16', '10.9.0.0/16'],
    )
    assert.deepEqual(
      [...a.card.sas.values()].map(({ sa }) => sa.spi),
      spis,
    )
  })

  test('a changed tunnel ends and begins anew', async () => {
    const { a, b, wire, beds } = await upPair()
    const result = a.gateway.reload(
      a.config(circuit(LEFT, RIGHT, '10.2.0.0/16', { ipsec: ' anti-replay 128' })),
    )
    assert.deepEqual(result.ok && result.plan.map(({ code }) => code), ['change'])
    await pass(5_000, wire, ...beds)
    assert.equal(await stateOf(a), 'up')
    assert.equal(a.card.of('in')[0].sa.replayWindow, 128)
    assertMirrored(a, b)
  })

  test('refuses another IKE port and keeps everything', async () => {
    const { a } = await upPair()
    const result = a.gateway.reload(a.config(circuit(LEFT, RIGHT, '10.2.0.0/16', { global: 'ike port 600' })))
    assert.deepEqual(!result.ok && result.errors.map(({ code }) => code), ['restart'])
    assert.equal(await stateOf(a), 'up')
  })

  test('a device that the kernel refuses: everything stays as it was', async () => {
    const { a, b, wire, beds } = await upPair()
    const spis = [...a.card.sas.values()].map(({ sa }) => sa.spi)
    a.routes.refused = 'ase0'
    const result = a.gateway.reload(
      a.config(twoTunnels(`${OTHER}context local\n ip route 10.8.0.0/16 tunnel u\n`)),
    )
    assert.deepEqual(!result.ok && result.errors.map(({ code, message }) => [code, message]), [
      ['machine', 'ase0: the kernel says no'],
    ])
    await pass(1_000, wire, ...beds)
    assert.deepEqual(
      (await a.ask('show tunnel ipsec')).map(({ name }) => name),
      ['t'],
    )
    assert.deepEqual(
      [...a.card.sas.values()].map(({ sa }) => sa.spi),
      spis,
    )
    assert.deepEqual(a.card.history, ['t up'])
    assert.ok(!a.routes.routes.some(({ prefix }) => prefix === '10.8.0.0/16'))
    assertMirrored(a, b)
    a.routes.refused = null
    assert.ok(a.gateway.reload(a.config(twoTunnels(OTHER))).ok)
    await pass(1_000, wire, ...beds)
    assert.ok(a.routes.devices.has('ase0'))
  })

  test('a device that the kernel refuses at the start is fatal', () => {
    const { a } = pair()
    a.routes.refused = 't1'
    assert.throws(() => a.gateway.start(), /t1: the kernel says no/)
  })

  test('another content of a key file is a change', async () => {
    const files = new BedFiles()
    files.set('/etc/asegate/psk', 'the first key, which is long enough')
    const text = circuit(LEFT, RIGHT, '10.2.0.0/16').replace(
      /pre-shared-key text ".*"/,
      'pre-shared-key file psk',
    )
    const a = new Bed(text, { files })
    a.gateway.start()
    const same = a.gateway.reload(a.config(text))
    assert.deepEqual(same.ok && same.plan.map(({ code }) => code), ['keep'])
    files.set('/etc/asegate/psk', 'the second key, also long enough')
    const other = a.gateway.reload(a.config(text))
    assert.deepEqual(other.ok && other.plan.map(({ code }) => code), ['change'])
  })

  test('plan says the same without doing it', async () => {
    const { a } = await upPair()
    a.files.set('/new.conf', twoTunnels(OTHER))
    const plan = await a.ask('plan file "/new.conf"')
    assert.deepEqual(
      plan.map(({ code }) => code),
      ['keep', 'add'],
    )
    assert.equal(a.card.tunnels.size, 1)
  })
})

describe('manual keys', () => {
  const HEX = { e: '00112233445566778899aabbccddeeff', a: '000102030405060708090a0b0c0d0e0f10111213' }
  const line = (direction: string, spi: number) =>
    ` ${direction} esp spi ${spi} encryption aes-128 key hex ${HEX.e} authentication sha1 key hex ${HEX.a}`
  const manual = `context local
 ip route 10.99.0.0/24 tunnel ems
ipsec sa first
${line('outbound', 4096)}
${line('inbound', 4097)}
ipsec sa second
${line('outbound', 5096)}
${line('inbound', 5097)}
tunnel ipsec ems manual
 mode economical
 peer-end-point local ${LEFT} remote 192.0.2.99
 seq 20 ipsec-sa second
 seq 10 ipsec-sa first
`

  test('are loaded: all sets in, the lowest sends, no replay window, no IKE', async () => {
    const a = new Bed(manual)
    a.gateway.start()
    await settle(a.wire, a)
    assert.equal(await stateOf(a), 'up')
    assert.deepEqual(
      a.card.of('in').map(({ sa }) => [sa.spi, sa.replayWindow]),
      [
        [4097, 0],
        [5097, 0],
      ],
    )
    assert.deepEqual(
      a.card.of('out').map(({ sa, active }) => [sa.spi, active]),
      [
        [4096, true],
        [5096, false],
      ],
    )
    assert.equal(Buffer.from(a.card.of('out')[0].sa.encryptionKey).toString('hex'), HEX.e)
    assert.equal(a.wire.sent.length, 0)
    assert.deepEqual(a.card.fib, [{ prefix: '10.99.0.0/24', target: { tunnel: a.card.refOf('ems') } }])
    assert.deepEqual(a.routes.routes[1], { prefix: '10.99.0.0/24', device: 'ase0', metric: 1 })
    const [tunnel] = a.card.tunnels.values()
    assert.equal(tunnel.encapsulation, 'raw')
  })

  test('are loaded again after the ASP was reset', async () => {
    const a = new Bed(manual)
    a.gateway.start()
    a.card.aspStates = ['down', 'down']
    a.card.raise({ kind: 'asp-failed', asp: 2, reason: 'trap' })
    a.card.raise({ kind: 'asp-failed', asp: 1, reason: 'trap' })
    await pass(3_000, a.wire, a)
    assert.equal(a.card.sas.size, 0)
    assert.equal(await reasonOf(a), 'no-asp')
    a.card.aspStates = ['up', 'up']
    a.card.raise({ kind: 'ready', asp: 1 })
    await pass(100, a.wire, a)
    assert.equal(a.card.sas.size, 4)
    assert.equal(await stateOf(a), 'up')
  })

  test('survive the reload of something else', async () => {
    const a = new Bed(manual)
    a.gateway.start()
    const refs = [...a.card.sas.keys()]
    assert.ok(
      a.gateway.reload(a.config(`${manual}context local\n ip route 10.98.0.0/24 tunnel ems withdraw\n`)).ok,
    )
    await settle(a.wire, a)
    assert.deepEqual([...a.card.sas.keys()], refs)
    assert.ok(a.routes.routes.some(({ prefix, device }) => prefix === '10.98.0.0/24' && device === 'ase0'))
    assert.ok(!a.routes.routes.some(({ prefix, blackhole }) => prefix === '10.98.0.0/24' && blackhole))
  })
})

test('a route with withdraw goes and comes with its tunnel and has no guard', async () => {
  const { a, b, wire, beds } = pair({ routes: 'withdraw' }, { policy: ' role responder' })
  const own = () => a.routes.routes.filter(({ prefix }) => prefix !== '169.254.10.0/31')
  a.gateway.start()
  await settle(wire, a)
  assert.deepEqual(own(), [])
  b.gateway.start()
  await pass(3_000, wire, ...beds)
  assert.deepEqual(
    own().map(({ device }) => device),
    ['t1'],
  )
  await b.gateway.stop()
  await settle(wire, a)
  assert.deepEqual(own(), [])
})
