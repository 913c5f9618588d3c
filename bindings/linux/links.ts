// Network devices over rtnetlink: index, flags, MTU, operational state, addresses.

import { parsePrefix } from '../address.ts'
import { IFNAMSIZ } from './constants.ts'
import type { Netlink } from './netlink.ts'
import { attributes, attributeU32, NetlinkRequest } from './netlink-message.ts'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_NEWADDR = 20
const RTM_DELADDR = 21
const NLM_F_EXCL = 0x200
const NLM_F_CREATE = 0x400

const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_TXQLEN = 13
const IFLA_OPERSTATE = 16
const IFLA_LINKMODE = 17
const IFLA_AF_SPEC = 26
const IFLA_INET6_ADDR_GEN_MODE = 8
const GEN_MODE_NONE = 1

const IFF_UP = 1
const IFF_MULTICAST = 0x1000
const LINK_MODE_DORMANT = 1
const OPER_DORMANT = 5
const OPER_UP = 6

const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_F_NODAD = 2
const AF_INET = 2
const AF_INET6 = 10
const QUEUE_LENGTH = 1000

export type Link = { index: number; up: boolean; multicast: boolean; mtu: number; operational: number }

export class Links {
  readonly #netlink: Netlink

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  /** Throws NetlinkError when there is no such device. */
  find(device: string): Link {
    const request = new NetlinkRequest(RTM_GETLINK, 0, linkBody(0, 0, 0)).text(IFLA_IFNAME, name(device))
    const [message] = this.#netlink.get(request, `device ${device}`)
    if (message === undefined) throw new Error(`device ${device}: the kernel did not describe it`)
    const found = attributes(message.body, 16)
    const flags = message.body.getUint32(8, true)
    return {
      index: message.body.getInt32(4, true),
      up: (flags & IFF_UP) !== 0,
      multicast: (flags & IFF_MULTICAST) !== 0,
      mtu: attributeU32(found, IFLA_MTU) ?? 0,
      operational: found.get(IFLA_OPERSTATE)?.[0] ?? 0,
    }
  }

  /**
   * MTU, multicast and the dormant link mode, still down. IPv6 makes no link-local address and no router
   * solicitation of its own: those packets would enter the tunnel unasked.
   */
  configure(device: string, options: { mtu: number; multicast: boolean }): void {
    const what = `cannot configure device ${device}`
    const { index } = this.find(device)
    const flags = options.multicast ? IFF_MULTICAST : 0
    const request = new NetlinkRequest(RTM_NEWLINK, 0, linkBody(index, flags, IFF_MULTICAST))
      .u32(IFLA_MTU, options.mtu)
      .u32(IFLA_TXQLEN, QUEUE_LENGTH)
      .u8(IFLA_LINKMODE, LINK_MODE_DORMANT)
    this.#netlink.change(request, what)
    this.#silenceIpv6(index)
  }

  #silenceIpv6(index: number): void {
    const request = new NetlinkRequest(RTM_NEWLINK, 0, linkBody(index, 0, 0)).nest(IFLA_AF_SPEC, (inner) =>
      inner.nest(AF_INET6, (spec) => spec.u8(IFLA_INET6_ADDR_GEN_MODE, GEN_MODE_NONE)),
    )
    try {
      this.#netlink.change(request, 'addr_gen_mode')
    } catch {
      // a kernel without IPv6, or with it disabled on new devices, has nothing to silence
    }
  }

  setMtu(device: string, mtu: number): void {
    const request = new NetlinkRequest(RTM_NEWLINK, 0, linkBody(this.find(device).index, 0, 0))
    this.#netlink.change(request.u32(IFLA_MTU, mtu), `cannot set the MTU of ${device} to ${mtu}`)
  }

  setUp(device: string): void {
    const body = linkBody(this.find(device).index, IFF_UP, IFF_UP)
    this.#netlink.change(new NetlinkRequest(RTM_NEWLINK, 0, body), `cannot set ${device} up`)
  }

  /** RFC 2863 ifOperStatus up or dormant; a routing daemon sees it as running or not. */
  setOperational(device: string, up: boolean): void {
    const request = new NetlinkRequest(RTM_NEWLINK, 0, linkBody(this.find(device).index, 0, 0))
      .u8(IFLA_LINKMODE, up ? 0 : LINK_MODE_DORMANT)
      .u8(IFLA_OPERSTATE, up ? OPER_UP : OPER_DORMANT)
    this.#netlink.change(request, `cannot set the operational state of ${device}`)
  }

  remove(device: string): void {
    const body = linkBody(this.find(device).index, 0, 0)
    this.#netlink.change(new NetlinkRequest(RTM_DELLINK, 0, body), `cannot remove device ${device}`)
  }

  /** prefix is ADDRESS/LENGTH. Throws NetlinkError (EEXIST when the device has it). */
  addAddress(device: string, prefix: string): void {
    this.#address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, device, prefix, 'cannot add')
  }

  removeAddress(device: string, prefix: string): void {
    this.#address(RTM_DELADDR, 0, device, prefix, 'cannot remove')
  }

  /** No duplicate address detection: a point-to-point tunnel has no neighbour to ask, and it would delay the address. */
  #address(type: number, flags: number, device: string, prefix: string, verb: string): void {
    const { address, length } = parsePrefix(prefix)
    const body = new Uint8Array(8)
    body[0] = address.length === 4 ? AF_INET : AF_INET6
    body[1] = length
    body[2] = IFA_F_NODAD
    new DataView(body.buffer).setUint32(4, this.find(device).index, true)
    const request = new NetlinkRequest(type, flags, body)
      .attribute(IFA_LOCAL, address)
      .attribute(IFA_ADDRESS, address)
    this.#netlink.change(request, `${verb} address ${prefix} on ${device}`)
  }
}

function linkBody(index: number, flags: number, change: number): Uint8Array {
  const body = new Uint8Array(16)
  const view = new DataView(body.buffer)
  view.setInt32(4, index, true)
  view.setUint32(8, flags, true)
  view.setUint32(12, change, true)
  return body
}

function name(device: string): string {
  if (new TextEncoder().encode(device).length >= IFNAMSIZ)
    throw new Error(`'${device}' is no device name: at most ${IFNAMSIZ - 1} bytes`)
  return device
}
