// Two IKE engines in one process for `bench ike`: messages are handed over, public-key jobs run as the gateway runs
// them, one step at a time, and the CPU time of each step is charged to the end that took it.
//
// A handshake is IKE_SA_INIT and IKE_AUTH with the first Child SA, each with a tunnel of its own, as between a hub and
// its sites. What the card would do with the keys is not part of it; they are wiped as a gateway wipes them.

import { PoolCryptoJobs } from '../bindings/crypto-jobs.ts'
import { createIkev2Engine } from '../control/ikev2/engine.ts'
import type { Address, CryptoJob, DhGroup, IkeDatagram } from '../control/ports.ts'
import type { Action, Engine, PeerConfig } from '../control/sa/contract.ts'
import { certificateFor, peerA, peerB, testCa, wallNow } from '../test/support/ike-peers.ts'
import { processTime } from './process-clock.ts'

export type IkeAuth = 'psk' | 'rsa-2048'
export type IkeRole = 'initiator' | 'responder'

/** Public-key work of one handshake, for the reference: key pair and secret, and with RSA a signature and two checks. */
export type HandshakeJobs = { dhGroup: DhGroup; auth: IkeAuth }

const NOW = 1_000

const siteAddress = (index: number): Address => `10.200.${index >> 8}.${index & 255}`

/** One end: its engine, its CPU time, and what waits to be done for it. */
class End {
  readonly engine: Engine
  readonly jobs = new PoolCryptoJobs()
  milliseconds = 0
  up = 0
  failure: string | null = null
  pending: { ikeSa: number; token: number; job: CryptoJob }[] = []
  outbox: IkeDatagram[] = []

  constructor(firstSpi: number) {
    let spi = firstSpi
    const environment = {
      random: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
      wall: () => wallNow,
      allocateSpi: () => spi++,
      releaseSpi: () => {},
    }
    this.engine = createIkev2Engine(environment)
  }

  /** Runs one step of this end and charges its CPU time, also that of the thread pool. */
  charge(step: () => Action[]): void {
    const before = processTime()
    const actions = step()
    this.engine.deadline() // a gateway arms its timer after each event
    this.milliseconds += processTime() - before
    for (const action of actions) this.#take(action)
  }

  async compute(): Promise<boolean> {
    const next = this.pending.shift()
    if (next === undefined) return false
    const before = processTime()
    const result = await this.jobs.run(next.job)
    this.milliseconds += processTime() - before
    this.charge(() => this.engine.computed(next.ikeSa, next.token, result, NOW))
    return true
  }

  #take(action: Action) {
    switch (action.kind) {
      case 'send':
        return void this.outbox.push(action.datagram)
      case 'compute':
        return void this.pending.push(action)
      case 'install':
        for (const { encryptionKey, integrityKey } of [action.child.inbound, action.child.outbound]) {
          encryptionKey.fill(0)
          integrityKey.fill(0)
        }
        return
      case 'ike-up':
        return void this.up++
      case 'report':
        this.failure = action.report.text
    }
  }
}

export class IkePair {
  readonly #sites: number
  readonly #initiator = new End(0x1000)
  readonly #responder = new End(0x1000_0000)
  #next = 0

  /** `sites` tunnels at both ends: so many handshakes, one each. */
  constructor({ auth, dhGroup }: HandshakeJobs, sites: number) {
    this.#sites = sites
    const common = {
      ikeProposals: [
        { encryption: 'aes-128' as const, integrity: 'sha256' as const, prf: 'sha256' as const, dhGroup },
      ],
      ...(auth === 'psk' ? {} : RSA),
    }
    const [one, other] = auth === 'psk' ? [{}, {}] : [certified('a.example.net'), certified('b.example.net')]
    for (let index = 0; index < sites; index++) {
      const tunnel = `site-${index}`
      const site = siteAddress(index)
      this.#initiator.engine.setPeer({ ...peerA({ tunnel, ...common, ...one }), local: site })
      const remote = { address: site, port: 500 }
      this.#responder.engine.setPeer({ ...peerB({ tunnel, ...common, ...other }), remote })
    }
  }

  /** Handshakes left. */
  get left(): number {
    return this.#sites - this.#next
  }

  /** One handshake; the CPU milliseconds of either end. Throws when it does not come up. */
  async handshake(): Promise<Record<IkeRole, number>> {
    const index = this.#next++
    const [initiator, responder] = [this.#initiator, this.#responder]
    const before = [initiator.milliseconds, responder.milliseconds]
    initiator.charge(() => initiator.engine.initiate(`site-${index}`, siteAddress(index), NOW))
    while (await this.#step());
    if (initiator.up <= index || responder.up <= index)
      throw new Error(`the handshake failed: ${initiator.failure ?? responder.failure}`)
    return {
      initiator: initiator.milliseconds - before[0],
      responder: responder.milliseconds - before[1],
    }
  }

  async #step(): Promise<boolean> {
    for (const [from, to] of [
      [this.#initiator, this.#responder],
      [this.#responder, this.#initiator],
    ]) {
      const sent = from.outbox.shift()
      if (sent !== undefined) {
        const arriving = { local: sent.remote, remote: sent.local, data: sent.data }
        to.charge(() => to.engine.receive(arriving, NOW))
        return true
      }
      if (await from.compute()) return true
    }
    return false
  }
}

const RSA: Partial<PeerConfig> = {
  localAuth: 'digital-signature',
  remoteAuth: 'digital-signature',
  localPsk: null,
  remotePsk: null,
}

function certified(name: string): Partial<PeerConfig> {
  return { certificate: certificateFor(name), trust: [{ name: 'ca', der: testCa().der }] }
}
