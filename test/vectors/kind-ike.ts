/** ike/*.json: Diffie-Hellman values to compute and to refuse, and a whole IKEv2 exchange step by step. */
import { authOctets, pskAuth } from '../../control/crypto/auth.ts'
import { checkPublicValue } from '../../control/crypto/dh.ts'
import { runCryptoJob } from '../../control/crypto/jobs.ts'
import {
  childKeymat,
  deriveIkeKeys,
  type IkeKeyInput,
  rekeySkeyseed,
  skeyseed,
} from '../../control/crypto/keys.ts'
import { natDetectionHash } from '../../control/crypto/natt.ts'
import { openBytes, protectWith } from '../../control/crypto/sk.ts'
import { cipherShape, type HashName } from '../../control/crypto/suite.ts'
import type { DhGroup, EspCipher } from '../../control/ports.ts'
import { addressText } from '../../control/wire/address.ts'
import { concat } from '../../control/wire/bytes.ts'
import { decodeMessage, decodePayloads, isProtected } from '../../control/wire/message.ts'
import { sameBytes, sameVerdict } from './compare.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { hexBytes } from './rsp.ts'

type DhFile = {
  tests: { group: DhGroup; kind: string; xa: string; ya: string; xb: string; yb: string; shared: string }[]
}

/** Secret through the same checks as a peer's KE payload; null when refused. */
export function deriveChecked(
  group: DhGroup,
  privateValue: Uint8Array,
  peerPublic: Uint8Array,
): Uint8Array | null {
  if (checkPublicValue(group, peerPublic)) return null
  const result = runCryptoJob({ kind: 'dh-derive', group, privateValue, peerPublic })
  return result.kind === 'dh-derive' ? result.secret : null
}

/** The generator 2 as a public value: deriving with it computes our own public value. */
function generator(length: number): Uint8Array {
  const two = new Uint8Array(length)
  two[length - 1] = 2
  return two
}

/** Both public values and the secret from either side. */
export const modpDh: VectorKind = {
  name: 'ike-modp-dh',
  matches: (path, content) => path.endsWith('.json') && /"xa":/.test(content) && /"yb":/.test(content),
  run: function* (_path, content) {
    for (const [index, each] of (JSON.parse(content) as DhFile).tests.entries()) {
      const { group, kind, xa, ya, xb, yb, shared } = each
      const id = `${index} group ${group}, ${kind}`
      const two = generator(ya.length / 2)
      yield sameBytes(`${id}: g^a`, ya, deriveChecked(group, hexBytes(xa), two))
      yield sameBytes(`${id}: g^b`, yb, deriveChecked(group, hexBytes(xb), two))
      yield sameBytes(`${id}: g^ab at a`, shared, deriveChecked(group, hexBytes(xa), hexBytes(yb)))
      yield sameBytes(`${id}: g^ab at b`, shared, deriveChecked(group, hexBytes(xb), hexBytes(ya)))
    }
  },
}

type KeFile = { tests: { group: number; why: string; ke: string }[] }

/** Values that must be refused before any exponentiation. */
export const modpDhInvalid: VectorKind = {
  name: 'ike-modp-dh-invalid',
  matches: (path, content) => path.endsWith('.json') && /"ke":/.test(content) && /"why":/.test(content),
  run: (_path, content) =>
    (JSON.parse(content) as KeFile).tests.map(({ group, why, ke }) =>
      sameVerdict(`group ${group}, ${why}`, false, checkPublicValue(group, hexBytes(ke)) === null),
    ),
}

type SkMessage = { inner_first_payload: number; inner: string; message: string }
type Nat = {
  ip: string
  port: number
  hash: string
  initial_responder_spi_zero: { port: number; hash: string }
}
type ExchangeCase = Record<
  | 'id'
  | 'prf'
  | 'encr'
  | 'ni'
  | 'nr'
  | 'spi_i'
  | 'spi_r'
  | 'g_ir'
  | 'skeyseed'
  | 'sk_d'
  | 'sk_ai'
  | 'sk_ar'
  | 'sk_ei'
  | 'sk_er'
  | 'sk_pi'
  | 'sk_pr'
  | 'psk'
  | 'real_message_1'
  | 'real_message_2'
  | 'idi_b'
  | 'idr_b'
  | 'auth_i'
  | 'auth_r',
  string
> & {
  integ: string | null
  informational_from_initiator: SkMessage[]
  nat_detection: Nat
  child: Record<
    'ni' | 'nr' | 'g_ir_new' | 'keymat_no_pfs_128' | 'keymat_pfs_128' | 'ike_rekey_skeyseed',
    string
  >
}

const ciphers: Record<string, EspCipher> = {
  'AES-CBC-128': 'aes-128',
  'AES-CBC-256': 'aes-256',
  '3DES': '3des',
  'AES-GCM-16-128': 'aes-gcm-128',
}
const prfs: Record<string, HashName> = {
  PRF_HMAC_MD5: 'md5',
  PRF_HMAC_SHA1: 'sha1',
  PRF_HMAC_SHA2_256: 'sha256',
  PRF_HMAC_SHA2_384: 'sha384',
  PRF_HMAC_SHA2_512: 'sha512',
}
const integrities: Record<string, HashName> = {
  'HMAC-MD5-96': 'md5',
  'HMAC-SHA1-96': 'sha1',
  'HMAC-SHA2-256-128': 'sha256',
  'HMAC-SHA2-384-192': 'sha384',
  'HMAC-SHA2-512-256': 'sha512',
}

function named<T>(table: Record<string, T>, name: string): T {
  const value = table[name]
  if (value === undefined) throw new Error(`unknown algorithm ${name}`)
  return value
}

function inputOf(one: ExchangeCase): IkeKeyInput {
  return {
    prf: named(prfs, one.prf),
    integrity: one.integ === null ? null : named(integrities, one.integ),
    cipher: named(ciphers, one.encr),
    ni: hexBytes(one.ni),
    nr: hexBytes(one.nr),
    spiI: BigInt(`0x${one.spi_i}`),
    spiR: BigInt(`0x${one.spi_r}`),
    sharedSecret: hexBytes(one.g_ir),
  }
}

function* runKeys(one: ExchangeCase, input: IkeKeyInput): Iterable<VectorResult> {
  const keys = deriveIkeKeys(input)
  yield sameBytes(`${one.id} SKEYSEED`, one.skeyseed, skeyseed(input))
  for (const name of ['d', 'ai', 'ar', 'ei', 'er', 'pi', 'pr'] as const) {
    yield sameBytes(`${one.id} SK_${name}`, one[`sk_${name}`] ?? '', keys[name])
  }
}

function* runAuth(one: ExchangeCase, { prf, ni, nr }: IkeKeyInput): Iterable<VectorResult> {
  const octetsI = authOctets(hexBytes(one.real_message_1), nr, prf, hexBytes(one.sk_pi), hexBytes(one.idi_b))
  const octetsR = authOctets(hexBytes(one.real_message_2), ni, prf, hexBytes(one.sk_pr), hexBytes(one.idr_b))
  yield sameBytes(`${one.id} AUTH of the initiator`, one.auth_i, pskAuth(prf, hexBytes(one.psk), octetsI))
  yield sameBytes(`${one.id} AUTH of the responder`, one.auth_r, pskAuth(prf, hexBytes(one.psk), octetsR))
}

function* runNat(one: ExchangeCase, { spiI, spiR }: IkeKeyInput): Iterable<VectorResult> {
  const { ip, port, hash, initial_responder_spi_zero: initial } = one.nat_detection
  const address = addressText(hexBytes(ip))!
  yield sameBytes(`${one.id} NAT detection`, hash, natDetectionHash(spiI, spiR, { address, port }))
  const first = natDetectionHash(spiI, 0n, { address, port: initial.port })
  yield sameBytes(`${one.id} NAT detection in the first message`, initial.hash, first)
}

/** KEYMAT long enough to cover the 128 bytes of the file: AES-256 and SHA-512, both directions. */
function keymat(one: ExchangeCase, prf: HashName, sharedSecret: Uint8Array | null): Uint8Array {
  const { ni, nr } = one.child
  const skD = hexBytes(one.sk_d)
  const both = childKeymat({
    prf,
    skD,
    ni: hexBytes(ni),
    nr: hexBytes(nr),
    sharedSecret,
    cipher: 'aes-256',
    integrity: 'sha512',
  })
  const sides = [both.initiatorToResponder, both.responderToInitiator]
  return concat(...sides.flatMap((side) => [side.encryptionKey, side.integrityKey])).subarray(0, 128)
}

function* runChild(one: ExchangeCase, input: IkeKeyInput): Iterable<VectorResult> {
  const { child, id } = one
  const secret = hexBytes(child.g_ir_new)
  yield sameBytes(`${id} KEYMAT`, child.keymat_no_pfs_128, keymat(one, input.prf, null))
  yield sameBytes(`${id} KEYMAT with PFS`, child.keymat_pfs_128, keymat(one, input.prf, secret))
  const rekeyed = { ...input, ni: hexBytes(child.ni), nr: hexBytes(child.nr), sharedSecret: secret }
  const seed = rekeySkeyseed(input.prf, hexBytes(one.sk_d), rekeyed)
  yield sameBytes(`${id} SKEYSEED of the rekeyed IKE SA`, child.ike_rekey_skeyseed, seed)
}

/** Opens the message, compares the inside, then protects the inside again with the same IV. */
function* runMessage(
  id: string,
  one: ExchangeCase,
  sk: SkMessage,
  input: IkeKeyInput,
): Iterable<VectorResult> {
  const { cipher, integrity } = input
  const datagram = hexBytes(sk.message)
  const keys = { cipher, integrity, encryptionKey: hexBytes(one.sk_ei), integrityKey: hexBytes(one.sk_ai) }
  const message = decodeMessage(datagram)
  if (!message.ok || !isProtected(message.value)) {
    yield { id, outcome: 'failed', note: 'no protected message' }
    return
  }
  const { header, sk: part } = message.value
  const opened = openBytes(datagram, part, keys)
  yield sameBytes(`${id} inside`, sk.inner, opened.ok ? opened.value : null)
  const payloads = decodePayloads(sk.inner_first_payload, hexBytes(sk.inner))
  const iv = part.body.subarray(0, cipherShape(cipher).iv)
  const again = payloads.ok ? protectWith(header, payloads.value, keys, iv) : null
  yield sameBytes(`${id} protected again`, sk.message, again)
}

/** One case of the file: every value of it is computed and compared. */
function* runExchange(one: ExchangeCase): Iterable<VectorResult> {
  const input = inputOf(one)
  yield* runKeys(one, input)
  yield* runAuth(one, input)
  yield* runNat(one, input)
  yield* runChild(one, input)
  for (const [index, sk] of one.informational_from_initiator.entries()) {
    yield* runMessage(`${one.id} message ${index}`, one, sk, input)
  }
}

export const ikev2Exchange: VectorKind = {
  name: 'ikev2-exchange',
  matches: (path, content) => path.endsWith('.json') && /"sk_pr":/.test(content) && /"auth_r":/.test(content),
  run: function* (_path, content) {
    for (const one of (JSON.parse(content) as { tests: ExchangeCase[] }).tests) yield* runExchange(one)
  },
}
