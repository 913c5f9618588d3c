// Names of peers: the host's resolver (getaddrinfo), which also honours /etc/hosts.

import { lookup } from 'node:dns/promises'
import ipaddr from 'ipaddr.js'
import type { Address, Resolver } from '../control/ports.ts'
import { addressBytes, addressText } from './address.ts'

/** Addresses in the order of RFC 6724, canonical text; a literal address answers itself; no answer is an empty list. */
export class SystemResolver implements Resolver {
  async resolve(name: string): Promise<Address[]> {
    if (ipaddr.isValid(name)) return [addressText(addressBytes(name))]
    try {
      const found = await lookup(name, { all: true, order: 'verbatim' })
      return [...new Set(found.map((entry) => addressText(addressBytes(entry.address))))]
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'ENODATA') return []
      throw error
    }
  }
}
