/** Files of whole AH packets: they run through the card. */
import { sockaddrBytes } from '../../bindings/sockaddr.ts'
import type { Integrity } from '../../control/ports.ts'
import { type Arrival, CardBed, saOf, tunnelOf } from '../card-bed.ts'
import { ahOffset, openAh } from '../oracle/ah.ts'
import { compared } from './kernel-cases.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { hexBytes } from './rsp.ts'

type AhCase = {
  id: string
  integ: string
  mode: 'tunnel' | 'transport'
  ip: 4 | 6
  spi: string
  seq: number
  integ_key: string
  inner_packet: string
  wire_packet: string
  wire_packet_mutable_changed: string
  wire_packet_source_changed: string
}

const INTEGRITIES: Record<string, Integrity> = {
  'HMAC-MD5-96': 'md5',
  'HMAC-SHA1-96': 'sha1',
  'HMAC-SHA2-256-128': 'sha256',
  'HMAC-SHA2-384-192': 'sha384',
  'HMAC-SHA2-512-256': 'sha512',
}

export const ahGenerated: VectorKind = {
  name: 'ah-packets',
  matches: (_, content) => /"ah_total_len"/.test(content) && /"wire_packet_mutable_changed"/.test(content),
  *run(_, content) {
    for (const packet of (JSON.parse(content) as { tests: AhCase[] }).tests) yield* each(packet)
  },
}

function* each(packet: AhCase): Iterable<VectorResult> {
  const bed = new CardBed()
  const wire = hexBytes(packet.wire_packet)
  const ends = endsOf(packet, wire)
  const { local, remote } = ends
  const tunnel = bed.driver.setTunnel(
    tunnelOf({ encapsulation: 'raw', local, remote: { address: remote, port: 0 } }),
  )
  bed.driver.setTunnelState(tunnel, true)
  const sa = saOf(tunnel, {
    protocol: 'ah',
    spi: Number.parseInt(packet.spi, 16),
    cipher: 'null',
    encryptionKey: new Uint8Array(),
    integrity: INTEGRITIES[packet.integ],
    integrityKey: hexBytes(packet.integ_key),
    replayWindow: 0,
  })
  bed.driver.addInbound(sa)
  if (packet.mode === 'transport') {
    yield* refused(bed, packet, arrivalOf(packet, wire))
    return
  }
  yield* accepted(bed, packet, wire)
  const outbound = bed.driver.addOutbound(sa)
  bed.driver.activateOutbound(outbound)
  bed.setSequence(outbound, 'out', BigInt(packet.seq) - 1n)
  const [sent] = bed.protect([hexBytes(packet.inner_packet)], 'tun0')
  if (packet.ip === 6) yield compared(`${packet.id} out`, sent.data, wire.subarray(40))
  else
    yield compared(
      `${packet.id} out`,
      openAh(sa, BigInt(packet.seq), sent.data).inner,
      hexBytes(packet.inner_packet),
    )
}

/** Mutable fields changed: accepted all the same; the source address changed: not authentic. */
function* accepted(bed: CardBed, packet: AhCase, wire: Uint8Array): Iterable<VectorResult> {
  const inner = hexBytes(packet.inner_packet)
  for (const [name, bytes] of [
    ['in', wire],
    ['in, mutable fields changed', hexBytes(packet.wire_packet_mutable_changed)],
  ] as const) {
    const [delivered] = bed.open([bytes], arrivalOf(packet, bytes))
    yield compared(`${packet.id} ${name}`, delivered?.packet ?? new Uint8Array(), inner)
  }
  if (packet.ip === 6) {
    const [delivered] = bed.open([wire.subarray(40)], withoutHeader(packet, wire))
    yield compared(`${packet.id} in, header made again`, delivered?.packet ?? new Uint8Array(), inner)
  }
  const changed = hexBytes(packet.wire_packet_source_changed)
  yield counted(bed, `${packet.id} source changed`, changed, arrivalOf(packet, changed), 'bad-icv')
}

/** Authentic, but no tunnel packet: its content is refused. */
function* refused(bed: CardBed, packet: AhCase, arrival: Arrival): Iterable<VectorResult> {
  for (const [name, text] of [
    ['refused', packet.wire_packet],
    ['refused, mutable fields changed', packet.wire_packet_mutable_changed],
  ] as const) {
    yield counted(bed, `${packet.id} ${name}`, hexBytes(text), arrival, 'bad-content')
  }
  const changed = hexBytes(packet.wire_packet_source_changed)
  yield counted(bed, `${packet.id} source changed`, changed, arrival, 'bad-icv')
}

function counted(
  bed: CardBed,
  id: string,
  message: Uint8Array,
  arrival: Arrival,
  reason: string,
): VectorResult {
  const before = bed.drops()[reason] ?? 0
  const delivered = bed.open([message], arrival).length
  if (delivered === 0 && bed.drops()[reason] === before + 1) return { id, outcome: 'passed' }
  return { id, outcome: 'failed', note: `delivered ${delivered}, drops ${JSON.stringify(bed.drops())}` }
}

function arrivalOf({ ip }: AhCase, wire: Uint8Array): Arrival {
  return ip === 4 ? { encapsulation: 'raw-ipv4' } : { encapsulation: 'raw-ipv6', tos: wire[1] }
}

function withoutHeader(packet: AhCase, wire: Uint8Array): Arrival {
  const { local, remote } = endsOf(packet, wire)
  if (ahOffset(wire) !== 40 || remote === local) throw new Error('a vector with extension headers')
  const source = sockaddrBytes({ address: local, port: 0 })
  return { encapsulation: 'raw', protocol: 51, source, local: wire.slice(24, 40) }
}

/** The addresses of the outer header as text: the sender's, the receiver's. */
function endsOf({ ip }: AhCase, wire: Uint8Array): { local: string; remote: string } {
  const text = (bytes: Uint8Array) =>
    ip === 4
      ? [...bytes].join('.')
      : Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] << 8) | bytes[2 * i + 1]).toString(16)).join(':')
  return ip === 4
    ? { local: text(wire.subarray(12, 16)), remote: text(wire.subarray(16, 20)) }
    : { local: text(wire.subarray(8, 24)), remote: text(wire.subarray(24, 40)) }
}
