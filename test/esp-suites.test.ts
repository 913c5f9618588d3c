/**
 * Every ESP suite from the configuration to the packet: the language accepts what the card is built for and nothing
 * else, IKEv2 negotiates it, its keying material fits the card, and packets pass between two cards.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { refuseSuite } from '../bindings/card-sa.ts'
import { childProposalsOf } from '../control/config/suites.ts'
import { childKeymat } from '../control/crypto/keys.ts'
import type { EspCipher, Integrity } from '../control/ports.ts'
import type { ChildSuite } from '../control/sa/contract.ts'
import {
  acceptChildAnswer,
  chooseChildProposal,
  encodeChildProposals,
  spiBytes,
} from '../control/wire/proposals.ts'
import { CardBed, saOf, tunnelOf } from './card-bed.ts'
import { load } from './config/bench.ts'
import { CIPHERS, INTEGRITIES } from './oracle/esp.ts'
import { packetOf } from './packets.ts'

const GATES = 'legacy-crypto permit\ninsecure-crypto permit "test of every suite"\n'
const IKE = 'ike policy p\n pre-shared-key text 0123456789abcdef0123456789abcdef\n'
const ENDS = ' mode economical\n peer-end-point local 198.51.100.1 remote 203.0.113.1\n ike-policy p\n'

function configure(cipher: EspCipher, integrity: Integrity) {
  const authentication = CIPHERS[cipher].aead ? '' : ` esp authentication ${integrity}\n`
  const proposal = `ipsec proposal x\n esp encryption ${cipher}\n${authentication}`
  const policy = 'ipsec policy q\n seq 10 proposal x\n'
  return load(`${GATES}${proposal}${policy}${IKE}tunnel ipsec a\n${ENDS} ipsec-policy q\n`)
}

const suites = (Object.keys(CIPHERS) as EspCipher[]).flatMap((cipher) => {
  const hashes: Integrity[] = CIPHERS[cipher].aead ? ['none'] : (Object.keys(INTEGRITIES) as Integrity[])
  return hashes.map((integrity) => ({ cipher, integrity }))
})
const isBuilt = (suite: (typeof suites)[number]) => refuseSuite({ ...suite, protocol: 'esp' }) === null

describe('suites the card has not', () => {
  for (const suite of suites.filter((each) => !isBuilt(each))) {
    test(`${suite.cipher} ${suite.integrity} is refused at commit`, () => {
      const errors = configure(suite.cipher, suite.integrity).errors.map(({ code }) => code)
      assert.ok(errors.includes('unsupported') || errors.includes('never'), errors.join())
    })
  }
})

describe('suites the card has', () => {
  for (const { cipher, integrity } of suites.filter(isBuilt)) {
    test(`${cipher} ${integrity}: configured, negotiated, carried`, () => {
      const { errors, config } = configure(cipher, integrity)
      assert.deepEqual(errors, [])
      const [suite] = childProposalsOf(config!, config!.tunnels.get('a')!)
      negotiate(suite)
      carry(suite)
    })
  }
})

function negotiate(suite: ChildSuite): void {
  const offered = encodeChildProposals([suite], spiBytes(0x1001), false)
  const choice = chooseChildProposal(offered, [suite], false)
  assert.ok(choice.ok)
  const answer = acceptChildAnswer([{ ...choice.proposal, spi: spiBytes(0x2002) }], [suite], false)
  assert.ok(answer.ok)
}

/** Two cards under the keys of one exchange, a ping of both families each way. */
function carry({ cipher, integrity }: ChildSuite): void {
  const nonces = { ni: randomBytes(32), nr: randomBytes(32), sharedSecret: null }
  const input = { prf: 'sha256' as const, skD: randomBytes(32), cipher, integrity, ...nonces }
  const { initiatorToResponder: there, responderToInitiator: back } = childKeymat(input)
  const beds = [new CardBed(), new CardBed()]
  for (const [index, bed] of beds.entries()) {
    const tunnel = bed.driver.setTunnel(tunnelOf())
    bed.driver.setTunnelState(tunnel, true)
    const sa = saOf(tunnel, { cipher, integrity: integrity ?? 'none' })
    const [out, into] = index === 0 ? [there, back] : [back, there]
    bed.driver.activateOutbound(bed.driver.addOutbound({ ...sa, ...out, spi: 0x1001 + index }))
    bed.driver.addInbound({ ...sa, ...into, spi: 0x1002 - index })
  }
  for (const [from, to] of [beds, [...beds].reverse()]) {
    const packets = [packetOf(84), packetOf(104, { family: 6 }), packetOf(1381)]
    const sent = from.protect(packets, 'tun0').map(({ data }) => data)
    const delivered = to.open(sent).map(({ packet }) => Buffer.from(packet).toString('hex'))
    assert.deepEqual(delivered.sort(), packets.map((packet) => Buffer.from(packet).toString('hex')).sort())
  }
}
