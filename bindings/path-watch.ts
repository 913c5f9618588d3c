// Which tunnel's path carries how much, and who must hear of a change.
//
// Looked at when end points are set, when a datagram was too big for its path, and now and then: what the kernel
// learned grows old, and routes move.

import type { Address, TunnelRef } from '../control/ports.ts'
import { familyOf } from './address.ts'

/** Bytes of the largest outer IP packet between two addresses; null: not known. */
export type MeasurePath = (local: Address, remote: Address) => number | null

type Path = { local: Address; remote: Address; told: number | null }

export class PathWatch {
  readonly #measure: MeasurePath
  readonly #tell: (tunnel: TunnelRef, mtu: number) => void
  readonly #paths = new Map<TunnelRef, Path>()

  constructor(measure: MeasurePath, tell: (tunnel: TunnelRef, mtu: number) => void) {
    this.#measure = measure
    this.#tell = tell
  }

  /** The tunnel's end points are these from now on; an unspecified peer has no path yet. */
  set(tunnel: TunnelRef, local: Address, remote: Address): void {
    const known = this.#paths.get(tunnel)
    if (known?.local === local && known.remote === remote) return
    this.#paths.set(tunnel, { local, remote, told: null })
    this.look(tunnel)
  }

  /** Its peer is elsewhere now. */
  setRemote(tunnel: TunnelRef, remote: Address): void {
    const known = this.#paths.get(tunnel)
    if (known !== undefined) this.set(tunnel, known.local, remote)
  }

  delete(tunnel: TunnelRef): void {
    this.#paths.delete(tunnel)
  }

  look(tunnel: TunnelRef): void {
    const path = this.#paths.get(tunnel)
    if (path === undefined || isUnspecified(path.remote)) return
    if (familyOf(path.local) !== familyOf(path.remote)) return
    const mtu = this.#measure(path.local, path.remote)
    if (mtu === null || mtu === path.told) return
    path.told = mtu
    this.#tell(tunnel, mtu)
  }

  /** Something was said about the way to this address. */
  lookAt(remote: Address): void {
    for (const [tunnel, path] of this.#paths) if (path.remote === remote) this.look(tunnel)
  }

  lookAll(): void {
    for (const tunnel of this.#paths.keys()) this.look(tunnel)
  }
}

const isUnspecified = (address: Address) => address === '0.0.0.0' || address === '::'
