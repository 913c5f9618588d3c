// How large an inner packet may be so that its datagram fits the path (RFC 4303 §2, RFC 3948 §2.1, RFC 4302 §2).

import type { Config, TunnelConfig } from '../config/model.ts'
import type { Encapsulation, EspCipher, Integrity } from '../ports.ts'

/** Path MTU assumed until one is learned, bytes. */
export const PATH_MTU = 1500

// IV bytes on the wire and the block that padding completes, per cipher.
const CIPHER: Record<EspCipher, { iv: number; block: number; icv: number }> = {
  des: { iv: 8, block: 8, icv: 0 },
  '3des': { iv: 8, block: 8, icv: 0 },
  'aes-128': { iv: 16, block: 16, icv: 0 },
  'aes-192': { iv: 16, block: 16, icv: 0 },
  'aes-256': { iv: 16, block: 16, icv: 0 },
  'aes-gcm-128': { iv: 8, block: 4, icv: 16 },
  'aes-gcm-256': { iv: 8, block: 4, icv: 16 },
  'chacha20-poly1305': { iv: 8, block: 4, icv: 16 },
  null: { iv: 0, block: 4, icv: 0 },
}
// Truncated ICV bytes: RFC 2403, 2404, 4868.
const ICV: Record<Integrity, number> = { none: 0, md5: 12, sha1: 12, sha256: 16, sha384: 24, sha512: 32 }

export type MtuInput = {
  /** of ESP; null: no ESP */
  cipher: EspCipher | null
  integrity: Integrity | null
  encapsulation: Encapsulation
  outerFamily: 4 | 6
  path?: number
  /** of AH around the packet, or around ESP */
  ah?: Integrity
}

/** Largest inner packet, bytes, that leaves as one datagram on the path. */
export function innerMtu(input: MtuInput): number {
  const outer = (input.outerFamily === 4 ? 20 : 40) + (input.encapsulation === 'udp' ? 8 : 0)
  const ah = input.ah === undefined ? 0 : ahBytes(input.ah, input.outerFamily)
  if (input.cipher === null) return (input.path ?? PATH_MTU) - outer - ah
  const { iv, block, icv } = CIPHER[input.cipher]
  const room = (input.path ?? PATH_MTU) - outer - ah - 8 - iv - icv - ICV[input.integrity ?? 'none']
  return Math.floor(room / block) * block - 2 // pad length and next header, RFC 4303 §2.4-2.6
}

/** The header of AH is padded to a multiple of 8 bytes in IPv6 (RFC 4302 §2.2). */
function ahBytes(integrity: Integrity, outerFamily: 4 | 6): number {
  const bytes = 12 + ICV[integrity]
  return outerFamily === 4 ? bytes : Math.ceil(bytes / 8) * 8
}

/** Names of the tunnels that IPv6 routes or addresses of their interface need. */
export function ipv6Carriers(config: Config): ReadonlySet<string> {
  const hops = new Set<string>()
  const hop = (kind: string, name: string, context: string) =>
    kind === 'tunnel' ? `tunnel ${name}` : `interface ${name} ${context}`
  for (const { name, interfaces, routes } of config.contexts.values()) {
    for (const { prefix, nextHop } of routes)
      if (prefix.includes(':') && nextHop.kind !== 'null0') hops.add(hop(nextHop.kind, nextHop.name, name))
    for (const one of interfaces.values())
      if (one.addresses.some((address) => address.includes(':'))) hops.add(hop('interface', one.name, name))
  }
  const carries = ({ name, bind }: TunnelConfig) =>
    hops.has(hop('tunnel', name, '')) ||
    (bind !== undefined && hops.has(hop('interface', bind.interface, bind.context)))
  return new Set([...config.tunnels.values()].filter(carries).map(({ name }) => name))
}

/** What every path must carry at least, per inner family: IPv4 hosts (RFC 791 §3.2), IPv6 links (RFC 8200 §5). */
const LEAST = { 4: 576, 6: 1280 }

/**
 * The MTU of a tunnel: the smaller of the configured ceiling and what fits, but what the inner families must get.
 * `fragments`: that does not fit the path, so the outer packets may not carry DF (RFC 4301 §8.1).
 */
export function fitTunnel(
  ceiling: number,
  inputs: MtuInput[],
  carriesIpv6: boolean,
): { mtu: number; fragments: boolean } {
  const fits = effectiveMtu(ceiling, inputs)
  const mtu = Math.min(ceiling, Math.max(fits, LEAST[carriesIpv6 ? 6 : 4]))
  return { mtu, fragments: mtu > fits }
}

/** The MTU of a device or tunnel: the smaller of the configured ceiling and what fits. */
export function effectiveMtu(ceiling: number, inputs: MtuInput[]): number {
  return Math.min(ceiling, ...inputs.map(innerMtu))
}
