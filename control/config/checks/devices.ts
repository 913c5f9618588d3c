// `device-name` and `mtu`: what the kernel and IP allow of a device.

import { SHARED_DEVICE } from '../defaults.ts'
import type { Config, Interface, TunnelConfig } from '../model.ts'
import { hasV6, interfaceOf, routesOf } from '../resolve.ts'
import { selectorFamily, selectorLines } from '../selectors.ts'
import { type CheckContext, lineOf } from './report.ts'

/** IFNAMSIZ without its terminator; a multibind name takes a dash and up to four digits. */
const LONGEST_NAME = 15
const LONGEST_MULTIBIND_NAME = 10
/** The loopback, and two names that are the kernel's own in /proc/sys/net/ipv4/conf. */
const KERNEL_NAMES: ReadonlySet<string> = new Set(['lo', 'all', 'default'])
/** RFC 791 §3.1 and RFC 8200 §5: every host takes packets of this size, bytes. */
const LEAST_MTU = 576
const LEAST_MTU_V6 = 1280

export function checkDevices(context: CheckContext) {
  for (const each of context.config.contexts.values()) {
    for (const device of each.interfaces.values()) {
      checkName(context, device)
      checkMemberDevices(context, device, each.interfaces)
    }
  }
  checkMtus(context)
}

function checkName({ environment, error }: CheckContext, device: Interface) {
  const refuse = (why: string) => error(device.line, 'device-name', `interface ${device.name}: ${why}`)
  const longest = device.multibind ? LONGEST_MULTIBIND_NAME : LONGEST_NAME
  if (device.name.length > longest)
    refuse(`${device.name.length} characters, at most ${longest}${device.multibind ? ' with multibind' : ''}`)
  if (device.name === SHARED_DEVICE)
    refuse('the device that all economical tunnels share; choose another name')
  else if (KERNEL_NAMES.has(device.name)) refuse('the kernel uses this name; choose another')
  else if (environment.foreignDevice?.(device.name))
    refuse('the host has a device of this name that is not ours; choose another')
}

/** A multibind interface gives its peers NAME-1, NAME-2, ... */
function checkMemberDevices({ error }: CheckContext, device: Interface, all: Map<string, Interface>) {
  if (!device.multibind) return
  const taken = [...all.keys()].find(
    (name) => name.startsWith(`${device.name}-`) && /^[1-9]\d{0,3}$/.test(name.slice(device.name.length + 1)),
  )
  if (taken !== undefined)
    error(
      device.line,
      'device-name',
      `interface ${device.name}: multibind gives its peers names such as ${taken}, which is an interface already`,
    )
}

function checkMtus(context: CheckContext) {
  const { config } = context
  for (const tunnel of config.tunnels.values()) {
    const v6 = carriesV6(config, tunnel)
    judgeMtu(context, tunnel.mtu, lineOf(tunnel, 'ip mtu'), `tunnel ${tunnel.name}`, v6)
  }
  for (const [device, v6] of devicesWithFamily(config)) {
    judgeMtu(context, device.mtu, lineOf(device, 'ip mtu'), `interface ${device.name}`, v6)
  }
}

function judgeMtu(
  { error }: CheckContext,
  mtu: number | undefined,
  line: number,
  where: string,
  v6: boolean,
) {
  const least = v6 ? LEAST_MTU_V6 : LEAST_MTU
  if (mtu === undefined || mtu >= least) return
  error(
    line,
    'mtu',
    `${where}: ip mtu ${mtu} is under ${least}, the least that ${v6 ? 'IPv6' : 'IPv4'} allows`,
  )
}

function devicesWithFamily(config: Config): [Interface, boolean][] {
  return [...config.contexts.values()].flatMap((context) =>
    [...context.interfaces.values()].map((device): [Interface, boolean] => {
      const bound = [...config.tunnels.values()].filter((tunnel) => interfaceOf(config, tunnel) === device)
      return [device, hasV6(device.addresses) || bound.some((tunnel) => carriesV6(config, tunnel))]
    }),
  )
}

/** Whether the configuration itself sends IPv6 into the tunnel: by an address, a route or a selector. */
function carriesV6(config: Config, tunnel: TunnelConfig): boolean {
  const selectors = selectorLines(config, tunnel).flatMap((line) => [line.local, line.remote])
  const addresses = interfaceOf(config, tunnel)?.addresses ?? []
  return (
    hasV6(addresses) ||
    hasV6(routesOf(config, tunnel)) ||
    selectors.some((each) => selectorFamily(each) === 6)
  )
}
