/**
 * Every protocol, encapsulation, outer family and suite side by side in one burst: ESP in UDP and natively, AH, AH
 * around ESP, with and without ESN, inner packets of both families. The oracle opens what the card sends, and so does
 * the card, whatever way a socket hands it over.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { sockaddrBytes } from '../bindings/sockaddr.ts'
import type { CardSa, Integrity } from '../control/ports.ts'
import { type Arrival, CardBed, type Datagram, saOf, tunnelOf } from './card-bed.ts'
import { builtSuites } from './card-gateway.ts'
import { openAh } from './oracle/ah.ts'
import { CIPHERS, INTEGRITIES, unseal } from './oracle/esp.ts'
import { checksum, ipv6Bytes, packetOf } from './packets.ts'

const ENDS = {
  4: { local: '192.0.2.1', remote: '192.0.2.2' },
  6: { local: '2001:db8::1', remote: '2001:db8::2' },
} as const
const HASHES = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'] as Integrity[]
const NO_CIPHER = { cipher: 'null' as const, encryptionKey: new Uint8Array() }

type Family = 4 | 6
/** `whole`: the socket hands the outer header over (raw IPv4, packet sockets) */
type Way = { outer: Family; encapsulation: 'udp' | 'raw'; whole: boolean }
type Lane = Way & { device: string; tunnel: number; esp: CardSa | null; ah: CardSa | null; sent: bigint }

const WAYS: Way[] = [
  { outer: 4, encapsulation: 'udp', whole: false },
  { outer: 4, encapsulation: 'raw', whole: true },
  { outer: 6, encapsulation: 'raw', whole: false },
  { outer: 6, encapsulation: 'raw', whole: true },
]

/** A tunnel whose SAs go both ways; `hash`: of the AH, `suite`: of the ESP, both: a bundle. */
function addLane(
  bed: CardBed,
  way: Way,
  place: number,
  suite: (typeof builtSuites)[number] | null,
  hash: Integrity | null,
): Lane {
  const { local, remote } = ENDS[way.outer]
  const device = `tun${place}`
  const port = way.encapsulation === 'udp' ? 4500 : 0
  const tunnel = bed.driver.setTunnel(
    tunnelOf({
      name: device,
      device,
      encapsulation: way.encapsulation,
      local,
      remote: { address: remote, port },
    }),
  )
  bed.driver.setTunnelState(tunnel, true)
  const esn = place % 2 === 1
  const common = { esn, replayWindow: 1024 }
  const esp =
    suite &&
    saOf(tunnel, {
      ...common,
      ...suite,
      spi: 0x10000 + place,
      encryptionKey: randomBytes(CIPHERS[suite.cipher].key),
      integrityKey: randomBytes(INTEGRITIES[suite.integrity].key),
    })
  const ah =
    hash &&
    saOf(tunnel, {
      ...common,
      ...NO_CIPHER,
      protocol: 'ah',
      spi: 0x20000 + place,
      integrity: hash,
      integrityKey: randomBytes(INTEGRITIES[hash].key),
    })
  const { driver } = bed
  let last = 0 // of the outbound ones
  for (const add of [(sa: CardSa) => driver.addInbound(sa), (sa: CardSa) => driver.addOutbound(sa)]) {
    const inner = esp && add(esp)
    last = ah ? add({ ...ah, ...(inner === null ? {} : { bundle: inner }) }) : inner!
  }
  driver.activateOutbound(last)
  return { ...way, device, tunnel, esp, ah, sent: 0n }
}

/** The datagram as it is on the wire behind the UDP header: with its outer IP header when it travels natively. */
function onWire({ outer, ah, encapsulation }: Lane, { data, tos }: Datagram): Buffer {
  if (encapsulation === 'udp' || (ah !== null && outer === 4)) return Buffer.from(data)
  const protocol = ah === null ? 50 : 51
  if (outer === 4) {
    const header = Buffer.alloc(20)
    header.set([0x45, tos])
    header.writeUInt16BE(20 + data.length, 2)
    header.set([64, protocol], 8)
    header.set([192, 0, 2, 1, 192, 0, 2, 2], 12)
    header.writeUInt16BE(checksum(header), 10)
    return Buffer.concat([header, data])
  }
  const header = Buffer.alloc(40)
  header.writeUInt32BE(0x60000000 | (tos << 20))
  header.writeUInt16BE(data.length, 4)
  header.set([protocol, 64], 6)
  header.set(ipv6Bytes(ENDS[6].local), 8)
  header.set(ipv6Bytes(ENDS[6].remote), 24)
  return Buffer.concat([header, data])
}

function arrivalOf({ outer, whole, encapsulation, ah }: Lane): Arrival {
  if (encapsulation === 'udp') return {}
  if (whole) return { encapsulation: outer === 4 ? 'raw-ipv4' : 'raw-ipv6' }
  const source = sockaddrBytes({ address: ENDS[6].local, port: 0 })
  return { encapsulation: 'raw', protocol: ah === null ? 50 : 51, source, local: ipv6Bytes(ENDS[6].remote) }
}

/** The oracle's view of a datagram. */
function opened(lane: Lane, datagram: Datagram): Uint8Array {
  const number = ++lane.sent
  if (lane.ah === null) return unseal(lane.esp!, number, datagram.data).inner
  const { inner, next } = openAh(lane.ah, number, onWire(lane, datagram))
  if (lane.esp === null) return inner
  assert.equal(next, 50)
  return unseal(lane.esp, number, inner).inner
}

/** Every suite each way, every AH over both families, and a bundle of each suite under some AH. */
function allLanes(bed: CardBed): Lane[] {
  const lanes: Lane[] = []
  const add = (...args: [Way, (typeof builtSuites)[number] | null, Integrity | null]) =>
    lanes.push(addLane(bed, args[0], lanes.length, args[1], args[2]))
  for (const [index, suite] of builtSuites.entries()) {
    for (const way of [WAYS[index % 4], WAYS[(index + 1) % 4]]) add(way, suite, null)
    add(WAYS[1 + (index % 3)], suite, HASHES[index % 5])
  }
  for (const way of WAYS.slice(1)) for (const hash of HASHES) for (const _ of [0, 1]) add(way, null, hash)
  return lanes
}

const hex = (packets: Uint8Array[]) => packets.map((packet) => Buffer.from(packet).toString('hex')).sort()

test('any burst over all of them: the oracle and the card open it, every byte is the same', () => {
  const bed = new CardBed({ sas: 1024, tunnels: 256, devices: 256, memoryBytes: 24 << 20 })
  const lanes = allLanes(bed)
  const packet = fc.record({ lane: fc.nat(lanes.length - 1), length: fc.integer({ min: 44, max: 1500 }) })
  const burst = fc.array(packet, { minLength: 1, maxLength: 200, size: 'max' })
  fc.assert(
    fc.property(burst, (packets) => crossOver(bed, lanes, packets)),
    { numRuns: 25, endOnFailure: true },
  )
  assert.deepEqual(bed.drops(), {})
})

function crossOver(bed: CardBed, lanes: Lane[], packets: { lane: number; length: number }[]): void {
  const inner = packets.map(({ length }, index) =>
    packetOf(length, { family: index % 3 === 0 ? 6 : 4, df: true, tos: (index % 16) << 4 }),
  )
  bed.place(inner, 1, false).forEach((address, index) => {
    const device = bed.driver.deviceNumber(lanes[packets[index].lane].device)
    bed.describeOut(index, address, inner[index].length, device)
  })
  const sent = bed.outbound(packets.length)
  assert.equal(sent.length, packets.length)
  const laneOf = (tunnel: number) => lanes.find((lane) => lane.tunnel === tunnel)!
  assert.deepEqual(hex(sent.map((datagram) => opened(laneOf(datagram.tunnel), datagram))), hex(inner))
  const back = [...new Set(sent.map(({ tunnel }) => tunnel))].reverse().flatMap((tunnel) => {
    const lane = laneOf(tunnel)
    const messages = sent.filter((datagram) => datagram.tunnel === tunnel)
    const arrived = messages.map((datagram) => (lane.whole ? onWire(lane, datagram) : datagram.data))
    const delivered = bed.open(arrived, arrivalOf(lane))
    assert.ok(delivered.every((one) => one.tunnel === tunnel))
    return delivered.map((one) => one.packet)
  })
  assert.deepEqual(hex(back), hex(inner))
}
