// `show ike sa` and `show ipsec sa`: SAs as data, without a key.

import { describeSelector } from '../address.ts'
import type { Values } from '../config/match.ts'
import { isAead } from '../config/suites.ts'
import { hexSpi, renderEndpoint } from '../explain.ts'
import type { Gateway } from '../gateway.ts'
import type { IkeSaView } from '../sa/contract.ts'
import type { SaEntry } from '../tunnel/children.ts'
import { escapeText, plainNumber } from './escape.ts'
import { tunnelsNamed } from './find.ts'
import { childGates, ikeGates } from './gates.ts'

export function showIkeSas(gateway: Gateway, values: Values) {
  const names = new Set(tunnelsNamed(gateway, values.maybe('name')).map(({ config }) => config.name))
  const all = gateway.ikeSas().filter(({ tunnel }) => !values.has('name') || names.has(tunnel ?? ''))
  return all.map((sa) => ikeSaRow(sa, values.has('detail')))
}

function ikeSaRow(sa: IkeSaView, detail: boolean) {
  const {
    initiatorSpi,
    responderSpi,
    version,
    role,
    state,
    tunnel,
    encryption,
    authentication,
    prf,
    dhGroup,
    additionalKe,
  } = sa
  const row = {
    initiatorSpi,
    responderSpi,
    version,
    role,
    state,
    tunnel,
    local: renderEndpoint(sa.local),
    remote: renderEndpoint(sa.remote),
    remoteId: sa.remoteId === null ? null : escapeText(sa.remoteId),
    encryption,
    authentication,
    prf,
    dhGroup,
    additionalKe,
    rekeyIn: sa.rekeyIn,
    gate: ikeGates(sa),
  }
  return detail ? { ...row, id: sa.id, nat: sa.nat, children: sa.children } : row
}

export function showIpsecSas(gateway: Gateway, values: Values) {
  const names = new Set(tunnelsNamed(gateway, values.maybe('name')).map(({ config }) => config.name))
  return gateway.dataplane.children
    .entries()
    .filter((entry) => names.has(entry.tunnel))
    .map((entry) => ipsecSaRow(gateway, entry))
}

/** One direction of an SA as `show ipsec sa` prints it; softIn, hardIn in seconds, null: never. */
export function ipsecSaRow(gateway: Gateway, entry: SaEntry) {
  const { bytes, packets, sequence } = gateway.dataplane.children.counters(entry)
  const now = gateway.now()
  const ends = gateway.dataplane.slot(entry.tunnel)?.ends
  return {
    spi: hexSpi(entry.spi),
    protocol: entry.protocol,
    direction: entry.direction,
    destination: (entry.direction === 'in' ? ends?.local : ends?.remote.address) ?? null,
    tunnel: entry.tunnel,
    ikeSa: entry.ikeSa,
    class: null,
    encryption: entry.cipher,
    authentication: isAead(entry.cipher) ? 'aead' : entry.integrity,
    esn: entry.esn,
    dhGroup: entry.dhGroup,
    selectors: {
      source: entry.source.map(describeSelector),
      destination: entry.destination.map(describeSelector),
    },
    bytes: plainNumber(bytes),
    packets: plainNumber(packets),
    sequence: plainNumber(sequence),
    sending: gateway.dataplane.children.isSending(entry),
    softIn: secondsUntil(entry.softAt, now),
    hardIn: secondsUntil(entry.hardAt, now),
    gate: childGates(entry),
  }
}

function secondsUntil(at: number, now: number): number | null {
  return Number.isFinite(at) ? Math.max(0, Math.round((at - now) / 1000)) : null
}
