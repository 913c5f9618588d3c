/** The economical mode's routes, stages and traces, and answers to packets that are too big. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { FibEntry } from '../control/ports.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { gateway, selector } from './card-gateway.ts'
import { seal } from './oracle/esp.ts'
import { checksum, type Flow, ipv6Bytes, packetOf } from './packets.ts'

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
  test('IPv4 with DF: ICMP from the destination with the MTU, both checksums right', () => {
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
    assert.equal(bytes.subarray(12, 20).toString('hex'), '0a0200010a010001')
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
    assert.equal(bed.protect([packetOf(600)], 'tun0').length, 2, 'without DF: in fragments, no answer')
    assert.deepEqual(bed.delivered(), [])
    const silent: Flow[] = [
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
    assert.deepEqual(bed.drops(), { 'too-big': 108 })
  })
})
