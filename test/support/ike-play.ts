// Collisions played by hand on a bed: each message of each side is delivered, held back or lost by the test, and after
// each one the SAs of both sides stand in one line: `old* b` = the old SA, which sends, and the one that b's exchange
// made. After every message both sides must send on an SA that the other receives on, unless the test says otherwise.

import assert from 'node:assert/strict'
import type { EngineOptions } from '../../control/ikev2/options.ts'
import type { PeerConfig } from '../../control/sa/contract.ts'
import { assertUp, type Flight, IkeBed, pairOf, type Side } from './ike-bed.ts'
import { peerA, peerB } from './ike-peers.ts'

export type Name = 'a' | 'b'
/** Child SAs of both sides, in the order in which they came; the sending one has a star. */
export type Look = { a: string; b: string }

/** Whose nonce is the lowest of the four: a.ni and b.nr belong to a's exchange, b.ni and a.nr to b's. */
export const LOWEST = ['a.ni', 'b.nr', 'b.ni', 'a.nr'] as const
export type Lowest = (typeof LOWEST)[number]

/** The side whose exchange has the lowest nonce: what it made goes. */
export function loserOf(lowest: Lowest): Name {
  return lowest === 'a.ni' || lowest === 'b.nr' ? 'a' : 'b'
}

export class Play {
  readonly bed: IkeBed
  /** may a side be without a usable SA for a moment? Only where the peer has deleted what we send on. */
  isGapAllowed = false
  readonly #firstIke: string
  readonly #labels = new Map<string, string>()
  readonly #made = { a: 0, b: 0 }

  /** A tunnel that is up between a and b. */
  constructor(
    common: Partial<PeerConfig> = {},
    differs: Partial<PeerConfig> = {},
    seed = 1,
    options: Partial<EngineOptions> = {},
  ) {
    this.bed = new IkeBed({ seed, a: options, b: options }).configure(
      peerA(common),
      peerB({ ...common, ...differs }),
    )
    this.bed.a.initiate()
    this.bed.settle()
    assertUp(this.bed)
    this.#labels.set(pairOf(this.bed.a.sender()), 'old')
    this.#firstIke = this.bed.a.engine.ikeSas(this.bed.now)[0].initiatorSpi
  }

  side(name: Name): Side {
    return this.bed[name]
  }

  /** Prescribes all four nonces of a collision. */
  nonces(lowest: Lowest): this {
    const [first, second] = ['ni', 'nr'] as const
    for (const name of ['a', 'b'] as const) {
      const value = (part: string) => new Uint8Array(32).fill(lowest === `${name}.${part}` ? 1 : 200)
      this.side(name).nonces.push(distinct(value(first), name, 1), distinct(value(second), name, 2))
    }
    return this
  }

  /** A side begins to renew its sending Child SA, or its only IKE SA. */
  rekey(name: Name): this {
    const side = this.side(name)
    return this.#do(side, side.engine.rekeyChild(side.sender().child, this.bed.now))
  }

  rekeyIke(name: Name): this {
    const side = this.side(name)
    return this.#do(side, side.engine.rekeyIke(side.ikeIds()[0], this.bed.now))
  }

  /** A side deletes a Child SA (by label), as it does at the hard limit. */
  expire(name: Name, label = 'old'): this {
    this.#name()
    const side = this.side(name)
    const child = [...side.installed.values()].find((each) => this.#labels.get(pairOf(each)) === label)
    assert.ok(child, `${name} has no ${label}`)
    return this.#do(side, side.engine.expireChild(child.child, this.bed.now))
  }

  clear(name: Name): this {
    const side = this.side(name)
    return this.#do(side, side.engine.clear('t', 'cleared', this.bed.now))
  }

  #do(side: Side, actions: Parameters<Side['do']>[0]): this {
    side.do(actions)
    this.bed.computeAll()
    return this
  }

  /** Delivers the oldest message of a side; then the SAs must look like this. */
  pass(from: Name, look?: Look): this {
    return this.release(this.bed.take(this.side(from)), look)
  }

  /** Takes the oldest message of a side off the wire for later. */
  hold(from: Name): Flight {
    return this.bed.take(this.side(from))
  }

  lose(from: Name): this {
    this.hold(from)
    return this
  }

  release(flight: Flight, look?: Look): this {
    this.bed.arrive(flight)
    this.bed.computeAll()
    if (!this.isGapAllowed) this.#assertNoGap()
    if (look) this.looks(look)
    return this
  }

  looks(look: Look): this {
    assert.deepEqual({ a: this.look('a'), b: this.look('b') }, look)
    return this
  }

  look(name: Name): string {
    this.#name()
    const side = this.side(name)
    const sending = side.sending.get('t')
    return [...side.installed.values()]
      .map((each) => `${this.#labels.get(pairOf(each))}${each.child === sending ? '*' : ''}`)
      .join(' ')
  }

  /**
   * IKE SAs of a side in one line: `old:replaced b:established*`; `a` and `b` name the end whose renewal made them, a
   * star the SA that holds the Child SAs.
   */
  ikes(name: Name): string {
    return this.side(name)
      .engine.ikeSas(this.bed.now)
      .map((sa) => {
        const maker = sa.role === 'initiator' ? name : name === 'a' ? 'b' : 'a'
        const label = sa.initiatorSpi === this.#firstIke ? 'old' : maker
        return `${label}:${sa.state}${sa.children.length > 0 ? '*' : ''}`
      })
      .join(' ')
  }

  /** After a message the IKE SAs must look like this. */
  ikesLook(look: Look): this {
    assert.deepEqual({ a: this.ikes('a'), b: this.ikes('b') }, look)
    return this
  }

  /** Who has a pair first was asked for it: the other one made it. */
  #name(): void {
    for (const [pair, side] of this.bed.answeredBy) {
      if (this.#labels.has(pair)) continue
      const maker = side === this.bed.a ? 'b' : 'a'
      const count = ++this.#made[maker]
      this.#labels.set(pair, count === 1 ? maker : `${maker}${count}`)
    }
  }

  #assertNoGap(): void {
    for (const name of ['a', 'b'] as const) {
      const side = this.side(name)
      const { spiOut } = side.sender()
      const isHeard = [...this.bed.other(side).installed.values()].some((child) => child.spiIn === spiOut)
      assert.ok(isHeard, `${name} sends on an SA that the other end does not receive on`)
    }
  }

  /** Nothing of either side is on the wire. */
  quiet(): this {
    assert.equal(this.bed.flights.length, 0, 'nothing more is sent')
    return this
  }

  /** Time passes; retransmissions and retries run their course. */
  wait(ms: number): this {
    this.bed.run(ms)
    return this
  }

  /** In the end: one Child SA, one IKE SA, mirrored, and no trace of another; the tunnel never went down. */
  ends(label: string): this {
    this.wait(130_000)
    assertUp(this.bed)
    this.looks({ a: `${label}*`, b: `${label}*` })
    return this.assertSteady()
  }

  /** In the end of a renewal of IKE SAs: that of this end holds the Child SA, which is the old one. */
  endsWithIke(label: Name): this {
    this.ends('old')
    return this.ikesLook({ a: `${label}:established*`, b: `${label}:established*` })
  }

  /** No SA was lost to the tunnels: each one removed was replaced. */
  assertSteady(): this {
    for (const side of [this.bed.a, this.bed.b]) {
      assert.deepEqual([side.downs, side.failed], [[], []], side.name)
      assert.ok(
        side.removed.every((each) => each.reason === 'replaced'),
        `${side.name}: ${JSON.stringify(side.removed)}`,
      )
    }
    return this
  }
}

/** The last byte tells nonces apart that would be equal. */
function distinct(nonce: Uint8Array, name: Name, part: number): Uint8Array {
  nonce[31] = part + (name === 'a' ? 0 : 2)
  return nonce
}
