// A raw initiator that makes one additional key exchange by the formulas of RFC 9242 and RFC 9370, with nothing of the
// engine's own derivation: an oracle for it.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { pskAuth } from '../../control/crypto/auth.ts'
import { runCryptoJob } from '../../control/crypto/jobs.ts'
import type { CryptoResult, Kem } from '../../control/ports.ts'
import type { IkeSuite, PeerConfig } from '../../control/sa/contract.ts'
import { concat, u16Bytes, u32Bytes, u64Bytes } from '../../control/wire/bytes.ts'
import { encodePayloads } from '../../control/wire/message.ts'
import { NotifyStatus } from '../../control/wire/notify.ts'
import { Exchange, type Payload, PayloadType } from '../../control/wire/types.ts'
import { IkeBed } from './ike-bed.ts'
import { peerA, peerB, suite } from './ike-peers.ts'
import { pick, RawPeer } from './raw-ike.ts'

/** draft-ietf-ipsecme-ikev2-mlkem. */
export const KEM_IDS: Record<Kem, number> = { 'mlkem-512': 35, 'mlkem-768': 36, 'mlkem-1024': 37 }

export const withKems = (kems: Kem[], base: IkeSuite = suite): IkeSuite => ({ ...base, additionalKe: kems })
export const proposing = (...ikeProposals: IkeSuite[]): Partial<PeerConfig> => ({ ikeProposals })

/** A result of the kind that was asked for. */
export function made<K extends CryptoResult['kind']>(result: CryptoResult, kind: K) {
  assert.equal(result.kind, kind, JSON.stringify(result))
  return result as Extract<CryptoResult, { kind: K }>
}

export class HybridPeer extends RawPeer {
  intAuthI = new Uint8Array(0)
  intAuthR = new Uint8Array(0)
  seed = new Uint8Array(0) as Uint8Array
  readonly kem: Kem

  constructor(kem: Kem, base = suite, differs: Partial<PeerConfig> = {}) {
    const config = proposing(withKems([kem], base))
    super(new IkeBed().configure([], peerB({ ...config, ...differs })), peerA(config))
    this.kem = kem
  }

  hash(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
    const mac = createHmac(this.peer.ikeProposals[0].prf, key)
    for (const part of parts) mac.update(part)
    return new Uint8Array(mac.digest())
  }

  start(): this {
    const notify = { kind: 'NOTIFY' as const, protocol: 0, spi: new Uint8Array(0), data: new Uint8Array(0) }
    this.init([...this.initPayloads(), { ...notify, type: NotifyStatus.INTERMEDIATE_EXCHANGE_SUPPORTED }])
    return this
  }

  keyPayload(): Payload {
    const pair = made(runCryptoJob({ kind: 'kem-generate', kem: this.kem }), 'kem-generate')
    this.seed = pair.privateValue
    return { kind: 'KE', group: KEM_IDS[this.kem], data: pair.publicValue }
  }

  /** IKE header | header of the SK payload | its inside, lengths adjusted (RFC 9242 §3.3.2). */
  covered(payloads: Payload[], messageId: number, flags: number): Uint8Array {
    const { firstType, bytes } = encodePayloads(payloads)
    const fixed = Uint8Array.of(PayloadType.SK, 0x20, Exchange.IKE_INTERMEDIATE, flags)
    return concat(
      u64Bytes(this.spiI),
      u64Bytes(this.spiR),
      fixed,
      u32Bytes(messageId),
      u32Bytes(32 + bytes.length),
      Uint8Array.of(firstType, 0),
      u16Bytes(4 + bytes.length),
      bytes,
    )
  }

  intermediate(payloads: Payload[]): Payload[] | null {
    const messageId = this.nextId
    const answer = this.request(Exchange.IKE_INTERMEDIATE, payloads)
    if (!answer) return null
    this.intAuthI = this.hash(this.keys!.pi, this.intAuthI, this.covered(payloads, messageId, 0x08))
    this.intAuthR = this.hash(this.keys!.pr, this.intAuthR, this.covered(answer, messageId, 0x20))
    return answer
  }

  /** SKEYSEED(1) = prf(SK_d, SK(1) | Ni | Nr), the seven keys by prf+ (RFC 9370 §2.2.2). */
  takeKeys(ciphertext: Uint8Array): void {
    const job = { kind: 'kem-decapsulate', kem: this.kem, privateValue: this.seed, ciphertext } as const
    const { secret } = made(runCryptoJob(job), 'kem-decapsulate')
    const keys = this.keys!
    const seed = concat(this.nonce, this.peerNonce, u64Bytes(this.spiI), u64Bytes(this.spiR))
    const skeyseed = this.hash(keys.d, secret, this.nonce, this.peerNonce)
    const stream: Uint8Array[] = []
    const wanted = Object.values(keys).reduce((sum, key) => sum + key.length, 0)
    for (let count = 1, length = 0; length < wanted; count++) {
      stream.push(this.hash(skeyseed, stream.at(-1) ?? new Uint8Array(0), seed, Uint8Array.of(count)))
      length += stream.at(-1)!.length
    }
    const bytes = concat(...stream)
    let at = 0
    const cut = (length: number) => {
      at += length
      return bytes.slice(at - length, at)
    }
    const [d, ai, ar] = [cut(keys.d.length), cut(keys.ai.length), cut(keys.ar.length)]
    this.keys = {
      d,
      ai,
      ar,
      ei: cut(keys.ei.length),
      er: cut(keys.er.length),
      pi: cut(keys.pi.length),
      pr: cut(keys.pr.length),
    }
  }

  override octets(): Uint8Array {
    return concat(super.octets(), this.intAuthI, this.intAuthR, u32Bytes(this.nextId))
  }

  /** Does the AUTH of the answer cover the same? */
  isProven(answer: Payload[]): boolean {
    const idr = pick(answer, 'IDr')
    const octets = concat(
      this.peerMessage,
      this.nonce,
      this.hash(this.keys!.pr, idr.raw),
      this.intAuthI,
      this.intAuthR,
      u32Bytes(this.nextId - 1),
    )
    const expected = pskAuth(this.peer.ikeProposals[0].prf as 'sha256', this.peer.localPsk!, octets)
    return Buffer.from(expected).equals(pick(answer, 'AUTH').data)
  }
}
