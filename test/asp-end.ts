// One end of a tunnel as a process of its own: a Linux machine with manual SAs, in the namespace it was started in.
// Argument: JSON of EndOptions. It says "waiting", waits for a line on stdin, says "ready", and stops when stdin ends; then it
// prints what is left: drops, descriptors, devices.

import { execFileSync } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { createLinuxMachine } from '../bindings/linux/machine.ts'
import { installManual, type TunnelOptions } from './asp-tunnel.ts'

export type EndOptions = {
  asps: number
  tunnels: (TunnelOptions & { addresses: string[]; routes: string[] })[]
}
export type EndReport = {
  drops: Record<string, number>
  packets: number[]
  /** sockets, TUN queues, eventfds and epoll sets more than before the machine was made */
  leaked: string[]
  devices: string[]
}

const options = JSON.parse(process.argv[2]) as EndOptions
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
console.log('waiting')
await lines.next()
const before = descriptors()
const machine = await createLinuxMachine({ asps: options.asps, ikePort: 500, natTPort: 4500 })
const fib = options.tunnels.flatMap((tunnel) => {
  const { device, addresses, routes } = tunnel
  machine.routes.createDevice(device, { mtu: 1400, multicast: device !== 'ase0' })
  for (const address of addresses) machine.routes.addAddress(device, address)
  for (const prefix of routes) machine.routes.addRoute({ prefix, device, metric: 10 })
  const installed = installManual(machine.card, tunnel)
  machine.routes.setOperational(device, true)
  return device === 'ase0' ? routes.map((prefix) => ({ prefix, target: { tunnel: installed.tunnel } })) : []
})
await machine.card.setFib(fib)
console.log('ready')
for await (const _ of lines);
const drops = machine.card.drops().filter((drop) => drop.packets > 0n)
const packets = machine.card.asps().map((asp) => Number(asp.packets))
await machine.stop()
const report: EndReport = {
  drops: Object.fromEntries(drops.map(({ reason, packets }) => [reason, Number(packets)])),
  packets,
  leaked: descriptors().filter((one) => !before.includes(one)),
  devices: execFileSync('ip', ['-o', 'link', 'show', 'type', 'tun'], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean),
}
console.log(JSON.stringify(report))

/** "number target" of each descriptor of this process. */
function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`]
    } catch {
      return []
    }
  })
}
