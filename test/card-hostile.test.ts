/** Hostile datagrams and malformed descriptors: dropped and counted, never followed. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { sockaddrBytes } from '../bindings/sockaddr.ts'
import * as abi from '../dataplane-as/abi.ts'
import { type CardBed, tunnelOf } from './card-bed.ts'
import { gateway } from './card-gateway.ts'
import { seal } from './oracle/esp.ts'
import { packetOf } from './packets.ts'

describe('datagrams', () => {
  test('random bytes on a known SPI: nothing delivered, window unchanged, each counted once', () => {
    const { bed, inbound } = gateway()
    let given = 0
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 200 }), (tail) => {
        given++
        return bed.open([Buffer.concat([Buffer.from([0, 0, 0x10, 1]), tail])]).length === 0
      }),
      { numRuns: 2000 },
    )
    assert.equal(bed.driver.saCounters(inbound).sequence, 0n)
    assert.equal(
      Object.values(bed.drops()).reduce((sum, count) => sum + count, 0),
      given,
    )
  })

  test('random bytes at all: dropped, handed to IKE, or absorbed', () => {
    const { bed } = gateway()
    const any = fc.uint8Array({ maxLength: 100 })
    const how = fc.constantFrom('udp' as const, 'raw' as const, 'raw-ipv4' as const)
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 50 }), how, (messages, encapsulation) => {
        assert.deepEqual(bed.open(messages, { encapsulation }), [])
        bed.take()
      }),
      { numRuns: 300 },
    )
  })

  test('unknown and reserved SPIs: dropped, one event a second, none for reserved ones', () => {
    const { bed } = gateway()
    const source = sockaddrBytes({ address: '2001:db8::99', port: 4444 })
    const spi = (value: number) =>
      Buffer.from([0, 0, value >> 8, value & 255, 0, 0, 0, 1, ...Array(40).fill(0)])
    for (const value of [1, 255]) bed.open([spi(value)], { source })
    assert.deepEqual(bed.take(), [])
    bed.open([spi(0x7777), spi(0x7778)], { source })
    assert.deepEqual(bed.take(), [
      { kind: 'unknown-spi', spi: 0x7777, source: { address: '2001:db8::99', port: 4444 } },
    ])
    bed.advance(1000)
    bed.open([spi(0x7779)])
    assert.deepEqual(bed.take(), [
      { kind: 'unknown-spi', spi: 0x7779, source: { address: '0.0.0.0', port: 0 } },
    ])
    assert.deepEqual(bed.drops(), { 'unknown-spi': 5 })
  })

  test('H2 the encapsulation must be the agreed one, unless the tunnel takes both', () => {
    const { bed, ref, spec } = gateway()
    assert.equal(bed.open([seal(spec, 1n, packetOf(60))], { encapsulation: 'raw' }).length, 0)
    assert.deepEqual(bed.drops(), { 'sa-mismatch': 1 })
    bed.driver.setTunnel(tunnelOf({ anyEncapsulation: true }), ref)
    assert.equal(bed.open([seal(spec, 1n, packetOf(60))], { encapsulation: 'raw' }).length, 1)
    assert.equal(bed.open([seal(spec, 2n, packetOf(60))], { encapsulation: 'udp' }).length, 1)
    assert.equal(bed.open([seal(spec, 3n, packetOf(60))], { encapsulation: 'raw', protocol: 51 }).length, 0)
    assert.deepEqual(bed.drops(), { 'sa-mismatch': 1, 'unknown-spi': 1 })
  })

  test('the outer IPv4 header of a raw socket is checked and stepped over', () => {
    const { bed, ref, spec } = gateway()
    bed.driver.setTunnel(tunnelOf({ encapsulation: 'raw', remote: { address: '192.0.2.2', port: 0 } }), ref)
    let number = 0n
    const outer = (change: (header: Buffer) => void, options = 0) => {
      const sealed = seal(spec, ++number, packetOf(60, { tos: 2 }))
      const header = Buffer.alloc(20 + options)
      header[0] = 0x45 + options / 4
      header[1] = 3
      header.writeUInt16BE(header.length + sealed.length, 2)
      header[9] = 50
      change(header)
      return bed.open([Buffer.concat([header, sealed, Buffer.alloc(3)])], { encapsulation: 'raw-ipv4' })
    }
    const nothing = () => {}
    assert.equal(outer(nothing).length, 1)
    assert.equal(outer(nothing, 8)[0].packet[1], 3, 'the outer CE came in')
    const wrong: ((header: Buffer) => void)[] = [
      (h) => h.writeUInt8(0x65, 0),
      (h) => h.writeUInt8(0x44, 0),
      (h) => h.writeUInt16BE(9999, 2),
      (h) => h.writeUInt16BE(19, 2),
      (h) => h.writeUInt16BE(0x2000, 6),
      (h) => h.writeUInt16BE(1, 6),
      (h) => h.writeUInt8(17, 9),
    ]
    for (const change of wrong) assert.equal(outer(change).length, 0)
    assert.deepEqual(bed.drops(), { 'outer-malformed': wrong.length })
  })

  test('H2, H5 IKE goes to control with its addresses, keepalives end here, short datagrams are counted', () => {
    const { bed } = gateway()
    const source = sockaddrBytes({ address: '198.51.100.7', port: 4501 })
    const local = Uint8Array.from([192, 0, 2, 1])
    const message = randomBytes(300)
    bed.open([Buffer.concat([Buffer.alloc(4), message]), Uint8Array.of(0xff)], { source, local })
    bed.open([Uint8Array.of(0xfe), new Uint8Array(0), new Uint8Array(7)])
    bed.take()
    assert.deepEqual(bed.ike, [
      {
        local: { address: '192.0.2.1', port: 4500 },
        remote: { address: '198.51.100.7', port: 4501 },
        data: Uint8Array.from(message),
      },
    ])
    assert.equal(bed.memory.u64(bed.memory.block(1) + abi.AC_KEEPALIVES), 1n)
    assert.deepEqual(bed.drops(), { 'datagram-short': 3 })
    const many = Array.from({ length: 250 }, () => Buffer.alloc(1004, 0))
    bed.open(many)
    bed.take()
    assert.equal(bed.ike.length, 1 + 250 - bed.drops()['control-inbox-full'])
    assert.ok(bed.drops()['control-inbox-full'] > 100)
  })

  test('H3, H4 a fresh authentic packet from another address tells control, at most once a second; an old one does not', () => {
    const { bed, ref, spec } = gateway()
    const from = (address: string, port: number) => ({ source: sockaddrBytes({ address, port }) })
    const moved = () => bed.take().filter(({ kind }) => kind === 'peer-address')
    bed.open([seal(spec, 5n, packetOf(60))], from('192.0.2.2', 4500))
    assert.deepEqual(moved(), [])
    bed.open([seal(spec, 4n, packetOf(60))], from('203.0.113.9', 999))
    assert.deepEqual(moved(), [], 'older than the newest')
    const forged = Uint8Array.from(seal(spec, 6n, packetOf(60)))
    forged[30] ^= 1
    bed.open([forged], from('203.0.113.9', 999))
    assert.deepEqual(moved(), [], 'not authentic')
    const remote = { address: '203.0.113.9', port: 999 }
    bed.open([seal(spec, 6n, packetOf(60)), seal(spec, 7n, packetOf(60))], from('203.0.113.9', 999))
    assert.deepEqual(moved(), [{ kind: 'peer-address', tunnel: ref, remote }])
    bed.driver.setPeer(ref, remote, 'udp')
    bed.advance(1000)
    bed.open([seal(spec, 8n, packetOf(60))], from('203.0.113.9', 999))
    assert.deepEqual(moved(), [])
  })
})

describe('descriptors', () => {
  const word = fc.oneof(
    fc.nat(0xffff),
    fc.constantFrom(0, 0xffffffff, 0x7fffffff, 0x80000000, 8 << 20),
    fc.integer({ min: 0, max: 0xffffffff }),
  )

  function keysOf(bed: CardBed): Buffer {
    const from = bed.memory.header(abi.HEADER_SA_COLD)
    return Buffer.from(bed.memory.bytes.slice(from, bed.memory.header(abi.HEADER_SPI_INDEX)))
  }

  test('any out-descriptor: no trap, nothing read outside the packets, keys untouched, all counted', () => {
    const { bed } = gateway()
    const before = keysOf(bed)
    const descriptor = fc.tuple(word, word, word, word)
    fc.assert(
      fc.property(fc.array(descriptor, { minLength: 1, maxLength: 256 }), (rows) => {
        rows.forEach(([address, length, device, flags], i) => {
          bed.describeOut(i, address, length, device, flags)
        })
        bed.outbound(rows.length)
      }),
      { numRuns: 200 },
    )
    assert.ok(keysOf(bed).equals(before))
    assert.ok(
      Object.keys(bed.drops()).every((name) =>
        ['descriptor', 'packet-malformed', 'no-circuit'].includes(name),
      ),
    )
  })

  test('any in-descriptor: the same', () => {
    const { bed, inbound } = gateway()
    const before = keysOf(bed)
    const row = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const near = fc
      .tuple(row, word, word, word, fc.integer({ min: 0, max: 4 }))
      .map(([bytes, address, length, segment, kind]) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset)
        view.setUint32(abi.IN_ADDRESS, address, true)
        view.setUint32(abi.IN_LENGTH, length, true)
        view.setUint32(abi.IN_SEGMENT, segment, true)
        if (kind > 0) view.setUint32(abi.IN_SOURCE, 0, true)
        if (kind > 0) view.setUint32(abi.IN_LOCAL, 0, true)
        bytes[abi.IN_ENCAPSULATION] = kind
        bytes[abi.IN_FLAGS] = 0
        return bytes
      })
    fc.assert(
      fc.property(fc.array(fc.oneof(row, near), { minLength: 1, maxLength: 64 }), (rows) => {
        const at = bed.memory.block(1) + abi.ASP_IN_DESCRIPTORS
        rows.forEach((bytes, i) => {
          bed.memory.bytes.set(bytes, at + i * abi.IN_BYTES)
        })
        assert.deepEqual(bed.inbound(rows.length), [])
        bed.take()
      }),
      { numRuns: 200 },
    )
    assert.equal(bed.driver.saCounters(inbound).packets, 0n)
    const [key, now] = [before, keysOf(bed)]
    assert.ok(now.equals(key))
  })

  test('a count above the burst is cut, and an instance without init does nothing', () => {
    const { bed } = gateway()
    bed.cards[0].outbound(0xffffffff)
    assert.equal(bed.consumed(), abi.MAX_BURST)
    bed.cards[0].inbound(100000)
    assert.equal(bed.consumed(), abi.MAX_BURST)
  })

  test('a train of too many pieces is refused, one with a full delivery list is taken in portions', () => {
    const { bed, spec } = gateway()
    let number = 0n
    const train = (pieces: number) =>
      Buffer.concat(Array.from({ length: pieces }, () => seal(spec, ++number, packetOf(44))))
    const segment = seal(spec, 1n, packetOf(44)).length
    assert.equal(bed.open([train(129)], { segment }).length, 0)
    assert.deepEqual(bed.drops(), { descriptor: 1 })
    const trains = Array.from({ length: 10 }, () => train(128))
    assert.equal(bed.open(trains, { segment }).length, 1280)
  })
})
