// What a network of namespaces is made of: veth pairs, addresses, routes (rtnetlink(7), one request, one answer).
//
// Each call opens a socket in the namespace it works on and waits for the kernel's acknowledgement, so it
// either happened or throws. Lengths and types of netlink are host order, addresses network order.

import { isIPv6 } from 'node:net'
import koffi from 'koffi'
import { Arena } from './arena.ts'
import { AF_INET, AF_INET6, AF_NETLINK, O_CLOEXEC, SOCK_RAW } from './constants.ts'
import { must, SystemError } from './failure.ts'
import { inNamespace, type NamespaceFd } from './namespace.ts'
import { addressBytes } from './sockaddr.ts'
import { close, errno, read, socket, write } from './syscalls.ts'

const AF_UNSPEC = 0
const NLMSG_ERROR = 2
const RTM_NEWLINK = 16
const RTM_NEWADDR = 20
const RTM_NEWROUTE = 24
const REQUEST_ACK = 0x1 | 0x4
const CREATE_EXCL = 0x400 | 0x200
const IFF_UP = 1
const IFLA_IFNAME = 3
const IFLA_LINKINFO = 18
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_NET_NS_FD = 28
const VETH_INFO_PEER = 1
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_F_NODAD = 2
const RTA_DST = 1
const RTA_GATEWAY = 5
const RT_TABLE_MAIN = 254
const RTPROT_STATIC = 4
const RTN_UNICAST = 1
const ARENA_BYTES = 4096

const libc = koffi.load(null)
const indexOf = libc.func('unsigned int if_nametoindex(const char *name)')

/** One end of a wire. */
export type LinkEnd = { namespace: NamespaceFd; name: string }

/** Joins two namespaces by a veth pair; both ends are still down. */
export function createVeth(left: LinkEnd, right: LinkEnd): void {
  const peer = Buffer.concat([
    ifinfo(0, 0, 0),
    text(IFLA_IFNAME, right.name),
    u32(IFLA_NET_NS_FD, right.namespace),
  ])
  const info = Buffer.concat([
    text(IFLA_INFO_KIND, 'veth'),
    attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer)),
  ])
  const body = Buffer.concat([ifinfo(0, 0, 0), text(IFLA_IFNAME, left.name), attribute(IFLA_LINKINFO, info)])
  ask(left.namespace, RTM_NEWLINK, CREATE_EXCL, body, `create veth ${left.name}-${right.name}`)
}

/** Raises a device of the namespace. */
export function raiseLink(namespace: NamespaceFd, name: string): void {
  const index = linkIndex(namespace, name)
  ask(namespace, RTM_NEWLINK, 0, ifinfo(index, IFF_UP, IFF_UP), `set ${name} up`)
}

/** Adds an address as ADDR/LENGTH, usable at once (no duplicate address detection). */
export function addLinkAddress(namespace: NamespaceFd, name: string, prefix: string): void {
  const { family, bytes, length } = parsePrefix(prefix)
  const header = Buffer.alloc(8)
  header.writeUInt8(family, 0)
  header.writeUInt8(length, 1)
  header.writeUInt8(family === AF_INET6 ? IFA_F_NODAD : 0, 2)
  header.writeUInt32LE(linkIndex(namespace, name), 4)
  const body = Buffer.concat([header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)])
  ask(namespace, RTM_NEWADDR, CREATE_EXCL, body, `add ${prefix} to ${name}`)
}

/** Adds a route through a gateway; '0.0.0.0/0' and '::/0' are the defaults. */
export function addGatewayRoute(namespace: NamespaceFd, prefix: string, gateway: string): void {
  const { family, bytes, length } = parsePrefix(prefix)
  const header = Buffer.alloc(12)
  header.set([family, length, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST])
  const destination = length === 0 ? Buffer.alloc(0) : attribute(RTA_DST, bytes)
  const body = Buffer.concat([header, destination, attribute(RTA_GATEWAY, addressBytes(gateway))])
  ask(namespace, RTM_NEWROUTE, CREATE_EXCL, body, `route ${prefix} via ${gateway}`)
}

/** Interface index inside the namespace; throws when there is none of that name. */
export function linkIndex(namespace: NamespaceFd, name: string): number {
  const index = inNamespace(namespace, () => indexOf(name)) as number
  if (index === 0) throw new SystemError(`device ${name}`, errno())
  return index
}

function parsePrefix(prefix: string): { family: number; bytes: Uint8Array; length: number } {
  const [address, length] = prefix.split('/') as [string, string]
  return {
    family: isIPv6(address) ? AF_INET6 : AF_INET,
    bytes: addressBytes(address),
    length: Number(length),
  }
}

function ifinfo(index: number, flags: number, change: number): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt8(AF_UNSPEC, 0)
  header.writeInt32LE(index, 4)
  header.writeUInt32LE(flags, 8)
  header.writeUInt32LE(change, 12)
  return header
}

function attribute(kind: number, value: Uint8Array): Buffer {
  const length = 4 + value.length
  const out = Buffer.alloc((length + 3) & ~3)
  out.writeUInt16LE(length, 0)
  out.writeUInt16LE(kind, 2)
  out.set(value, 4)
  return out
}

const text = (kind: number, value: string) => attribute(kind, Buffer.from(`${value}\0`))

function u32(kind: number, value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return attribute(kind, bytes)
}

function ask(namespace: NamespaceFd, kind: number, flags: number, body: Buffer, what: string): void {
  const arena = new Arena(ARENA_BYTES)
  const length = 16 + body.length
  arena.view.setUint32(0, length, true)
  arena.view.setUint16(4, kind, true)
  arena.view.setUint16(6, REQUEST_ACK | flags, true)
  arena.bytes.set(body, 16)
  const fd = inNamespace(namespace, () => must(socket(AF_NETLINK, SOCK_RAW | O_CLOEXEC, 0), 'netlink socket'))
  try {
    must(write(fd, arena.base, length), what)
    const answer = must(read(fd, arena.base, ARENA_BYTES), what)
    refuseError(arena.view, answer, what)
  } finally {
    close(fd)
  }
}

/** The acknowledgement is NLMSG_ERROR with errno 0; a refusal carries it negated. */
function refuseError(view: DataView, length: number, what: string): void {
  if (length < 20 || view.getUint16(4, true) !== NLMSG_ERROR) throw new Error(`${what}: no acknowledgement`)
  const code = -view.getInt32(16, true)
  if (code !== 0) throw new SystemError(what, code)
}
