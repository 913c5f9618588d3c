// The card as the machine offers it: the driver, and with each tunnel the device it uses finds its ASP.

import type { CardTunnel, TunnelRef } from '../control/ports.ts'
import { CardDriver, type CardOptions } from './card.ts'

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

  constructor(options: CardOptions, deviceSwitch: DeviceSwitch) {
    super(options)
    this.#switch = deviceSwitch
  }

  override setTunnel(tunnel: CardTunnel, ref?: TunnelRef): TunnelRef {
    const set = super.setTunnel(tunnel, ref)
    const before = this.#names.get(set)
    this.#names.set(set, tunnel.device)
    if (before !== undefined && before !== tunnel.device) this.#leave(before)
    if (tunnel.device !== '') this.#switch.bind(tunnel.device, this.deviceNumber(tunnel.device), tunnel.asp)
    return set
  }

  override deleteTunnel(ref: TunnelRef): void {
    super.deleteTunnel(ref)
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
