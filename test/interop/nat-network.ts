// A NAT box on the wire between our gateway and the peer, and everything undone afterwards:
//
//   behind left:   our gateway 192.168.7.2 -- 192.168.7.1 NAT 192.0.2.1 ==== 192.0.2.2 the peer
//   behind right:  our gateway 192.0.2.1 ==== 192.0.2.2 NAT 192.168.7.1 -- 192.168.7.2 the peer
//
// It masquerades what comes from inside (nftables), either keeping ports where it can or choosing others out of a
// range, and tells nobody when it forgets (conntrack -F).

import { existsSync } from 'node:fs'
import { type Network, run } from './network.ts'

export const INSIDE_ADDRESS = '192.168.7.2'
/** Ports of a NAT that never keeps them. */
export const MAPPED_PORTS = { first: 20_000, last: 30_000 }

export type Behind = 'left' | 'right'
export type NatBox = {
  /** runs a command on the box and returns its output; throws when it fails */
  run(...command: string[]): string
  /** forgets every mapping: the next packet from inside gets another one */
  forget(): void
  remove(): void
}

export type NatOptions = {
  behind: Behind
  /** every mapping gets a port of MAPPED_PORTS, each time another one */
  remaps: boolean
  /** seconds for which an idle mapping is kept; default: the kernel's */
  timeout?: number
}

/** Puts the box in the place of the wire between the gateways. A failure half-way removes what was made. */
export function insertNat(network: Network, options: NatOptions): NatBox {
  const name = `${network.name(options.behind)}-nat`
  const box: NatBox = {
    run: (...command) => run('ip', 'netns', 'exec', name, ...command),
    forget: () => void run('ip', 'netns', 'exec', name, 'conntrack', '-F'),
    remove: () => {
      if (existsSync(`/run/netns/${name}`)) run('ip', 'netns', 'delete', name)
    },
  }
  try {
    run('ip', 'netns', 'add', name)
    rewire(network, name, options.behind)
    box.run('sysctl', '-qw', 'net.ipv4.ip_forward=1')
    translate(box, options)
  } catch (error) {
    box.remove()
    throw error
  }
  return box
}

function rewire(network: Network, box: string, behind: Behind): void {
  const outside = behind === 'left' ? 'right' : 'left'
  const publicAddress = behind === 'left' ? '192.0.2.1' : '192.0.2.2'
  network.run(behind, 'ip', 'link', 'delete', 'wan')
  for (const [room, device] of [
    [behind, 'inside'],
    [outside, 'outside'],
  ] as const) {
    const words = ['link', 'add', 'wan', 'type', 'veth', 'peer', 'name', device, 'netns', box]
    run('ip', '-n', network.name(room), ...words)
  }
  give(box, 'inside', '192.168.7.1/24')
  give(box, 'outside', `${publicAddress}/24`)
  give(network.name(behind), 'wan', `${INSIDE_ADDRESS}/24`)
  give(network.name(outside), 'wan', `${behind === 'left' ? '192.0.2.2' : '192.0.2.1'}/24`)
  network.run(behind, 'ip', 'route', 'replace', 'default', 'via', '192.168.7.1')
  network.run(outside, 'ip', 'route', 'replace', 'default', 'via', publicAddress)
}

function give(namespace: string, device: string, address: string): void {
  run('ip', '-n', namespace, 'address', 'add', address, 'dev', device)
  run('ip', '-n', namespace, 'link', 'set', device, 'up')
}

/** The tool tells the kernel to track connections once a rule asks for it; times are per namespace. */
function translate(box: NatBox, { remaps, timeout }: NatOptions): void {
  const ports = remaps ? ` to :${MAPPED_PORTS.first}-${MAPPED_PORTS.last} fully-random` : ''
  box.run('nft', 'add table ip nat')
  box.run('nft', 'add chain ip nat out { type nat hook postrouting priority 100 ; }')
  box.run('nft', `add rule ip nat out oifname "outside" meta l4proto udp masquerade${ports}`)
  if (timeout === undefined) return
  for (const kind of ['timeout', 'timeout_stream'])
    box.run('sysctl', '-qw', `net.netfilter.nf_conntrack_udp_${kind}=${timeout}`)
}
