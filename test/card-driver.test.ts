/** The driver: tables and references, several ASPs, acknowledgements that come later, ASPs that fail. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { CardError } from '../bindings/card-error.ts'
import type { CardSa, CardTunnel } from '../control/ports.ts'
import * as abi from '../dataplane-as/abi.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { seal, unseal } from './oracle/esp.ts'
import { packetOf } from './packets.ts'

/** A tunnel that is up with an SA pair under a fresh key. */
function addTunnel(bed: CardBed, change: Partial<CardTunnel>, sa: Partial<CardSa> = {}) {
  const ref = bed.driver.setTunnel(tunnelOf(change))
  bed.driver.setTunnelState(ref, true)
  const spec = saOf(ref, { encryptionKey: randomBytes(16), ...sa })
  const inbound = bed.driver.addInbound(spec)
  const outbound = bed.driver.addOutbound(spec)
  bed.driver.activateOutbound(outbound)
  return { ref, spec, inbound, outbound }
}

describe('two ASPs', () => {
  function pair() {
    const bed = new CardBed({ asps: 2, memoryBytes: 24 << 20 })
    const one = addTunnel(bed, { name: 'one', asp: 1, device: 'tun1' }, { spi: 0x1001 })
    const two = addTunnel(bed, { name: 'two', asp: 2, device: 'tun2' }, { spi: 0x2002 })
    bed.take()
    return { bed, one, two }
  }
  const wake = (bed: CardBed, asp: number) => bed.memory.u32(bed.memory.block(asp) + abi.ASP_WAKE)
  const inboxCounts = (bed: CardBed, asp: number) => {
    bed.cards[asp - 1].inbox()
    const block = bed.memory.block(asp)
    return [bed.memory.u32(block + abi.ASP_INBOX_OUT), bed.memory.u32(block + abi.ASP_INBOX_IN)]
  }

  test('a packet of a foreign circuit goes to the ASP of its tunnel, which sends it', () => {
    const { bed, two } = pair()
    const inner = [packetOf(60), packetOf(1400), packetOf(20)]
    assert.deepEqual(bed.protect(inner, 'tun2', { asp: 1 }), [])
    assert.equal(wake(bed, 1) & 4, 4)
    assert.deepEqual(inboxCounts(bed, 2), [3, 0])
    const sent = bed.outbound(3, 2)
    bed.cards[1].inboxDone()
    assert.deepEqual(
      sent.map(({ data }, i) => Buffer.from(unseal(two.spec, BigInt(i + 1), data).inner)),
      inner,
    )
    assert.deepEqual(inboxCounts(bed, 2), [0, 0])
    assert.deepEqual(bed.drops(), {})
    assert.equal(bed.driver.tunnelCounters(two.ref).txPackets, 3n)
  })

  test('a foreign SPI goes to the ASP of its SA with all that is known of it; one inside a train too', () => {
    const { bed, one, two } = pair()
    const mixed = [
      seal(one.spec, 1n, packetOf(44)),
      seal(two.spec, 1n, packetOf(44)),
      seal(one.spec, 2n, packetOf(44)),
    ]
    const delivered = bed.open([Buffer.concat(mixed)], { segment: mixed[0].length, tos: 3 })
    assert.equal(delivered.length, 0, 'CE on Not-ECT: the TOS came with each piece')
    assert.deepEqual(inboxCounts(bed, 2), [0, 1])
    assert.deepEqual(bed.inbound(1, 2), [])
    assert.deepEqual(bed.drops(), { ecn: 3 })
    bed.cards[1].inboxDone()
    assert.deepEqual(bed.open([seal(two.spec, 2n, packetOf(44))], { encapsulation: 'udp' }), [])
    assert.deepEqual(inboxCounts(bed, 2), [0, 1])
    assert.equal(bed.inbound(1, 2)[0].tunnel, two.ref)
  })

  test('an inbox that is full is a counted drop, and goes on round its end', () => {
    const { bed, two } = pair()
    let sent = 0
    for (let round = 0; round < 60; round++) {
      for (let burst = 0; burst < 3; burst++)
        bed.protect(
          Array.from({ length: 25 }, (_, i) => packetOf(1000 + i * 16)),
          'tun2',
        )
      const [count] = inboxCounts(bed, 2)
      const datagrams = bed.outbound(count, 2)
      bed.cards[1].inboxDone()
      for (const { data } of datagrams) unseal(two.spec, BigInt(++sent), data)
      bed.advance(1)
    }
    assert.equal(sent, 60 * 75)
    for (let burst = 0; burst < 5; burst++)
      bed.protect(
        Array.from({ length: 250 }, () => packetOf(400)),
        'tun2',
      )
    const dropped = bed.drops()['inbox-full']
    assert.ok(dropped > 900 && dropped < 1250, String(dropped))
  })

  test('what was handed over once is not handed over again', () => {
    const { bed } = pair()
    const [address] = bed.place([packetOf(60)], 1, false)
    bed.describeOut(0, address, 60, bed.driver.deviceNumber('tun2'), abi.OUT_FLAG_HANDED_OVER)
    assert.deepEqual(bed.outbound(1), [])
    assert.deepEqual(bed.drops(), { 'no-route': 1 })
  })

  test('a tunnel moves with its ASP changed: its SAs end, new ones work there', () => {
    const { bed, one } = pair()
    bed.driver.setTunnel(tunnelOf({ name: 'one', asp: 2, device: 'tun1' }), one.ref)
    bed.driver.setTunnelState(one.ref, true)
    const ended = bed.take().filter(({ kind }) => kind === 'sa-hard')
    assert.equal(ended.length, 2)
    assert.deepEqual(bed.protect([packetOf(60)], 'tun1', { asp: 2 }), [])
    const sa = bed.driver.addOutbound({ ...one.spec, tunnel: one.ref })
    bed.driver.activateOutbound(sa)
    assert.equal(bed.protect([packetOf(60)], 'tun1', { asp: 2 }).length, 1)
    assert.deepEqual(bed.drops(), { 'no-sa': 1 })
  })

  test('a FIB swap waits for every ASP, and an ASP that fails meanwhile frees it', async () => {
    const bed = new CardBed({ asps: 2, memoryBytes: 24 << 20, lazy: true })
    let done = 0
    const first = bed.driver.setFib([{ prefix: '10.0.0.0/8', target: 'null0' }]).then(() => done++)
    const settle = async () => {
      await new Promise((resolve) => setImmediate(resolve))
      bed.driver.poll()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await settle()
    bed.cards[0].mailbox()
    await settle()
    assert.equal(done, 0)
    bed.cards[1].mailbox()
    await settle()
    await first
    const second = bed.driver.setFib([]).then(() => done++)
    await settle()
    bed.cards[0].mailbox()
    await settle()
    assert.equal(done, 1)
    bed.driver.failAsp(2, 'its thread ended')
    await second
  })
})

describe('acknowledgements that come later', () => {
  test('calls return at once and take effect in order when the ASP looks', () => {
    const bed = new CardBed({ lazy: true })
    const { outbound } = addTunnel(bed, { device: 'tun0' })
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    bed.cards[0].mailbox()
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    bed.driver.deleteSa(outbound)
    bed.driver.poll()
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1, 'not yet seen')
    bed.cards[0].mailbox()
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
  })

  test('more commands than the ring holds wait their turn', () => {
    const bed = new CardBed({ lazy: true, tunnels: 32, devices: 40 })
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 8; i++) {
        const ref = bed.driver.setTunnel(tunnelOf({ name: `t${i}`, device: `tun${i}` }))
        bed.driver.deleteTunnel(ref)
        if (round === 0) break
      }
      for (let turn = 0; turn < 2; turn++) {
        bed.cards[0].mailbox()
        bed.driver.poll()
      }
    }
    const refs = Array.from({ length: 32 }, (_, i) =>
      bed.driver.setTunnel(tunnelOf({ name: `t${i}`, device: 'tun0' })),
    )
    for (let i = 0; i < 300; i++) bed.driver.setTunnelState(refs[i % 32], i % 2 === 0)
    for (const ref of refs) bed.driver.setTunnelState(ref, true)
    for (let turn = 0; turn < 4; turn++) {
      bed.cards[0].mailbox()
      bed.driver.poll()
    }
    const up = refs.filter(
      (ref) => bed.memory.u32(bed.memory.tunnel(ref) + abi.TUNNEL_STATE) === abi.TUNNEL_UP,
    )
    assert.equal(up.length, 32)
  })

  test('a number is not given out again before the card agreed to its end', () => {
    const bed = new CardBed({ lazy: true, sas: 2 })
    const tunnel = bed.driver.setTunnel(tunnelOf())
    const first = bed.driver.addInbound(saOf(tunnel))
    const second = bed.driver.addOutbound(saOf(tunnel))
    bed.driver.deleteSa(first)
    assert.throws(() => bed.driver.addInbound(saOf(tunnel)), /SA table of the card is full/)
    bed.cards[0].mailbox()
    bed.driver.poll()
    const third = bed.driver.addInbound(saOf(tunnel, { spi: 0x3003 }))
    assert.notEqual(third, first)
    bed.driver.deleteSa(first)
    bed.cards[0].mailbox()
    bed.driver.poll()
    assert.equal(
      bed.open([seal(saOf(tunnel, { spi: 0x3003 }), 1n, packetOf(60))]).length,
      1,
      'the stale reference did nothing',
    )
    assert.ok(second !== third)
  })

  test('a refusal that comes late ends the SA with an event', () => {
    const bed = new CardBed({ lazy: true })
    const tunnel = bed.driver.setTunnel(tunnelOf())
    const sa = bed.driver.addInbound(saOf(tunnel))
    bed.memory.setU32(bed.memory.cold(sa % 65536) + abi.SA_WINDOW, 3)
    bed.cards[0].mailbox()
    assert.deepEqual(
      bed.take().filter(({ kind }) => kind !== 'ready'),
      [{ kind: 'sa-hard', sa }],
    )
  })
})

describe('ASPs that fail', () => {
  test('an instance built anew has no SA; control is told, old references do nothing, new SAs work', () => {
    const bed = new CardBed()
    const { ref, spec, inbound, outbound } = addTunnel(bed, { device: 'tun0' })
    bed.protect([packetOf(60)], 'tun0')
    bed.take()
    bed.rebuild(1)
    const events = bed.take()
    assert.deepEqual(
      events.map((event) => event.kind),
      ['asp-failed', 'ready'],
    )
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    bed.driver.activateOutbound(outbound)
    bed.driver.deleteSa(inbound)
    assert.deepEqual(bed.driver.saCounters(outbound), { bytes: 0n, packets: 0n, sequence: 0n, lastUsed: 0 })
    const fresh = bed.driver.addOutbound({ ...spec, encryptionKey: randomBytes(16), tunnel: ref })
    bed.driver.activateOutbound(fresh)
    bed.driver.deleteSa(outbound)
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
  })

  test('an ASP that ended: down, told, its tunnels refuse SAs until they are moved', () => {
    const bed = new CardBed({ asps: 2, memoryBytes: 24 << 20 })
    const { ref, spec } = addTunnel(bed, { asp: 2, device: 'tun0' })
    bed.take()
    bed.driver.failAsp(2, 'the card stopped again and again')
    assert.deepEqual(bed.take(), [{ kind: 'asp-failed', asp: 2, reason: 'the card stopped again and again' }])
    assert.deepEqual(
      bed.driver.asps().map(({ state }) => state),
      ['up', 'down'],
    )
    assert.throws(() => bed.driver.addInbound(spec), /ASP 2 is not running/)
    assert.throws(() => bed.driver.setTunnel(tunnelOf({ asp: 2 })), /ASP 2 is not running; the card has 2/)
    bed.driver.setTunnel(tunnelOf({ asp: 1, device: 'tun0' }), ref)
    bed.driver.setTunnelState(ref, true)
    bed.driver.activateOutbound(bed.driver.addOutbound(spec))
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
  })

  test('an ASP without heartbeat is down', () => {
    const bed = new CardBed()
    assert.equal(bed.driver.asps()[0].state, 'up')
    bed.driver.heartbeat(bed.now + 3000)
    assert.equal(bed.driver.asps()[0].state, 'down')
    bed.cards[0].tick()
    assert.equal(bed.driver.asps()[0].state, 'up')
  })

  test('stop has every ASP wipe and stop; a second stop does nothing', async () => {
    const bed = new CardBed()
    addTunnel(bed, { device: 'tun0' })
    await bed.driver.stop()
    await bed.driver.stop()
    assert.equal(bed.driver.asps()[0].state, 'down')
    assert.equal(bed.cards[0].outbound(1), 0)
    assert.equal(bed.cards[0].mailbox(), 0)
  })
})

describe('refusals', () => {
  const cases: [string, Partial<CardSa>, RegExp][] = [
    [
      'a hash beside an AEAD',
      { cipher: 'aes-gcm-128', encryptionKey: new Uint8Array(20) },
      /aes-gcm-128 authenticates by itself; leave out sha1/,
    ],
    [
      'neither encryption nor integrity',
      { cipher: 'null', integrity: 'none', encryptionKey: new Uint8Array(), integrityKey: new Uint8Array() },
      /neither encrypts nor authenticates/,
    ],
    ['AH that encrypts', { protocol: 'ah' }, /AH does not encrypt/],
    ['a short key', { encryptionKey: new Uint8Array(15) }, /aes-128 takes a key of 16 bytes, 15 were given/],
    ['a long integrity key', { integrityKey: new Uint8Array(32) }, /sha1 takes a key of 20 bytes/],
    ['a reserved SPI', { spi: 255 }, /an SPI is 256 to/],
    ['an SPI in use', { spi: 0x1001 }, /SPI 0x1001 is in use/],
    ['a window of 48', { spi: 0x1002, replayWindow: 48 }, /power of two from 32 to 4096/],
    ['a negative lifetime', { spi: 0x1002, hardBytes: -1 }, /lifetime/],
    [
      'selectors for one side',
      {
        spi: 0x1002,
        source: [
          {
            family: 4,
            protocol: 0,
            startPort: 0,
            endPort: 0,
            start: new Uint8Array(4),
            end: new Uint8Array(4),
          },
        ],
      },
      /one side only/,
    ],
    ['a tunnel that is not', { tunnel: 7 }, /no tunnel 7/],
  ]
  for (const [name, change, sentence] of cases) {
    test(`${name}: a CardError that says so, and nothing is used up`, () => {
      const bed = new CardBed({ sas: 3 })
      const { ref } = addTunnel(bed, { device: 'tun0' })
      for (let i = 0; i < 5; i++) {
        assert.throws(
          () => bed.driver.addInbound(saOf(ref, change)),
          (error) => error instanceof CardError && sentence.test(error.message),
        )
      }
      bed.driver.addInbound(saOf(ref, { spi: 0x4444 }))
    })
  }

  test('tunnels: MTU, DSCP, addresses, unknown references, full tables', () => {
    const bed = new CardBed({ tunnels: 2, devices: 2 })
    assert.throws(() => bed.driver.setTunnel(tunnelOf({ mtu: 67 })), /MTU is 68 to 65280/)
    assert.throws(() => bed.driver.setTunnel(tunnelOf({ dscp: 64 })), /DSCP is 0 to 63/)
    assert.throws(() => bed.driver.setTunnel(tunnelOf({ asp: 3 })), /ASP 3 is not running; the card has 1/)
    assert.throws(() => bed.driver.setTunnel(tunnelOf({ local: 'here' })), /'here' is no IP address/)
    assert.throws(() => bed.driver.setTunnelState(9, true), /no tunnel 9/)
    assert.throws(() => bed.driver.deleteSa(77), /no SA 77/)
    const refs = ['a', 'b'].map((device) => bed.driver.setTunnel(tunnelOf({ device })))
    assert.throws(() => bed.driver.setTunnel(tunnelOf()), /tunnel table of the card is full/)
    bed.driver.deleteTunnel(refs[0])
    assert.throws(() => bed.driver.setTunnel(tunnelOf({ device: 'c' })), /device table of the card is full/)
    bed.driver.releaseDevice('a')
    assert.equal(bed.driver.setTunnel(tunnelOf({ device: 'c' })), refs[0])
  })

  test('a table record used again counts from zero, and a deleted tunnel takes its SAs along', () => {
    const bed = new CardBed({ tunnels: 1 })
    const { ref, outbound } = addTunnel(bed, { device: 'tun0' })
    bed.protect([packetOf(60)], 'tun0')
    bed.driver.deleteTunnel(ref)
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    assert.deepEqual(bed.drops(), { 'no-circuit': 1 })
    assert.equal(bed.driver.saCounters(outbound).packets, 0n)
    assert.equal(bed.driver.setTunnel(tunnelOf()), ref)
    assert.deepEqual(bed.driver.tunnelCounters(ref), {
      rxPackets: 0n,
      rxBytes: 0n,
      txPackets: 0n,
      txBytes: 0n,
      drops: 0n,
    })
    assert.ok(bed.driver.stages(ref).every(({ packets }) => packets === 0n))
  })

  test('the time of the last packet is on the scale of the heartbeat', () => {
    const bed = new CardBed()
    const { outbound } = addTunnel(bed, { device: 'tun0' })
    assert.equal(bed.driver.saCounters(outbound).lastUsed, 0)
    bed.advance(50)
    bed.protect([packetOf(60)], 'tun0')
    const at = bed.now
    bed.advance(700)
    assert.equal(bed.driver.saCounters(outbound).lastUsed, at)
  })
})
