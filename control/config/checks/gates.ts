// `gate-legacy`, `gate-insecure`, `never`, and the warning `gated` for what an open gate lets through.

import type { EspCipher, Integrity } from '../../ports.ts'
import { GATE_STATEMENT, type GatedItem, gatedItems, gateOpen } from '../gates.ts'
import type { Config } from '../model.ts'
import { isAead } from '../suites.ts'
import { type CheckContext, lineOf } from './report.ts'

export function checkGates(context: CheckContext) {
  for (const item of gatedItems(context.config)) judgeGated(context, item)
  checkReason(context)
  checkNever(context)
}

/** Refuses the item, or with its gate open warns; one sentence in one form for all of them. */
export function judgeGated({ config, error, warn }: CheckContext, gated: GatedItem) {
  const { line, gate, item, where, better } = gated
  if (gateOpen(config, gate))
    warn(line, 'gated', `${where}: ${item} is let through by ${GATE_STATEMENT[gate]}; better: ${better}`)
  else
    error(
      line,
      `gate-${gate}`,
      `${where}: ${item} needs the statement ${GATE_STATEMENT[gate]}, which is not given; better: ${better}`,
    )
}

function checkReason({ config, error }: CheckContext) {
  if (config.insecureCrypto === '')
    error(
      config.lines['insecure-crypto'] ?? 0,
      'never',
      'insecure-crypto permit needs a reason that is not empty',
    )
}

function checkNever({ config, error }: CheckContext) {
  for (const proposal of config.ipsecProposals.values()) {
    const { espEncryption, espAuthentication, name } = proposal
    if (unprotected(espEncryption, espAuthentication))
      error(lineOf(proposal, 'esp authentication'), 'never', `ipsec proposal ${name}: ${NEITHER}`)
  }
  for (const { line, sa, name } of manualSas(config)) {
    const cipher = sa.encryption?.cipher
    if (unprotected(cipher, sa.authentication?.integrity))
      error(line, 'never', `ipsec sa ${name}: ${NEITHER}`)
    if (cipher !== undefined && isAead(cipher))
      error(
        line,
        'never',
        `ipsec sa ${name}: ${cipher} with a manual key would repeat its nonces after a restart; write aes-256 with authentication sha256`,
      )
  }
}

const NEITHER = 'null encryption without authentication protects nothing; add authentication sha256'

function unprotected(cipher: EspCipher | undefined, hash: Integrity | undefined): boolean {
  return cipher === 'null' && hash === 'none'
}

function manualSas(config: Config) {
  return [...config.ipsecSas.values()].flatMap(({ name, sas }) =>
    sas.map((sa) => ({ line: sa.line, name, sa })),
  )
}
