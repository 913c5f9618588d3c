/** What a tunnel does to the packets it carries: TFC padding, the MSS of TCP. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gateway, same } from './card-gateway.ts'
import { seal, unseal } from './oracle/esp.ts'
import { checksum, packetOf } from './packets.ts'

describe('TFC padding', () => {
  test('shorter packets are padded to the length, longer ones are not, none beyond the MTU', () => {
    for (const [tfcPad, mtu, length, payload] of [
      [500, 1400, 60, 500],
      [500, 1400, 501, 501],
      [9000, 1400, 60, 1400],
      [0, 1400, 60, 60],
    ]) {
      const { bed, spec } = gateway({}, { tfcPad, mtu })
      for (const family of [4, 6] as const) {
        const packet = packetOf(length, { family })
        const [{ data }] = bed.protect([packet], 'tun0')
        const { inner } = unseal(spec, family === 4 ? 1n : 2n, data)
        assert.equal(inner.length, payload)
        assert.ok(same(inner.subarray(0, length), packet))
        assert.ok(inner.subarray(length).every((byte) => byte === 0))
        assert.ok(same(bed.open([data])[0].packet, packet), 'the padding ends in the card')
      }
    }
  })
})

/** A TCP segment with these options (a multiple of 4 bytes) and a right checksum. */
function segment(family: 4 | 6, flags: number, options: number[]): Buffer {
  const header = family === 4 ? 20 : 40
  const packet = Buffer.from(packetOf(header + 20 + options.length, { family, protocol: 6, df: true }))
  packet.fill(0, header + 4)
  packet[header + 12] = ((20 + options.length) / 4) << 4
  packet[header + 13] = flags
  packet.set(options, header + 20)
  packet.writeUInt16BE(tcpSum(packet), header + 16)
  return packet
}

/** Checksum over pseudo header and segment; 0 over a segment whose checksum is right. */
function tcpSum(packet: Uint8Array): number {
  const v4 = packet[0] >> 4 === 4
  const tcp = packet.subarray(v4 ? 20 : 40)
  const addresses = v4 ? packet.subarray(12, 20) : packet.subarray(8, 40)
  return checksum(Buffer.concat([addresses, Uint8Array.of(0, 6, tcp.length >> 8, tcp.length), tcp]))
}

describe('MSS', () => {
  const SYN = 0x02
  const mss = (value: number) => [2, 4, value >> 8, value & 255]
  const odd = (value: number) => [1, ...mss(value), 1, 1, 1]
  const cases = [
    { name: 'auto', tcpMss: 'auto', family: 4, options: mss(1460), expected: 1360 },
    { name: 'auto over IPv6', tcpMss: 'auto', family: 6, options: mss(1460), expected: 1340 },
    { name: 'a number', tcpMss: 536, family: 4, options: mss(1460), expected: 536 },
    { name: 'at an odd place', tcpMss: 'auto', family: 4, options: odd(1460), expected: 1360 },
    { name: 'what fits stays', tcpMss: 'auto', family: 4, options: mss(1360), expected: 1360 },
    { name: 'off', tcpMss: 'off', family: 4, options: mss(1460), expected: 1460 },
  ] as const
  for (const { name, tcpMss, family, options, expected } of cases) {
    test(`${name}: both ways, the checksum stays right`, () => {
      const { bed, spec } = gateway({}, { mtu: 1400, tcpMss })
      for (const flags of [SYN, SYN | 0x10]) {
        const packet = segment(family, flags, [...options])
        assert.equal(tcpSum(packet), 0)
        const [{ data }] = bed.protect([packet], 'tun0')
        const sent = unseal(spec, flags === SYN ? 1n : 2n, data).inner
        const [received] = bed.open([seal(spec, flags === SYN ? 11n : 12n, packet)])
        const offset = packet.length - options.length + options.indexOf(2) + 2
        for (const it of [sent, Buffer.from(received.packet)]) {
          assert.equal(Buffer.from(it).readUInt16BE(offset), expected)
          assert.equal(tcpSum(it), 0)
        }
      }
    })
  }

  test('only SYNs, only whole options, only first fragments are touched', () => {
    const { bed } = gateway({}, { mtu: 1400, tcpMss: 536 })
    const later = segment(4, SYN, mss(1460))
    later.writeUInt16BE(0x2001, 6)
    const untouched = [
      segment(4, 0x10, mss(1460)),
      segment(4, SYN, [1, 1, 2, 4]),
      segment(4, SYN, [2, 3, 5, 0]),
      segment(4, SYN, [0, 0, 0, 0, ...mss(1460)]),
      segment(4, SYN, [8, 0, 0, 0, ...mss(1460)]),
      segment(4, SYN, [254, 200, 0, 0, ...mss(1460)]),
      later,
    ]
    for (const packet of untouched) {
      const sent = bed.protect([packet], 'tun0').map(({ data }) => data)
      assert.ok(same(bed.open(sent)[0].packet, packet))
    }
  })

  test('the packet itself is not changed, AH carries the changed copy', () => {
    const ah = { protocol: 'ah', cipher: 'null', encryptionKey: new Uint8Array() } as const
    const { bed } = gateway(ah, { mtu: 1400, tcpMss: 536, encapsulation: 'raw' })
    const packet = segment(4, SYN, mss(1460))
    const [address] = bed.place([packet], 1, false)
    const [{ data }] = bed.protect([packet], 'tun0')
    assert.ok(same(bed.memory.bytes.subarray(address, address + packet.length), packet))
    assert.equal(Buffer.from(data).readUInt16BE(data.length - 2), 536)
  })
})
