// Manual keys for two gateways: what tests of the packet's way install through the Card port.

import type {
  Card,
  CardSa,
  CardTunnel,
  Encapsulation,
  SaRef,
  TrafficSelector,
  TunnelRef,
} from '../control/ports.ts'

export type Ends = { local: string; remote: string }
export type TunnelOptions = {
  name: string
  device: string
  asp: number
  encapsulation: Encapsulation
  ends: Ends
  /** SPI of packets that arrive here, and of those that leave */
  spis: { in: number; out: number }
  /** one byte that makes the keys of a direction: the same number at both ends for the same direction */
  keys?: { in: number; out: number }
  natTPort?: number
  /** ESP unless named */
  protocol?: 'esp' | 'ah'
  dfBit?: CardTunnel['dfBit']
}

/** Both directions up; returns the card's references. */
export function installManual(
  card: Card,
  options: TunnelOptions,
): { tunnel: TunnelRef; inbound: SaRef; outbound: SaRef } {
  const tunnel = card.setTunnel(cardTunnel(options))
  const keys = options.keys ?? { in: options.spis.in & 255, out: options.spis.out & 255 }
  const sa = options.protocol === 'ah' ? ahSa : manualSa
  const inbound = card.addInbound(sa(tunnel, options.spis.in, keys.in))
  const outbound = card.addOutbound(sa(tunnel, options.spis.out, keys.out))
  card.activateOutbound(outbound)
  card.setTunnelState(tunnel, true)
  return { tunnel, inbound, outbound }
}

export function cardTunnel({
  name,
  device,
  asp,
  encapsulation,
  ends,
  natTPort,
  dfBit,
}: TunnelOptions): CardTunnel {
  return {
    name,
    device,
    asp,
    encapsulation,
    mode: device === 'ase0' ? 'economical' : 'circuit',
    local: ends.local,
    remote: { address: ends.remote, port: encapsulation === 'udp' ? (natTPort ?? 4500) : 0 },
    mtu: 1400,
    dfBit: dfBit ?? 'copy',
    dscp: 'copy',
    ecn: 'normal',
  }
}

export function manualSa(tunnel: TunnelRef, spi: number, key: number): CardSa {
  return {
    tunnel,
    spi,
    protocol: 'esp',
    cipher: 'aes-128',
    encryptionKey: new Uint8Array(16).fill(key),
    integrity: 'sha1',
    integrityKey: new Uint8Array(20).fill(key ^ 0x55),
    esn: false,
    replayWindow: 64,
    source: [any(4), any(6)],
    destination: [any(4), any(6)],
    hardSeconds: 0,
    hardBytes: 0,
    hardPackets: 0,
    softBytes: 0,
    softPackets: 0,
  }
}

export function ahSa(tunnel: TunnelRef, spi: number, key: number): CardSa {
  return {
    ...manualSa(tunnel, spi, key),
    protocol: 'ah',
    cipher: 'null',
    encryptionKey: new Uint8Array(),
  }
}

function any(family: 4 | 6): TrafficSelector {
  const bytes = family === 4 ? 4 : 16
  return {
    family,
    protocol: 0,
    startPort: 0,
    endPort: 65535,
    start: new Uint8Array(bytes),
    end: new Uint8Array(bytes).fill(255),
  }
}
