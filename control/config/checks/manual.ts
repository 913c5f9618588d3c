// `manual` and the warning `manual-key`: SAs whose keys the operator writes.

import type { Config, IpsecSa, ManualSa, SecretSource, TunnelConfig } from '../model.ts'
import { keyBytes } from '../secrets.ts'
import { CIPHER_KEY_BYTES, HASH_KEY_BYTES, isAead } from '../suites.ts'
import { isWeakDesKey } from '../weak-des.ts'
import { type CheckContext, whyUnreadable } from './report.ts'

/** RFC 4303 §2.1: 0 is never sent, 1-255 are IANA's. */
const LEAST_SPI = 256

export function checkManual(context: CheckContext) {
  for (const set of context.config.ipsecSas.values()) {
    checkDirections(context, set)
    for (const sa of set.sas) checkSa(context, set.name, sa)
  }
  for (const tunnel of context.config.tunnels.values()) {
    if (tunnel.kind === 'manual')
      context.warn(
        tunnel.line,
        'manual-key',
        `tunnel ${tunnel.name} has manual keys: no anti-replay and no new keys (RFC 8221 §3); use IKE where the peer can`,
      )
  }
  checkUnique(context)
}

function checkDirections({ error }: CheckContext, set: IpsecSa) {
  const protocols = (direction: ManualSa['direction']) =>
    new Set(set.sas.filter((sa) => sa.direction === direction).map((sa) => sa.protocol))
  const inbound = protocols('inbound')
  const outbound = protocols('outbound')
  if (inbound.size + outbound.size === 0)
    return error(set.line, 'manual', `ipsec sa ${set.name} is empty; add an inbound and an outbound line`)
  for (const protocol of ['esp', 'ah'] as const) {
    if (inbound.has(protocol) === outbound.has(protocol)) continue
    const absent = inbound.has(protocol) ? 'outbound' : 'inbound'
    error(
      set.line,
      'manual',
      `ipsec sa ${set.name} has no ${absent} ${protocol}; add the line ${absent} ${protocol} spi ...`,
    )
  }
}

function checkSa(context: CheckContext, name: string, sa: ManualSa) {
  const refuse = (why: string, code = 'manual') =>
    context.error(sa.line, code, `ipsec sa ${name}, ${sa.direction} ${sa.protocol}: ${why}`)
  if (sa.spi < LEAST_SPI) refuse(`spi ${sa.spi} is reserved; write ${LEAST_SPI} or more`)
  if (sa.protocol === 'ah') checkAhParts(sa, refuse)
  else checkEspParts(sa, refuse)
  checkKeys(context, sa, refuse)
}

type Refuse = (why: string, code?: string) => void

function checkAhParts(sa: ManualSa, refuse: Refuse) {
  if (sa.encryption) refuse('AH does not encrypt; delete encryption')
  if (sa.authentication === undefined || sa.authentication.integrity === 'none')
    refuse('AH needs authentication with a key')
}

function checkEspParts(sa: ManualSa, refuse: Refuse) {
  const cipher = sa.encryption?.cipher
  if (cipher === undefined)
    return refuse('has no encryption; write encryption aes-256 key ..., or encryption null')
  if (!isAead(cipher) && sa.authentication === undefined)
    refuse(`has ${cipher} without authentication; add authentication sha256 key ...`, 'integrity')
}

function checkKeys(context: CheckContext, sa: ManualSa, refuse: Refuse) {
  const { encryption, authentication } = sa
  if (encryption) {
    const key = checkKey(
      context,
      'encryption',
      encryption.cipher,
      encryption.key,
      CIPHER_KEY_BYTES[encryption.cipher],
      refuse,
    )
    if (key && isWeakDesKey(encryption.cipher, key))
      refuse(`the ${encryption.cipher} key is a weak one (RFC 2405 §2.3); make a new one at random`)
    key?.fill(0)
  }
  if (authentication) {
    const { integrity, key } = authentication
    checkKey(context, 'authentication', integrity, key, HASH_KEY_BYTES[integrity], refuse)?.fill(0)
  }
}

/** The key, when it is there and has exactly the right size; the caller wipes it. */
function checkKey(
  { files }: CheckContext,
  part: string,
  algorithm: string,
  source: SecretSource | undefined,
  size: number,
  refuse: Refuse,
): Uint8Array | null {
  if (source === undefined) {
    if (size > 0) refuse(`${part} ${algorithm} has no key; add key hex or key file, ${size} bytes`)
    return null
  }
  if (size === 0) {
    refuse(`${part} ${algorithm} takes no key; delete it`)
    return null
  }
  const key = readKey(files, source, size, refuse)
  if (key === null || key.length === size) return key
  refuse(`the key of ${part} ${algorithm} has ${key.length} bytes; it must have ${size}`)
  key.fill(0)
  return null
}

function readKey(
  files: CheckContext['files'],
  source: SecretSource,
  size: number,
  refuse: Refuse,
): Uint8Array | null {
  try {
    return keyBytes(source, files, size)
  } catch (error) {
    refuse(whyUnreadable(files, source.kind === 'file' ? source.path : undefined, error), 'auth')
    return null
  }
}

/** RFC 4301 §4.1: SPI, destination and protocol name an SA, so no two SAs in use may share all three. */
function checkUnique({ config, error }: CheckContext) {
  const seen = new Map<string, number>()
  for (const { tunnel, line, sa, set } of usedSas(config)) {
    const destination = sa.direction === 'inbound' ? tunnel.local : tunnel.remote
    const key = `${sa.direction} ${sa.spi} ${destination} ${sa.protocol}`
    const earlier = seen.get(key)
    if (earlier === undefined) seen.set(key, line)
    else
      error(
        line,
        'manual',
        `tunnel ${tunnel.name}: ${sa.direction} ${sa.protocol} spi ${sa.spi} of ipsec sa ${set} to ${destination} is already in use by line ${earlier}; choose another spi`,
      )
  }
}

function usedSas(config: Config): { tunnel: TunnelConfig; line: number; sa: ManualSa; set: string }[] {
  return [...config.tunnels.values()].flatMap((tunnel) =>
    tunnel.manualSas.flatMap(({ name, line }) =>
      (config.ipsecSas.get(name)?.sas ?? []).map((sa) => ({ tunnel, line, sa, set: name })),
    ),
  )
}
