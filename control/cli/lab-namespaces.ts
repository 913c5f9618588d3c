// The lab's world in network namespaces: real gateway processes, kernel routing, and a capture in the middle.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type Capture, openCapture } from '../../bindings/linux/capture.ts'
import type { LabWorld } from './lab-check.ts'
import type { Emit, LabMode, LabRow } from './lab-events.ts'
import { type LabFiles, writeFiles } from './lab-files.ts'
import { type GatewayProcess, startGateway } from './lab-gateway.ts'
import { buildNetwork, type LabNetwork, MIDDLE } from './lab-network.ts'
import { ping } from './lab-ping.ts'
import type { LabPlan } from './lab-plan.ts'
import { tellIke, WireCounter } from './lab-wire.ts'

const MARKER_BYTES = 56 // as much as ping(8) sends

export type NamespaceWorld = LabWorld & {
  /** called once when a gateway ends that was not told to */
  onGatewayEnd(handler: (gateway: string, how: string) => void): void
  logs(): { gateway: string; lines: string[] }[]
  /** what the user may try, with paths and ids as seen from outside */
  hints(): [command: string, does: string][]
}

/** Builds the network in this process's namespaces and opens the capture; files go below `directory`. */
export function createNamespaceWorld(
  plan: LabPlan,
  mode: LabMode,
  directory: string,
  files: LabFiles,
  emit: Emit,
): NamespaceWorld {
  const network = buildNetwork(plan)
  emit({ kind: 'step', title: 'network', text: describeNetwork(network) })
  const marker = randomBytes(MARKER_BYTES)
  const wire = new WireCounter(plan.protectedPrefixes, marker)
  const capture = watchWire(plan, network, wire, emit)
  const gateways = new Map<string, GatewayProcess>()
  let closing = false
  let trouble: (gateway: string, how: string) => void = () => {}
  return {
    mode,
    wire,
    start: async ({ name }, deadline) => {
      const place = join(directory, name)
      mkdirSync(place, { mode: 0o700 })
      const config = writeFiles(place, files.get(name)!)
      const gateway = startGateway(name, network.get(name)!, config, join(place, 'control.sock'))
      gateways.set(name, gateway)
      gateway.onEnd((how) => {
        if (!closing) trouble(name, how)
      })
      await gateway.ready(deadline)
    },
    ask: async (name, command) => (await gateways.get(name)!.ask(command)) as LabRow[],
    sendClear: async (probes) => {
      const clear = probes.map((probe) => ping(network.get(probe.from)!, probe, marker, 1, 0))
      await Promise.all(clear)
      return probes.length
    },
    ping: (probe, count, patience) => ping(network.get(probe.from)!, probe, marker, count, patience),
    drainCapture: () => {
      capture.drain()
      return capture.dropped()
    },
    onGatewayEnd: (handler) => {
      trouble = handler
    },
    logs: () =>
      [...gateways.values()].map((gateway) => ({ gateway: gateway.name, lines: gateway.lastLog() })),
    hints: () => hints(plan, mode, directory, network),
    close: async () => {
      closing = true
      await Promise.all([...gateways.values()].map((gateway) => gateway.stop()))
      capture.close()
    },
  }
}

function describeNetwork(network: LabNetwork): string {
  return `${network.size} namespaces without names: ${[...network.keys()].join(' ')}`
}

/** Counts what comes in from the wires; what the router sends on is the same packet again. */
function watchWire(plan: LabPlan, network: LabNetwork, wire: WireCounter, emit: Emit): Capture {
  return openCapture(network.get(MIDDLE)!, (frame) => {
    if (!frame.outgoing) tellIke(wire.countFrame(frame.bytes), plan, emit)
  })
}

function hints(plan: LabPlan, mode: LabMode, directory: string, network: LabNetwork): [string, string][] {
  const holder = readlinkSync('/proc/self')
  const gateway = plan.gateways[0]!
  const socket = `--socket /proc/${holder}/root${join(directory, gateway.name)}/control.sock`
  const probe = plan.probes[0]!
  const user = mode === 'user-namespaces' ? `-t ${holder} -U --preserve-credentials ` : ''
  const enter = (name: string) => `nsenter ${user}--net=/proc/${holder}/fd/${network.get(name)!}`
  return [
    [`npx asegate show tunnel ipsec ${socket}`, `tunnels of ${gateway.name}`],
    [`npx asegate show ipsec sa --json ${socket}`, 'its SAs, with counters'],
    [`npx asegate clear tunnel ipsec ${gateway.tunnels[0]!} ${socket}`, 'a new negotiation'],
    [`npx asegate trace packet ${gateway.tunnels[0]!} ${socket}`, "a packet's way through the card"],
    [
      `${enter(probe.from)} ping -I ${probe.source} ${probe.destination}`,
      `ping from ${probe.from} to ${probe.to}`,
    ],
    [`${enter(MIDDLE)} tcpdump -ni any`, 'the wire in the middle'],
  ]
}
