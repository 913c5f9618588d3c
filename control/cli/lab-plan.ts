// The lab networks as data: who stands where, which tunnels there are, who pings whom.
//
// All share one shape: a router `internet` in the middle whose legs are the wires the capture watches, a
// gateway at the end of each leg, hosts in protected networks behind the gateways. Configurations are the examples
// of the product's language, mirrored for each node, and name their files relative to themselves.

import { economicalConfig, figure3Config, manualConfig } from './lab-config.ts'

export type LabHost = { name: string; address: string; prefix: string; gateway: string }

export type LabGateway = {
  name: string
  /** outer address, and the router's address on the same /24 */
  outer: string
  hop: string
  /** address of its own inside the protected world, on the loopback device */
  loopback: string | null
  hosts: LabHost[]
  /** names of its tunnels */
  tunnels: string[]
  /** the whole configuration file */
  config: string
  /** subject and name of its certificate; null: none */
  certificate: { subject: string; fqdn: string } | null
}

/** A ping: `from` is the name of a host or of a gateway with a loopback. */
export type LabProbe = { from: string; to: string; source: string; destination: string }

export type LabPlan = {
  name: LabName
  title: string
  picture: string[]
  gateways: LabGateway[]
  /** no packet on a wire may carry an address of these */
  protectedPrefixes: string[]
  probes: LabProbe[]
  /** secret files beside each configuration: name to length in bytes; both ends get the same random content */
  secrets: { file: string; bytes: number; of: string[] }[]
}

export const LAB_NAMES = ['figure3', 'figure5', 'manual'] as const
export type LabName = (typeof LAB_NAMES)[number]

export const LAB_TITLES: Record<LabName, string> = {
  figure3: 'two gateways, one tunnel with RSA certificates, four networks',
  figure5: 'three gateways, a mesh of economical tunnels, preshared keys',
  manual: 'two gateways, an economical tunnel with manual keys, no IKE',
}

const PE1 = { outer: '198.51.100.1', hop: '198.51.100.254' }
const PE2 = { outer: '203.0.113.1', hop: '203.0.113.254' }
const R3 = { outer: '192.0.2.1', hop: '192.0.2.254' }
const EMS = { outer: '192.0.2.99', hop: '192.0.2.254' }

function figure3(): LabPlan {
  const left = [host('a1', '10.1.1'), host('a2', '10.1.2')]
  const right = [host('b1', '10.2.1'), host('b2', '10.2.2')]
  const pe1 = { name: 'pe1', ...PE1, prefixes: left.map((h) => h.prefix), link: '169.254.10.0/31' }
  const pe2 = { name: 'pe2', ...PE2, prefixes: right.map((h) => h.prefix), link: '169.254.10.1/31' }
  const certificate = (name: string) => ({ subject: `O=Provider, CN=${name}`, fqdn: `${name}.example.net` })
  return {
    name: 'figure3',
    title: LAB_TITLES.figure3,
    picture: [
      ' a1 10.1.1.2 --+                                             +-- b1 10.2.1.2',
      '               pe1 198.51.100.1 === internet === 203.0.113.1 pe2',
      ' a2 10.1.2.2 --+                                             +-- b2 10.2.2.2',
    ],
    gateways: [
      gateway(pe1, {
        hosts: left,
        tunnels: ['pe1-pe2'],
        config: figure3Config(pe1, pe2),
        certificate: certificate('pe1'),
      }),
      gateway(pe2, {
        hosts: right,
        tunnels: ['pe2-pe1'],
        config: figure3Config(pe2, pe1),
        certificate: certificate('pe2'),
      }),
    ],
    protectedPrefixes: ['10.0.0.0/8', '169.254.10.0/31'],
    probes: crossProbes(left, right),
    secrets: [],
  }
}

function figure5(): LabPlan {
  const pe1 = { name: 'pe1', ...PE1, loopback: '10.255.0.1' }
  const pe2 = { name: 'pe2', ...PE2, loopback: '10.255.0.2' }
  const r3 = { name: 'r3', ...R3, loopback: '10.255.0.3' }
  const nodes = [pe1, pe2, r3]
  const others = (node: { name: string }) => nodes.filter((other) => other.name !== node.name)
  return {
    name: 'figure5',
    title: LAB_TITLES.figure5,
    picture: [
      ' pe1 198.51.100.1 === internet === 203.0.113.1 pe2      loopbacks: pe1 10.255.0.1',
      '                         ||                                        pe2 10.255.0.2',
      '                    r3 192.0.2.1                                   r3  10.255.0.3',
    ],
    gateways: nodes.map((node) =>
      gateway(node, {
        loopback: node.loopback,
        tunnels: others(node).map((other) => other.name),
        config: economicalConfig(node, others(node)),
      }),
    ),
    protectedPrefixes: ['10.0.0.0/8'],
    probes: nodes.flatMap((node) => others(node).map((other) => probe(node, other))),
    secrets: [
      { file: 'psk/pe1-pe2', bytes: 32, of: ['pe1', 'pe2'] },
      { file: 'psk/pe1-r3', bytes: 32, of: ['pe1', 'r3'] },
      { file: 'psk/pe2-r3', bytes: 32, of: ['pe2', 'r3'] },
    ],
  }
}

function manual(): LabPlan {
  const left = [host('a1', '10.1.1')]
  const right = [host('m1', '10.99.0')]
  const pe1 = { name: 'pe1', ...PE1, prefix: left[0]!.prefix }
  const ems = { name: 'ems', ...EMS, prefix: right[0]!.prefix }
  return {
    name: 'manual',
    title: LAB_TITLES.manual,
    picture: [' a1 10.1.1.2 -- pe1 198.51.100.1 === internet === 192.0.2.99 ems -- m1 10.99.0.2'],
    gateways: [
      gateway(pe1, { hosts: left, tunnels: ['ems'], config: manualConfig(pe1, ems, 'out') }),
      gateway(ems, { hosts: right, tunnels: ['pe1'], config: manualConfig(ems, pe1, 'in') }),
    ],
    protectedPrefixes: ['10.0.0.0/8'],
    probes: crossProbes(left, right),
    secrets: [
      { file: 'keys/out-esp', bytes: 16, of: ['pe1', 'ems'] },
      { file: 'keys/out-auth', bytes: 20, of: ['pe1', 'ems'] },
      { file: 'keys/in-esp', bytes: 16, of: ['pe1', 'ems'] },
      { file: 'keys/in-auth', bytes: 20, of: ['pe1', 'ems'] },
    ],
  }
}

function host(name: string, net: string): LabHost {
  return { name, address: `${net}.2`, prefix: `${net}.0/24`, gateway: `${net}.1` }
}

type Place = { name: string; outer: string; hop: string }

function gateway(
  place: Place,
  rest: Partial<LabGateway> & Pick<LabGateway, 'tunnels' | 'config'>,
): LabGateway {
  const { name, outer, hop } = place
  return { name, outer, hop, loopback: null, hosts: [], certificate: null, ...rest }
}

function probe(from: { name: string; loopback: string }, to: { name: string; loopback: string }): LabProbe {
  return { from: from.name, to: to.name, source: from.loopback, destination: to.loopback }
}

/** Every pair whose ends lie on different sides, in both directions. */
function crossProbes(left: LabHost[], right: LabHost[]): LabProbe[] {
  const across = (one: LabHost[], other: LabHost[]) =>
    one.flatMap((a) =>
      other.map((b) => ({ from: a.name, to: b.name, source: a.address, destination: b.address })),
    )
  return [...across(left, right), ...across(right, left)]
}

export const PLANS: Record<LabName, LabPlan> = { figure3: figure3(), figure5: figure5(), manual: manual() }
