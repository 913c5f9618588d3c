// `tunnel ipsec NAME`.

import { canonicalAddress, isMulticast, isUnspecified, parseAddress } from '../../address.ts'
import type { TunnelMode } from '../../ports.ts'
import { LOCAL_CONTEXT, newTunnel } from '../defaults.ts'
import type { Config, TunnelConfig } from '../model.ts'
import { shown } from '../nearest.ts'
import { defineMode, enter, type Fault, head, reopen, statement } from './mode.ts'
import { addressOf, protocolOf, selectorOf } from './rules.ts'
import { addSequenced, sequenceKey } from './sequence.ts'

const inTunnel = statement<TunnelConfig>

export const tunnelMode = defineMode<TunnelConfig>('tunnel', [
  inTunnel({
    pattern: 'mode mode=(circuit|economical)',
    apply: (tunnel, values) => {
      tunnel.mode = values.text('mode') as TunnelMode
    },
  }),
  inTunnel({
    pattern: 'peer-end-point local (any=any | local=ADDR) [remote remote=STRING] [context context=NAME]',
    key: () => 'peer-end-point',
    fault: (values) =>
      hostFault(values.maybe('local')) ??
      hostFault(values.maybe('remote')) ??
      remoteFault(values.maybe('remote')),
    apply: (tunnel, values) => {
      const remote = values.maybe('remote')
      tunnel.local = values.has('any') ? 'any' : addressOf(values, 'local')
      tunnel.remote = remote === undefined ? undefined : (canonicalAddress(remote) ?? remote)
      tunnel.endPointContext = values.maybe('context') ?? LOCAL_CONTEXT
    },
  }),
  inTunnel({
    pattern: 'bind interface interface=NAME context=NAME',
    apply: (tunnel, values) => {
      tunnel.bind = { interface: values.text('interface'), context: values.text('context') }
    },
  }),
  inTunnel({
    pattern: 'ike-policy name=NAME',
    apply: (tunnel, values) => {
      tunnel.ikePolicy = values.text('name')
    },
  }),
  inTunnel({
    pattern: 'ipsec-policy name=NAME',
    apply: (tunnel, values) => {
      tunnel.ipsecPolicy = values.text('name')
    },
  }),
  inTunnel({
    pattern: 'seq sequence=INT{0..4294967295} ipsec-sa name=NAME',
    key: sequenceKey,
    apply: (tunnel, values, site) => addSequenced(tunnel.manualSas, values, site),
  }),
  inTunnel({
    pattern:
      'traffic-selector (access-list list=NAME | [protocol=<proto>] local local=<selector> remote remote=<selector>)',
    key: null,
    apply: (tunnel, values, site) => {
      const line = site.line
      if (values.has('list')) tunnel.selectors.push({ kind: 'access-list', name: values.text('list'), line })
      else
        tunnel.selectors.push({
          kind: 'pair',
          line,
          protocol: protocolOf(values, 'protocol'),
          local: selectorOf(values, 'local'),
          remote: selectorOf(values, 'remote'),
        })
    },
  }),
  inTunnel({
    pattern: 'qos-policy name=NAME',
    apply: (tunnel, values) => {
      tunnel.qosPolicy = values.text('name')
    },
  }),
  inTunnel({
    pattern: 'max-tunnels count=INT{1..1024}',
    apply: (tunnel, values) => {
      tunnel.maxTunnels = values.int('count')
    },
  }),
  inTunnel({
    pattern: 'asp-group name=NAME',
    apply: (tunnel, values) => {
      tunnel.aspGroup = values.text('name')
    },
  }),
  inTunnel({
    pattern: 'ip mtu mtu=INT{0..65535}',
    apply: (tunnel, values) => {
      tunnel.mtu = values.int('mtu')
    },
  }),
  inTunnel({
    pattern: 'ip tcp-mss (auto=auto | off=off | mss=INT{88..65495})',
    key: () => 'ip tcp-mss',
    apply: (tunnel, values) => {
      if (values.has('auto')) tunnel.tcpMss = 'auto'
      else tunnel.tcpMss = values.maybeInt('mss') ?? 'off'
    },
  }),
  inTunnel({
    pattern: 'nat-traversal mode=(auto|force|off)',
    apply: (tunnel, values) => {
      tunnel.natTraversal = values.text('mode') as TunnelConfig['natTraversal']
    },
  }),
  inTunnel({
    pattern: 'start start=(immediate|traffic)',
    apply: (tunnel, values) => {
      tunnel.start = values.text('start') as TunnelConfig['start']
    },
  }),
  inTunnel({
    pattern: 'extranet',
    apply: (tunnel) => {
      tunnel.extranet = true
    },
  }),
  inTunnel({
    pattern: 'alarms',
    apply: (tunnel) => {
      tunnel.alarms = true
    },
  }),
  inTunnel({
    pattern: 'description text=STRING',
    apply: (tunnel, values) => {
      tunnel.description = values.text('text')
    },
  }),
  inTunnel({
    pattern: 'shutdown',
    apply: (tunnel) => {
      tunnel.shutdown = true
    },
  }),
])

/** An end point is a host: no group, and not "no address", for which the language has `any`. */
function hostFault(text: string | undefined): Fault | null {
  const address = text === undefined ? null : parseAddress(text)
  if (address === null || !(isMulticast(address) || isUnspecified(address))) return null
  return {
    code: 'range',
    message: `peer-end-point: ${text} is the address of no host; write its own address, or local any`,
  }
}

const LABEL = /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/

/** An address or a DNS name (RFC 1123 §2.1); a name whose last label is a number would be a mistyped address. */
function remoteFault(remote: string | undefined): Fault | null {
  if (remote === undefined || canonicalAddress(remote) !== null) return null
  const labels = remote.replace(/\.$/, '').split('.')
  const isName = remote.length <= 253 && labels.every((label) => LABEL.test(label))
  if (isName && !/^\d+$/.test(labels.at(-1) as string)) return null
  return { code: 'syntax', message: `remote ${shown(remote)} is neither an address nor a DNS name` }
}

export const tunnelHead = head<Config>({
  pattern: 'tunnel ipsec name=NAME [kind=(on-demand|manual)]',
  open: (config, values, site) => {
    const name = values.text('name')
    const tunnel = reopen(config.tunnels, name, () => newTunnel(name, site.line))
    if (values.has('kind')) tunnel.kind = values.text('kind') as TunnelConfig['kind']
    return enter(tunnelMode, tunnel)
  },
})
