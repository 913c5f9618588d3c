// What commands look up in a gateway; a name that does not exist is refused with the nearest one.

import { nearestWord, shown } from '../config/nearest.ts'
import type { Gateway } from '../gateway.ts'
import type { Tunnel } from '../tunnel/record.ts'
import { CommandError } from './error.ts'

/** The tunnel of that name, or all when the command names none. */
export function tunnelsNamed(gateway: Gateway, name: string | undefined): Tunnel[] {
  if (name === undefined) return [...gateway.tunnels.values()]
  const tunnel = gateway.tunnels.get(name)
  if (tunnel !== undefined) return [tunnel]
  const near = nearestWord(name, [...gateway.tunnels.keys()])
  const hint = near === null ? '' : `; did you mean "${near}"?`
  throw new CommandError('not-found', `there is no tunnel ${shown(name)}${hint}`)
}

/** An SPI, decimal or 0x, up to 64 bits. */
export function spiNamed(text: string): bigint {
  if (/^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text)) return BigInt(text)
  throw new CommandError(
    'usage',
    `${shown(text)} is no SPI: write a decimal number or 0x and up to 16 digits`,
  )
}
