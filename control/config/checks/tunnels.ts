// `tunnel-kind`, `bind`, `circuit-only`: each kind and mode of tunnel has its own statements.

import type { Config, TunnelConfig } from '../model.ts'
import { interfaceOf } from '../resolve.ts'
import { orderedRules } from '../selectors.ts'
import { type CheckContext, lineOf } from './report.ts'

type Rule = { applies: (tunnel: TunnelConfig, config: Config) => boolean; statement: string; why: string }

const given = (statement: string) => (tunnel: TunnelConfig) => statement in tunnel.lines
const missing = (statement: string) => (tunnel: TunnelConfig) => !(statement in tunnel.lines)
const hasRemote = (tunnel: TunnelConfig) => tunnel.remote !== undefined

/** The peer of an on-demand tunnel comes from anywhere and proves who it is, so its policy must say whom to expect. */
function policyOf(tunnel: TunnelConfig, config: Config) {
  return tunnel.ikePolicy === undefined ? undefined : config.ikePolicies.get(tunnel.ikePolicy)
}

const EVERY_KIND: Rule[] = [
  {
    applies: missing('peer-end-point'),
    statement: '',
    why: 'has no peer-end-point; add peer-end-point local ADDR ...',
  },
]

const KIND_RULES: Record<TunnelConfig['kind'], Rule[]> = {
  static: [
    {
      applies: (tunnel) => given('peer-end-point')(tunnel) && !hasRemote(tunnel),
      statement: 'peer-end-point',
      why: 'needs a remote: peer-end-point local ... remote ADDR',
    },
    {
      applies: missing('ike-policy'),
      statement: '',
      why: 'has no ike-policy; add ike-policy NAME, or make it a manual tunnel',
    },
    {
      applies: given('max-tunnels'),
      statement: 'max-tunnels',
      why: 'is static and has one peer; max-tunnels belongs to on-demand tunnels',
    },
    {
      applies: (tunnel) => tunnel.manualSas.length > 0,
      statement: '',
      why: 'is static and takes no ipsec-sa; write tunnel ipsec NAME manual',
    },
  ],
  'on-demand': [
    {
      applies: hasRemote,
      statement: 'peer-end-point',
      why: 'is on-demand and answers unknown addresses; delete remote',
    },
    { applies: missing('ike-policy'), statement: '', why: 'has no ike-policy; add ike-policy NAME' },
    {
      applies: (tunnel, config) => policyOf(tunnel, config)?.role === 'initiator',
      statement: 'ike-policy',
      why: 'is on-demand and only answers, but its ike policy says role initiator; write role responder',
    },
    {
      applies: (tunnel, config) =>
        policyOf(tunnel, config) !== undefined && policyOf(tunnel, config)?.remoteId === undefined,
      statement: 'ike-policy',
      why: 'is on-demand and tells peers apart by identity; its ike policy needs remote-id',
    },
    {
      applies: (tunnel) => tunnel.manualSas.length > 0,
      statement: '',
      why: 'is on-demand and takes no ipsec-sa; write tunnel ipsec NAME manual',
    },
  ],
  manual: [
    {
      applies: (tunnel) => given('peer-end-point')(tunnel) && !hasRemote(tunnel),
      statement: 'peer-end-point',
      why: 'needs a remote: peer-end-point local ... remote ADDR',
    },
    {
      applies: (tunnel) => tunnel.manualSas.length === 0,
      statement: '',
      why: 'is manual and has no keys; add seq N ipsec-sa NAME',
    },
    {
      applies: given('ike-policy'),
      statement: 'ike-policy',
      why: 'is manual and negotiates nothing; delete ike-policy',
    },
    {
      applies: given('ipsec-policy'),
      statement: 'ipsec-policy',
      why: 'is manual and negotiates nothing; delete ipsec-policy',
    },
    {
      applies: given('qos-policy'),
      statement: 'qos-policy',
      why: 'is manual and has one SA pair; delete qos-policy',
    },
    {
      applies: given('max-tunnels'),
      statement: 'max-tunnels',
      why: 'is manual and has one peer; max-tunnels belongs to on-demand tunnels',
    },
  ],
}

export function checkTunnels(context: CheckContext) {
  const { config, error } = context
  for (const tunnel of config.tunnels.values()) {
    for (const rule of [...EVERY_KIND, ...KIND_RULES[tunnel.kind]]) {
      if (rule.applies(tunnel, config))
        error(lineOf(tunnel, rule.statement), 'tunnel-kind', `tunnel ${tunnel.name} ${rule.why}`)
    }
    checkMemberNames(context, tunnel)
    checkBind(context, tunnel)
    checkCircuitOnly(context, tunnel)
  }
  checkBoundOnce(context)
}

/** Accepted peers are tunnels NAME-1, NAME-2, ...: these names must be free, and short enough for a NAME. */
function checkMemberNames({ config, error }: CheckContext, tunnel: TunnelConfig) {
  if (tunnel.kind !== 'on-demand') return
  const refuse = (why: string) => error(tunnel.line, 'tunnel-kind', `tunnel ${tunnel.name} ${why}`)
  if (tunnel.name.length > LONGEST_ON_DEMAND_NAME)
    refuse(
      `has a name of ${tunnel.name.length} characters; its peers get -N behind it, so at most ${LONGEST_ON_DEMAND_NAME}`,
    )
  const taken = [...config.tunnels.keys()].find((name) => isMemberName(name, tunnel.name))
  if (taken !== undefined) refuse(`gives its peers names such as ${taken}, which is a tunnel already`)
}

/** A NAME has 32 characters; a dash and up to four digits come behind it. */
const LONGEST_ON_DEMAND_NAME = 27

function isMemberName(name: string, base: string): boolean {
  return name.startsWith(`${base}-`) && /^[1-9]\d{0,3}$/.test(name.slice(base.length + 1))
}

function checkBind({ config, error }: CheckContext, tunnel: TunnelConfig) {
  const refuse = (why: string) =>
    error(lineOf(tunnel, 'bind interface'), 'bind', `tunnel ${tunnel.name} ${why}`)
  if (tunnel.mode === 'economical') {
    if (tunnel.bind) refuse('is economical and has no interface; delete bind, or write mode circuit')
    return
  }
  if (tunnel.bind === undefined)
    return refuse(
      'is in circuit mode and has no interface; add bind interface NAME CONTEXT, or write mode economical',
    )
  const device = interfaceOf(config, tunnel)
  if (device === undefined) return // reported as unresolved
  if (tunnel.kind === 'on-demand' && !device.multibind)
    refuse(`is on-demand and needs a device a peer; write interface ${device.name} multibind`)
  if (tunnel.kind !== 'on-demand' && device.multibind)
    refuse(`has one peer, but interface ${device.name} is multibind; that is for on-demand tunnels`)
}

function checkBoundOnce({ config, error }: CheckContext) {
  const first = new Map<string, TunnelConfig>()
  for (const tunnel of config.tunnels.values()) {
    if (tunnel.bind === undefined || tunnel.mode === 'economical') continue
    const key = `${tunnel.bind.context} ${tunnel.bind.interface}`
    const other = first.get(key)
    if (other === undefined) first.set(key, tunnel)
    else
      error(
        lineOf(tunnel, 'bind interface'),
        'bind',
        `tunnel ${tunnel.name}: interface ${tunnel.bind.interface} is already bound to tunnel ${other.name}; give each tunnel its own`,
      )
  }
}

/** Classes and discards are features of the circuit (ePPA), which an economical tunnel does not pass. */
function checkCircuitOnly({ config, error }: CheckContext, tunnel: TunnelConfig) {
  if (tunnel.mode !== 'economical') return
  const refuse = (line: number, what: string) =>
    error(
      line,
      'circuit-only',
      `tunnel ${tunnel.name} is economical and has no ${what}; delete it, or write mode circuit`,
    )
  if (tunnel.qosPolicy !== undefined) refuse(lineOf(tunnel, 'qos-policy'), 'classes: qos-policy')
  for (const entry of tunnel.selectors) {
    if (entry.kind !== 'access-list') continue
    const discards = orderedRules(config, entry.name).some((rule) => rule.action === 'discard')
    if (discards) refuse(entry.line, `discard rules: access-list ${entry.name}`)
  }
}
