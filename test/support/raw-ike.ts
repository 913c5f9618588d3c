// A peer that says what a test wants: the same codec and key derivation as the product, no rules at all. It talks to
// side b of a bed as initiator, or to side a as responder; nothing else may be on that bed's wire.

import assert from 'node:assert/strict'
import { authOctets, pskAuth } from '../../control/crypto/auth.ts'
import { runCryptoJob } from '../../control/crypto/jobs.ts'
import { deriveIkeKeys, type IkeKeys } from '../../control/crypto/keys.ts'
import { open, protect, type SkKeys } from '../../control/crypto/sk.ts'
import type { Endpoint, IkeDatagram } from '../../control/ports.ts'
import type { PeerConfig } from '../../control/sa/contract.ts'
import { u64 } from '../../control/wire/bytes.ts'
import { encodeIdentity, idBody } from '../../control/wire/identity.ts'
import { decodeMessage, encodeMessage, isProtected } from '../../control/wire/message.ts'
import { encodeChildProposals, encodeIkeProposals, spiBytes } from '../../control/wire/proposals.ts'
import { Exchange, type HeaderFields, type Message, type Payload } from '../../control/wire/types.ts'
import type { IkeBed, Side } from './ike-bed.ts'

type Kind = Payload['kind']
type Of<K> = Payload extends infer P
  ? P extends { kind: infer PK }
    ? K extends PK
      ? P
      : never
    : never
  : never

/** First payload of a kind in a list; fails the test when there is none. */
export function pick<K extends Kind>(payloads: Payload[], kind: K): Of<K> {
  const found = payloads.find((each) => each.kind === kind)
  assert.ok(found, `no ${kind} payload`)
  return found as Of<K>
}

/** Types of the notifies in a list. */
export function notifyTypes(payloads: Payload[]): number[] {
  return payloads.flatMap((each) => (each.kind === 'NOTIFY' ? [each.type] : []))
}

export class RawPeer {
  readonly bed: IkeBed
  readonly peer: PeerConfig
  readonly isInitiator: boolean
  local: Endpoint
  remote: Endpoint
  spiI = 0n
  spiR = 0n
  nonce: Uint8Array
  peerNonce = new Uint8Array(0)
  ownMessage = new Uint8Array(0) as Uint8Array
  peerMessage = new Uint8Array(0) as Uint8Array
  keys: IkeKeys | null = null
  nextId = 1
  #privateValue = new Uint8Array(0) as Uint8Array
  #publicValue = new Uint8Array(0) as Uint8Array

  /** peer: the configuration from the raw peer's own side (peerA for an initiator, peerB for a responder). */
  constructor(bed: IkeBed, peer: PeerConfig, isInitiator = true) {
    this.bed = bed
    this.peer = peer
    this.isInitiator = isInitiator
    const [own, other] = isInitiator ? [bed.a, bed.b] : [bed.b, bed.a]
    this.local = { address: own.address, port: 500 }
    this.remote = { address: other.address, port: 500 }
    this.nonce = bed.random(32)
    bed.impairment = () => []
  }

  get victim(): Side {
    return this.isInitiator ? this.bed.b : this.bed.a
  }

  /** Hands bytes to the engine, finishes its jobs, and returns what it sent meanwhile. */
  inject(data: Uint8Array, from: Endpoint = this.local): IkeDatagram[] {
    const before = this.bed.log.length
    const { victim, bed } = this
    victim.do(victim.engine.receive({ local: this.remote, remote: from, data }, bed.now))
    bed.computeAll()
    return bed.log.slice(before)
  }

  #generate(): void {
    const result = runCryptoJob({ kind: 'dh-generate', group: this.peer.ikeProposals[0].dhGroup })
    assert.ok(result.kind === 'dh-generate')
    this.#privateValue = result.privateValue
    this.#publicValue = result.publicValue
  }

  /** SA, KE, Nonce: what an IKE_SA_INIT of either side needs. */
  initPayloads(): Payload[] {
    if (this.#publicValue.length === 0) this.#generate()
    const { ikeProposals } = this.peer
    return [
      { kind: 'SA', proposals: encodeIkeProposals(ikeProposals, new Uint8Array(0)) },
      { kind: 'KE', group: ikeProposals[0].dhGroup, data: this.#publicValue },
      { kind: 'NONCE', data: this.nonce },
    ]
  }

  /** An IKE_SA_INIT request as bytes. */
  initRequest(payloads = this.initPayloads(), fields: Partial<HeaderFields> = {}): Uint8Array {
    if (this.spiI === 0n) this.spiI = u64(this.bed.random(8), 0)
    return encodeMessage(this.#fields(Exchange.IKE_SA_INIT, 0, false, fields), payloads)
  }

  #fields(exchange: number, messageId: number, response: boolean, more: Partial<HeaderFields>): HeaderFields {
    const { spiI: initiatorSpi, spiR: responderSpi, isInitiator: initiator } = this
    return { initiatorSpi, responderSpi, exchange, messageId, response, initiator, ...more }
  }

  /** IKE_SA_INIT as initiator up to the keys; `change` may touch the bytes that go out. */
  init(payloads = this.initPayloads(), change: (message: Uint8Array) => void = () => {}): Message {
    this.ownMessage = this.initRequest(payloads)
    change(this.ownMessage)
    const [answer] = this.inject(this.ownMessage)
    assert.ok(answer, 'IKE_SA_INIT was answered')
    const decoded = decodeMessage(answer.data)
    assert.ok(decoded.ok)
    this.peerMessage = answer.data
    this.spiR = decoded.value.header.responderSpi
    this.peerNonce = pick(decoded.value.payloads, 'NONCE').data.slice()
    this.derive(pick(decoded.value.payloads, 'KE').data)
    return decoded.value
  }

  /** As responder: answers the engine's IKE_SA_INIT and has the keys afterwards. */
  answerInit(request: Uint8Array, more: Payload[] = []): void {
    const decoded = decodeMessage(request)
    assert.ok(decoded.ok)
    this.spiI = decoded.value.header.initiatorSpi
    this.spiR = u64(this.bed.random(8), 0)
    this.peerMessage = request
    this.peerNonce = pick(decoded.value.payloads, 'NONCE').data.slice()
    const fields = this.#fields(Exchange.IKE_SA_INIT, 0, true, {})
    this.ownMessage = encodeMessage(fields, [...this.initPayloads(), ...more])
    this.derive(pick(decoded.value.payloads, 'KE').data)
  }

  derive(peerPublic: Uint8Array): void {
    const { encryption: cipher, integrity, prf, dhGroup: group } = this.peer.ikeProposals[0]
    const result = runCryptoJob({ kind: 'dh-derive', group, privateValue: this.#privateValue, peerPublic })
    assert.ok(result.kind === 'dh-derive')
    const [ni, nr] = this.isInitiator ? [this.nonce, this.peerNonce] : [this.peerNonce, this.nonce]
    const hash = prf as Exclude<typeof prf, 'none'>
    const input = { prf: hash, integrity, cipher, ni, nr, spiI: this.spiI, spiR: this.spiR }
    this.keys = deriveIkeKeys({ ...input, sharedSecret: result.secret })
  }

  sendKeys(isInitiator = this.isInitiator): SkKeys {
    const { encryption: cipher, integrity } = this.peer.ikeProposals[0]
    const keys = this.keys!
    return isInitiator
      ? { cipher, integrity, encryptionKey: keys.ei, integrityKey: keys.ai }
      : { cipher, integrity, encryptionKey: keys.er, integrityKey: keys.ar }
  }

  /** Our ID payload. */
  identity(): Extract<Payload, { kind: 'IDi' | 'IDr' }> {
    const { idType, data } = encodeIdentity(this.peer.localId)!
    return { kind: this.isInitiator ? 'IDi' : 'IDr', idType, data, raw: idBody(idType, data) }
  }

  /** What our AUTH has to cover. */
  octets(): Uint8Array {
    const skP = this.isInitiator ? this.keys!.pi : this.keys!.pr
    return authOctets(this.ownMessage, this.peerNonce, this.#prf(), skP, this.identity().raw)
  }

  #prf() {
    return this.peer.ikeProposals[0].prf as Parameters<typeof pskAuth>[0]
  }

  /** ID payload and AUTH by pre-shared key. */
  proof(): Payload[] {
    const auth = pskAuth(this.#prf(), this.peer.localPsk!, this.octets())
    return [this.identity(), { kind: 'AUTH', method: 2, data: auth }]
  }

  /** SA, TSi, TSr of a first Child SA with the given inbound SPI. */
  childPayloads(spi = 0xc000_0001, withDh = false): Payload[] {
    const { childProposals, localSelectors, remoteSelectors } = this.peer
    const [tsi, tsr] = this.isInitiator
      ? [localSelectors, remoteSelectors]
      : [remoteSelectors, localSelectors]
    return [
      { kind: 'SA', proposals: encodeChildProposals(childProposals, spiBytes(spi), withDh) },
      { kind: 'TSi', selectors: tsi },
      { kind: 'TSr', selectors: tsr },
    ]
  }

  /** A protected message as bytes. */
  seal(
    exchange: number,
    messageId: number,
    payloads: Payload[],
    fields: Partial<HeaderFields> = {},
    keys = this.sendKeys(),
  ): Uint8Array {
    return protect(this.#fields(exchange, messageId, false, fields), payloads, keys, this.bed.random)
  }

  /** Opens what the engine sent. */
  open(data: Uint8Array): Message {
    const decoded = decodeMessage(data)
    assert.ok(decoded.ok && isProtected(decoded.value))
    const inside = open(data, decoded.value.sk, this.sendKeys(!this.isInitiator))
    assert.ok(inside.ok, 'the engine’s message opens')
    return { header: decoded.value.header, payloads: inside.value }
  }

  /** Sends a protected request with the next message id and returns the payloads of the answer, or null for silence. */
  request(exchange: number, payloads: Payload[]): Payload[] | null {
    const [answer] = this.inject(this.seal(exchange, this.nextId++, payloads))
    return answer ? this.open(answer.data).payloads : null
  }

  /** IKE_AUTH as initiator; `more` and `proof` may be whatever a test likes. */
  auth(more: Payload[] = [], proof = this.proof(), child = this.childPayloads()): Payload[] | null {
    return this.request(Exchange.IKE_AUTH, [...proof, ...child, ...more])
  }

  /** Both exchanges; the SA is up afterwards. */
  connect(more: Payload[] = []): Payload[] {
    this.init()
    const answer = this.auth(more)
    assert.ok(answer)
    return answer
  }
}
