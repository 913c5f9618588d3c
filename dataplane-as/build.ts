// npm run build: the artefacts of the card, from one source: the gateway's and the embeddable one, each with plain SIMD
// and with relaxed SIMD for runtimes that have it. All export and import the same.
//
// Compiling takes seconds, so it is skipped when sources, options and compiler are those of the last build (a hash
// of their content, kept in build/). Generated kernels are brought up to date first.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generateAll } from './gen/all.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = join(root, 'dataplane-as')
const output = join(root, 'build')
const stampFile = join(output, 'card.sha256')
const targets = [
  { name: 'gateway', file: 'asegate-card-gateway.wasm' },
  { name: 'gateway-relaxed', file: 'asegate-card-gateway-relaxed.wasm' },
  { name: 'embed', file: 'asegate-card.wasm' },
  { name: 'embed-relaxed', file: 'asegate-card-relaxed.wasm' },
]

/** Every source of the card: all files below dataplane-as/ but generators, which only write other sources. */
function sourceFiles(): string[] {
  return readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.startsWith('gen/') && path !== 'build.ts')
    .sort()
}

function contentHash(): string {
  const hash = createHash('sha256')
  const compiler = readFileSync(join(root, 'node_modules/assemblyscript/package.json'), 'utf8')
  hash.update((JSON.parse(compiler) as { version: string }).version)
  hash.update(readFileSync(join(root, 'asconfig.json')))
  for (const path of sourceFiles()) hash.update(`\0${path}\0`).update(readFileSync(join(sources, path)))
  return hash.digest('hex')
}

function isCurrent(hash: string): boolean {
  if (!targets.every(({ file }) => existsSync(join(output, file))) || !existsSync(stampFile)) return false
  return readFileSync(stampFile, 'utf8').trim() === hash
}

/** Compiles beside the target and renames: whoever runs the old artefact meanwhile keeps a whole file. */
function compile(): void {
  const directory = mkdtempSync(join(output, 'compile-'))
  try {
    for (const { name, file } of targets) {
      const made = join(directory, file)
      const asc = join(root, 'node_modules/assemblyscript/bin/asc.js')
      const entry = join('dataplane-as', 'index.ts')
      // asconfig.json names no memoryBase: asc takes 1024 and knows that nothing lies below, so that it may fold
      // constants into the offsets of loads and stores; named, even as 1024, it would not
      const options = ['--config', 'asconfig.json', '--target', name, '--outFile', made]
      execFileSync(process.execPath, [asc, entry, ...options], { cwd: root, stdio: 'inherit' })
      renameSync(made, join(output, file))
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Brings build/ up to date. Returns whether anything had to be compiled. Throws when the compiler refuses. */
export function build(): boolean {
  generateAll()
  const hash = contentHash()
  if (isCurrent(hash)) return false
  mkdirSync(output, { recursive: true })
  compile()
  writeFileSync(stampFile, `${hash}\n`)
  return true
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(build() ? 'card: all artefacts built' : 'card: up to date')
}
