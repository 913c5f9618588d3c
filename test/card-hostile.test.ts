/** What must not happen: hostile datagrams, malformed descriptors and commands, keys left behind, traps. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Command } from '../bindings/card-commands.ts'
import { CommandRing } from '../bindings/card-commands.ts'
import { sockaddrBytes } from '../bindings/sockaddr.ts'
import * as abi from '../dataplane-as/abi.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { seal } from './oracle/esp.ts'
import { packetOf } from './packets.ts'

function gateway(options: ConstructorParameters<typeof CardBed>[0] = {}) {
  const bed = new CardBed(options)
  const ref = bed.driver.setTunnel(tunnelOf())
  bed.driver.setTunnelState(ref, true)
  const spec = saOf(ref, { encryptionKey: randomBytes(16), integrityKey: randomBytes(20) })
  const inbound = bed.driver.addInbound(spec)
  const outbound = bed.driver.addOutbound(spec)
  bed.driver.activateOutbound(outbound)
  bed.take()
  return { bed, ref, spec, inbound, outbound }
}

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

  test('the encapsulation must be the agreed one, unless the tunnel takes both', () => {
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

  test('IKE goes to control with its addresses, keepalives end here, short datagrams are counted', () => {
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

  test('a fresh authentic packet from another address tells control, at most once a second; an old one does not', () => {
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

describe('anti-replay in bursts', () => {
  test('any order and any duplicates: what a plain set accepts', () => {
    for (const window of [0, 32, 64, 256, 4096]) {
      const { bed, ref, spec } = gateway()
      const sequence = fc.array(
        fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1, maxLength: 30 }),
        { maxLength: 20 },
      )
      let spi = 0x5000
      fc.assert(
        fc.property(sequence, (bursts) => {
          const sa = {
            ...spec,
            spi: ++spi,
            replayWindow: window,
            cipher: 'null' as const,
            encryptionKey: new Uint8Array(),
          }
          const inbound = bed.driver.addInbound({ ...sa, tunnel: ref })
          const seen = new Set<number>()
          let top = 0
          for (const burst of bursts) {
            const delivered = bed.open(burst.map((number) => seal(sa, BigInt(number), packetOf(44))))
            const accepted = burst.filter((number) => {
              const fresh = window === 0 || (number > top - window && !seen.has(number))
              if (fresh) seen.add(number)
              if (fresh) top = Math.max(top, number)
              return fresh
            })
            assert.equal(delivered.length, accepted.length)
          }
          assert.equal(bed.driver.saCounters(inbound).sequence, BigInt(top))
          bed.driver.deleteSa(inbound)
        }),
        { numRuns: 40 },
      )
    }
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

describe('commands', () => {
  test('any command: acknowledged with an error or harmless; the SA in use goes on', () => {
    const { bed, spec } = gateway()
    const ring = new CommandRing(bed.memory, 1)
    const kinds = [
      abi.OP_SA_ADD_IN,
      abi.OP_SA_ADD_OUT,
      abi.OP_SA_QUERY,
      abi.OP_TS_SET,
      abi.OP_TUNNEL_SET,
      abi.OP_CIRCUIT_SET,
      abi.OP_FIB_SWAP,
      abi.OP_PEER_ADDR_UPDATE,
      abi.OP_TRACE,
      abi.OP_QOS_SET,
      abi.OP_DEBUG,
      abi.OP_HELLO,
      0,
      99,
      0xffffffff,
    ]
    const index = fc.oneof(fc.integer({ min: 2, max: 70 }), fc.integer({ min: 2, max: 0xffffffff }))
    const command = fc.record({
      opcode: fc.constantFrom(...kinds),
      index,
      argument: fc.integer({ min: 0, max: 0xffffffff }),
      payload: fc.uint8Array({ minLength: 112, maxLength: 112 }),
    })
    let acknowledged = 0
    let sent = 0
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands: Command[]) => {
        for (const each of commands) {
          sent++
          ring.send(each, () => {})
        }
        bed.cards[0].mailbox()
        acknowledged += takeAcks(bed)
      }),
      { numRuns: 200 },
    )
    assert.equal(acknowledged, sent)
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
    assert.equal(bed.open([seal(spec, 1n, packetOf(60))]).length, 1)
  })

  function takeAcks(bed: CardBed): number {
    const ring = bed.memory.block(1) + abi.ASP_EVENTS
    const [head, tail] = [bed.memory.u32(ring), bed.memory.u32(ring + abi.RING_TAIL)]
    let acks = 0
    for (let i = tail; i < head; i++) {
      const at = ring + abi.RING_RECORDS + (i % abi.EVENT_SLOTS) * abi.EVENT_BYTES
      if (bed.memory.u32(at + abi.EVENT_KIND) === abi.EVENT_ACK) acks++
    }
    bed.memory.store(ring + abi.RING_TAIL, head)
    return acks
  }

  test('a reserved record with any field out of range is refused, its raw keys wiped', () => {
    const { bed, ref } = gateway()
    const good: Record<string, number> = {
      SA_DIRECTION: 1,
      SA_SPI: 0x9999,
      SA_PROTOCOL: 50,
      SA_TUNNEL: ref,
      SA_ASP: 1,
      SA_CIPHER: 12,
      SA_KEY_BYTES: 16,
      SA_INTEGRITY: 2,
      SA_INTEGRITY_KEY_BYTES: 20,
    }
    const wrong: [string, number, number][] = [
      ['SA_DIRECTION', 2, abi.ERROR_FIELD],
      ['SA_SPI', 255, abi.ERROR_SPI],
      ['SA_SPI', 0x1001, abi.ERROR_SPI],
      ['SA_PROTOCOL', 51, abi.ERROR_SUITE],
      ['SA_TUNNEL', 9, abi.ERROR_STATE],
      ['SA_TUNNEL', 0xffffffff, abi.ERROR_INDEX],
      ['SA_ASP', 2, abi.ERROR_ASP],
      ['SA_CIPHER', 20, abi.ERROR_SUITE],
      ['SA_CIPHER', 11, abi.ERROR_SUITE],
      ['SA_KEY_BYTES', 17, abi.ERROR_SUITE],
      ['SA_INTEGRITY', 0, abi.ERROR_SUITE],
      ['SA_INTEGRITY_KEY_BYTES', 19, abi.ERROR_SUITE],
      ['SA_FLAGS', 2, abi.ERROR_FIELD],
      ['SA_WINDOW', 33, abi.ERROR_FIELD],
      ['SA_WINDOW', 8192, abi.ERROR_FIELD],
      ['SA_CLASS', 8, abi.ERROR_FIELD],
      ['SA_BUNDLE', 1, abi.ERROR_SUITE],
      ['SA_TABLE', 1, abi.ERROR_SUITE],
      ['SA_SOURCE_COUNT', 1, abi.ERROR_SELECTOR],
      ['SA_STATE', 0, abi.ERROR_STATE],
    ]
    const offsets: Record<string, number> = { ...abi }
    const ring = new CommandRing(bed.memory, 1)
    const record = bed.memory.cold(7)
    for (const [field, value, expected] of [...wrong, ['SA_FLAGS', 0, abi.ERROR_NONE] as const]) {
      bed.memory.bytes.fill(0, record, record + abi.SA_COLD_BYTES)
      for (const [name, number] of Object.entries({ SA_STATE: 1, ...good, [field]: value }))
        bed.memory.setU32(record + offsets[name], number)
      bed.memory.bytes.fill(0xcc, record + abi.SA_KEY, record + abi.SA_COLD_BYTES)
      ring.send({ opcode: abi.OP_SA_ADD_IN, index: 7 }, () => {})
      bed.cards[0].mailbox()
      const events = bed.memory.block(1) + abi.ASP_EVENTS
      const last =
        events + abi.RING_RECORDS + ((bed.memory.u32(events) - 1) % abi.EVENT_SLOTS) * abi.EVENT_BYTES
      assert.equal(bed.memory.u32(last + abi.EVENT_VALUE), expected, `${field} = ${value}`)
      const keys = bed.memory.bytes.slice(record + abi.SA_KEY, record + abi.SA_COLD_BYTES)
      if (field !== 'SA_STATE')
        assert.ok(
          keys.every((byte) => byte === 0),
          field,
        )
    }
  })

  test('a ring whose head and tail contradict each other is given up and told once', () => {
    const { bed } = gateway()
    const ring = bed.memory.block(1) + abi.ASP_COMMANDS
    bed.memory.setU32(ring + abi.RING_HEAD, bed.memory.u32(ring + abi.RING_HEAD) + 1000)
    assert.equal(bed.cards[0].mailbox(), 0)
    assert.deepEqual(bed.take(), [{ kind: 'asp-failed', asp: 1, reason: 'a ring was inconsistent' }])
    assert.equal(bed.protect([packetOf(60)], 'tun0').length, 1)
  })
})

describe('keys', () => {
  /** Whether the bytes stand anywhere in the card's memory. */
  const found = (bed: CardBed, key: Uint8Array) => Buffer.from(bed.memory.bytes).includes(Buffer.from(key))

  function installed() {
    const bed = new CardBed()
    const ref = bed.driver.setTunnel(tunnelOf())
    bed.driver.setTunnelState(ref, true)
    const spec = saOf(ref, {
      cipher: 'aes-256',
      encryptionKey: randomBytes(32),
      integrity: 'sha256',
      integrityKey: randomBytes(32),
      hardSeconds: 60,
    })
    const refs = [bed.driver.addInbound(spec), bed.driver.addOutbound(spec)]
    bed.driver.activateOutbound(refs[1])
    bed.open(
      bed
        .protect(
          Array.from({ length: 20 }, () => packetOf(300)),
          'tun0',
        )
        .map(({ data }) => data),
    )
    return { bed, ref, refs, spec }
  }

  /** What was made of the keys: both key blocks as they stand now. */
  function expanded(bed: CardBed, refs: number[]): Buffer[] {
    return refs.flatMap((ref) => {
      const at = bed.memory.header(abi.HEADER_KEYS) + (ref % 65536) * abi.KEY_BLOCK_BYTES
      const part = (offset: number, bytes: number) =>
        Buffer.from(bed.memory.bytes.slice(at + offset, at + offset + bytes))
      return [
        part(abi.KEY_SCHEDULE, 16),
        part(abi.KEY_SCHEDULE + 16, 16),
        part(abi.KEY_HMAC, 16),
        part(abi.KEY_HMAC + 32, 16),
      ]
    })
  }

  test('the raw integrity key is gone once the SA stands; after SA_DEL nothing made of any key is left', () => {
    const { bed, refs, spec } = installed()
    assert.ok(!found(bed, spec.integrityKey))
    const made = expanded(bed, refs)
    assert.ok(made.every((part) => part.some((byte) => byte !== 0) && found(bed, part)))
    for (const ref of refs) bed.driver.deleteSa(ref)
    assert.ok(!found(bed, spec.encryptionKey.subarray(0, 16)) && !found(bed, spec.encryptionKey.subarray(16)))
    for (const part of made) assert.ok(!found(bed, part))
  })

  test('a hard limit wipes the keys at the next tick', () => {
    const { bed, refs } = installed()
    const made = expanded(bed, refs)
    bed.advance(60000)
    for (const part of made) assert.ok(!found(bed, part))
    assert.deepEqual(bed.drops(), {})
  })

  test('so do a reset of the instance, the end of an ASP, and the end of the card', async () => {
    for (const end of [
      (bed: CardBed) => bed.rebuild(1),
      (bed: CardBed) => bed.driver.failAsp(1, 'gone'),
      (bed: CardBed) => bed.driver.stop(),
    ]) {
      const { bed, refs } = installed()
      const made = expanded(bed, refs)
      await end(bed)
      for (const part of made) assert.ok(!found(bed, part))
    }
  })

  test('keys lie below every packet, and a broken canary is told', () => {
    const { bed } = installed()
    const canary = bed.memory.header(abi.HEADER_CANARY)
    assert.ok(bed.memory.header(abi.HEADER_KEYS) < canary && canary < bed.memory.header(abi.HEADER_PACKETS))
    bed.take()
    bed.advance(100)
    assert.deepEqual(bed.take(), [])
    bed.memory.bytes[canary + 77] ^= 1
    bed.advance(100)
    bed.advance(100)
    const [told, ...more] = bed.take()
    assert.deepEqual([told.kind, more], ['asp-failed', []])
  })
})
