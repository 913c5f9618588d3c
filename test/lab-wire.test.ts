// The lab's wire counter: what it calls clear decides whether "nothing leaked" is true.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { WireCounter, type WireKind } from '../control/cli/lab-wire.ts'

const MARKER = Buffer.from('the marker of this test')
const OUTER: [number[], number[]] = [
  [198, 51, 100, 1],
  [203, 0, 113, 1],
]

const counter = () => new WireCounter(['10.0.0.0/8', 'fd00::/8'], MARKER)

type Ipv4 = {
  protocol: number
  payload: Uint8Array
  source?: number[]
  destination?: number[]
  fragment?: number
  id?: number
}

function ipv4({ protocol, payload, source, destination, fragment = 0, id = 7 }: Ipv4): Buffer {
  const header = Buffer.alloc(20)
  header[0] = 0x45
  header.writeUInt16BE(20 + payload.length, 2)
  header.writeUInt16BE(id, 4)
  header.writeUInt16BE(fragment, 6)
  header[9] = protocol
  header.set(source ?? OUTER[0], 12)
  header.set(destination ?? OUTER[1], 16)
  return Buffer.concat([header, payload])
}

function udp(source: number, destination: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16BE(source, 0)
  header.writeUInt16BE(destination, 2)
  header.writeUInt16BE(8 + payload.length, 4)
  return Buffer.concat([header, payload])
}

function ike(exchange: number, flags: number, messageId: number): Buffer {
  const header = Buffer.alloc(40)
  header[17] = 0x20
  header[18] = exchange
  header[19] = flags
  header.writeUInt32BE(messageId, 20)
  header.writeUInt32BE(40, 24)
  return header
}

const ethernet = (type: number, payload: Uint8Array) =>
  Buffer.concat([Buffer.alloc(12), Buffer.from([type >> 8, type & 255]), payload])

function ipv6(next: number, payload: Uint8Array, source: string): Buffer {
  const header = Buffer.alloc(40)
  header[0] = 0x60
  header.writeUInt16BE(payload.length, 4)
  header[6] = next
  header.set(Buffer.from(source, 'hex'), 8)
  return Buffer.concat([header, payload])
}

const ESP_BYTES = Buffer.concat([Buffer.from([0, 0, 16, 0]), Buffer.alloc(60, 0xaa)])
const MARKED_IKE = Buffer.concat([Buffer.alloc(4), ike(35, 0x08, 1)])
const DOC6 = '20010db8000000000000000000000001'

const MLD = Buffer.from([58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 0])
const icmpError = (quoted: Uint8Array) => Buffer.concat([Buffer.from([3, 3, 0, 0, 0, 0, 0, 0]), quoted])
const redirect = (quoted: Uint8Array) => Buffer.concat([Buffer.from([5, 1, 0, 0, 192, 0, 2, 1]), quoted])
const IKE_PACKET = ipv4({ protocol: 17, payload: udp(500, 500, ike(34, 8, 0)) })
const DNS_PACKET = ipv4({ protocol: 17, payload: udp(53, 53, ESP_BYTES) })
const LEAKED_PACKET = ipv4({ protocol: 50, payload: Buffer.concat([ESP_BYTES, MARKER]) })
const ERROR_PACKET = ipv4({ protocol: 1, payload: icmpError(IKE_PACKET) })

const CASES: [name: string, frame: Buffer, kind: WireKind, leaked: number][] = [
  [
    'IKE on port 500',
    ethernet(0x0800, ipv4({ protocol: 17, payload: udp(500, 500, ike(34, 8, 0)) })),
    'ike',
    0,
  ],
  [
    'IKE on port 4500',
    ethernet(0x0800, ipv4({ protocol: 17, payload: udp(4500, 4500, MARKED_IKE) })),
    'ike',
    0,
  ],
  ['ESP in UDP', ethernet(0x0800, ipv4({ protocol: 17, payload: udp(4500, 4500, ESP_BYTES) })), 'esp', 0],
  ['ESP', ethernet(0x0800, ipv4({ protocol: 50, payload: ESP_BYTES })), 'esp', 0],
  [
    'keepalive',
    ethernet(0x0800, ipv4({ protocol: 17, payload: udp(4500, 4500, Buffer.from([255])) })),
    'keepalive',
    0,
  ],
  ['ARP', ethernet(0x0806, Buffer.alloc(28)), 'arp', 0],
  ['MLD report', ethernet(0x86dd, ipv6(0, MLD, DOC6)), 'neighbour', 0],
  [
    'port unreachable for IKE',
    ethernet(0x0800, ipv4({ protocol: 1, payload: icmpError(IKE_PACKET) })),
    'error',
    0,
  ],
  [
    'port unreachable for something else',
    ethernet(0x0800, ipv4({ protocol: 1, payload: icmpError(DNS_PACKET) })),
    'clear',
    1,
  ],
  [
    'port unreachable that quotes the marker',
    ethernet(0x0800, ipv4({ protocol: 1, payload: icmpError(LEAKED_PACKET) })),
    'error',
    1,
  ],
  [
    'redirect for ESP',
    ethernet(0x0800, ipv4({ protocol: 1, payload: redirect(ipv4({ protocol: 50, payload: ESP_BYTES })) })),
    'error',
    0,
  ],
  [
    'redirect for something else',
    ethernet(0x0800, ipv4({ protocol: 1, payload: redirect(DNS_PACKET) })),
    'clear',
    1,
  ],
  [
    'an ICMP error about an ICMP error',
    ethernet(0x0800, ipv4({ protocol: 1, payload: icmpError(ERROR_PACKET) })),
    'clear',
    1,
  ],
  ['neighbour solicitation', ethernet(0x86dd, ipv6(58, Buffer.from([135, 0, 0, 0]), DOC6)), 'neighbour', 0],
  ['ICMP', ethernet(0x0800, ipv4({ protocol: 1, payload: Buffer.alloc(8) })), 'clear', 1],
  ['ICMPv6 echo', ethernet(0x86dd, ipv6(58, Buffer.from([128, 0, 0, 0]), DOC6)), 'clear', 1],
  [
    'port 500 without IKE',
    ethernet(0x0800, ipv4({ protocol: 17, payload: udp(500, 500, Buffer.alloc(40)) })),
    'clear',
    1,
  ],
  [
    'zero marker without IKE',
    ethernet(0x0800, ipv4({ protocol: 17, payload: udp(4500, 4500, Buffer.alloc(40)) })),
    'clear',
    1,
  ],
  ['another UDP port', ethernet(0x0800, ipv4({ protocol: 17, payload: udp(53, 53, ESP_BYTES) })), 'clear', 1],
  ['AH', ethernet(0x0800, ipv4({ protocol: 51, payload: ESP_BYTES })), 'clear', 1],
  ['an unknown Ethernet type', ethernet(0x88cc, Buffer.alloc(40)), 'clear', 1],
  ['a cut IPv4 header', ethernet(0x0800, Buffer.from([0x45, 0, 0])), 'clear', 1],
  ['a cut frame', Buffer.alloc(5), 'clear', 1],
  [
    'ESP with a protected outer source',
    ethernet(0x0800, ipv4({ protocol: 50, payload: ESP_BYTES, source: [10, 1, 1, 2] })),
    'esp',
    1,
  ],
  [
    'ESP with a protected IPv6 source',
    ethernet(0x86dd, ipv6(50, ESP_BYTES, 'fd000000000000000000000000000001')),
    'esp',
    1,
  ],
  [
    'ESP that carries the marker in clear',
    ethernet(0x0800, ipv4({ protocol: 50, payload: Buffer.concat([ESP_BYTES, MARKER]) })),
    'esp',
    1,
  ],
]

for (const [name, frame, kind, leaked] of CASES)
  test(`wire counter: ${name} is ${kind}`, () => {
    const wire = counter()
    assert.equal(wire.countFrame(frame).kind, kind)
    assert.equal(wire.counts[kind], 1)
    assert.equal(wire.counts.leaked, leaked)
  })

test('wire counter: a later fragment is what its first one was, and clear without one', () => {
  const wire = counter()
  const first = ipv4({ protocol: 17, payload: udp(500, 500, ike(35, 8, 1)), fragment: 0x2000 })
  const later = (id: number) => ipv4({ protocol: 17, payload: Buffer.alloc(64), fragment: 5, id })
  assert.equal(wire.countPacket(first).kind, 'ike')
  assert.equal(wire.countPacket(later(7)).kind, 'ike')
  assert.equal(wire.countPacket(later(8)).kind, 'clear')
})

test('wire counter: tells exchange, direction and message id of IKE', () => {
  const seen = counter().countPacket(ipv4({ protocol: 17, payload: udp(500, 500, ike(36, 0x20, 5)) })).ike
  assert.deepEqual(seen, {
    from: '198.51.100.1',
    to: '203.0.113.1',
    exchange: 'CREATE_CHILD_SA',
    messageId: 5,
    response: true,
    fromInitiator: false,
    bytes: 40,
  })
})

test('wire counter: any bytes have a verdict, and counts add up', () => {
  const wire = counter()
  for (let round = 0; round < 2_000; round++) wire.countFrame(randomBytes(round % 120))
  const { ike, esp, keepalive, arp, neighbour, error, clear } = wire.counts
  assert.equal(ike + esp + keepalive + arp + neighbour + error + clear, 2_000)
  wire.reset()
  assert.equal(wire.counts.leaked, 0)
})
