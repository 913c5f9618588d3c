// What a network of namespaces is made of: veth pairs, addresses, default routes.
//
// Each call opens a routing socket inside the namespace it works on, so the caller stays where it is.

import { addressBytes, parsePrefix } from '../address.ts'
import { AF_INET, AF_INET6 } from './constants.ts'
import { Links } from './links.ts'
import { inNamespace, type NamespaceFd } from './namespace.ts'
import { Netlink } from './netlink.ts'
import { NetlinkRequest } from './netlink-message.ts'

const RTM_NEWLINK = 16
const RTM_NEWROUTE = 24
const CREATE_EXCL = 0x400 | 0x200
const HEADER_BYTES = 16 // struct nlmsghdr
const LINK_BODY = 16 // struct ifinfomsg
const IFLA_IFNAME = 3
const IFLA_LINKINFO = 18
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_NET_NS_FD = 28
const VETH_INFO_PEER = 1
const RTA_DST = 1
const RTA_GATEWAY = 5
const RT_TABLE_MAIN = 254
const RTPROT_STATIC = 4
const RTN_UNICAST = 1

/** One end of a wire. */
export type LinkEnd = { namespace: NamespaceFd; name: string }

/** Joins two namespaces by a veth pair; both ends are still down. Throws NetlinkError. */
export function createVeth(left: LinkEnd, right: LinkEnd): void {
  const peer = new NetlinkRequest(0, 0, new Uint8Array(LINK_BODY))
    .text(IFLA_IFNAME, right.name)
    .u32(IFLA_NET_NS_FD, right.namespace)
  const request = new NetlinkRequest(RTM_NEWLINK, CREATE_EXCL, new Uint8Array(LINK_BODY))
    .text(IFLA_IFNAME, left.name)
    .nest(IFLA_LINKINFO, (info) =>
      info
        .text(IFLA_INFO_KIND, 'veth')
        .nest(IFLA_INFO_DATA, (data) =>
          data.attribute(VETH_INFO_PEER, peer.finish(0).subarray(HEADER_BYTES)),
        ),
    )
  within(left.namespace, (netlink) => netlink.change(request, `cannot join ${left.name} and ${right.name}`))
}

/** Raises a device of the namespace. Throws NetlinkError. */
export function raiseLink(namespace: NamespaceFd, name: string): void {
  within(namespace, (netlink) => new Links(netlink).setUp(name))
}

/** Adds an address as ADDRESS/LENGTH, usable at once. Throws NetlinkError. */
export function addLinkAddress(namespace: NamespaceFd, name: string, prefix: string): void {
  within(namespace, (netlink) => new Links(netlink).addAddress(name, prefix))
}

/** Adds a route through a gateway; '0.0.0.0/0' and '::/0' are the defaults. Throws NetlinkError. */
export function addGatewayRoute(namespace: NamespaceFd, prefix: string, gateway: string): void {
  const { address, length } = parsePrefix(prefix)
  const family = address.length === 4 ? AF_INET : AF_INET6
  const body = Uint8Array.of(family, length, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST, 0, 0, 0, 0)
  const request = new NetlinkRequest(RTM_NEWROUTE, CREATE_EXCL, body)
  if (length > 0) request.attribute(RTA_DST, address)
  request.attribute(RTA_GATEWAY, addressBytes(gateway))
  within(namespace, (netlink) => netlink.change(request, `cannot route ${prefix} via ${gateway}`))
}

/** Interface index inside the namespace. Throws NetlinkError when there is none of that name. */
export function linkIndex(namespace: NamespaceFd, name: string): number {
  return within(namespace, (netlink) => new Links(netlink).find(name).index)
}

function within<T>(namespace: NamespaceFd, work: (netlink: Netlink) => T): T {
  const netlink = inNamespace(namespace, () => new Netlink())
  try {
    return work(netlink)
  } finally {
    netlink.close()
  }
}
