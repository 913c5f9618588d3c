/** AH through the card: alone and around ESP, over both outer families, against a plain oracle. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { sockaddrBytes } from '../bindings/sockaddr.ts'
import type { CardSa, Integrity } from '../control/ports.ts'
import { type Arrival, CardBed, type Datagram, saOf, tunnelOf } from './card-bed.ts'
import { same } from './card-gateway.ts'
import { openAh, sealAh } from './oracle/ah.ts'
import { INTEGRITIES, seal, unseal } from './oracle/esp.ts'
import { checksum, ipv6Bytes, packetOf } from './packets.ts'

const ENDS = {
  4: { local: '192.0.2.1', remote: '192.0.2.2' },
  6: { local: '2001:db8::1', remote: '2001:db8::2' },
} as const
const hashes = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'] as Integrity[]

type Rig = { bed: CardBed; ah: CardSa; esp: CardSa | null; family: 4 | 6; tunnel: number; sent: bigint }

/** One tunnel with AH both ways under the same keys, around ESP if wanted. */
function rig(family: 4 | 6, change: Partial<CardSa> = {}, around?: Partial<CardSa>): Rig {
  const bed = new CardBed()
  const { local, remote } = ENDS[family]
  const tunnel = bed.driver.setTunnel(
    tunnelOf({ encapsulation: 'raw', local, remote: { address: remote, port: 0 } }),
  )
  bed.driver.setTunnelState(tunnel, true)
  const integrity = change.integrity ?? 'sha1'
  const ah = saOf(tunnel, {
    protocol: 'ah',
    cipher: 'null',
    encryptionKey: new Uint8Array(),
    integrity,
    integrityKey: randomBytes(INTEGRITIES[integrity].key),
    ...change,
  })
  const esp = around === undefined ? null : saOf(tunnel, { spi: 0x3003, ...around })
  const inside = (add: (sa: CardSa) => number) => (esp === null ? {} : { bundle: add(esp) })
  const { driver } = bed
  driver.activateOutbound(driver.addOutbound({ ...ah, ...inside((sa) => driver.addOutbound(sa)) }))
  driver.addInbound({ ...ah, ...inside((sa) => driver.addInbound(sa)) })
  return { bed, ah, esp, family, tunnel, sent: 0n }
}

/** The datagram as it is on the wire: over IPv6 the kernel puts the header before it. */
function onWire({ family }: Rig, { data, tos }: Datagram): Buffer {
  if (family === 4) return Buffer.from(data)
  const header = Buffer.alloc(40)
  header.writeUInt32BE(0x60000000 | (tos << 20))
  header.writeUInt16BE(data.length, 4)
  header.set([51, 64], 6)
  header.set(ipv6Bytes(ENDS[6].local), 8)
  header.set(ipv6Bytes(ENDS[6].remote), 24)
  return Buffer.concat([header, data])
}

/** Our own address is the other end's on the way back, since one card plays both ends. */
const arrival = ({ family }: Rig, whole = true): Arrival => {
  if (family === 4) return { encapsulation: 'raw-ipv4' }
  if (whole) return { encapsulation: 'raw-ipv6' }
  const source = sockaddrBytes({ address: ENDS[6].local, port: 0 })
  return { encapsulation: 'raw', protocol: 51, source, local: ipv6Bytes(ENDS[6].remote) }
}

const hex = (packets: Uint8Array[]) => packets.map((packet) => Buffer.from(packet).toString('hex'))

describe('AH out and in', () => {
  for (const family of [4, 6] as const) {
    for (const integrity of hashes) {
      for (const esn of [false, true]) {
        test(`over IPv${family}, ${integrity}${esn ? ', ESN' : ''}: the oracle and the card open it`, () => {
          const it = rig(family, { integrity, esn })
          const inner = fc.array(
            fc.record({ length: fc.integer({ min: 44, max: 1500 }), six: fc.boolean(), tos: fc.nat(255) }),
            { minLength: 1, maxLength: 40 },
          )
          fc.assert(
            fc.property(inner, (list) => {
              const packets = list.map(({ length, six, tos }) =>
                packetOf(length, { family: six ? 6 : 4, tos: tos & 0xfc, df: true }),
              )
              crossBoth(it, packets)
            }),
            { numRuns: 10 },
          )
          assert.deepEqual(it.bed.drops(), {})
        })
      }
    }
  }

  function crossBoth(it: Rig, packets: Uint8Array[]): void {
    const sent = it.bed.protect(packets, 'tun0')
    assert.ok(sent.every(({ protocol, encapsulation }) => protocol === 51 && encapsulation === 'raw'))
    const opened = sent.map((datagram) => openAh(it.ah, ++it.sent, onWire(it, datagram)))
    assert.deepEqual(hex(opened.map(({ inner }) => inner)).sort(), hex(packets).sort())
    for (const { next, inner } of opened) assert.equal(next, inner[0] >> 4 === 4 ? 4 : 41)
    const messages = sent.map((datagram) => onWire(it, datagram))
    const delivered = it.bed.open(messages, arrival(it))
    assert.deepEqual(hex(delivered.map(({ packet }) => packet)).sort(), hex(packets).sort())
  }

  test('the IPv4 header is whole: identification not 0, TTL 64, TOS, DF, checksum, addresses', () => {
    const it = rig(4)
    const [{ data, tos, df }] = it.bed.protect([packetOf(100, { tos: 0xb9, df: true })], 'tun0')
    const header = Buffer.from(data).subarray(0, 20)
    assert.deepEqual([tos, df, header[1], header.readUInt16BE(6)], [0xb9, true, 0xb9, 0x4000])
    assert.deepEqual([header[0], header[8], header[9], checksum(header)], [0x45, 64, 51, 0])
    assert.equal(header.readUInt16BE(2), data.length)
    assert.notEqual(header.readUInt16BE(4), 0)
    assert.equal(header.toString('hex', 12), 'c0000201c0000202')
  })

  test('raw IPv6 sockets keep the header: the card makes it again from both addresses', () => {
    const it = rig(6)
    const packets = Array.from({ length: 200 }, (_, index) => packetOf(1000 + index))
    const sent = it.bed.protect(packets, 'tun0').map(({ data }) => data)
    const delivered = it.bed.open(sent, arrival(it, false))
    assert.deepEqual(hex(delivered.map(({ packet }) => packet)), hex(packets))
    const again = it.bed.protect([packetOf(60)], 'tun0').map(({ data }) => data)
    assert.deepEqual(it.bed.open(again, { ...arrival(it, false), local: ipv6Bytes('2001:db8::9') }), [])
    assert.deepEqual(it.bed.open(again, { encapsulation: 'raw', protocol: 51 }), [])
    assert.deepEqual(it.bed.drops(), { 'bad-icv': 1, 'outer-malformed': 1 })
  })

  test('packets flush with the end of memory', () => {
    for (const it of [rig(4), rig(6)]) {
      for (let length = 44; length < 70; length++) {
        const [datagram] = it.bed.protect([packetOf(length)], 'tun0', { flush: true })
        const [delivered] = it.bed.open([onWire(it, datagram)], { ...arrival(it), flush: true })
        assert.ok(same(delivered.packet, packetOf(length)))
      }
    }
  })

  test('beside ESP in one burst, whatever stood in its place the burst before', () => {
    const it = rig(4)
    const { driver } = it.bed
    const tunnel = driver.setTunnel(tunnelOf({ name: 'plain', device: 'tun1' }))
    driver.setTunnelState(tunnel, true)
    const esp = saOf(tunnel, { spi: 0x4004 })
    driver.addInbound(esp)
    driver.activateOutbound(driver.addOutbound(esp))
    const devices = ['tun0', 'tun1'].map((name) => driver.deviceNumber(name))
    for (const pattern of [
      [0, 0, 0, 0],
      [0, 1, 1, 0],
      [1, 0, 0, 1, 1],
      [1, 1, 1, 1],
      [1, 1, 0, 0],
    ]) {
      const packets = pattern.map((_, index) => packetOf(100 + index))
      it.bed.place(packets, 1, false).forEach((address, index) => {
        it.bed.describeOut(index, address, packets[index].length, devices[pattern[index]])
      })
      const sent = it.bed.outbound(packets.length)
      const opened = sent.flatMap((datagram) =>
        it.bed.open([datagram.data], datagram.protocol === 51 ? arrival(it) : {}),
      )
      assert.deepEqual(hex(opened.map(({ packet }) => packet)).sort(), hex(packets).sort())
    }
  })

  test('a duplicate is a replay; UDP never carries AH', () => {
    const it = rig(4)
    const [datagram] = it.bed.protect([packetOf(60)], 'tun0')
    const messages = [datagram.data, datagram.data]
    assert.equal(it.bed.open(messages, arrival(it)).length, 1)
    assert.deepEqual(it.bed.drops(), { replay: 1 })
    it.bed.driver.setPeer(it.tunnel, { address: '192.0.2.2', port: 4500 }, 'udp')
    assert.deepEqual(it.bed.protect([packetOf(60)], 'tun0'), [])
    assert.deepEqual(it.bed.drops(), { replay: 1, 'no-sa': 1 })
  })
})

describe('mutable fields', () => {
  const outer4 = (options: number[] = []) => {
    const header = Buffer.alloc(20 + options.length)
    header.set([0x45 + options.length / 4, 0x28, 0, 0, 0x12, 0x34, 0x40, 0, 61, 51])
    header.set([192, 0, 2, 1, 192, 0, 2, 2], 12)
    header.set(options, 20)
    return header
  }
  const outer6 = (...extensions: number[][]) => {
    const header = Buffer.alloc(40)
    header.set([0x6a, 0x8c, 0xde, 0xf0, 0, 0, 51, 61])
    header.set(ipv6Bytes(ENDS[6].local), 8)
    header.set(ipv6Bytes(ENDS[6].remote), 24)
    const kinds = extensions.map(([kind]) => kind)
    header[6] = kinds[0] ?? 51
    const bodies = extensions.map(([, ...body], index) => {
      const bytes = Buffer.alloc(Math.ceil((body.length + 2) / 8) * 8)
      bytes.set([kinds[index + 1] ?? 51, bytes.length / 8 - 1, ...body])
      return bytes
    })
    return Buffer.concat([header, ...bodies])
  }

  /** Opens a sealed packet after `change`; whether it was delivered. */
  function survives(outer: Buffer, change: (packet: Buffer) => void): boolean {
    const it = rig(outer[0] >> 4 === 4 ? 4 : 6)
    const packet = sealAh(it.ah, 1n, outer, packetOf(80), 4)
    change(packet)
    return it.bed.open([packet], arrival(it)).length === 1
  }

  const flip =
    (at: number, bits = 0xff) =>
    (packet: Buffer) => {
      packet[at] ^= bits
    }

  test('IPv4: TOS, flags DF, TTL, checksum may change, no other byte of the header', () => {
    const mutable = new Set([1, 8, 10, 11])
    for (let at = 1; at < 20; at++) {
      if (at === 2 || at === 3 || at === 6 || at === 7 || at === 9) continue // another packet altogether
      // a TOS that reports congestion to a transport that knows no ECN is dropped for that
      assert.equal(survives(outer4(), flip(at, at === 1 ? 0xfc : 0xff)), mutable.has(at), `byte ${at}`)
    }
    assert.ok(survives(outer4(), flip(6, 0x40)), 'DF')
  })

  test('IPv4 options: mutable ones as a whole, immutable ones not', () => {
    const route = [7, 7, 4, 1, 2, 3, 4, 0]
    for (let at = 20; at < 27; at++) {
      if (at > 21) assert.ok(survives(outer4(route), flip(at)), `record route byte ${at}`)
    }
    const alert = [148, 4, 0, 0]
    assert.ok(survives(outer4(alert), () => {}))
    assert.ok(!survives(outer4(alert), flip(22)))
    assert.ok(!survives(outer4([7, 7, 4, 1, 2, 3, 4, 0]), flip(21, 0x40)), 'an option over the end')
  })

  test('IPv6: class, flow label, hop limit may change, addresses and next header not', () => {
    for (const at of [1, 2, 3, 7])
      assert.ok(survives(outer6(), flip(at, at === 1 ? 0x0f : 0xff)), `byte ${at}`)
    for (let at = 8; at < 40; at++) assert.ok(!survives(outer6(), flip(at)), `byte ${at}`)
  })

  test('IPv6 extension headers: changeable option data, other options, routing as it arrives', () => {
    const hop = [0, 0x3e, 2, 9, 9, 0x1e, 0, 0] // one that may change, one that may not, padding
    assert.ok(survives(outer6(hop), () => {}))
    assert.ok(survives(outer6(hop), flip(44)), 'data that may change')
    assert.ok(!survives(outer6(hop), flip(46, 0x01)), 'type of one that may not')
    const routing = [43, 0, 0, 0, 0, 0, 0]
    assert.ok(survives(outer6([60, 1, 4, 0, 0, 0, 0], routing), () => {}))
    assert.ok(!survives(outer6(routing), flip(45)))
    assert.ok(!survives(outer6(hop), flip(43, 0x40)), 'an option over the end')
  })

  test('a wrong AH length, next headers without tunnel, ESP without bundle', () => {
    const it = rig(4)
    const open = (packet: Buffer) => it.bed.open([packet], arrival(it))
    assert.deepEqual(open(sealAh(it.ah, 1n, outer4(), packetOf(60).subarray(20), 17)), [])
    assert.deepEqual(open(sealAh(it.ah, 2n, outer4(), packetOf(60), 59)), [])
    assert.deepEqual(open(sealAh(it.ah, 3n, outer4(), packetOf(60), 50)), [])
    assert.deepEqual(open(sealAh(it.ah, 4n, outer4(), Buffer.alloc(0), 4)), [])
    const wrong = sealAh(it.ah, 5n, outer4(), packetOf(60), 4)
    wrong[21]++
    assert.deepEqual(open(wrong), [])
    assert.deepEqual(open(sealAh(it.ah, 6n, outer4(), packetOf(60), 4).subarray(0, 30)), [])
    assert.deepEqual(it.bed.drops(), {
      'bad-content': 1,
      dummy: 1,
      'sa-mismatch': 1,
      'bad-length': 2,
      'outer-malformed': 1,
    })
  })
})

describe('AH around ESP', () => {
  for (const family of [4, 6] as const) {
    test(`over IPv${family}: one outer header, both ICVs, both numbers`, () => {
      const it = rig(family, { integrity: 'sha256' }, { integrity: 'sha384', integrityKey: randomBytes(48) })
      const packets = Array.from({ length: 100 }, (_, index) => packetOf(44 + index * 13, { df: true }))
      const sent = it.bed.protect(packets, 'tun0')
      const plain = sent.map((datagram, index) => {
        const { next, inner } = openAh(it.ah, BigInt(index + 1), onWire(it, datagram))
        assert.equal(next, 50)
        return unseal(it.esp!, BigInt(index + 1), inner).inner
      })
      assert.deepEqual(hex(plain), hex(packets))
      const delivered = it.bed.open(
        sent.map((datagram) => onWire(it, datagram)),
        arrival(it),
      )
      assert.deepEqual(hex(delivered.map(({ packet }) => packet)), hex(packets))
      assert.deepEqual(it.bed.drops(), {})
    })
  }

  test('ESP of a bundle is refused on its own, AH without it too, a broken inside is told', () => {
    const it = rig(4, {}, {})
    const outer = Buffer.alloc(20)
    outer.set([0x45, 0, 0, 0, 0, 1, 0, 0, 64, 50, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2])
    const open = (packet: Uint8Array) => it.bed.open([packet], arrival(it))
    const bare = Buffer.concat([outer, seal(it.esp!, 1n, packetOf(60))])
    bare.writeUInt16BE(bare.length, 2)
    assert.deepEqual(open(bare), [])
    outer[9] = 51
    assert.deepEqual(open(sealAh(it.ah, 1n, outer, packetOf(60), 4)), [])
    const sealed = seal(it.esp!, 1n, packetOf(60))
    sealed[sealed.length - 1] ^= 1
    assert.deepEqual(open(sealAh(it.ah, 2n, outer, sealed, 50)), [])
    assert.equal(open(sealAh(it.ah, 3n, outer, seal(it.esp!, 1n, packetOf(60)), 50)).length, 1)
    assert.deepEqual(open(sealAh(it.ah, 4n, outer, seal(it.esp!, 1n, packetOf(60)), 50)), [])
    assert.deepEqual(it.bed.drops(), { 'sa-mismatch': 2, 'bad-icv': 1, replay: 1 })
  })

  test('when its ESP SA goes, AH sends and takes nothing', () => {
    const bed = new CardBed()
    const tunnel = bed.driver.setTunnel(tunnelOf({ encapsulation: 'raw' }))
    bed.driver.setTunnelState(tunnel, true)
    const esp = bed.driver.addOutbound(saOf(tunnel, { spi: 0x3003 }))
    const plain = { protocol: 'ah', cipher: 'null', encryptionKey: new Uint8Array() } as const
    bed.driver.activateOutbound(bed.driver.addOutbound(saOf(tunnel, { ...plain, bundle: esp })))
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    bed.driver.deleteSa(esp)
    assert.deepEqual(bed.protect([packetOf(60)], 'tun0'), [])
    assert.deepEqual(bed.drops(), { 'no-sa': 1 })
    const wrong = () => bed.driver.addInbound(saOf(tunnel, { ...plain, bundle: 99 }))
    assert.throws(wrong, /SA 99 is no ESP SA of this tunnel and direction/)
    const udp = bed.driver.setTunnel(tunnelOf({ name: 'u', device: 'tun1' }))
    assert.throws(() => bed.driver.addInbound(saOf(udp, plain)), /AH cannot travel in UDP/)
  })
})
