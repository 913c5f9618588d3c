/** What the card decides about packets: tunnel, selectors, routes, limits, stages, answers to the sender. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { CardSa, CardTunnel, FibEntry, TrafficSelector } from '../control/ports.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { seal, unseal } from './oracle/esp.ts'
import { checksum, type Flow, ipv6Bytes, packetOf } from './packets.ts'

/** One tunnel on tun0 that is up, with one SA pair. */
function gateway(sa: Partial<CardSa> = {}, tunnel: Partial<CardTunnel> = {}) {
  const bed = new CardBed()
  const ref = bed.driver.setTunnel(tunnelOf(tunnel))
  bed.driver.setTunnelState(ref, true)
  const spec = saOf(ref, sa)
  const inbound = bed.driver.addInbound(spec)
  const outbound = bed.driver.addOutbound(spec)
  bed.driver.activateOutbound(outbound)
  bed.take()
  return { bed, ref, spec, inbound, outbound }
}

function selector(from: string, to: string, change: Partial<TrafficSelector> = {}): TrafficSelector {
  const family = from.includes(':') ? 6 : 4
  const bytes = (text: string) =>
    family === 6 ? ipv6Bytes(text) : Uint8Array.from(text.split('.').map(Number))
  const ports = { protocol: 0, startPort: 0, endPort: 65535 }
  return { family, ...ports, start: bytes(from), end: bytes(to), ...change }
}

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

describe('economical mode', () => {
  const fibBed = async (entries: (refs: number[]) => FibEntry[]) => {
    const bed = new CardBed()
    const refs = [0, 1, 2].map((index) => {
      const ref = bed.driver.setTunnel(tunnelOf({ name: `e${index}`, mode: 'economical', device: 'ase0' }))
      bed.driver.setTunnelState(ref, true)
      bed.driver.activateOutbound(bed.driver.addOutbound(saOf(ref, { spi: 0x100 + index })))
      return ref
    })
    await bed.driver.setFib(entries(refs))
    const spiFor = (flow: Flow) => bed.protect([packetOf(64, flow)], 'ase0')[0]?.spi ?? null
    return { bed, refs, spiFor }
  }

  test('the longest prefix names the tunnel, null0 and no route drop', async () => {
    const { bed, spiFor } = await fibBed(([a, b, c]) => [
      { prefix: '10.0.0.0/8', target: { tunnel: a } },
      { prefix: '10.2.0.0/15', target: { tunnel: b } },
      { prefix: '10.2.7.0/24', target: 'null0' },
      { prefix: '10.2.7.9/32', target: { tunnel: c } },
      { prefix: '2001:db8::/33', target: { tunnel: b } },
      { prefix: '2001:db8::7/128', target: { tunnel: c } },
    ])
    assert.equal(spiFor({ destination: '10.200.0.1' }), 0x100)
    assert.equal(spiFor({ destination: '10.3.255.255' }), 0x101)
    assert.equal(spiFor({ destination: '10.4.0.0' }), 0x100)
    assert.equal(spiFor({ destination: '10.2.7.8' }), null)
    assert.equal(spiFor({ destination: '10.2.7.9' }), 0x102)
    assert.equal(spiFor({ destination: '11.0.0.1' }), null)
    assert.equal(spiFor({ family: 6, destination: '2001:db8:7fff::1' }), 0x101)
    assert.equal(spiFor({ family: 6, destination: '2001:db8:8000::1' }), null)
    assert.equal(spiFor({ family: 6, destination: '2001:db8::7' }), 0x102)
    assert.deepEqual(bed.drops(), { 'null-route': 1, 'no-route': 2 })
  })

  test('any set of prefixes: the card finds what a plain search finds', async () => {
    const { bed, refs, spiFor } = await fibBed(() => [])
    const prefix = fc.record({
      address: fc.nat(0xffff),
      length: fc.integer({ min: 0, max: 32 }),
      tunnel: fc.nat(2),
    })
    const probe = fc.array(fc.nat(0xffff), { minLength: 5, maxLength: 30 })
    const word = (value: number) => ((value & 0xff) << 24) | ((value & 0xf00) << 8) | (value >> 12)
    await fc.assert(
      fc.asyncProperty(fc.array(prefix, { maxLength: 30 }), probe, async (prefixes, probes) => {
        const unique = [
          ...new Map(prefixes.map((p) => [`${masked(word(p.address), p.length)}/${p.length}`, p])).values(),
        ]
        const entries = unique.map((p) => ({
          prefix: `${text(word(p.address))}/${p.length}`,
          target: { tunnel: refs[p.tunnel] },
        }))
        await bed.driver.setFib(entries)
        for (const value of probes) {
          const hits = unique.filter(
            (p) => masked(word(p.address), p.length) === masked(word(value), p.length),
          )
          const best = hits.sort((x, y) => y.length - x.length)[0]
          assert.equal(
            spiFor({ destination: text(word(value)) }),
            best === undefined ? null : 0x100 + best.tunnel,
          )
        }
      }),
      { numRuns: 60 },
    )
  })

  const masked = (value: number, length: number) =>
    length === 0 ? 0 : (value >> (32 - length)) << (32 - length)
  const text = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')

  test('a FIB that does not fit is refused and the old one stays', async () => {
    const { bed, spiFor } = await fibBed(([a]) => [{ prefix: '10.0.0.0/8', target: { tunnel: a } }])
    const many = Array.from({ length: 300 }, (_, i) => ({
      prefix: `10.${i & 255}.${i >> 8}.1/32`,
      target: 'null0' as const,
    }))
    await assert.rejects(bed.driver.setFib(many), /more than 256 nodes/)
    await assert.rejects(bed.driver.setFib([{ prefix: '10.0.0.0/40', target: 'null0' }]), /no prefix/)
    assert.equal(spiFor({ destination: '10.9.9.9' }), 0x100)
  })

  test('its packets pass three stages, those of a circuit six', async () => {
    const { bed, refs, spiFor } = await fibBed(([a]) => [{ prefix: '0.0.0.0/0', target: { tunnel: a } }])
    for (let i = 0; i < 5; i++) spiFor({})
    const economical = bed.driver.stages(refs[0]).map(({ stage, packets }) => `${stage} ${packets}`)
    assert.deepEqual(economical, ['ippa 5', 'ase 5', 'egress 5'])
    const { bed: other, ref } = gateway()
    other.protect(
      Array.from({ length: 5 }, () => packetOf(60)),
      'tun0',
    )
    other.driver.setTunnelState(ref, false)
    other.protect([packetOf(60)], 'tun0')
    const circuit = other.driver.stages(ref).map(({ stage, packets }) => `${stage} ${packets}`)
    assert.deepEqual(circuit, ['ippa 6', 'eppa 6', 'loop 5', 'ippa 5', 'ase 5', 'egress 5'])
  })
})

describe('trace', () => {
  test('the next packets of the tunnel with their stages, lengths and drops; then no more', async () => {
    const { bed, ref, spec } = gateway({
      source: [selector('10.1.0.0', '10.1.0.255')],
      destination: [selector('0.0.0.0', '255.255.255.255')],
    })
    const traced = bed.driver.trace(ref, 4)
    bed.protect([packetOf(60), packetOf(70, { source: '10.9.0.1' })], 'tun0')
    bed.open([seal(spec, 1n, packetOf(80)), seal(spec, 1n, packetOf(80)), seal(spec, 2n, packetOf(80))])
    bed.driver.poll()
    const way = ['ippa', 'eppa', 'loop', 'ippa', 'ase']
    assert.deepEqual(await traced, [
      { tunnel: ref, direction: 'out', stages: way, length: 70, drop: 'selector-out' },
      { tunnel: ref, direction: 'out', stages: [...way, 'egress'], length: 60, drop: null },
      { tunnel: ref, direction: 'in', stages: ['ippa', 'ase'], length: 132, drop: 'replay' },
      { tunnel: ref, direction: 'in', stages: ['ippa', 'ase', 'egress'], length: 80, drop: null },
    ])
  })

  test('answers with what it saw when the rest does not come', async () => {
    const { bed, ref } = gateway()
    const traced = bed.driver.trace(ref, 9)
    bed.protect([packetOf(60)], 'tun0')
    bed.advance(8000)
    assert.equal((await traced).length, 1)
  })
})

describe('packet too big', () => {
  test('IPv4 with DF: ICMP to the sender with the MTU, both checksums right', () => {
    const { bed, ref } = gateway({}, { mtu: 1000 })
    const packet = packetOf(1001, { df: true })
    assert.deepEqual(bed.protect([packet, packetOf(1000, { df: true })], 'tun0').length, 1)
    const [{ packet: answer, device }] = bed.delivered()
    const bytes = Buffer.from(answer)
    assert.equal(device, bed.driver.deviceNumber('tun0'))
    assert.deepEqual(
      [bytes[0], bytes[9], bytes[20], bytes[21], bytes.readUInt16BE(26)],
      [0x45, 1, 3, 4, 1000],
    )
    assert.equal(bytes.readUInt16BE(2), bytes.length)
    assert.deepEqual([checksum(bytes.subarray(0, 20)), checksum(bytes.subarray(20))], [0, 0])
    assert.equal(bytes.subarray(12, 20).toString('hex'), 'c00002010a010001')
    assert.deepEqual(bytes.subarray(28), Buffer.from(packet.subarray(0, 548)))
    assert.deepEqual(bed.drops(), { 'too-big': 1 })
    assert.equal(bed.driver.tunnelCounters(ref).drops, 1n)
  })

  test('IPv6: packet too big of 1280 bytes at most', () => {
    const { bed } = gateway({}, { mtu: 1300 })
    bed.protect([packetOf(1400, { family: 6 })], 'tun0')
    const [{ packet: answer }] = bed.delivered()
    const bytes = Buffer.from(answer)
    assert.equal(bytes.length, 1280)
    assert.deepEqual([bytes[6], bytes[40], bytes[41], bytes.readUInt32BE(44)], [58, 2, 0, 1300])
    assert.deepEqual(bytes.subarray(24, 40), Buffer.from(ipv6Bytes('2001:db8:1::1')))
    const pseudo = Buffer.concat([
      bytes.subarray(8, 40),
      Buffer.from([0, 0, 4, 216, 0, 0, 0, 58]),
      bytes.subarray(40),
    ])
    assert.equal(checksum(pseudo), 0)
  })

  test('none without DF, for errors, fragments, multicast, and none above 50 a second', () => {
    const { bed } = gateway({}, { mtu: 500 })
    const silent: Flow[] = [
      {},
      { df: true, fragment: 9 },
      { df: true, destination: '224.0.0.5' },
      { df: true, protocol: 1, sourcePort: 0x0300 },
      { family: 6, destination: 'ff02::5' },
      { family: 6, protocol: 58, sourcePort: 0x0100 },
    ]
    for (const flow of silent) {
      bed.protect([packetOf(600, flow)], 'tun0')
      assert.deepEqual(bed.delivered(), [], JSON.stringify(flow))
    }
    const flood = Array.from({ length: 100 }, () => packetOf(600, { df: true }))
    bed.protect(flood, 'tun0')
    assert.equal(bed.delivered().length, 50)
    bed.advance(1000)
    bed.protect(flood.slice(0, 3), 'tun0')
    assert.equal(bed.delivered().length, 3)
    assert.deepEqual(bed.drops(), { 'too-big': 109 })
  })
})
