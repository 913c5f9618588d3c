// `context NAME` and `interface NAME` in it.

import { newContext, newInterface } from '../defaults.ts'
import type { Values } from '../match.ts'
import type { Config, Context, Interface, NextHop, StaticRoute } from '../model.ts'
import { defineMode, enter, head, reopen, type Site, statement } from './mode.ts'
import { addressOf, prefixOf } from './rules.ts'

const inInterface = statement<Interface>

export const interfaceMode = defineMode<Interface>('interface', [
  inInterface({
    pattern: 'ip address prefix=PREFIX',
    key: (values) => `ip address ${prefixOf(values, 'prefix')}`,
    apply: (device, values) => {
      const prefix = prefixOf(values, 'prefix')
      if (!device.addresses.includes(prefix)) device.addresses.push(prefix)
    },
  }),
  inInterface({
    pattern: 'ip mtu mtu=INT{0..65535}',
    apply: (device, values) => {
      device.mtu = values.int('mtu')
    },
  }),
  inInterface({
    pattern: 'shutdown',
    apply: (device) => {
      device.shutdown = true
    },
  }),
])

export const contextMode = defineMode<Context>('context', [
  head<Context>({
    pattern: 'interface name=NAME [multibind=multibind]',
    open: (context, values, site) => {
      const name = values.text('name')
      const device = reopen(context.interfaces, name, () => newInterface(name, site.line))
      if (values.has('multibind')) device.multibind = true
      return enter(interfaceMode, device)
    },
  }),
  statement<Context>({
    pattern:
      'ip route prefix=NETWORK hop=<next-hop> [distance distance=INT{1..4294967294}] [source source=ADDR] [withdraw=withdraw]',
    key: (values) => `ip route ${routeKey(values)}`,
    apply: (context, values, site) => {
      const route = routeOf(values, site)
      const twin = context.routes.findIndex(
        (each) => each.prefix === route.prefix && each.distance === route.distance,
      )
      if (twin < 0) context.routes.push(route)
      else context.routes[twin] = route
    },
  }),
])

/** The kernel tells routes of a table apart by prefix and metric (4294967295 is the guard's, hence the range). */
function routeKey(values: Values): string {
  return `${prefixOf(values, 'prefix')} distance ${values.maybeInt('distance') ?? 1}`
}

function routeOf(values: Values, site: Site): StaticRoute {
  return {
    line: site.line,
    prefix: prefixOf(values, 'prefix'),
    nextHop: nextHopOf(values),
    distance: values.maybeInt('distance') ?? 1,
    ...(values.has('source') ? { source: addressOf(values, 'source') } : {}),
    withdraw: values.has('withdraw'),
  }
}

function nextHopOf(values: Values): NextHop {
  if (values.has('hop.interface')) return { kind: 'interface', name: values.text('hop.interface') }
  if (values.has('hop.tunnel')) return { kind: 'tunnel', name: values.text('hop.tunnel') }
  return { kind: 'null0' }
}

export const contextHead = head<Config>({
  pattern: 'context name=NAME',
  open: (config, values, site) => {
    const name = values.text('name')
    return enter(
      contextMode,
      reopen(config.contexts, name, () => newContext(name, site.line)),
    )
  },
})
