// The lab's network in anonymous namespaces: the router in the middle is the namespace of this very process.

import { writeFileSync } from 'node:fs'
import {
  createNamespace,
  currentNamespace,
  inNamespace,
  type NamespaceFd,
} from '../../bindings/linux/namespace.ts'
import {
  addGatewayRoute,
  addLinkAddress,
  createVeth,
  raiseLink,
} from '../../bindings/linux/namespace-links.ts'
import type { LabGateway, LabHost, LabPlan } from './lab-plan.ts'

/** Namespaces by the name of their gateway or host; the middle one is `internet`. */
export type LabNetwork = Map<string, NamespaceFd>

export const MIDDLE = 'internet'

/** Builds everything; the kernel removes it with this process, so nothing is undone here. */
export function buildNetwork(plan: LabPlan): LabNetwork {
  const network: LabNetwork = new Map([[MIDDLE, currentNamespace()]])
  const middle = network.get(MIDDLE)!
  raiseLink(middle, 'lo')
  forward(middle)
  for (const gateway of plan.gateways) addGateway(network, gateway)
  return network
}

function addGateway(network: LabNetwork, gateway: LabGateway): void {
  const own = addNamespace(network, gateway.name)
  const middle = network.get(MIDDLE)!
  const leg = `to-${gateway.name}`
  createVeth({ namespace: own, name: 'wan' }, { namespace: middle, name: leg })
  silence(own, 'wan')
  silence(middle, leg)
  addLinkAddress(own, 'wan', `${gateway.outer}/24`)
  addLinkAddress(middle, leg, `${gateway.hop}/24`)
  raiseLink(own, 'wan')
  raiseLink(middle, leg)
  addGatewayRoute(own, '0.0.0.0/0', gateway.hop)
  forward(own)
  if (gateway.loopback !== null) addLinkAddress(own, 'lo', `${gateway.loopback}/32`)
  gateway.hosts.forEach((host, index) => {
    addHost(network, own, host, `lan${index + 1}`)
  })
}

function addHost(network: LabNetwork, gateway: NamespaceFd, host: LabHost, leg: string): void {
  const own = addNamespace(network, host.name)
  createVeth({ namespace: own, name: 'eth0' }, { namespace: gateway, name: leg })
  addLinkAddress(own, 'eth0', `${host.address}/24`)
  addLinkAddress(gateway, leg, `${host.gateway}/24`)
  raiseLink(own, 'eth0')
  raiseLink(gateway, leg)
  addGatewayRoute(own, '0.0.0.0/0', host.gateway)
}

function addNamespace(network: LabNetwork, name: string): NamespaceFd {
  const namespace = createNamespace()
  network.set(name, namespace)
  raiseLink(namespace, 'lo')
  return namespace
}

function forward(namespace: NamespaceFd): void {
  setKernel(namespace, 'ipv4/ip_forward')
  ifKnown(() => setKernel(namespace, 'ipv6/conf/all/forwarding'))
}

/** The wires carry IPv4 only: no router solicitations between the packets that count. */
function silence(namespace: NamespaceFd, device: string): void {
  ifKnown(() => setKernel(namespace, `ipv6/conf/${device}/disable_ipv6`))
}

/** A kernel without IPv6 has no switches for it. */
function ifKnown(set: () => void): void {
  try {
    set()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** Sets a switch of the namespace to 1; /proc/sys/net shows the caller's namespace. */
function setKernel(namespace: NamespaceFd, name: string): void {
  inNamespace(namespace, () => writeFileSync(`/proc/sys/net/${name}`, '1'))
}
