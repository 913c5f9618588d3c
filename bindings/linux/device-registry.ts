// Which TUN queues are open, and which ASP has them: where the Routes port, the card and the ASPs meet.
//
// A device may be made before or after a tunnel names it; as soon as both are known its queues are lent. A
// circuit's one queue goes to the ASP of its tunnel; a shared device (ase0) has one queue for each ASP, and
// the kernel keeps a flow on the queue that its answers were written to.

import type { DeviceSwitch } from '../attached-card.ts'
import type { AspHost } from './asp-host.ts'
import type { DeviceOwner } from './routes.ts'
import { close } from './syscalls.ts'
import { createTun, detachQueue } from './tun.ts'

type Open = { queues: number[]; shared: boolean }
/** device: number in the card's table; asp: 1-based ASP of the tunnel bound to it */
type Bound = { device: number; asp: number }

export class DeviceRegistry implements DeviceOwner, DeviceSwitch {
  readonly #hosts: AspHost[]
  readonly #open = new Map<string, Open>()
  readonly #bound = new Map<string, Bound>()

  constructor(hosts: AspHost[]) {
    this.#hosts = hosts
  }

  open(name: string, shared: boolean): void {
    this.#open.set(name, { queues: createTun(name, shared ? this.#hosts.length : 1), shared })
    this.#lend(name)
  }

  close(name: string): void {
    const open = this.#open.get(name)
    if (open === undefined) return
    this.#takeBack(name)
    this.#open.delete(name)
    for (const fd of open.queues) close(fd)
  }

  bind(name: string, device: number, asp: number): void {
    const before = this.#bound.get(name)
    if (before?.device === device && (before.asp === asp || this.#open.get(name)?.shared)) return
    this.#takeBack(name)
    this.#bound.set(name, { device, asp })
    this.#lend(name)
  }

  unbind(name: string): void {
    this.#takeBack(name)
    this.#bound.delete(name)
  }

  #lend(name: string): void {
    const open = this.#open.get(name)
    const bound = this.#bound.get(name)
    if (open === undefined || bound === undefined) return
    if (!open.shared) this.#hosts[bound.asp - 1]?.attachDevice(bound.device, open.queues[0])
    else
      for (const [index, host] of this.#hosts.entries()) host.attachDevice(bound.device, open.queues[index])
  }

  #takeBack(name: string): void {
    const bound = this.#bound.get(name)
    if (bound !== undefined) for (const host of this.#hosts) host.detachDevice(bound.device)
  }

  /** An ASP has ended: the kernel must not put packets of shared devices into its queues any more. */
  abandonQueues(asp: number): void {
    for (const { queues, shared } of this.#open.values())
      if (shared && queues.length > 1) detachQueue(queues[asp - 1])
  }

  closeAll(): void {
    for (const name of [...this.#open.keys()]) this.close(name)
  }
}
