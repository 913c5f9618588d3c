/** One ESP packet of a vector file through the card: its SA, its number, in and out. */

import { refuseSuite } from '../../bindings/card-sa.ts'
import type { Simd } from '../../bindings/wasm.ts'
import type { CardSa, EspCipher, Integrity, TrafficSelector } from '../../control/ports.ts'
import * as abi from '../../dataplane-as/abi.ts'
import { type Arrival, CardBed, saOf, tunnelOf } from '../card-bed.ts'
import { currentSimd } from '../simd.ts'
import { hexBytes } from './rsp.ts'

/** Fields that the packet files share; hex and numbers as in the files. */
export type PacketCase = {
  id: string
  encr: string
  integ: string
  mode: 'tunnel' | 'transport'
  ip: 4 | 6
  esn: boolean
  esn_high: number | null
  spi: string
  seq: number
  encr_key: string
  integ_key: string
  /** AEAD: 4 bytes, hex */
  salt?: string | null
  esp: string
}

const CIPHERS: Record<string, EspCipher> = {
  NULL: 'null',
  DES: 'des',
  '3DES': '3des',
  'AES-CBC-128': 'aes-128',
  'AES-CBC-192': 'aes-192',
  'AES-CBC-256': 'aes-256',
  'AES-GCM-128': 'aes-gcm-128',
  'AES-GCM-256': 'aes-gcm-256',
  'AES-GCM-16-128': 'aes-gcm-128',
  'AES-GCM-16-256': 'aes-gcm-256',
  CHACHA20_POLY1305: 'chacha20-poly1305',
}
const INTEGRITIES: Record<string, Integrity> = {
  'HMAC-MD5-96': 'md5',
  'HMAC-SHA1-96': 'sha1',
  'HMAC-SHA2-256-128': 'sha256',
  'HMAC-SHA2-384-192': 'sha384',
  'HMAC-SHA2-512-256': 'sha512',
  NONE: 'none',
}

/** What the card lacks for the case, or null. */
export function lacking({ encr, integ }: Pick<PacketCase, 'encr' | 'integ'>): string | null {
  const [cipher, integrity] = [CIPHERS[encr], INTEGRITIES[integ]]
  if (cipher === undefined) return encr.toLowerCase()
  if (integrity === undefined) return integ.toLowerCase()
  return refuseSuite({ protocol: 'esp', cipher, integrity }) === null ? null : `${encr.toLowerCase()}`
}

export function fullNumber({ seq, esn_high }: Pick<PacketCase, 'seq' | 'esn_high'>): bigint {
  return (BigInt(esn_high ?? 0) << 32n) | BigInt(seq)
}

const shared = new Map<Simd | undefined, CardBed>()

/** The card that all cases use, one after the other; one for each instruction set. */
function bed(): CardBed {
  const simd = currentSimd()
  if (!shared.has(simd)) shared.set(simd, new CardBed())
  return shared.get(simd)!
}

/** A card with the case's SAs in it, both just before the case's number. */
export class PacketRig {
  readonly bed = bed()
  readonly #tunnel: number
  readonly #inbound: number
  readonly #outbound: number

  constructor(
    packet: PacketCase,
    encapsulation: 'udp' | 'raw',
    selectors: [TrafficSelector[], TrafficSelector[]] = [[], []],
  ) {
    const { driver } = this.bed
    this.#tunnel = driver.setTunnel(tunnelOf({ encapsulation }))
    driver.setTunnelState(this.#tunnel, true)
    const sa = vectorSa(packet, this.#tunnel, selectors)
    this.#inbound = driver.addInbound(sa)
    this.#outbound = driver.addOutbound(sa)
    driver.activateOutbound(this.#outbound)
    this.setTop(fullNumber(packet) - 1n)
    this.bed.setSequence(this.#outbound, 'out', fullNumber(packet) - 1n)
  }

  /** The inbound SA now stands as if `top` had been accepted and nothing else. */
  setTop(top: bigint): void {
    this.bed.setSequence(this.#inbound, 'in', top)
    const record = this.bed.memory.hotIn(this.#inbound % 65536)
    const words = BigInt(this.bed.memory.u32(record + abi.HOT_WORD_MASK)) + 1n
    const word = record + abi.HOT_BITMAP + Number((top >> 6n) % words) * 8
    this.bed.memory.setU64(word, top > 0n ? 1n << (top & 63n) : 0n)
  }

  top(): bigint {
    return this.bed.driver.saCounters(this.#inbound).sequence
  }

  /** The datagram the card makes of `inner`, with this IV. */
  protect(inner: Uint8Array, iv: Uint8Array): Uint8Array | null {
    if (iv.length > 0) this.bed.setEntropy(iv)
    return this.bed.protect([inner], 'tun0')[0]?.data ?? null
  }

  /** What the card delivers, and under which reason it dropped. */
  open(message: Uint8Array, arrival: Arrival): { packet: Uint8Array | null; drops: string[] } {
    const before = this.bed.drops()
    const [delivered] = this.bed.open([message], arrival)
    const after = this.bed.drops()
    const drops = Object.keys(after).filter((name) => after[name] !== before[name])
    return { packet: delivered?.packet ?? null, drops }
  }

  /** What stands now where the message was placed. */
  inPlace(from: number, bytes: number): Uint8Array {
    const start = this.bed.loopArea()[0] + 1024 + from
    return this.bed.memory.bytes.slice(start, start + bytes)
  }

  remove(): void {
    this.bed.driver.deleteTunnel(this.#tunnel)
    this.bed.take()
  }
}

export function vectorSa(
  packet: PacketCase,
  tunnel: number,
  [source, destination]: [TrafficSelector[], TrafficSelector[]] = [[], []],
): CardSa {
  return saOf(tunnel, {
    spi: Number.parseInt(packet.spi, 16),
    cipher: CIPHERS[packet.encr],
    encryptionKey: hexBytes(packet.encr_key + (packet.salt ?? '')),
    integrity: INTEGRITIES[packet.integ],
    integrityKey: hexBytes(packet.integ_key),
    esn: packet.esn,
    source,
    destination,
  })
}
