// Configuration text of one of two gateways with manual keys. Sets are told apart by their place in `all`, which both
// ends share, so that each end may name them in an order of its own.

import type { EspCipher, Integrity } from '../control/ports.ts'
import { CIPHERS, INTEGRITIES } from './oracle/esp.ts'

/** `esp`: cipher and hash, `ah`: hash; both: AH around ESP. `key`: the byte that all keys are made of. */
export type ManualSet = { esp?: string; ah?: string; key?: number }

export type ManualSite = {
  outer: readonly string[]
  nets: readonly string[]
  mode: 'circuit' | 'economical'
  sets: readonly ManualSet[]
  all?: readonly ManualSet[]
  mtu?: number
}

/** The whole file of side 0 or 1. */
export function manualText(
  side: number,
  { outer, nets, mode, sets, all = sets, mtu = 1400 }: ManualSite,
): string {
  const circuit = mode === 'circuit'
  const nextHop = circuit ? 'interface t1' : 'tunnel t'
  const device = circuit ? ` interface t1\n  ip mtu ${mtu}\n` : ''
  const bound = circuit ? ' bind interface t1 local\n' : ''
  return `insecure-crypto permit "test"
context local
${device} ip route ${nets[1 - side]} ${nextHop}
${sets.map((set) => setText(side, set, all.indexOf(set))).join('')}tunnel ipsec t manual
 mode ${mode}
 peer-end-point local ${outer[side]} remote ${outer[1 - side]}
${bound}${sets.map((set, place) => ` seq ${10 * (place + 1)} ipsec-sa k${all.indexOf(set)}\n`).join('')}`
}

function setText(side: number, { esp, ah, key = 0x0f }: ManualSet, place: number): string {
  const lines = ['outbound', 'inbound'].flatMap((direction) => {
    const spi = 4096 + 16 * place + (direction === 'outbound' ? side : 1 - side)
    // in this order on purpose: the card wants the inner one first
    return [
      ...(ah === undefined ? [] : [` ${direction} ah spi ${spi} ${hashText(ah, key)}`]),
      ...(esp === undefined ? [] : [` ${direction} esp spi ${spi} ${espText(esp, key)}`]),
    ]
  })
  return `ipsec sa k${place}\n${lines.join('\n')}\n`
}

function espText(suite: string, key: number): string {
  const [cipher, hash] = suite.split(' ')
  const bytes = CIPHERS[cipher as EspCipher].key
  return `encryption ${cipher}${bytes === 0 ? '' : ` key hex ${hex(key, bytes)}`} ${hashText(hash, key ^ 0xff)}`
}

function hashText(hash: string, key: number): string {
  return `authentication ${hash} key hex ${hex(key, INTEGRITIES[hash as Integrity].key)}`
}

const hex = (byte: number, bytes: number) => byte.toString(16).padStart(2, '0').repeat(bytes)
