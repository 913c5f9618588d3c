/** Files of whole ESP packets and of anti-replay decisions: they run through the card. */

import type { CardSa, SaRef, TrafficSelector } from '../../control/ports.ts'
import { CardBed, saOf, tunnelOf } from '../card-bed.ts'
import { seal, unseal } from '../oracle/esp.ts'
import { packetOf } from '../packets.ts'
import { compared, runCiphers } from './kernel-cases.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { fullNumber, lacking, type PacketCase, PacketRig, vectorSa } from './packet-cases.ts'
import { hexBytes, hexText } from './rsp.ts'

const passed = (id: string): VectorResult => ({ id, outcome: 'passed' })
const failed = (id: string, note: string): VectorResult => ({ id, outcome: 'failed', note })
const notBuilt = (id: string, note: string): VectorResult => ({ id, outcome: 'not-built', note })
const verdict = (id: string, holds: boolean, note: string) => (holds ? passed(id) : failed(id, note))

function testsOf<T>(content: string): T[] {
  return (JSON.parse(content) as { tests: T[] }).tests
}

// ---- esp-generated.json

type Generated = PacketCase & {
  nat_t: boolean
  iv: string
  inner_packet: string
  wire_packet: string
  pad_length: number
  next_header: number
}

export const espGenerated: VectorKind = {
  name: 'esp-packets',
  matches: (_, content) =>
    /"wire_packet"/.test(content) && /"inner_packet"/.test(content) && /"encr"/.test(content),
  *run(_, content) {
    for (const packet of testsOf<Generated>(content)) {
      const missing = lacking(packet)
      if (missing !== null) yield notBuilt(packet.id, missing)
      else if (packet.mode === 'transport') yield* transport(packet)
      else yield* tunnel(packet)
    }
  },
}

/** Out: the same bytes. In: the same inner packet, as the socket would see it. */
function* tunnel(packet: Generated): Iterable<VectorResult> {
  const rig = new PacketRig(packet, packet.nat_t ? 'udp' : 'raw')
  try {
    const inner = hexBytes(packet.inner_packet)
    const made = rig.protect(inner, hexBytes(packet.iv)) ?? new Uint8Array()
    if (packet.encr.startsWith('AES-GCM')) yield sealed(`${packet.id} out`, packet, made)
    else yield compared(`${packet.id} out`, made, hexBytes(packet.esp))
    const { packet: got, drops } = openAsReceived(rig, packet)
    if (got === null) yield failed(`${packet.id} in`, `dropped: ${drops.join(' ')}`)
    else yield compared(`${packet.id} in`, got, inner)
  } finally {
    rig.remove()
  }
}

/** The card makes the explicit IV of an AEAD of the number, the file has another: what it made opens to the packet. */
function sealed(id: string, packet: Generated, made: Uint8Array): VectorResult {
  const opened = unseal(vectorSa(packet, 0), fullNumber(packet), made)
  return compared(id, opened.inner, hexBytes(packet.inner_packet))
}

/** UDP sockets give the payload, raw IPv4 sockets the outer header too, raw IPv6 sockets not. */
function openAsReceived(rig: PacketRig, packet: Generated) {
  const wire = hexBytes(packet.wire_packet)
  const outerIsIpv4 = wire[0] >> 4 === 4
  if (!packet.nat_t && outerIsIpv4) return rig.open(wire, { encapsulation: 'raw-ipv4' })
  return rig.open(hexBytes(packet.esp), { encapsulation: packet.nat_t ? 'udp' : 'raw' })
}

/** The ICV holds and the right plaintext appears, but it is no tunnel packet: bad content, nothing delivered. */
function* transport(packet: Generated): Iterable<VectorResult> {
  const rig = new PacketRig(packet, packet.nat_t ? 'udp' : 'raw')
  try {
    const esp = hexBytes(packet.esp)
    const inner = hexBytes(packet.inner_packet)
    const { packet: got, drops } = rig.open(esp, { encapsulation: packet.nat_t ? 'udp' : 'raw' })
    const payload = inner.subarray(packet.ip === 4 ? (inner[0] & 15) * 4 : 40)
    const padding = Array.from({ length: packet.pad_length }, (_, index) => index + 1)
    const plain = Uint8Array.from([...payload, ...padding, packet.pad_length, packet.next_header])
    yield compared(`${packet.id} cryptography`, rig.inPlace(8 + packet.iv.length / 2, plain.length), plain)
    const refused = got === null && drops.join() === 'bad-content'
    yield verdict(`${packet.id} refused`, refused, `a transport-mode packet: ${drops.join() || 'delivered'}`)
  } finally {
    rig.remove()
  }
}

// ---- esp-negative.json

type Negative = PacketCase & { why: string; expect: 'drop' }

/** Reasons under which each fault may be counted; the first that an honest receiver meets decides. */
const REASONS: [RegExp, RegExp][] = [
  [/icv (first|last) byte|bit flipped|sequence number changed/, /^(bad-icv|replay)$/],
  [/truncated|extra trailing|multiple of the block/, /^(bad-length|datagram-short|bad-icv)$/],
  [/dummy/, /^dummy$/],
  [/traffic selector/, /^selector-in$/],
  [/^authentic/, /^bad-content$/],
]

const range = (first: number[], last: number[]): TrafficSelector[] => [
  {
    family: 4,
    protocol: 0,
    startPort: 0,
    endPort: 65535,
    start: Uint8Array.from(first),
    end: Uint8Array.from(last),
  },
]
const SITE_A = range([10, 1, 0, 0], [10, 1, 255, 255])
const SITE_B = range([10, 2, 0, 0], [10, 2, 255, 255])

export const espNegative: VectorKind = {
  name: 'esp-negative',
  matches: (_, content) => /"why"/.test(content) && /"esp"/.test(content) && /"encr"/.test(content),
  *run(_, content) {
    for (const packet of testsOf<Negative>(content)) {
      const missing = lacking(packet)
      yield missing === null ? mustDrop(packet) : notBuilt(packet.id, missing)
    }
  },
}

function mustDrop(packet: Negative): VectorResult {
  const selective = /traffic selector/.test(packet.why)
  const rig = new PacketRig(packet, 'raw', selective ? [SITE_A, SITE_B] : [[], []])
  try {
    const top = rig.top()
    const { packet: got, drops } = rig.open(hexBytes(packet.esp), { encapsulation: 'raw' })
    if (got !== null) return failed(packet.id, `delivered: ${packet.why}`)
    const wanted = REASONS.find(([why]) => why.test(packet.why))?.[1] ?? /^$/
    if (drops.length !== 1 || !wanted.test(drops[0]))
      return failed(packet.id, `${packet.why}: counted as ${drops}`)
    const authentic = packet.why.startsWith('authentic')
    if (rig.top() !== (authentic ? fullNumber(packet) : top))
      return failed(packet.id, `window moved: ${packet.why}`)
    return passed(packet.id)
  } finally {
    rig.remove()
  }
}

// ---- replay.json

type Replay = {
  name: string
  window: number
  esn: boolean
  initial_highest: number | string
  ops: [number | string, 0 | 1, 'accept' | 'drop-replay' | 'drop-auth'][]
  final_highest: string
}

export const replayDecisions: VectorKind = {
  name: 'replay',
  matches: (_, content) => /"initial_highest"/.test(content) && /"ops"/.test(content),
  *run(_, content) {
    const bed = new CardBed()
    for (const test of testsOf<Replay>(content)) yield replay(bed, test)
  },
}

function replay(bed: CardBed, test: Replay): VectorResult {
  const id = `${test.name}, window ${test.window}`
  const sa = saOf(0, {
    cipher: 'null',
    encryptionKey: new Uint8Array(),
    esn: test.esn,
    replayWindow: test.window,
  })
  const tunnel = bed.driver.setTunnel(tunnelOf())
  try {
    const ref = bed.driver.addInbound({ ...sa, tunnel })
    startAt(bed, ref, sa, BigInt(test.initial_highest))
    for (const [index, [number, valid, expected]] of test.ops.entries()) {
      const sealed = seal(sa, BigInt(number), packetOf(60))
      if (!valid) sealed[sealed.length - 1] ^= 1
      const decision = decide(bed, sealed)
      if (decision !== expected)
        return failed(id, `operation ${index} (${number}): ${decision}, not ${expected}`)
    }
    const { sequence } = bed.driver.saCounters(ref)
    return verdict(
      id,
      sequence === BigInt(test.final_highest),
      `highest ${sequence}, not ${test.final_highest}`,
    )
  } finally {
    bed.driver.deleteTunnel(tunnel)
  }
}

/** Lets the card accept the first number itself, so that its window is one it made. */
function startAt(bed: CardBed, ref: SaRef, sa: CardSa, highest: bigint): void {
  if (highest === 0n) return
  bed.setSequence(ref, 'in', highest - 1n)
  if (bed.open([seal(sa, highest, packetOf(60))]).length !== 1)
    throw new Error('the window cannot be prepared')
}

function decide(bed: CardBed, datagram: Uint8Array): string {
  const before = bed.drops()
  if (bed.open([datagram]).length === 1) return 'accept'
  const after = bed.drops()
  if (after.replay !== before.replay) return 'drop-replay'
  return after['bad-icv'] !== before['bad-icv'] ? 'drop-auth' : 'drop'
}

// ---- rfc-packets.json

type EncryptOnly = {
  name: string
  kind: 'esp'
  encr: string
  key: string
  iv: string
  inner: string
  next_header: number
  pad_length: number
  esp_packet: string
}
type Aead = EncryptOnly & {
  salt: string
  spi: string
  esn?: boolean
  seq_high?: number
  seq_low: number
  plaintext_with_trailer: string
}
type Published =
  | { name: string; kind: 'cbc'; key: string; iv: string; plaintext: string; ciphertext: string }
  | EncryptOnly
  | Aead

export const rfcPackets: VectorKind = {
  name: 'rfc-packets',
  matches: (_, content) => /"ciphertext"/.test(content) && /"esp_packet"/.test(content),
  *run(_, content) {
    for (const packet of testsOf<Published>(content)) {
      if (packet.kind === 'cbc')
        yield* bothWays(packet.name, packet.key, packet.iv, packet.plaintext, packet.ciphertext)
      else if (lacking({ encr: packet.encr, integ: 'NONE' }) !== null)
        yield notBuilt(packet.name, packet.encr.toLowerCase())
      else if ('salt' in packet) yield* aeadPacket(packet)
      else yield* encryptOnly(packet)
    }
  },
}

function* bothWays(
  id: string,
  key: string,
  iv: string,
  plaintext: string,
  ciphertext: string,
): Iterable<VectorResult> {
  const [plain, secret] = [hexBytes(plaintext), hexBytes(ciphertext)]
  const message = { key: hexBytes(key), iv: hexBytes(iv) }
  yield* runCiphers('encrypt', [
    { id: `${id} encrypt`, message: { ...message, data: plain }, expected: secret },
  ])
  yield* runCiphers('decrypt', [
    { id: `${id} decrypt`, message: { ...message, data: secret }, expected: plain },
  ])
}

/** Encryption without integrity: the cipher alone. */
function* encryptOnly(packet: EncryptOnly): Iterable<VectorResult> {
  const padding = Array.from({ length: packet.pad_length }, (_, index) => index + 1)
  const plain = Uint8Array.from([
    ...hexBytes(packet.inner),
    ...padding,
    packet.pad_length,
    packet.next_header,
  ])
  const secret = packet.esp_packet.slice(16 + packet.iv.length)
  yield* bothWays(packet.name, packet.key, packet.iv, hexText(plain), secret)
}

/** The tag holds and the plaintext appears; what is a tunnel packet is delivered, the rest is bad content. */
function* aeadPacket(packet: Aead): Iterable<VectorResult> {
  const { encr, spi, key, salt } = packet
  const numbers = { seq: packet.seq_low, esn_high: packet.seq_high ?? 0, esn: packet.esn ?? false }
  const shape = { id: packet.name, mode: 'tunnel', ip: 4, integ: 'NONE', integ_key: '', esp: '' } as const
  const rig = new PacketRig({ ...shape, ...numbers, encr, spi, encr_key: key, salt }, 'raw')
  try {
    const plain = hexBytes(packet.plaintext_with_trailer)
    const { packet: got, drops } = rig.open(hexBytes(packet.esp_packet), { encapsulation: 'raw' })
    yield compared(`${packet.name} cryptography`, rig.inPlace(16, plain.length), plain)
    if (packet.next_header === 4)
      yield compared(`${packet.name} in`, got ?? new Uint8Array(), hexBytes(packet.inner))
    else yield verdict(`${packet.name} refused`, got === null && drops.join() === 'bad-content', drops.join())
  } finally {
    rig.remove()
  }
}
