// The module of the card as Node sees it: its exports, and how an instance is made.
//
// Two builds of one source: the gateway build imports one shared memory (env.memory), the embeddable build
// brings a memory of its own and imports nothing. Both export the same functions. An instance belongs to one
// thread; call its functions from there only.
//
// Each build comes twice: with plain SIMD, and with relaxed SIMD, whose byte selection is one instruction where
// the plain one takes two or three. No result depends on it. The gateway takes what the runtime can do;
// ASEGATE_CARD=plain (or relaxed) in the environment decides otherwise.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ABI_VERSION } from '../dataplane-as/abi.ts'
import { joinsVectors, joinVectors } from './wide-vectors.ts'

/**
 * The functions of the card. All numbers are u32; a burst function returns how many outputs it produced and leaves
 * the detail in the words of the ASP block (abi.ts: ASP_CONSUMED, ASP_TX_COUNT, ASP_DELIVER_COUNT, ASP_WAKE).
 */
export type CardExports = {
  /** the memory: exported by the embeddable build, imported by the gateway build */
  memory?: WebAssembly.Memory
  /** ABI_VERSION the module was compiled with */
  abiVersion(): number
  /**
   * Divides the memory, zeroes the tables and writes the header. Called once, by the driver or by an embedder,
   * before any init(). Returns ERROR_NONE, or ERROR_ARGUMENT (a count is 0 or above its limit), ERROR_MEMORY (the
   * packets of an ASP would get less than 2 MiB).
   * @param asps 1..MAX_ASPS
   * @param sas records for both directions together
   * @param tunnels records
   * @param devices records: circuits plus ase0
   * @param selectors records
   * @param fibNodes nodes of one FIB copy, at least 2
   * @param tables key tables of KEY_TABLE_BYTES, 0 while no suite needs them
   */
  layout(
    asps: number,
    sas: number,
    tunnels: number,
    devices: number,
    selectors: number,
    fibNodes: number,
    tables: number,
  ): number
  /** chooses kernels for an engine that joins vectors (wide-vectors.ts): not 0 is yes; no until it is called */
  wideVectors(on: number): void
  /**
   * Makes this instance ASP number asp (1-based) of the laid-out memory and raises EVENT_READY. Returns ERROR_NONE,
   * ERROR_VERSION (no header, or another version), ERROR_ARGUMENT. Every other function does nothing before.
   */
  init(asp: number): number
  /** executes the commands waiting in this ASP's ring, acknowledges each; returns how many */
  mailbox(): number
  /**
   * Takes packets other ASPs handed over: fills out-descriptors from 0 and in-descriptors from 0 (counts in
   * ASP_INBOX_OUT and ASP_INBOX_IN) and returns their sum. The loop then calls outbound(ASP_INBOX_OUT), sends,
   * inbound(ASP_INBOX_IN), delivers, and gives the ring space back with inboxDone().
   */
  inbox(): number
  inboxDone(): void
  /**
   * Protects the packets of out-descriptors 0..count-1 (0 <= count <= MAX_BURST). Returns the number of transmit
   * descriptors; they and their datagrams are valid until the next outbound(). May also produce deliver descriptors
   * (ICMP packet-too-big answers to the inner sender, ASP_DELIVER_COUNT).
   */
  outbound(count: number): number
  /** Opens the messages of in-descriptors 0..count-1, in place. Returns the number of deliver descriptors. */
  inbound(count: number): number
  /** hard expiry from HEADER_NOW, canary, heartbeat; cheap, call it at least every 100 ms. Returns SAs expired. */
  tick(): number
}

/** WebAssembly features the gateway build needs, each with a sentence for the operator. */
const FEATURES: { bytes: readonly number[]; sentence: string }[] = [
  {
    // (func (drop (v128.const 0)))
    bytes: [
      0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 11,
    ],
    sentence: 'this runtime has no WebAssembly SIMD, which the card needs: use Node 24.11 or newer',
  },
  {
    // (memory 1 1 shared)
    bytes: [0, 97, 115, 109, 1, 0, 0, 0, 5, 4, 1, 3, 1, 1],
    sentence: 'this runtime has no shared WebAssembly memory, which the card needs: use Node 24.11 or newer',
  },
]

/** Throws with an operator sentence when the runtime lacks a feature. */
export function requireFeatures(): void {
  for (const feature of FEATURES) {
    if (!WebAssembly.validate(new Uint8Array(feature.bytes))) throw new Error(feature.sentence)
  }
}

/** The instruction set of an artefact. */
export type Simd = 'plain' | 'relaxed'

/** (func (drop (i8x16.relaxed_swizzle (v128.const 0) (v128.const 0)))) */
const RELAXED = [
  [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 44, 1, 42, 0],
  [253, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  [253, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  [253, 128, 2, 26, 11],
].flat()

/** The best instruction set of this runtime, or the one that ASEGATE_CARD names. Throws when it names another. */
export function cardSimd(wanted = process.env.ASEGATE_CARD): Simd {
  if (wanted === 'plain' || wanted === 'relaxed') return wanted
  if (wanted !== undefined && wanted !== '')
    throw new Error(`ASEGATE_CARD is "${wanted}": it can be "plain" or "relaxed", or stay unset`)
  return WebAssembly.validate(new Uint8Array(RELAXED)) ? 'relaxed' : 'plain'
}

/** Path of a built artefact; `npm run build` makes it. */
export function artefactPath(build: 'gateway' | 'embed', simd: Simd = cardSimd()): string {
  const name = `asegate-card${build === 'gateway' ? '-gateway' : ''}${simd === 'relaxed' ? '-relaxed' : ''}.wasm`
  return fileURLToPath(new URL(`../build/${name}`, import.meta.url))
}

/**
 * What this installation would run: the first digits of the artefact's SHA-256 and its instruction set, as in
 * `0123456789ab-relaxed`; null when it was not built.
 */
export function cardBuild(): string | null {
  const simd = cardSimd()
  const path = artefactPath('gateway', simd)
  if (!existsSync(path)) return null
  return `${createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12)}-${simd}`
}

/** Reads and compiles an artefact. Throws when it was not built. */
export function loadModule(build: 'gateway' | 'embed' = 'gateway', simd = cardSimd()): WebAssembly.Module {
  requireFeatures()
  let bytes: Uint8Array<ArrayBuffer>
  try {
    bytes = new Uint8Array(readFileSync(artefactPath(build, simd)))
  } catch {
    throw new Error(`${artefactPath(build, simd)} is missing: run "npm run build"`)
  }
  joinVectors()
  return new WebAssembly.Module(bytes)
}

/** Makes an instance over a shared memory. Module and memory may have come by workerData. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): CardExports {
  const instance = new WebAssembly.Instance(module, { env: { memory } })
  const exports = instance.exports as unknown as CardExports
  if (exports.abiVersion() !== ABI_VERSION) {
    throw new Error('the built card has another ABI version than this program: run "npm run build"')
  }
  exports.wideVectors(joinsVectors() ? 1 : 0)
  return exports
}
