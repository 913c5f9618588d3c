// Key derivation of IKEv2: IKE SA keys (RFC 7296 §2.14), rekeyed IKE SA (§2.18), Child SA keys (§2.17).
//
// Every result has memory of its own. Inputs are not wiped here: the shared secret and SK_d belong to the caller.

import type { EspCipher, Integrity } from '../ports.ts'
import { concat, copy, u64Bytes } from '../wire/bytes.ts'
import { isAead } from '../wire/transforms.ts'
import { cipherKeyLength, type HashName, integrityKeyLength, prf, prfLength, prfPlus, wipe } from './suite.ts'

/** SK_d, SK_ai, SK_ar, SK_ei, SK_er, SK_pi, SK_pr; a* are empty with AEAD ciphers, e* then carry the salt at their end. */
export type IkeKeys = {
  d: Uint8Array
  ai: Uint8Array
  ar: Uint8Array
  ei: Uint8Array
  er: Uint8Array
  pi: Uint8Array
  pr: Uint8Array
}

/** prf, integrity and cipher are those of the (new) IKE SA; ni, nr without payload headers; SPIs as in its header. */
export type IkeKeyInput = {
  prf: HashName
  integrity: Integrity | null
  cipher: EspCipher
  ni: Uint8Array
  nr: Uint8Array
  spiI: bigint
  spiR: bigint
  sharedSecret: Uint8Array // g^ir, padded to the length of the prime
  additional?: Uint8Array[] // secrets of IKE_FOLLOWUP_KE, in order
}

/** Cuts one stream into pieces of the given lengths, each in memory of its own, and wipes the stream. */
function cut(stream: Uint8Array, lengths: number[]): Uint8Array[] {
  let at = 0
  const pieces = lengths.map((length) => {
    const piece = copy(stream.subarray(at, at + length))
    at += length
    return piece
  })
  wipe(stream)
  return pieces
}

/** {SK_d | ... | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr). */
function expand(input: IkeKeyInput, skeyseed: Uint8Array): IkeKeys {
  const prfSize = prfLength(input.prf)
  const auth = isAead(input.cipher) ? 0 : integrityKeyLength(input.integrity)
  const encryption = cipherKeyLength(input.cipher)
  const lengths = [prfSize, auth, auth, encryption, encryption, prfSize, prfSize]
  const seed = concat(input.ni, input.nr, u64Bytes(input.spiI), u64Bytes(input.spiR))
  const total = lengths.reduce((sum, length) => sum + length, 0)
  const [d, ai, ar, ei, er, pi, pr] = cut(prfPlus(input.prf, skeyseed, seed, total), lengths)
  wipe(skeyseed)
  return { d, ai, ar, ei, er, pi, pr }
}

/** SKEYSEED = prf(Ni | Nr, g^ir). All HMAC PRFs here take keys of any length, so the nonces are never cut (§2.14). */
export function skeyseed(input: IkeKeyInput): Uint8Array {
  return prf(input.prf, concat(input.ni, input.nr), input.sharedSecret)
}

/** Keys of a new IKE SA (§2.14). */
export function deriveIkeKeys(input: IkeKeyInput): IkeKeys {
  return expand(input, skeyseed(input))
}

/**
 * SKEYSEED of a rekeyed IKE SA: prf(SK_d (old), g^ir (new) | Ni | Nr [| SK(1) | ... SK(n)]), with the PRF of the old SA
 * (§2.18, RFC 9370 §2.2.4).
 */
export function rekeySkeyseed(oldPrf: HashName, oldSkD: Uint8Array, input: IkeKeyInput): Uint8Array {
  return prf(oldPrf, oldSkD, input.sharedSecret, input.ni, input.nr, ...(input.additional ?? []))
}

/** Keys of a rekeyed IKE SA (§2.18): SKEYSEED by the old SA's PRF and SK_d, the rest by the new suite. */
export function deriveRekeyedIkeKeys(oldPrf: HashName, oldSkD: Uint8Array, input: IkeKeyInput): IkeKeys {
  return expand(input, rekeySkeyseed(oldPrf, oldSkD, input))
}

/**
 * Keys after one more key exchange in IKE_INTERMEDIATE (RFC 9370 §2.2.2): SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr),
 * the rest as ever. sharedSecret is SK(n); prf, nonces and SPIs are those of IKE_SA_INIT. `keys` are not wiped.
 */
export function addKeyExchange(keys: IkeKeys, input: IkeKeyInput): IkeKeys {
  return deriveRekeyedIkeKeys(input.prf, keys.d, input)
}

/** Zero-fills all seven keys. */
export function wipeIkeKeys(keys: IkeKeys): void {
  wipe(keys.d, keys.ai, keys.ar, keys.ei, keys.er, keys.pi, keys.pr)
}

/** Keys of one direction of a Child SA; the encryption key of AEAD ciphers ends in its 4-byte salt. */
export type ChildKeys = { encryptionKey: Uint8Array; integrityKey: Uint8Array }

export type ChildKeyInput = {
  prf: HashName // of the IKE SA
  skD: Uint8Array
  ni: Uint8Array // of the exchange that makes the Child SA: IKE_SA_INIT for the first one
  nr: Uint8Array
  sharedSecret: Uint8Array | null // g^ir (new) with PFS
  additional?: Uint8Array[] // secrets of IKE_FOLLOWUP_KE, in order
  cipher: EspCipher
  integrity: Integrity | null
}

/**
 * KEYMAT = prf+(SK_d, [g^ir (new) |] Ni | Nr [| SK(1) | ... SK(n)]), cut per direction into encryption key, then integrity key;
 * initiator to responder comes first (§2.17). Initiator is who started this exchange.
 */
export function childKeymat(input: ChildKeyInput): {
  initiatorToResponder: ChildKeys
  responderToInitiator: ChildKeys
} {
  const encryption = cipherKeyLength(input.cipher)
  const integrity = isAead(input.cipher) ? 0 : integrityKeyLength(input.integrity)
  const seed = concat(
    input.sharedSecret ?? new Uint8Array(0),
    input.ni,
    input.nr,
    ...(input.additional ?? []),
  )
  const stream = prfPlus(input.prf, input.skD, seed, 2 * (encryption + integrity))
  const [ei, ai, er, ar] = cut(stream, [encryption, integrity, encryption, integrity])
  wipe(seed)
  return {
    initiatorToResponder: { encryptionKey: ei, integrityKey: ai },
    responderToInitiator: { encryptionKey: er, integrityKey: ar },
  }
}
