// Post-quantum pre-shared keys, RFC 8784: what they are called on the wire, and the three keys that they are mixed into.

import { concat } from '../wire/bytes.ts'
import type { IkeKeys } from './keys.ts'
import { type HashName, prfPlus, wipe } from './suite.ts'

/** SK_d, SK_pi, SK_pr with the PPK in them. */
export type PpkKeys = Pick<IkeKeys, 'd' | 'pi' | 'pr'>

/** SK_x = prf+(PPK, SK_x') for x = d, pi, pr, as long as before (§3). The inputs are not wiped. */
export function mixPpk(prf: HashName, ppk: Uint8Array, keys: PpkKeys): PpkKeys {
  const mix = (key: Uint8Array) => prfPlus(prf, ppk, key, key.length)
  return { d: mix(keys.d), pi: mix(keys.pi), pr: mix(keys.pr) }
}

export function wipePpkKeys(keys: PpkKeys): void {
  wipe(keys.d, keys.pi, keys.pr)
}

/** A name that both ends have in their configuration (§5.1). The other type, 1, means something only to its inventor. */
const PPK_ID_FIXED = 2

/** Data of PPK_IDENTITY in a request. */
export function encodePpkId(id: string): Uint8Array {
  return concat(Uint8Array.of(PPK_ID_FIXED), new TextEncoder().encode(id))
}

/** The name, or null: another type, or no UTF-8. */
export function decodePpkId(data: Uint8Array): string | null {
  if (data.length < 2 || data[0] !== PPK_ID_FIXED) return null
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data.subarray(1))
  } catch {
    return null // the only signal the decoder gives
  }
}
