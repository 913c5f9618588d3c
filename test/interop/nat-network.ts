// NAT boxes on the wire between our gateway and the peer, and everything undone afterwards:
//
//   behind left:   our gateway 192.168.7.2 -- 192.168.7.1 NAT 192.0.2.1 ==== 192.0.2.2 the peer
//   behind right:  our gateway 192.0.2.1 ==== 192.0.2.2 NAT 192.168.8.1 -- 192.168.8.2 the peer
//   behind both:   our gateway 192.168.7.2 -- NAT 192.0.2.1 ==== 192.0.2.2 NAT -- 192.168.8.2 the peer
//
// A box masquerades what comes from inside (nftables), either keeping ports where it can or choosing others out of a
// range, and tells nobody when it forgets (conntrack -F). Before the end that is begun to it forwards ports 500 and 4500.

import { existsSync } from 'node:fs'
import { type Network, run } from './network.ts'

/** Our gateway's address behind its NAT. */
export const INSIDE_ADDRESS = '192.168.7.2'
/** Ports of a NAT that never keeps them. */
export const MAPPED_PORTS = { first: 20_000, last: 30_000 }

export type Side = 'left' | 'right'
export type NatBox = {
  /** runs a command on the box and returns its output; throws when it fails */
  run(...command: string[]): string
  /** forgets every mapping: the next packet from inside gets another one */
  forget(): void
  remove(): void
}

export type NatOptions = {
  behind: Side
  /** every mapping gets a port of MAPPED_PORTS, each time another one */
  remaps: boolean
  /** seconds for which an idle mapping is kept; default: the kernel's */
  timeout?: number
}

const INSIDE = { left: '192.168.7', right: '192.168.8' }
const OUTSIDE = { left: '192.0.2.1', right: '192.0.2.2' }
const OTHER = { left: 'right', right: 'left' } as const

/** Puts a box before the end that begins. A failure half-way removes what was made. */
export function insertNat(network: Network, options: NatOptions): NatBox {
  return insert(network, [options.behind], (side) => translate(boxOf(network, side), options))
}

/** A box before each end; the peer's forwards what comes for IKE. Returns what removes them. */
export function insertTwoNats(network: Network): () => void {
  const box = insert(network, ['left', 'right'], (side) => {
    translate(boxOf(network, side), { behind: side, remaps: side === 'left' })
    if (side === 'right') forward(boxOf(network, side))
  })
  return box.remove
}

/** The box of the first side; its remove removes them all. */
function insert(network: Network, sides: Side[], prepare: (side: Side) => void): NatBox {
  const remove = () => {
    for (const name of sides.map((side) => nameOf(network, side)))
      if (existsSync(`/run/netns/${name}`)) run('ip', 'netns', 'delete', name)
  }
  try {
    for (const side of sides) run('ip', 'netns', 'add', nameOf(network, side))
    rewire(network, sides)
    for (const side of sides) {
      boxOf(network, side).run('sysctl', '-qw', 'net.ipv4.ip_forward=1')
      prepare(side)
    }
  } catch (error) {
    remove()
    throw error
  }
  return { ...boxOf(network, sides[0]!), remove }
}

const nameOf = (network: Network, side: Side) => `${network.name(side)}-nat`

function boxOf(network: Network, side: Side): Omit<NatBox, 'remove'> {
  const inside = ['netns', 'exec', nameOf(network, side)]
  return {
    run: (...command) => run('ip', ...inside, ...command),
    forget: () => void run('ip', ...inside, 'conntrack', '-F'),
  }
}

/** The one wire between the gateways becomes one between what is public, and one behind each box. */
function rewire(network: Network, behind: Side[]): void {
  const end = (side: Side): [namespace: string, device: string] =>
    behind.includes(side) ? [nameOf(network, side), 'outside'] : [network.name(side), 'wan']
  network.run('left', 'ip', 'link', 'delete', 'wan')
  join(end('left'), end('right'))
  for (const side of ['left', 'right'] as const) give(end(side), `${OUTSIDE[side]}/24`)
  for (const side of ['left', 'right'] as const) {
    const isBehind = behind.includes(side)
    if (isBehind) {
      const box: [string, string] = [nameOf(network, side), 'inside']
      join([network.name(side), 'wan'], box)
      give(box, `${INSIDE[side]}.1/24`)
      give([network.name(side), 'wan'], `${INSIDE[side]}.2/24`)
    }
    const gateway = isBehind ? `${INSIDE[side]}.1` : OUTSIDE[OTHER[side]]
    network.run(side, 'ip', 'route', 'replace', 'default', 'via', gateway)
  }
}

function join(one: [string, string], other: [string, string]): void {
  const peer = ['type', 'veth', 'peer', 'name', other[1], 'netns', other[0]]
  run('ip', '-n', one[0], 'link', 'add', one[1], ...peer)
}

function give([namespace, device]: [string, string], address: string): void {
  run('ip', '-n', namespace, 'address', 'add', address, 'dev', device)
  run('ip', '-n', namespace, 'link', 'set', device, 'up')
}

/** The tool tells the kernel to track connections once a rule asks for it; times are per namespace. */
function translate(box: Omit<NatBox, 'remove'>, { remaps, timeout }: NatOptions): void {
  const ports = remaps ? ` to :${MAPPED_PORTS.first}-${MAPPED_PORTS.last} fully-random` : ''
  box.run('nft', 'add table ip nat')
  box.run('nft', 'add chain ip nat out { type nat hook postrouting priority 100 ; }')
  box.run('nft', `add rule ip nat out oifname "outside" meta l4proto udp masquerade${ports}`)
  if (timeout === undefined) return
  for (const kind of ['timeout', 'timeout_stream'])
    box.run('sysctl', '-qw', `net.netfilter.nf_conntrack_udp_${kind}=${timeout}`)
}

function forward(box: Omit<NatBox, 'remove'>): void {
  box.run('nft', 'add chain ip nat in { type nat hook prerouting priority -100 ; }')
  box.run('nft', `add rule ip nat in iifname "outside" udp dport { 500, 4500 } dnat to ${INSIDE.right}.2`)
}
