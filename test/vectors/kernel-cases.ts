/** Runs batches of vector cases through the WASM kernels: the lanes of a call hold different keys and lengths. */
import type { Simd } from '../../bindings/wasm.ts'
import { type CipherMessage, type HashMessage, type HashName, KernelBench } from '../kernel-jobs.ts'
import { currentSimd } from '../simd.ts'
import type { VectorResult } from './kind.ts'
import { hexText } from './rsp.ts'

/** A cipher case: what goes in and what must come out. */
export type CipherCase = { id: string; message: CipherMessage; expected: Uint8Array }

/** A hash case; `valid` false means that the kernel must not come to `expected`. */
export type HashCase = { id: string; message: HashMessage; expected: Uint8Array; valid: boolean }

const shared = new Map<Simd | undefined, KernelBench>()

/** The instance that all kinds use, one for each instruction set; compiled when first needed. */
export function kernelBench(): KernelBench {
  const simd = currentSimd()
  if (!shared.has(simd)) shared.set(simd, new KernelBench())
  return shared.get(simd)!
}

/** Runs AES-CBC cases, those of one key length in one call; the results stand in the order of the cases. */
export function runCiphers(direction: 'encrypt' | 'decrypt', cases: readonly CipherCase[]): VectorResult[] {
  const results = new Map<string, VectorResult>()
  for (const group of Map.groupBy(cases, ({ message }) => message.key.length).values()) {
    const bench = kernelBench()
    bench.clear()
    const outputs = bench.cipher(
      direction,
      group.map(({ message }) => message),
    )
    group.forEach(({ id, expected }, i) => {
      results.set(id, compared(id, outputs[i], expected))
    })
  }
  return cases.map(({ id }) => results.get(id)!)
}

/** Runs HMAC cases in one call. */
export function runHashes(hash: HashName, cases: readonly HashCase[]): VectorResult[] {
  const bench = kernelBench()
  bench.clear()
  const icvs = bench.hmac(
    hash,
    cases.map(({ message }) => message),
  )
  return cases.map(({ id, expected, valid }, i) => {
    if (valid) return compared(id, icvs[i], expected)
    const refused = hexText(icvs[i]) !== hexText(expected)
    return refused
      ? { id, outcome: 'passed' }
      : { id, outcome: 'failed', note: 'an invalid tag was accepted' }
  })
}

/** Passed if both are equal. */
export function compared(id: string, actual: Uint8Array, expected: Uint8Array): VectorResult {
  const [came, wanted] = [hexText(actual), hexText(expected)]
  if (came === wanted) return { id, outcome: 'passed' }
  return { id, outcome: 'failed', note: `expected ${wanted}, got ${came}` }
}
