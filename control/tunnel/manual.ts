// Manual-key tunnels: SAs straight from the configuration (features: no IKE, no anti-replay, no lifetime; all
// inbound sets are accepted, the lowest sequence number sends).

import type { Config, ManualSa, SecretSource, TunnelConfig } from '../config/model.ts'
import { keyBytes } from '../config/secrets.ts'
import { selectorsOf } from '../config/selectors.ts'
import { CIPHER_KEY_BYTES, HASH_KEY_BYTES } from '../config/suites.ts'
import type { CardSa, EspCipher, Files } from '../ports.ts'

export type LoadedManualSa = {
  direction: 'inbound' | 'outbound'
  sa: Omit<CardSa, 'tunnel' | 'bundle'>
  /** outbound, of the set that sends */
  sends: boolean
  /** AH around ESP: place in the list of the ESP SA inside this AH SA, always an earlier one */
  inside?: number
}

/**
 * The SAs of a manual tunnel, keys read. Throws with an operator sentence when a key cannot be read; keys read
 * so far are wiped then. The caller wipes the rest after the card has copied them.
 */
export function loadManualSas(config: Config, tunnel: TunnelConfig, files: Files): LoadedManualSa[] {
  const sets = [...tunnel.manualSas].sort((a, b) => a.sequence - b.sequence)
  const loaded: LoadedManualSa[] = []
  try {
    for (const [rank, { name }] of sets.entries()) {
      const lines = config.ipsecSas.get(name)?.sas ?? []
      appendSet(loaded, lines, rank === 0, (line) => cardSa(config, tunnel, line, files))
    }
  } catch (error) {
    wipeManualSas(loaded)
    throw error
  }
  return loaded
}

/** One set: where a direction has ESP and AH, AH goes around ESP, the outermost header (features P14). */
function appendSet(
  loaded: LoadedManualSa[],
  lines: readonly ManualSa[],
  isSending: boolean,
  make: (line: ManualSa) => LoadedManualSa['sa'],
) {
  const start = loaded.length
  const espFirst = [...lines].sort((a, b) => Number(a.protocol === 'ah') - Number(b.protocol === 'ah'))
  for (const line of espFirst) {
    const { direction, protocol } = line
    const inside = loaded.findIndex((other, at) => at >= start && other.direction === direction)
    const sends = isSending && direction === 'outbound'
    const around = protocol === 'ah' && inside >= 0 ? { inside } : {}
    loaded.push({ direction, sa: make(line), sends, ...around })
  }
}

export function wipeManualSas(sas: LoadedManualSa[]) {
  for (const { sa } of sas) {
    sa.encryptionKey.fill(0)
    sa.integrityKey.fill(0)
  }
}

/** Inbound SPIs of all manual tunnels: IKE must not give them out again. */
export function manualSpis(config: Config): Set<number> {
  const spis = new Set<number>()
  for (const set of config.ipsecSas.values())
    for (const sa of set.sas) if (sa.direction === 'inbound') spis.add(sa.spi)
  return spis
}

function cardSa(config: Config, tunnel: TunnelConfig, sa: ManualSa, files: Files): LoadedManualSa['sa'] {
  const cipher = sa.encryption?.cipher ?? 'null'
  const integrity = sa.authentication?.integrity ?? 'none'
  const { local, remote } = selectorsOf(config, tunnel)
  const [source, destination] = sa.direction === 'outbound' ? [local, remote] : [remote, local]
  const encryptionKey = readOrEmpty(sa.encryption?.key, files, CIPHER_KEY_BYTES[cipher])
  return {
    spi: sa.spi,
    protocol: sa.protocol,
    cipher,
    encryptionKey,
    integrity,
    integrityKey: readOrEmpty(sa.authentication?.key, files, HASH_KEY_BYTES[integrity]),
    esn: false,
    replayWindow: 0, // the peer's numbers restart at its boot
    source,
    destination,
    ...manualLimits(cipher),
  }
}

/** 64-bit blocks: hard stop at 1 GiB under one key (Sweet32), nothing else. */
function manualLimits(cipher: EspCipher) {
  const hardBytes = cipher === 'des' || cipher === '3des' ? 2 ** 30 : 0
  return { hardSeconds: 0, hardBytes, hardPackets: 0, softBytes: 0, softPackets: 0 }
}

function readOrEmpty(key: SecretSource | undefined, files: Files, length: number): Uint8Array {
  if (key === undefined || length === 0) return new Uint8Array(0)
  const bytes = keyBytes(key, files, length)
  if (bytes.length === length) return bytes
  const found = bytes.length
  bytes.fill(0)
  throw new Error(`a manual key has ${found} bytes, its algorithm needs ${length}`)
}
