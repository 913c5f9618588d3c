// The clear commands. Clearing an SA forces a new negotiation; the answer says what was cleared.

import type { Values } from '../config/match.ts'
import { hexSpi } from '../explain.ts'
import type { Gateway } from '../gateway.ts'
import { rememberDrops, rememberTunnel } from './baseline.ts'
import { CommandError } from './error.ts'
import { spiNamed, tunnelsNamed } from './find.ts'

export function clearTunnel(gateway: Gateway, values: Values) {
  const [{ config }] = tunnelsNamed(gateway, values.text('name'))
  gateway.clearTunnel(config.name)
  return { cleared: [config.name] }
}

/**
 * IKE SAs go with their Child SAs; their tunnels negotiate anew. With `rekey` they are renewed instead, and their
 * Child SAs go on without a gap.
 */
export function clearIkeSas(gateway: Gateway, values: Values) {
  const tunnels = ikeTunnels(gateway, values)
  if (values.has('rekey')) {
    const renewed = gateway.ikeSas().filter(({ tunnel }) => tunnel !== null && tunnels.includes(tunnel))
    for (const { id } of renewed) gateway.rekeyIke(id)
  } else for (const name of tunnels) gateway.clearTunnel(name)
  return { cleared: tunnels }
}

function ikeTunnels(gateway: Gateway, values: Values): string[] {
  const all = gateway.ikeSas()
  if (values.has('spi')) {
    const spi = spiNamed(values.text('spi'))
    const found = all.filter((sa) =>
      [sa.initiatorSpi, sa.responderSpi].some((text) => hexValue(text) === spi),
    )
    if (found.length === 0)
      throw new CommandError('not-found', `there is no IKE SA with SPI ${values.text('spi')}`)
    return unique(found.map(({ tunnel }) => tunnel))
  }
  if (values.has('name')) return tunnelsNamed(gateway, values.text('name')).map(({ config }) => config.name)
  return unique(all.map(({ tunnel }) => tunnel))
}

/** SPIs are shown as hexadecimal text, with or without 0x. */
function hexValue(text: string): bigint | null {
  const digits = text.replace(/^0x/i, '')
  return /^[0-9a-f]{1,16}$/i.test(digits) ? BigInt(`0x${digits}`) : null
}

function unique(names: (string | null)[]): string[] {
  return [...new Set(names.filter((name) => name !== null))]
}

/** Child SAs are rekeyed: the new pair is in use before the old one goes. Manual SAs are loaded again. */
export function clearIpsecSas(gateway: Gateway, values: Values) {
  const entries = chosenEntries(gateway, values)
  const children = new Set(entries.flatMap(({ child }) => (child === null ? [] : [child])))
  for (const child of children) gateway.rekeyChild(child)
  const manual = new Set(entries.flatMap(({ child, tunnel }) => (child === null ? [tunnel] : [])))
  for (const tunnel of manual) gateway.clearTunnel(tunnel)
  return { cleared: entries.map(({ spi }) => hexSpi(spi)) }
}

function chosenEntries(gateway: Gateway, values: Values) {
  const all = gateway.dataplane.children.entries()
  if (values.has('name')) {
    const [{ config }] = tunnelsNamed(gateway, values.text('name'))
    return all.filter(({ tunnel }) => tunnel === config.name)
  }
  if (!values.has('spi')) return all
  const spi = spiNamed(values.text('spi'))
  const found = all.filter((entry) => BigInt(entry.spi) === spi)
  if (found.length === 0)
    throw new CommandError('not-found', `there is no IPsec SA with SPI ${values.text('spi')}`)
  return found
}

/** All tunnels of an ASP negotiate anew, or have their manual keys loaded again. */
export function clearAsp(gateway: Gateway, values: Values) {
  const cleared = gateway.clearAsp(values.int('asp'))
  if (cleared === null) throw new CommandError('not-found', `there is no ASP ${values.int('asp')}`)
  return { cleared }
}

export function clearCounters(gateway: Gateway, values: Values) {
  const tunnels = tunnelsNamed(gateway, values.maybe('name'))
  for (const { config } of tunnels) rememberTunnel(gateway, config.name)
  if (!values.has('name')) rememberDrops(gateway)
  return { cleared: tunnels.map(({ config }) => config.name) }
}
