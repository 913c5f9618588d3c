// Four named namespaces in a row for the tests against a foreign peer, and everything undone afterwards:
//
//   left LAN 10.1.0.2 -- 10.1.0.1 our gateway 192.0.2.1 ==== 192.0.2.2 the peer 10.2.0.1 -- 10.2.0.2 right LAN
//   fd01::2            fd01::1               2001:db8::1 ==== 2001:db8::2       fd02::1     fd02::2

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'

export type Room = 'lan-left' | 'left' | 'right' | 'lan-right'
export type Network = {
  /** name in /run/netns */
  name(room: Room): string
  /** descriptor of the namespace, closed by remove */
  fd(room: Room): number
  /** runs a command inside and returns its output; throws when it fails */
  run(room: Room, ...command: string[]): string
  /** starts a command inside */
  start(room: Room, ...command: string[]): ChildProcess
  remove(): void
}

const ROOMS: Room[] = ['lan-left', 'left', 'right', 'lan-right']
const WIRES: [Room, string, string[], Room, string, string[]][] = [
  ['lan-left', 'eth0', ['10.1.0.2/24', 'fd01::2/64'], 'left', 'lan', ['10.1.0.1/24', 'fd01::1/64']],
  ['left', 'wan', ['192.0.2.1/24', '2001:db8::1/64'], 'right', 'wan', ['192.0.2.2/24', '2001:db8::2/64']],
  ['lan-right', 'eth0', ['10.2.0.2/24', 'fd02::2/64'], 'right', 'lan', ['10.2.0.1/24', 'fd02::1/64']],
]
const GATEWAYS: Record<string, [string, string]> = {
  'lan-left': ['10.1.0.1', 'fd01::1'],
  left: ['192.0.2.2', '2001:db8::2'],
  right: ['192.0.2.1', '2001:db8::1'],
  'lan-right': ['10.2.0.1', 'fd02::1'],
}

let made = 0

/** Builds the row; a failure half-way removes what was made. */
export function createNetwork(): Network {
  const prefix = `aseiop-${process.pid}-${made++}`
  const fds = new Map<Room, number>()
  const name = (room: Room) => `${prefix}-${room}`
  const network: Network = {
    name,
    fd: (room) => descriptor(fds, room, name(room)),
    run: (room, ...command) => run('ip', 'netns', 'exec', name(room), ...command),
    start: (room, ...command) => spawn('ip', ['netns', 'exec', name(room), ...command]),
    remove: () => {
      for (const fd of fds.values()) closeSync(fd)
      for (const room of ROOMS)
        if (existsSync(`/run/netns/${name(room)}`)) run('ip', 'netns', 'delete', name(room))
    },
  }
  try {
    build(network)
  } catch (error) {
    network.remove()
    throw error
  }
  return network
}

/** Runs a program and returns its standard output; throws with its error output when it fails. */
export function run(command: string, ...parameters: string[]): string {
  const result = spawnSync(command, parameters, { encoding: 'utf8' })
  if (result.status === 0) return result.stdout
  const why = result.error?.message ?? `${result.stderr}${result.stdout}`
  throw new Error(`${command} ${parameters.join(' ')}: status ${result.status} ${why}`)
}

function build(network: Network): void {
  for (const room of ROOMS) run('ip', 'netns', 'add', network.name(room))
  for (const [a, deviceA, , b, deviceB] of WIRES)
    run(
      ...(['ip', '-n', network.name(a), 'link', 'add', deviceA, 'type', 'veth'] as const),
      ...['peer', 'name', deviceB, 'netns', network.name(b)],
    )
  for (const [a, deviceA, addressesA, b, deviceB, addressesB] of WIRES) {
    raise(network, a, deviceA, addressesA)
    raise(network, b, deviceB, addressesB)
  }
  for (const room of ROOMS) {
    network.run(room, 'ip', 'link', 'set', 'lo', 'up')
    network.run(room, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
    const [four, six] = GATEWAYS[room]!
    network.run(room, 'ip', 'route', 'add', 'default', 'via', four)
    network.run(room, 'ip', '-6', 'route', 'add', 'default', 'via', six)
  }
}

function raise(network: Network, room: Room, device: string, addresses: string[]): void {
  for (const address of addresses) {
    const nodad = address.includes(':') ? ['nodad'] : []
    network.run(room, 'ip', 'address', 'add', address, 'dev', device, ...nodad)
  }
  network.run(room, 'ip', 'link', 'set', device, 'up')
}

function descriptor(fds: Map<Room, number>, room: Room, name: string): number {
  const known = fds.get(room)
  if (known !== undefined) return known
  const fd = openSync(`/run/netns/${name}`, 'r')
  fds.set(room, fd)
  return fd
}
