/**
 * The kernels as a WebAssembly module of their own, for tests, vectors and measurements: compiled from
 * dataplane-as/crypto with nothing of the card around them. The result is kept in build/ under the hash of the
 * sources, so that test processes which run at once share it.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Simd } from '../bindings/wasm.ts'
import { currentSimd } from './simd.ts'

/** The exports: addresses and lengths in bytes (see dataplane-as/crypto). */
export type Kernels = {
  readonly memory: WebAssembly.Memory
  useWideVectors(on: number): void
  aesExpandKey(key: number, keyBytes: number, schedule: number): void
  aesCbcEncrypt(jobs: number, count: number, rounds: number, scratch: number): void
  aesCbcDecrypt(jobs: number, count: number, rounds: number, scratch: number): void
  gcmPrepare(key: number, keyBytes: number, schedule: number, table: number, scratch: number): void
  aesGcmSeal(jobs: number, count: number, rounds: number, scratch: number): void
  aesGcmOpen(jobs: number, count: number, rounds: number, scratch: number): void
  chachaSeal(jobs: number, count: number, scratch: number): void
  chachaOpen(jobs: number, count: number, scratch: number): void
  desExpandKey(key: number, schedule: number): void
  desCbcEncrypt(jobs: number, count: number, scratch: number): void
  desCbcDecrypt(jobs: number, count: number, scratch: number): void
  tdesExpandKey(key: number, schedule: number): void
  tdesCbcEncrypt(jobs: number, count: number, scratch: number): void
  tdesCbcDecrypt(jobs: number, count: number, scratch: number): void
  hmacPrepare(hash: number, key: number, keyBytes: number, state: number): void
  hmacMd5(jobs: number, count: number, scratch: number): void
  hmacSha1(jobs: number, count: number, scratch: number): void
  hmacSha256(jobs: number, count: number, scratch: number): void
  hmacSha384(jobs: number, count: number, scratch: number): void
  hmacSha512(jobs: number, count: number, scratch: number): void
}

/** Bytes of the module's memory. */
export const KERNEL_MEMORY_BYTES = 64 * 65536
/** The first address that the module's own constants do not use. */
export const KERNEL_FREE_FROM = 8192

const root = fileURLToPath(new URL('..', import.meta.url))
const crypto = `${root}dataplane-as/crypto/`
const entries = [
  'aes.ts',
  'aes-cbc.ts',
  'aes-gcm.ts',
  'chacha-poly.ts',
  'des.ts',
  'des-cbc.ts',
  'hmac.ts',
  'vectors.ts',
]
const options = ['--config', 'none', '-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd']

/** The instruction set of a module: one may be compiled with relaxed SIMD, which not every engine has. */
export type Variant = Simd

/** A new instance with a memory of its own. */
export function instantiateKernels(variant: Variant = currentSimd() ?? 'plain'): Kernels {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(kernelFile(variant))))
  const kernels = instance.exports as unknown as Kernels
  const free = new Uint8Array(kernels.memory.buffer, KERNEL_FREE_FROM)
  if (free.some((byte) => byte !== 0)) throw new Error('the kernels have constants beyond KERNEL_FREE_FROM')
  return kernels
}

/** The compiled module, compiled now if the sources changed. */
function kernelFile(variant: Variant): string {
  const hash = createHash('sha256')
  for (const folder of [crypto, `${crypto}generated/`]) {
    for (const name of readdirSync(folder).sort()) {
      if (name.endsWith('.ts')) hash.update(`${name}\n`).update(readFileSync(folder + name))
    }
  }
  const file = `${root}build/kernels-${variant}-${hash.digest('hex').slice(0, 16)}.wasm`
  if (!existsSync(file)) compile(file, variant)
  return file
}

/** Compiles under a name of this process and renames, so that nobody reads half a file. */
function compile(file: string, variant: Variant): void {
  mkdirSync(`${root}build`, { recursive: true })
  const draft = `${file}.${process.pid}`
  const asc = fileURLToPath(import.meta.resolve('assemblyscript/bin/asc.js'))
  execFileSync(
    process.execPath,
    [
      asc,
      ...entries.map((name) => crypto + name),
      ...options,
      ...(variant === 'relaxed' ? ['--enable', 'relaxed-simd'] : []),
      '--initialMemory',
      String(KERNEL_MEMORY_BYTES / 65536),
      '-o',
      draft,
    ],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  for (const name of readdirSync(`${root}build`)) {
    const other = name.startsWith(`kernels-${variant}-`) && name.endsWith('.wasm') && !file.endsWith(name)
    if (other) rmSync(`${root}build/${name}`, { force: true })
  }
  renameSync(draft, file)
}
