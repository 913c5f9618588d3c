// The card as the machine offers it: the driver, and with each tunnel the device it uses finds its ASP and the MTU
// of its path is watched.

import type { Address, CardEvent, CardTunnel, Encapsulation, Endpoint, TunnelRef } from '../control/ports.ts'
import { CardDriver, type CardOptions } from './card.ts'
import { type MeasurePath, PathWatch } from './path-watch.ts'

/** Who moves devices between ASPs. */
export type DeviceSwitch = {
  /** the card knows the device under this number; its tunnel works on this ASP (1-based) */
  bind(name: string, device: number, asp: number): void
  /** no tunnel uses it any more: nobody may read it until it is bound again */
  unbind(name: string): void
}

export class AttachedCard extends CardDriver {
  readonly #switch: DeviceSwitch
  readonly #names = new Map<TunnelRef, string>()
  readonly #paths: PathWatch
  readonly #handlers: ((event: CardEvent) => void)[] = []
  #found: CardEvent[] = []

  constructor(options: CardOptions, deviceSwitch: DeviceSwitch, measure: MeasurePath) {
    super(options)
    this.#switch = deviceSwitch
    this.#paths = new PathWatch(measure, (tunnel, mtu) => this.#found.push({ kind: 'path-mtu', tunnel, mtu }))
  }

  override onEvent(handler: (event: CardEvent) => void): void {
    super.onEvent(handler)
    this.#handlers.push(handler)
  }

  override poll(): void {
    super.poll()
    const found = this.#found
    this.#found = []
    for (const event of found) for (const handler of this.#handlers) handler(event)
  }

  /** The kernel refused a datagram of this tunnel as too big for its path; the next poll() tells what it knows now. */
  pathTooSmall(tunnel: TunnelRef): void {
    this.#paths.look(tunnel)
  }

  /** An ICMP error came back for a datagram to this address. */
  pathQuestioned(remote: Address): void {
    this.#paths.lookAt(remote)
  }

  /** What was learned of paths grows old: looks at every one again. */
  lookAtPaths(): void {
    this.#paths.lookAll()
  }

  override setTunnel(tunnel: CardTunnel, ref?: TunnelRef): TunnelRef {
    const set = super.setTunnel(tunnel, ref)
    this.#paths.set(set, tunnel.local, tunnel.remote.address)
    const before = this.#names.get(set)
    this.#names.set(set, tunnel.device)
    if (before !== undefined && before !== tunnel.device) this.#leave(before)
    if (tunnel.device !== '') this.#switch.bind(tunnel.device, this.deviceNumber(tunnel.device), tunnel.asp)
    return set
  }

  override setPeer(ref: TunnelRef, remote: Endpoint, encapsulation: Encapsulation): void {
    super.setPeer(ref, remote, encapsulation)
    this.#paths.setRemote(ref, remote.address)
  }

  override deleteTunnel(ref: TunnelRef): void {
    super.deleteTunnel(ref)
    this.#paths.delete(ref)
    const name = this.#names.get(ref)
    this.#names.delete(ref)
    if (name !== undefined) this.#leave(name)
  }

  /** A device outlives its tunnel, its number does not: the card would take its packets for another tunnel's. */
  #leave(name: string): void {
    if ([...this.#names.values()].includes(name)) return
    this.#switch.unbind(name)
    this.releaseDevice(name)
  }
}
