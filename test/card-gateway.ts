// Gateways for card tests: a bed with one tunnel and its SA pair, lanes of any suite, selectors.

import { randomBytes } from 'node:crypto'
import { refuseSuite } from '../bindings/card-sa.ts'
import type {
  CardSa,
  CardTunnel,
  EspCipher,
  Integrity,
  SaRef,
  TrafficSelector,
  TunnelRef,
} from '../control/ports.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { CIPHERS, INTEGRITIES } from './oracle/esp.ts'
import { ipv6Bytes } from './packets.ts'

/** One tunnel on tun0 that is up, with one SA pair under fresh keys; what was told so far is taken. */
export function gateway(sa: Partial<CardSa> = {}, tunnel: Partial<CardTunnel> = {}) {
  const bed = new CardBed()
  const ref = bed.driver.setTunnel(tunnelOf(tunnel))
  bed.driver.setTunnelState(ref, true)
  const spec = saOf(ref, { encryptionKey: randomBytes(16), integrityKey: randomBytes(20), ...sa })
  const inbound = bed.driver.addInbound(spec)
  const outbound = bed.driver.addOutbound(spec)
  bed.driver.activateOutbound(outbound)
  bed.take()
  return { bed, ref, spec, inbound, outbound }
}

type Suite = Pick<CardSa, 'cipher' | 'integrity'>

/** AES and NULL with the two hashes of the default proposals: what most tests use; even ones sha1, 6 and 7 NULL. */
const usual: Suite[] = (['aes-128', 'aes-192', 'aes-256', 'null'] as const).flatMap((cipher) =>
  (['sha1', 'sha256'] as const).map((integrity) => ({ cipher, integrity })),
)

/** Every suite the card is built for: AEADs alone, the rest with each hash and, when they encrypt, without any. */
export const builtSuites: Suite[] = (Object.keys(CIPHERS) as EspCipher[])
  .flatMap((cipher) => (Object.keys(INTEGRITIES) as Integrity[]).map((integrity) => ({ cipher, integrity })))
  .filter(({ cipher, integrity }) => !CIPHERS[cipher].aead || integrity === 'none')
  .filter((suite) => refuseSuite({ ...suite, protocol: 'esp' }) === null)

export type Lane = { tunnel: TunnelRef; sa: CardSa; out: SaRef; in: SaRef; device: string; sent: bigint }

/** A tunnel with a pair of SAs under random keys, of a usual suite by index unless changed; one SA both ways. */
export function addLane(bed: CardBed, index: number, change: Partial<CardSa> = {}): Lane {
  const { cipher, integrity } = { ...usual[index % usual.length], ...change }
  const device = `tun${index}`
  const tunnel = bed.driver.setTunnel(tunnelOf({ name: device, device }))
  bed.driver.setTunnelState(tunnel, true)
  const encryptionKey = randomBytes(CIPHERS[cipher].key)
  const integrityKey = randomBytes(INTEGRITIES[integrity].key)
  const keys = { cipher, integrity, encryptionKey, integrityKey, spi: 0x1000 + index }
  const sa = saOf(tunnel, { ...keys, ...change })
  const lane = {
    tunnel,
    sa,
    device,
    in: bed.driver.addInbound(sa),
    out: bed.driver.addOutbound(sa),
    sent: 0n,
  }
  bed.driver.activateOutbound(lane.out)
  return lane
}

export function selector(from: string, to: string, change: Partial<TrafficSelector> = {}): TrafficSelector {
  const family = from.includes(':') ? 6 : 4
  const bytes = (text: string) =>
    family === 6 ? ipv6Bytes(text) : Uint8Array.from(text.split('.').map(Number))
  const ports = { protocol: 0, startPort: 0, endPort: 65535 }
  return { family, ...ports, start: bytes(from), end: bytes(to), ...change }
}

export const same = (left: Uint8Array, right: Uint8Array) => Buffer.compare(left, right) === 0
