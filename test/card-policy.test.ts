/** What the card decides about packets: SA, limits, selectors. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { gateway, selector } from './card-gateway.ts'
import { seal, unseal } from './oracle/esp.ts'
import { type Flow, packetOf } from './packets.ts'

describe('nothing leaves in clear', () => {
  test('no SA, tunnel down, SA deleted: counted drops and one ACQUIRE a second', () => {
    const bed = new CardBed()
    const ref = bed.driver.setTunnel(tunnelOf())
    const acquires = () => bed.take().filter(({ kind }) => kind === 'acquire').length
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    bed.driver.setTunnelState(ref, true)
    for (let i = 0; i < 10; i++) assert.deepEqual(bed.protect([packetOf(60), packetOf(60)], 'tun0'), [])
    assert.equal(acquires(), 1)
    bed.advance(999)
    bed.protect([packetOf(60)], 'tun0')
    assert.equal(acquires(), 0)
    bed.advance(1)
    bed.protect([packetOf(60)], 'tun0')
    assert.equal(acquires(), 1)
    const sa = bed.driver.addOutbound(saOf(ref))
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [], 'added is not activated')
    bed.driver.activateOutbound(sa)
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    bed.driver.deleteSa(sa)
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    assert.deepEqual(bed.drops(), { 'tunnel-down': 1, 'no-sa': 24 })
  })

  test('an unknown device, a device without circuit, malformed packets', () => {
    const { bed } = gateway()
    assert.deepEqual(bed.protect([packetOf(60)], 5), [])
    assert.deepEqual(bed.protect([packetOf(60)], 99), [])
    const malformed = [
      new Uint8Array(60),
      packetOf(60).subarray(0, 40),
      Uint8Array.of(0x45),
      packetOf(50, { family: 6 }).subarray(0, 45),
    ]
    for (const packet of malformed) assert.deepEqual(bed.protect([packet], 'tun0'), [])
    assert.deepEqual(bed.drops(), { 'no-circuit': 2, 'packet-malformed': 4 })
  })

  test('make before break: activation switches the SPI between two packets', () => {
    const { bed, ref } = gateway()
    const next = bed.driver.addOutbound(saOf(ref, { spi: 0x2002 }))
    assert.equal(bed.protect([packetOf(60)], 'tun0')[0].spi, 0x1001)
    bed.driver.activateOutbound(next)
    assert.equal(bed.protect([packetOf(60)], 'tun0')[0].spi, 0x2002)
  })
})

describe('limits', () => {
  test('soft limits are told once, hard limits stop the SA for good', () => {
    const { bed, outbound } = gateway({ softPackets: 3, softBytes: 150, hardPackets: 6, hardBytes: 1000 })
    assert.equal(bed.protect([packetOf(60), packetOf(60)], 'tun0').length, 2)
    assert.deepEqual(bed.take(), [])
    assert.equal(
      bed.protect(
        Array.from({ length: 8 }, () => packetOf(60)),
        'tun0',
      ).length,
      4,
    )
    const kinds = bed.take().map((event) => event.kind)
    assert.deepEqual(kinds, ['sa-soft', 'sa-hard'])
    assert.equal(bed.driver.saCounters(outbound).packets, 6n)
    bed.advance(10)
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    assert.deepEqual(bed.drops(), { 'sa-expired': 5 })
  })

  test('a byte limit is never passed, in either direction', () => {
    const { bed, outbound, spec } = gateway({ hardBytes: 100 })
    assert.equal(bed.protect([packetOf(60), packetOf(60)], 'tun0').length, 1)
    assert.equal(bed.driver.saCounters(outbound).bytes, 60n)
    const sealed = [1n, 2n, 3n].map((number) => seal(spec, number, packetOf(60)))
    assert.equal(sealed.flatMap((data) => bed.open([data])).length, 2, 'the limit is reached with the second')
    assert.equal(bed.take().filter(({ kind }) => kind === 'sa-hard').length, 2)
  })

  test('time ends an SA whether packets come or not, and while control hangs', () => {
    const { bed, spec } = gateway({ hardSeconds: 10 })
    bed.now += 9999
    bed.driver.heartbeat(bed.now)
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    bed.now += 1
    bed.driver.heartbeat(bed.now)
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    assert.deepEqual(bed.open([seal(spec, 1n, packetOf(60))]), [])
    const idle = gateway({ hardSeconds: 10 })
    idle.bed.advance(10000)
    assert.equal(idle.bed.take().filter(({ kind }) => kind === 'sa-hard').length, 2)
  })

  test('the clock may wrap its 32 bits', () => {
    const { bed, ref } = gateway()
    bed.now = 2 ** 32 - 5000
    for (const before of [2 ** 31, 2 ** 30, 0]) {
      bed.driver.heartbeat(bed.now - before) // the card follows steps below 2^31
      bed.cards[0].tick()
    }
    const sa = bed.driver.addOutbound(saOf(ref, { hardSeconds: 10 }))
    bed.driver.activateOutbound(sa)
    bed.advance(9000)
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    bed.advance(1000)
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
  })

  test('numbers: told at 80 %, stopped at the last, never wrapped', () => {
    const { bed, outbound } = gateway()
    bed.setSequence(outbound, 'out', 3435973834n)
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    assert.deepEqual(bed.take(), [])
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    assert.deepEqual(bed.take(), [{ kind: 'sequence-near-wrap', sa: outbound }])
    bed.setSequence(outbound, 'out', 0xfffffffdn)
    const numbers = bed.protect(
      Array.from({ length: 5 }, () => packetOf(60)),
      'tun0',
    )
    assert.deepEqual(
      numbers.map(({ data }) => Buffer.from(data).readUInt32BE(4)),
      [0xfffffffe, 0xffffffff],
    )
    assert.deepEqual(bed.take(), [{ kind: 'sa-hard', sa: outbound }])
    assert.deepEqual(bed.drops(), { 'sequence-exhausted': 3 })
  })

  test('with ESN the low half wraps and the ICV takes the high half', () => {
    const { bed, spec, outbound, inbound } = gateway({ esn: true })
    bed.setSequence(outbound, 'out', 0xfffffffen)
    bed.setSequence(inbound, 'in', 0xfffffffen)
    const sent = bed.protect(
      Array.from({ length: 4 }, () => packetOf(60)),
      'tun0',
    )
    sent.forEach(({ data }, i) => {
      assert.equal(unseal(spec, 0xffffffffn + BigInt(i), data).sequence, [0xffffffff, 0, 1, 2][i])
    })
    assert.equal(bed.open(sent.map(({ data }) => data)).length, 4)
    assert.equal(bed.driver.saCounters(inbound).sequence, 0x100000002n)
  })

  test('an empty entropy pool drops, and takes no number', () => {
    const { bed, outbound } = gateway()
    let sent = 0
    for (let i = 0; i < 20; i++)
      sent += bed.protect(
        Array.from({ length: 250 }, () => packetOf(60)),
        'tun0',
      ).length
    assert.equal(sent, 4096)
    assert.deepEqual(bed.drops(), { 'no-entropy': 5000 - 4096 })
    assert.equal(bed.driver.saCounters(outbound).sequence, 4096n)
    bed.advance(1)
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
  })
})

describe('selectors', () => {
  const source = [selector('10.1.0.0', '10.1.0.255'), selector('2001:db8:1::', '2001:db8:1::ffff')]
  const destination = [
    selector('10.2.0.0', '10.2.0.255', { protocol: 6, startPort: 80, endPort: 90 }),
    selector('10.3.0.0', '10.3.0.0', { protocol: 1, startPort: 0x0800, endPort: 0x08ff }),
    selector('10.4.0.0', '10.4.0.255'),
    selector('10.5.0.0', '10.5.0.255', { protocol: 17, startPort: 65535, endPort: 0 }),
    selector('2001:db8:2::', '2001:db8:2::ffff', { protocol: 17 }),
  ]
  const tcp = { protocol: 6, destination: '10.2.0.7', destinationPort: 80 }
  const cases: [string, Flow, boolean][] = [
    ['inside', tcp, true],
    ['last port', { ...tcp, destinationPort: 90 }, true],
    ['port below', { ...tcp, destinationPort: 79 }, false],
    ['port above', { ...tcp, destinationPort: 91 }, false],
    ['other protocol', { ...tcp, protocol: 17 }, false],
    ['source below', { ...tcp, source: '10.0.255.255' }, false],
    ['source above', { ...tcp, source: '10.1.1.0' }, false],
    ['destination above', { ...tcp, destination: '10.2.1.0' }, false],
    ['echo request', { protocol: 1, destination: '10.3.0.0', sourcePort: 0x0800 }, true],
    ['echo reply', { protocol: 1, destination: '10.3.0.0', sourcePort: 0x0000 }, false],
    ['any protocol', { protocol: 89, destination: '10.4.0.1' }, true],
    ['later fragment, port range', { ...tcp, fragment: 100 }, false],
    ['later fragment, any port', { protocol: 6, destination: '10.4.0.1', fragment: 100 }, true],
    ['OPAQUE takes what shows no port', { protocol: 17, destination: '10.5.0.1', fragment: 100 }, true],
    ['OPAQUE refuses what shows one', { protocol: 17, destination: '10.5.0.1' }, false],
    ['IPv6', { family: 6, source: '2001:db8:1::9', destination: '2001:db8:2::7' }, true],
    ['IPv6 outside', { family: 6, source: '2001:db8:1::9', destination: '2001:db8:2::1:0' }, false],
    ['IPv6 other protocol', { family: 6, protocol: 6, destination: '2001:db8:2::7' }, false],
  ]
  for (const [name, flow, allowed] of cases) {
    test(`${name}: ${allowed ? 'passes' : 'is dropped'} both ways`, () => {
      const { bed, spec, ref } = gateway({ source, destination })
      const packet = packetOf(64, flow)
      assert.equal(bed.protect([packet], 'tun0').length, allowed ? 1 : 0)
      assert.equal(bed.open([seal(spec, 1n, packet)]).length, allowed ? 1 : 0)
      assert.deepEqual(bed.drops(), allowed ? {} : { 'selector-out': 1, 'selector-in': 1 })
      assert.equal(bed.driver.tunnelCounters(ref).drops, allowed ? 0n : 2n)
    })
  }

  test('next header 41 in an SA of IPv4 selectors is bad content', () => {
    const { bed, spec } = gateway({ source: [source[0]], destination: [destination[2]] })
    assert.deepEqual(bed.open([seal(spec, 1n, packetOf(64, { family: 6 }))]), [])
    assert.deepEqual(bed.drops(), { 'bad-content': 1 })
  })

  test('extension headers are walked to the upper layer, bounded', () => {
    const { bed } = gateway({ source: [source[1]], destination: [destination[4]] })
    const flow = { family: 6, source: '2001:db8:1::9', destination: '2001:db8:2::7' } as const
    const walk = (headers: [number, number[]][]) => {
      const packet = Buffer.from(packetOf(40 + 8 * headers.length + 8, flow))
      let next = 6
      headers.forEach(([kind, header], i) => {
        packet[next] = kind
        next = 40 + 8 * i
        packet.set(header, next)
      })
      packet[next] = 17
      return bed.protect([packet], 'tun0').length
    }
    const empty = [0, 0, 1, 4, 0, 0, 0, 0]
    assert.equal(walk([[0, empty]]), 1)
    assert.equal(
      walk([
        [0, empty],
        [43, empty],
        [60, empty],
      ]),
      1,
    )
    assert.equal(walk([[44, [0, 0, 0, 1, 0, 0, 0, 0]]]), 1)
    assert.equal(walk([[0, [0, 9, 0, 0, 0, 0, 0, 0]]]), 0, 'longer than the packet')
    assert.equal(walk(Array.from({ length: 9 }, () => [60, empty] as [number, number[]])), 0, 'nine of them')
    assert.deepEqual(bed.drops(), { 'packet-malformed': 2 })
  })
})
