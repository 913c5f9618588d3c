// Two complete gateways in one process, in virtual time: only the kernel and the wire are in-process.

import assert from 'node:assert/strict'
import type { FakeHost } from '../bindings/fake/host.ts'
import { parseIp } from '../bindings/fake/ip.ts'
import { createFakeMachine, type FakeMachine } from '../bindings/fake/machine.ts'
import { FakeNet, type Impairments } from '../bindings/fake/net.ts'
import { VirtualTime } from '../bindings/fake/time.ts'
import { loadConfig } from '../control/config/load.ts'
import type { Config } from '../control/config/model.ts'
import { createGateway, type Gateway } from '../control/gateway.ts'
import { createLog } from '../control/manage/log.ts'

export const OUTER = ['198.51.100.1', '203.0.113.1']
export const INNER = ['10.1.0.9', '10.2.0.9']
export const NETS = ['10.1.0.0/16', '10.2.0.0/16']

export type Row = Record<string, unknown>
export type Site = { machine: FakeMachine; gateway: Gateway; host: FakeHost; lines: string[] }
export type World = {
  time: VirtualTime
  net: FakeNet
  sites: Site[]
  clear: () => number
  stop(): Promise<void>
}
export type Text = (side: number) => string

const NO_FILES = {
  read: (path: string): Uint8Array => {
    throw new Error(`${path}: no such file`)
  },
  readSecret: (path: string): Uint8Array => NO_FILES.read(path),
  list: () => [],
  exists: () => false,
}

export function configOf(text: string): Config {
  const { config, errors } = loadConfig('/t.conf', text, NO_FILES, { privateFile: true })
  assert.deepEqual(errors, [])
  return config
}

export async function makeSite(net: FakeNet, side: number, text: string): Promise<Site> {
  const options = { asps: 2, ikePort: 500, natTPort: 4500, addresses: [OUTER[side]] }
  const machine = await createFakeMachine(net, options)
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const log = createLog({ level: 'debug', format: 'text', write, clock: machine.clock })
  const ports = { ...machine, files: NO_FILES, log }
  const gateway = createGateway(ports, configOf(text), { version: '0', node: process.version })
  const host = machine.host(INNER[side])
  gateway.start()
  return { machine, gateway, host, lines }
}

/** Both sites started; clear() counts packets of the protected networks that crossed the wire in clear. */
export async function world(text: Text, impairments: Partial<Impairments> = {}): Promise<World> {
  const time = new VirtualTime()
  const net = new FakeNet({ time, seed: 7, impairments })
  let inClear = 0
  net.observe((packet) => {
    const header = parseIp(packet)
    if (header !== null && (INNER.includes(header.source) || INNER.includes(header.destination))) inClear += 1
  })
  const sites = [await makeSite(net, 0, text(0)), await makeSite(net, 1, text(1))]
  return { time, net, sites, clear: () => inClear, stop: () => stopAll(sites) }
}

export async function stopAll(sites: Site[]) {
  for (const { gateway, machine } of sites) {
    await gateway.stop()
    await machine.stop()
  }
}

export async function ask(site: Site, command: string): Promise<Row[]> {
  const answer = await site.gateway.command(command)
  assert.ok(answer.ok, JSON.stringify(answer))
  return answer.data as Row[]
}

export const stateOf = async (site: Site) => (await ask(site, 'show tunnel ipsec'))[0].state

export async function assertUp(one: World, limit = 5_000) {
  const up = () =>
    one.sites.every(({ gateway }) => [...gateway.tunnels.values()].every(({ phase }) => phase === 'up'))
  assert.ok(await one.time.until(up, limit, 20), one.sites.map(({ lines }) => lines.join('')).join('\n'))
}

/** How many of `count` pings, 10 ms apart, both ways in turn, were answered. */
export async function pings(one: World, count: number): Promise<number> {
  const answers: Promise<number | null>[] = []
  for (let i = 0; i < count; i += 1) {
    answers.push(one.sites[i % 2].host.ping(INNER[1 - (i % 2)], 500))
    await one.time.advance(10)
  }
  await one.time.advance(600)
  return (await Promise.all(answers)).filter((answer) => answer !== null).length
}
