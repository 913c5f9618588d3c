// Guard routes without a gateway: what a dead one left behind, found and removed.

import { Links } from './links.ts'
import { Netlink } from './netlink.ts'
import { RouteTable } from './route-table.ts'

export class RouteGuards {
  readonly #netlink = new Netlink()
  readonly #table = new RouteTable(this.#netlink, new Links(this.#netlink))

  /** Removes every blackhole that this program made; returns their prefixes. Throws NetlinkError without CAP_NET_ADMIN. */
  clear(): string[] {
    return this.#table.guards().map((guard) => {
      this.#table.delete(guard)
      return guard.prefix
    })
  }

  close(): void {
    this.#netlink.close()
  }
}
