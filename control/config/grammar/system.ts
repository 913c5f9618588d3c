// Global statements, ASP pools and groups, the security service and management.

import { DEFAULT_NATT_PORT, LOG_SERVER_PORT, lined, newAspGroup, newAspPool, TRAP_PORT } from '../defaults.ts'
import type { Values } from '../match.ts'
import type { AspGroup, AspPool, Config } from '../model.ts'
import { livenessOf } from './ike.ts'
import { defineMode, enter, type Fault, head, reopen, statement } from './mode.ts'
import { addressOf } from './rules.ts'

type Service = NonNullable<Config['security']>
type Management = NonNullable<Config['management']>
const global = statement<Config>
const inManagement = statement<Management>

export const globalStatements = [
  global({
    pattern: 'legacy-crypto gate=(permit|deny)',
    apply: (config, values) => {
      config.legacyCrypto = values.text('gate') === 'permit'
    },
  }),
  global({
    pattern: 'insecure-crypto (permit reason=STRING | deny)',
    apply: (config, values) => {
      config.insecureCrypto = values.maybe('reason') ?? null
    },
  }),
  global({
    pattern: 'ipsec alarms holddown seconds=INT{1..120}',
    apply: (config, values) => {
      config.alarmHolddown = values.int('seconds')
    },
  }),
  global({
    pattern: 'ike keepalive (interval interval=INT{1..86400} [retries retries=INT{1..100}] | disable)',
    apply: (config, values) => {
      config.keepalive = livenessOf(values)
    },
  }),
  global({
    pattern: 'ike port port=INT{1..65535} [nat-t-port nat-t-port=INT{1..65535}]',
    fault: portsFault,
    apply: (config, values) => {
      config.ikePort = values.int('port')
      config.natTPort = values.maybeInt('nat-t-port') ?? DEFAULT_NATT_PORT
    },
  }),
  global({
    pattern: 'ike nat-keepalive interval=INT{1..3600}',
    apply: (config, values) => {
      config.natKeepalive = values.int('interval')
    },
  }),
  global({
    pattern: 'ike cookie-threshold count=INT{0..1000000}',
    apply: (config, values) => {
      config.cookieThreshold = values.int('count')
    },
  }),
  global({
    pattern: 'pki store path=PATH',
    apply: (config, values, site) => {
      config.pki.store = site.path(values.text('path'))
    },
  }),
  global({
    pattern: 'pki trust name=NAME file path=PATH',
    key: (values) => `pki trust ${values.text('name')}`,
    apply: (config, values, site) => {
      config.pki.trust.set(values.text('name'), { path: site.path(values.text('path')), line: site.line })
    },
  }),
  global({
    pattern: 'pki crl name=NAME file path=PATH',
    key: (values) => `pki crl ${values.text('name')}`,
    apply: (config, values, site) => {
      config.pki.crl.set(values.text('name'), { path: site.path(values.text('path')), line: site.line })
    },
  }),
  global({
    pattern: 'pki identity name=NAME key file key=PATH certificate file certificate=PATH',
    key: (values) => `pki identity ${values.text('name')}`,
    apply: (config, values, site) => {
      const [key, certificate] = ['key', 'certificate'].map((word) => site.path(values.text(word)))
      config.pki.identity.set(values.text('name'), { key, certificate, line: site.line })
    },
  }),
  global({
    pattern: 'pki expiry-warning days=INT{0..3650}',
    apply: (config, values) => {
      config.pki.expiryWarningDays = values.int('days')
    },
  }),
]

/** RFC 7296 §2.23: port 4500 carries the non-ESP marker, port 500 does not, so they cannot be one. */
function portsFault(values: Values): Fault | null {
  const natT = values.maybeInt('nat-t-port') ?? DEFAULT_NATT_PORT
  if (values.int('port') !== natT) return null
  return {
    code: 'range',
    message: `ike port and nat-t-port are both ${natT}; give nat-t-port another number`,
  }
}

export const aspPoolMode = defineMode<AspPool>('asp pool', [
  statement<AspPool>({
    pattern: 'asp asp=INT{1..16}',
    key: (values) => `asp ${values.int('asp')}`,
    apply: (pool, values) => {
      if (!pool.asps.includes(values.int('asp'))) pool.asps.push(values.int('asp'))
    },
  }),
])

export const aspGroupMode = defineMode<AspGroup>('asp group', [
  statement<AspGroup>({
    pattern: 'pool name=NAME',
    key: (values) => `pool ${values.text('name')}`,
    apply: (group, values) => {
      if (!group.pools.includes(values.text('name'))) group.pools.push(values.text('name'))
    },
  }),
  statement<AspGroup>({
    pattern: 'redundancy count=INT{0..15}',
    apply: (group, values) => {
      group.redundancy = values.int('count')
    },
  }),
  statement<AspGroup>({
    pattern: 'on-failure drop',
    apply: (group) => {
      group.onFailureDrop = true
    },
  }),
])

export const serviceMode = defineMode<Service>('security service', [
  statement<Service>({
    pattern: 'asp-group name=NAME',
    apply: (service, values) => {
      service.aspGroup = values.text('name')
    },
  }),
  statement<Service>({
    pattern: 'log-server address=ADDR [port port=INT{1..65535}] [transport transport=(udp|tcp|tls)]',
    apply: (service, values) => {
      const transport = (values.maybe('transport') ?? 'udp') as 'udp' | 'tcp' | 'tls'
      const port = values.maybeInt('port') ?? LOG_SERVER_PORT
      service.logServer = { address: addressOf(values, 'address'), port, transport }
    },
  }),
])

export const managementMode = defineMode<Management>('management', [
  inManagement({
    pattern: 'listen address=ADDR port port=INT{1..65535}',
    apply: (management, values) => {
      management.listen = { address: addressOf(values, 'address'), port: values.int('port') }
    },
  }),
  inManagement({
    pattern: 'identity name=NAME',
    apply: (management, values) => {
      management.identity = values.text('name')
    },
  }),
  inManagement({
    pattern: 'client-ca name=NAME',
    apply: (management, values) => {
      management.clientCa = values.text('name')
    },
  }),
  inManagement({
    pattern: 'metrics address=ADDR port port=INT{1..65535}',
    apply: (management, values) => {
      management.metrics = { address: addressOf(values, 'address'), port: values.int('port') }
    },
  }),
  inManagement({
    pattern: 'snmp trap-host address=ADDR [port port=INT{1..65535}]',
    key: (values) => `snmp trap-host ${addressOf(values, 'address')}`,
    apply: (management, values) => {
      const address = addressOf(values, 'address')
      const others = management.traps.filter((trap) => trap.address !== address)
      management.traps = [...others, { address, port: values.maybeInt('port') ?? TRAP_PORT }]
    },
  }),
])

export const aspPoolHead = head<Config>({
  pattern: 'asp pool name=NAME',
  open: (config, values, site) => {
    const name = values.text('name')
    return enter(
      aspPoolMode,
      reopen(config.aspPools, name, () => newAspPool(name, site.line)),
    )
  },
})

export const aspGroupHead = head<Config>({
  pattern: 'asp group name=NAME',
  open: (config, values, site) => {
    const name = values.text('name')
    return enter(
      aspGroupMode,
      reopen(config.aspGroups, name, () => newAspGroup(name, site.line)),
    )
  },
})

export const serviceHead = head<Config>({
  pattern: 'security service',
  open: (config, _values, site) => {
    config.security ??= lined('service', site.line)
    return enter(serviceMode, config.security)
  },
})

export const managementHead = head<Config>({
  pattern: 'management',
  open: (config, _values, site) => {
    config.management ??= { ...lined('management', site.line), traps: [] }
    return enter(managementMode, config.management)
  },
})
