// Floods of IKE_SA_INIT in virtual time (RFC 7296 §2.6; security R1, R2): what they cost us, and that an honest peer
// connects all the same.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { EngineOptions } from '../control/ikev2/options.ts'
import type { Address, IkeDatagram } from '../control/ports.ts'
import { decodeMessage, encodeMessage } from '../control/wire/message.ts'
import { NotifyStatus } from '../control/wire/notify.ts'
import type { Payload } from '../control/wire/types.ts'
import { IkeBed } from './support/ike-bed.ts'
import { peerA, peerB } from './support/ike-peers.ts'
import { RawPeer } from './support/raw-ike.ts'

const RATE = 5_000 // requests a second
const SECONDS = 4
const MIB = 2 ** 20

/** Collects garbage, so that what is left is what somebody holds. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

/** b has a tunnel for a, and one for anybody. */
function floodBed(options: Partial<EngineOptions> = {}): IkeBed {
  const bed = new IkeBed({ b: options })
  const anybody = { ...peerB({ tunnel: 'any' }), remote: null, remoteId: 'any' as const }
  return bed.configure([peerA()], [peerB(), anybody])
}

/** Strangers: addresses of their own, requests that differ in SPI and nonce; their group and key are valid. */
class Strangers {
  readonly bed: IkeBed
  readonly payloads: Payload[]
  sent = 0
  answered = 0
  bytesIn = 0
  bytesOut = 0

  constructor(bed: IkeBed) {
    this.bed = bed
    const template = new RawPeer(new IkeBed(), peerA())
    this.payloads = template.initPayloads()
  }

  address(count: number): Address {
    return `10.${(count >> 16) & 255}.${(count >> 8) & 255}.${count & 255}`
  }

  request(cookie: Uint8Array | null, spi: bigint, nonce: Uint8Array): Uint8Array {
    const fields = {
      initiatorSpi: spi,
      responderSpi: 0n,
      exchange: 34,
      messageId: 0,
      response: false,
      initiator: true,
    }
    const payloads = this.payloads.map((each) => (each.kind === 'NONCE' ? { ...each, data: nonce } : each))
    const none = new Uint8Array(0)
    const notify = { kind: 'NOTIFY' as const, protocol: 0, spi: none, type: NotifyStatus.COOKIE }
    return encodeMessage(fields, cookie ? [{ ...notify, data: cookie }, ...payloads] : payloads)
  }

  /** One datagram into b; returns what b sent to it, which does not go onto the wire of the bed. */
  knock(from: Address, data: Uint8Array): IkeDatagram[] {
    const { b, log, now } = this.bed
    const [before, flights] = [log.length, this.bed.flights]
    const remote = { address: from, port: 500 }
    this.sent++
    this.bytesIn += data.length
    b.do(b.engine.receive({ local: { address: b.address, port: 500 }, remote, data }, now))
    this.bed.flights = flights.filter((each) => each.datagram.remote.address !== from)
    const answers = log.slice(before).filter((each) => each.remote.address === from)
    this.answered += answers.length
    for (const { data: answer } of answers) this.bytesOut += answer.length
    log.length = before
    return answers
  }
}

const cookieIn = (datagram: IkeDatagram | undefined): Uint8Array | null => {
  const decoded = datagram ? decodeMessage(datagram.data) : null
  if (!decoded?.ok) return null
  for (const each of decoded.value.payloads)
    if (each.kind === 'NOTIFY' && each.type === NotifyStatus.COOKIE) return each.data.slice()
  return null
}

const halfOpen = (bed: IkeBed) => bed.b.engine.ikeSas(bed.now).filter((sa) => sa.state !== 'established')

describe('R1: 5,000 IKE_SA_INIT a second from forged addresses', () => {
  test('no key pair without a valid cookie past the threshold; memory, answers and time stay bounded', () => {
    const bed = floodBed()
    const strangers = new Strangers(bed)
    const before = heapUsed()
    const started = process.cpuUsage()
    for (let count = 0; count < RATE * SECONDS; count++) {
      const data = strangers.request(null, BigInt(count + 1), bed.random(32))
      strangers.knock(strangers.address(count), data)
      bed.now += 1_000 / RATE
      if (count % 50 === 0) bed.computeAll()
      if (count % 500 === 0) bed.b.do(bed.b.engine.tick(bed.now))
    }
    const { user, system } = process.cpuUsage(started)
    const spent = (user + system) / 1_000
    assert.equal(bed.b.jobKinds.length, 30, 'key pairs for the first thirty, and for nobody else')
    assert.ok(halfOpen(bed).length <= 30)
    bed.b.drops.length = 0
    assert.ok(heapUsed() - before < 20 * MIB, `${Math.round((heapUsed() - before) / MIB)} MiB`)
    assert.ok(strangers.bytesOut <= strangers.bytesIn, 'no amplification')
    assert.ok(spent < SECONDS * 1_000, `${Math.round(spent)} ms of processor time for ${SECONDS} s of flood`)
  })

  test('an honest peer connects through it, and when it is over nothing is left', () => {
    const bed = floodBed()
    const strangers = new Strangers(bed)
    bed.impairment = () => [10]
    let count = 0
    const flood = (ms: number) => {
      for (const until = bed.now + ms; bed.now < until; ) {
        for (let each = 0; each < RATE / 1_000; each++, count++) {
          strangers.knock(
            strangers.address(count),
            strangers.request(null, BigInt(count + 1), bed.random(32)),
          )
        }
        bed.run(1)
      }
    }
    flood(500)
    bed.a.initiate()
    flood(1_000)
    assert.equal(bed.a.installed.size, 1, 'within a second')
    bed.run(60_000)
    assert.deepEqual(
      bed.b.engine.ikeSas(bed.now).map((sa) => sa.state),
      ['established'],
    )
  })
})

describe('R2: a flood that answers its cookies', () => {
  test('five half-open SAs an address, a cap in all, and a named peer is never shut out', () => {
    const bed = floodBed({ halfOpenLimit: 100 })
    const strangers = new Strangers(bed)
    for (let count = 0; count < 4_000; count++) {
      const from = strangers.address(count % 50)
      const [spi, nonce] = [BigInt(count + 1), bed.random(32)]
      const [answer] = strangers.knock(from, strangers.request(null, spi, nonce))
      const cookie = cookieIn(answer)
      if (cookie) strangers.knock(from, strangers.request(cookie, spi, nonce))
      bed.computeAll()
      bed.now += 0.2
    }
    const open = halfOpen(bed)
    assert.equal(open.length, 100)
    const each = new Map<string, number>()
    for (const { remote } of open) each.set(remote.address, (each.get(remote.address) ?? 0) + 1)
    assert.ok(Math.max(...each.values()) <= 5)
    assert.equal(bed.b.jobKinds.length, 100, 'as many key pairs as half-open SAs')
    bed.a.initiate()
    bed.settle()
    assert.equal(bed.a.installed.size, 1, 'the peer that a tunnel names connects at once')
  })

  test('one IPv6 network is one address', () => {
    const bed = floodBed({ cookieThreshold: 1_000 })
    const strangers = new Strangers(bed)
    for (let count = 0; count < 100; count++) {
      const data = strangers.request(null, BigInt(count + 1), bed.random(32))
      strangers.knock(`2001:db8::${count.toString(16)}:1`, data)
      bed.computeAll()
    }
    assert.equal(halfOpen(bed).length, 5)
  })

  test('the oldest make room for new strangers when they had time to go on', () => {
    const bed = floodBed({ halfOpenLimit: 40, cookieThreshold: 1_000 })
    const strangers = new Strangers(bed)
    const knock = (count: number) => {
      strangers.knock(strangers.address(count), strangers.request(null, BigInt(count + 1), bed.random(32)))
      bed.computeAll()
    }
    for (let count = 0; count < 100; count++) knock(count)
    assert.deepEqual([halfOpen(bed).length, bed.b.jobKinds.length], [40, 40])
    bed.now += 2_000
    for (let count = 100; count < 110; count++) knock(count)
    assert.deepEqual([halfOpen(bed).length, bed.b.jobKinds.length], [40, 50])
  })

  test('another threshold counts from the next datagram on', () => {
    const bed = floodBed({ cookieThreshold: 1_000 })
    const strangers = new Strangers(bed)
    const knock = (count: number) => {
      strangers.knock(strangers.address(count), strangers.request(null, BigInt(count + 1), bed.random(32)))
      bed.computeAll()
    }
    knock(0)
    bed.b.engine.setCookieThreshold?.(0)
    knock(1)
    assert.deepEqual([halfOpen(bed).length, bed.b.jobKinds.length], [1, 1])
    bed.b.engine.setCookieThreshold?.(1_000)
    knock(2)
    assert.deepEqual([halfOpen(bed).length, bed.b.jobKinds.length], [2, 2])
  })

  test('key pairs for strangers are computed so many at a time', () => {
    const bed = floodBed({ cookieThreshold: 1_000 })
    const strangers = new Strangers(bed)
    for (let count = 0; count < 200; count++) {
      const data = strangers.request(null, BigInt(count + 1), bed.random(32))
      strangers.knock(strangers.address(count), data)
    }
    assert.equal(bed.b.jobs.length, 64)
    bed.a.initiate()
    bed.computeAll()
    bed.settle()
    assert.equal(bed.a.installed.size, 1)
  })
})
