// Host settings that the gateway needs and does not change: what differs, as sentences for the operator.

import { readdirSync, readFileSync } from 'node:fs'

const BASE = '/proc/sys/net'
const STRICT = 1

/** One sentence for each setting under which packets would be lost; each ends with the command that changes it. */
export function hostFindings(): string[] {
  return [...forwarding(), ...reversePath()]
}

function forwarding(): string[] {
  const findings: string[] = []
  if (value('ipv4/ip_forward') === 0)
    findings.push(
      'net.ipv4.ip_forward is 0: the kernel forwards no IPv4 packets between the networks and the tunnels; sysctl -w net.ipv4.ip_forward=1',
    )
  if (value('ipv6/conf/all/forwarding') === 0)
    findings.push(
      'net.ipv6.conf.all.forwarding is 0: the kernel forwards no IPv6 packets between the networks and the tunnels; sysctl -w net.ipv6.conf.all.forwarding=1',
    )
  return findings
}

/** The effective value of a device is the larger of its own and that of 'all' (RFC 3704 §2.2 strict = 1). */
function reversePath(): string[] {
  const everywhere = value('ipv4/conf/all/rp_filter')
  if (everywhere === STRICT)
    return [
      'net.ipv4.conf.all.rp_filter is 1 (strict): packets out of a tunnel are lost when the route back is another one; sysctl -w net.ipv4.conf.all.rp_filter=2',
    ]
  if (everywhere === 2) return []
  return devices()
    .filter((device) => value(`ipv4/conf/${device}/rp_filter`) === STRICT)
    .map(
      (device) =>
        `net.ipv4.conf.${device}.rp_filter is 1 (strict): packets are lost there when the route back is another one; sysctl -w net.ipv4.conf.${device}.rp_filter=2`,
    )
}

function devices(): string[] {
  try {
    return readdirSync(`${BASE}/ipv4/conf`).filter((name) => name !== 'all')
  } catch {
    return [] // no /proc: nothing can be said, and nothing is claimed
  }
}

function value(path: string): number | null {
  try {
    return Number(readFileSync(`${BASE}/${path}`, 'utf8').trim())
  } catch {
    return null
  }
}
