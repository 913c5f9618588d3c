// Kernel routes over rtnetlink: add, delete, dump of a device, and which source address a route gives.
//
// Our routes carry a routing protocol number of their own, so they can be told from everyone else's.

import type { Address, LearnedRoute, Route } from '../../control/ports.ts'
import { addressBytes, addressText, parsePrefix } from '../address.ts'
import { AF_INET, AF_INET6, EEXIST } from './constants.ts'
import type { Links } from './links.ts'
import { type Netlink, NetlinkError } from './netlink.ts'
import { attributes, attributeU32, type NetlinkMessage, NetlinkRequest } from './netlink-message.ts'

const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25
const RTM_GETROUTE = 26
const NLM_F_REPLACE = 0x100
const NLM_F_EXCL = 0x200
const NLM_F_CREATE = 0x400

const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6
const RTA_PREFSRC = 7
const RTA_MULTIPATH = 9
const RTA_TABLE = 15

const TABLE_MAIN = 254
const SCOPE_UNIVERSE = 0
const SCOPE_LINK = 253
const TYPE_UNICAST = 1
const TYPE_BLACKHOLE = 6
const RTM_F_CLONED = 0x200
/** rtm_protocol of every route made here (ours by choice; daemons use lower or assigned numbers) */
export const ROUTE_PROTOCOL = 165

/** ours, and RTPROT_KERNEL: routes that come with an address of the device */
const OWN_PROTOCOLS: ReadonlySet<number> = new Set([ROUTE_PROTOCOL, 2])

/** struct rtmsg */
const FAMILY = 0
const DESTINATION_LENGTH = 1
const TABLE = 4
const PROTOCOL = 5
const SCOPE = 6
const TYPE = 7
const BODY_SIZE = 12

export class RouteTable {
  readonly #netlink: Netlink
  readonly #links: Links

  constructor(netlink: Netlink, links: Links) {
    this.#netlink = netlink
    this.#links = links
  }

  /** Replaces a route of our own with the same prefix and metric; refuses to touch anybody else's. */
  add(route: Route): void {
    const what = `cannot add route ${describe(route)}`
    try {
      this.#netlink.change(this.#request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route), what)
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.code !== EEXIST) throw error
      this.#replaceOwn(route, what)
    }
  }

  #replaceOwn(route: Route, what: string): void {
    const same = this.#dump(null).find(
      (one) => one.route.prefix === canonicalPrefix(route.prefix) && one.route.metric === shownMetric(route),
    )
    if (same !== undefined && same.protocol !== ROUTE_PROTOCOL)
      throw new Error(
        `${what}: another program has a route with this prefix and metric (routing protocol ${same.protocol}); remove it or choose another distance`,
      )
    this.#netlink.change(this.#request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route), what)
  }

  delete(route: Route): void {
    this.#netlink.change(this.#request(RTM_DELROUTE, 0, route), `cannot delete route ${describe(route)}`)
  }

  /** Unicast routes of the main table over the device, from whatever program; prefixes are canonical. */
  list(device: string): Route[] {
    const { index } = this.#links.find(device)
    return this.#dump(index)
      .filter((one) => one.type === TYPE_UNICAST)
      .map((one) => ({ ...one.route, device }))
  }

  /** Unicast routes of the main table over the device that another program made; the kernel's own are none. */
  learned(device: string): LearnedRoute[] {
    const { index } = this.#links.find(device)
    return this.#dump(index)
      .filter(({ type, protocol }) => type === TYPE_UNICAST && !OWN_PROTOCOLS.has(protocol))
      .map(({ route: { prefix, metric }, gateway }) => ({ prefix, metric, gateway }))
  }

  /** Blackholes of the main table that this program made, in whatever life of it; prefixes are canonical. */
  guards(): Route[] {
    return this.#dump(null)
      .filter((one) => one.type === TYPE_BLACKHOLE && one.protocol === ROUTE_PROTOCOL)
      .map((one) => one.route)
  }

  /** Those of the routes that are not in the main table, as they were given. */
  missing(routes: Route[]): Route[] {
    const own = this.#dump(null).filter(({ protocol }) => protocol === ROUTE_PROTOCOL)
    const standing = new Set(own.map(({ route, index }) => routeIdentity(route, index)))
    return routes.filter((route) => {
      const wanted = { ...route, prefix: canonicalPrefix(route.prefix), metric: shownMetric(route) }
      return !standing.has(routeIdentity(wanted, this.#indexOf(route)))
    })
  }

  /** null: no device is named, or there is none of that name. */
  #indexOf({ device, blackhole }: Route): number | null {
    if (device === null || blackhole) return null
    try {
      return this.#links.find(device).index
    } catch (error) {
      if (error instanceof NetlinkError) return null
      throw error
    }
  }

  /** Source address the kernel would use towards remote; null when it has no route or no address. */
  sourceFor(remote: Address): Address | null {
    const source = this.#routeTo(remote)?.get(RTA_PREFSRC)
    return source === undefined ? null : addressText(source)
  }

  /** Index of the device over which the kernel would send to remote; null when it has no route. */
  interfaceFor(remote: Address): number | null {
    const found = this.#routeTo(remote)
    return found === null ? null : attributeU32(found, RTA_OIF)
  }

  #routeTo(remote: Address): Map<number, Uint8Array> | null {
    const destination = addressBytes(remote)
    const body = routeBody(destination.length, destination.length * 8)
    const request = new NetlinkRequest(RTM_GETROUTE, 0, body).attribute(RTA_DST, destination)
    try {
      const [message] = this.#netlink.get(request, `route to ${remote}`)
      return message === undefined ? null : attributes(message.body, BODY_SIZE)
    } catch (error) {
      if (error instanceof NetlinkError) return null
      throw error
    }
  }

  #request(type: number, flags: number, route: Route): NetlinkRequest {
    const { address, length } = parsePrefix(route.prefix)
    const body = routeBody(address.length, length)
    body[TABLE] = TABLE_MAIN
    body[PROTOCOL] = ROUTE_PROTOCOL
    body[TYPE] = route.blackhole ? TYPE_BLACKHOLE : TYPE_UNICAST
    body[SCOPE] = route.blackhole || address.length === 16 ? SCOPE_UNIVERSE : SCOPE_LINK
    const request = new NetlinkRequest(type, flags, body)
    if (length > 0) request.attribute(RTA_DST, address)
    if (route.metric > 0) request.u32(RTA_PRIORITY, route.metric)
    if (route.source !== undefined) request.attribute(RTA_PREFSRC, addressBytes(route.source))
    if (route.device !== null && !route.blackhole) request.u32(RTA_OIF, this.#links.find(route.device).index)
    return request
  }

  #dump(index: number | null): DumpedRoute[] {
    return [4, 16].flatMap((bytes) => {
      const body = routeBody(bytes, 0)
      body[TABLE] = TABLE_MAIN
      const request = new NetlinkRequest(RTM_GETROUTE, 0, body)
      if (index !== null) request.u32(RTA_OIF, index)
      return this.#netlink
        .dump(request, 'cannot list routes')
        .map(readRoute)
        .filter((one) => one !== null)
        .filter((one) => one.table === TABLE_MAIN && (index === null || one.index === index))
    })
  }
}

type DumpedRoute = {
  route: Route
  type: number
  protocol: number
  table: number
  index: number | null
  gateway: Address | null
}

function readRoute(message: NetlinkMessage): DumpedRoute | null {
  const { body, type } = message
  if (type !== RTM_NEWROUTE || body.byteLength < BODY_SIZE) return null
  if ((body.getUint32(8, true) & RTM_F_CLONED) !== 0) return null
  const found = attributes(body, BODY_SIZE)
  const family = body.getUint8(FAMILY)
  if (family !== AF_INET && family !== AF_INET6) return null
  const zero = new Uint8Array(family === AF_INET ? 4 : 16)
  const source = found.get(RTA_PREFSRC)
  const kind = body.getUint8(TYPE)
  const route: Route = {
    prefix: `${addressText(found.get(RTA_DST) ?? zero)}/${body.getUint8(DESTINATION_LENGTH)}`,
    device: null,
    metric: attributeU32(found, RTA_PRIORITY) ?? 0,
    ...(source && { source: addressText(source) }),
    ...(kind === TYPE_BLACKHOLE && { blackhole: true }),
  }
  const table = attributeU32(found, RTA_TABLE) ?? body.getUint8(TABLE)
  const { index, gateway } = nextHop(found)
  return { route, type: kind, protocol: body.getUint8(PROTOCOL), table, index, gateway }
}

/** struct rtnexthop: length, flags, hops, interface; attributes behind. */
const NEXT_HOP_SIZE = 8
const NEXT_HOP_INTERFACE = 4

/** Of several equal next hops the first counts: one prefix has one tunnel. */
function nextHop(found: Map<number, Uint8Array>): { index: number | null; gateway: Address | null } {
  const several = found.get(RTA_MULTIPATH)
  if (several === undefined || several.length < NEXT_HOP_SIZE)
    return { index: attributeU32(found, RTA_OIF), gateway: gatewayOf(found) }
  const view = new DataView(several.buffer, several.byteOffset, several.byteLength)
  const length = Math.min(view.getUint16(0, true), several.length)
  const first = new DataView(several.buffer, several.byteOffset, Math.max(length, NEXT_HOP_SIZE))
  const index = view.getInt32(NEXT_HOP_INTERFACE, true)
  return { index, gateway: gatewayOf(attributes(first, NEXT_HOP_SIZE)) }
}

function gatewayOf(found: Map<number, Uint8Array>): Address | null {
  const gateway = found.get(RTA_GATEWAY)
  return gateway === undefined ? null : addressText(gateway)
}

function routeBody(addressLength: number, prefixLength: number): Uint8Array {
  const body = new Uint8Array(BODY_SIZE)
  body[FAMILY] = addressLength === 4 ? AF_INET : AF_INET6
  body[DESTINATION_LENGTH] = prefixLength
  return body
}

function routeIdentity({ prefix, metric, blackhole }: Route, index: number | null): string {
  return `${prefix} ${metric} ${blackhole ? 'blackhole' : index}`
}

/** The kernel gives IPv6 routes without a metric 1024. */
function shownMetric(route: Route): number {
  return route.metric === 0 && route.prefix.includes(':') ? 1024 : route.metric
}

/** As the kernel shows it; it refuses host bits, so there are none to remove. */
function canonicalPrefix(prefix: string): string {
  const { address, length } = parsePrefix(prefix)
  return `${addressText(address)}/${length}`
}

function describe(route: Route): string {
  const target = route.blackhole ? 'blackhole' : `device ${route.device}`
  return `${route.prefix} ${target} metric ${route.metric}`
}
