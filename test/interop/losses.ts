// Who lost a ping: captures at eight places on its way there and back decide it.
//
//   left LAN -> [entered] our gateway [sent] -> wire -> [arrived] the peer [left] -> right LAN, and back the same way.
//
// On the LAN devices an echo message is known by identifier and number; on the wire every ESP datagram by SPI and
// sequence number. A gateway puts one ESP datagram on the wire for each packet that entered, so what is missing
// behind it is what it lost. What our gateway loses fails a test; what the peer, which is not ours to repair, or a
// queue of the machine between the two loses is told, and bounded.

import assert from 'node:assert/strict'
import { type Capture, type Frame, openCapture } from '../../bindings/linux/capture.ts'
import { linkIndex } from '../../bindings/linux/namespace-links.ts'
import { espDatagrams } from '../../control/cli/lab-wire.ts'
import type { Network } from './network.ts'

const ETHERNET = 14
const TYPE_IPV4 = 0x0800
const ICMP = 1
const UDP = 17
const ESP = 50
const NAT_T_PORT = 4500
const [ECHO_REPLY, ECHO_REQUEST] = [0, 8]
const LAN_LEFT = [10, 1]
const LAN_RIGHT = [10, 2]
const SNAP = 2048

/** What passed one gateway in one direction: packets on its LAN device, datagrams on its WAN device. */
type Passed = { lan: Set<string>; wan: Set<string> }
type Ways = Record<'ourOut' | 'peerIn' | 'peerOut' | 'ourIn', Passed>

export type Losses = {
  /** packets that reached our gateway from its LAN, and packets that it gave to its LAN */
  seen: { out: number; in: number }
  /** by our gateway, on the way out and on the way in */
  ours: { out: number; in: number }
  peers: { out: number; in: number }
  /** ESP datagrams that one gateway sent and the other did not get */
  wires: number
  /** frames the captures themselves have lost: no verdict unless 0 */
  unseen: number
  /** where one echo request with this number, or the reply to it, was seen last */
  lastSeen(sequence: number): string
}

export type LossWatch = { finish(): Losses }

/** Watches both gateways of the network until finish. */
export function watchLosses(network: Network): LossWatch {
  const ways: Ways = { ourOut: passed(), peerIn: passed(), peerOut: passed(), ourIn: passed() }
  const captures = [
    watchGateway(network, 'left', LAN_RIGHT, ways.ourOut, ways.ourIn),
    watchGateway(network, 'right', LAN_LEFT, ways.peerOut, ways.peerIn),
  ]
  return {
    finish: () => {
      for (const capture of captures) capture.drain()
      const unseen = captures.reduce((sum, capture) => sum + capture.dropped(), 0)
      for (const capture of captures) capture.close()
      return judge(ways, unseen)
    },
  }
}

const passed = (): Passed => ({ lan: new Set(), wan: new Set() })

/** `far`: the LAN behind the other gateway. */
function watchGateway(
  network: Network,
  room: 'left' | 'right',
  far: number[],
  out: Passed,
  into: Passed,
): Capture {
  const namespace = network.fd(room)
  const [lan, wan] = [linkIndex(namespace, 'lan'), linkIndex(namespace, 'wan')]
  const look = ({ device, outgoing, bytes }: Frame) => {
    if (device === wan) for (const key of espOf(bytes)) (outgoing ? out : into).wan.add(key)
    if (device !== lan) return
    const echo = echoOf(bytes)
    if (echo === null) return
    if (!outgoing && startsWith(echo.destination, far)) out.lan.add(echo.key)
    if (outgoing && startsWith(echo.source, far)) into.lan.add(echo.key)
  }
  return openCapture(namespace, look, SNAP)
}

function judge(ways: Ways, unseen: number): Losses {
  const missing = (entered: Set<string>, left: Set<string>) => Math.max(0, entered.size - left.size)
  return {
    seen: { out: ways.ourOut.lan.size, in: ways.ourIn.lan.size },
    ours: {
      out: missing(ways.ourOut.lan, ways.ourOut.wan),
      in: missing(ways.ourIn.wan, ways.ourIn.lan),
    },
    peers: {
      out: missing(ways.peerOut.lan, ways.peerOut.wan),
      in: missing(ways.peerIn.wan, ways.peerIn.lan),
    },
    wires:
      [...ways.ourOut.wan].filter((key) => !ways.peerIn.wan.has(key)).length +
      [...ways.peerOut.wan].filter((key) => !ways.ourIn.wan.has(key)).length,
    unseen,
    lastSeen: (sequence) => lastSeen(ways, sequence),
  }
}

function lastSeen(ways: Ways, sequence: number): string {
  const has = (packets: Set<string>, type: number) =>
    [...packets].some((key) => key.startsWith(`${type} `) && key.endsWith(` ${sequence}`))
  if (has(ways.ourIn.lan, ECHO_REPLY)) return 'its reply left our gateway'
  if (has(ways.peerOut.lan, ECHO_REPLY)) return 'its reply reached the peer'
  if (has(ways.peerIn.lan, ECHO_REQUEST)) return 'it left the peer'
  return has(ways.ourOut.lan, ECHO_REQUEST) ? 'it reached our gateway' : 'it never reached our gateway'
}

/** Asserts that our gateway has lost nothing and the rest at most `bound`; `where` adds what else is known. */
export function assertNotOurs(losses: Losses, bound: number, where: string): void {
  const { ours, peers, wires, unseen } = losses
  const counts = `we lost ${ours.out} out and ${ours.in} in, the peer ${peers.out} out and ${peers.in} in, the wire ${wires}`
  assert.ok(losses.seen.out > 0 && losses.seen.in > 0, `the captures saw no traffic: ${where}`)
  assert.equal(unseen, 0, `the captures lost ${unseen} frames: no verdict (${counts}) ${where}`)
  assert.equal(ours.out + ours.in, 0, `${counts}; ${where}`)
  assert.ok(peers.out + peers.in + wires <= bound, `more than ${bound} lost elsewhere: ${counts}; ${where}`)
}

type Echo = { key: string; source: Uint8Array; destination: Uint8Array }

/** An IPv4 echo message of the frame; key: type, identifier, number. */
function echoOf(frame: Uint8Array): Echo | null {
  const packet = ipv4Of(frame)
  if (packet === null || packet[9] !== ICMP) return null
  const icmp = packet.subarray((packet[0]! & 15) * 4)
  if (icmp.length < 8 || (icmp[0] !== ECHO_REPLY && icmp[0] !== ECHO_REQUEST)) return null
  const key = `${icmp[0]} ${(icmp[4]! << 8) | icmp[5]!} ${(icmp[6]! << 8) | icmp[7]!}`
  return { key, source: packet.subarray(12, 16), destination: packet.subarray(16, 20) }
}

/** SPI and number of every ESP datagram of the frame: the kernel shows a train of datagrams as one frame. */
function espOf(frame: Uint8Array): string[] {
  const packet = ipv4Of(frame)
  if (packet === null) return []
  const header = (packet[0]! & 15) * 4
  if (packet[9] === ESP) return datagramsOf(packet.subarray(header), lengthOf(packet) - header)
  if (packet[9] !== UDP || packet.length < header + 16) return []
  const udp = new DataView(packet.buffer, packet.byteOffset + header)
  const ports = [udp.getUint16(0), udp.getUint16(2)]
  if (!ports.includes(NAT_T_PORT) || udp.getUint32(8) === 0) return [] // four zero bytes: IKE (RFC 3948 §2.2)
  return datagramsOf(packet.subarray(header + 8), lengthOf(packet) - header - 8)
}

function datagramsOf(esp: Uint8Array, length: number): string[] {
  if (esp.length < 8) return []
  const view = new DataView(esp.buffer, esp.byteOffset, esp.length)
  const [spi, number] = [view.getUint32(0), view.getUint32(4)]
  return Array.from({ length: espDatagrams(esp, length) }, (_, index) => `${spi} ${number + index}`)
}

function ipv4Of(frame: Uint8Array): Uint8Array | null {
  if (frame.length < ETHERNET + 20 || ((frame[12]! << 8) | frame[13]!) !== TYPE_IPV4) return null
  return frame.subarray(ETHERNET)
}

const lengthOf = (packet: Uint8Array) => (packet[2]! << 8) | packet[3]!

const startsWith = (address: Uint8Array, prefix: number[]) =>
  prefix.every((byte, index) => address[index] === byte)
