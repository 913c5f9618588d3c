// Before any TypeScript is read: is this Node new enough, and is there one that is?
//
// Plain JavaScript that Node 14 still parses: an old Node would meet type syntax with an obscure error. As a
// script (npm test and friends) it checks the same and that the card in build/ is there and current.

import { existsSync, readdirSync, realpathSync, statSync, utimesSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Oldest Node that runs this product: the first LTS that strips types without a flag. */
const FLOOR = [24, 11]
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
/** Set for the process that was re-executed, so that it never happens twice. */
const MARK = 'ASEGATE_PREFLIGHT'
export const EXIT_UNFIT = 5

/** @param {string} version `v24.11.0` */
export function fits(version) {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number)
  return major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1])
}

/** The sentence for an operator whose Node is too old. */
export function unfitSentence(version) {
  return `asegate needs Node >= ${FLOOR.join('.')}, this is ${version.replace(/^v/, '')}: run npm ci`
}

/** Node binaries that npm ci brought, best first. */
export function packagedNodes(root) {
  const packaged = `node-linux-${process.arch}/bin/node`
  const folders = [join(root, 'node_modules'), join(root, '..')] // a checkout, or installed beside its dependencies
  return folders
    .flatMap((folder) => [join(folder, '.bin', 'node'), join(folder, packaged)])
    .filter(existsSync)
}

/**
 * Returns when this Node fits. Else replaces this process by the same command under a Node that fits, or says in
 * one line what to do and exits with 5.
 */
export async function requireNode(script, parameters) {
  if (fits(process.version)) return
  const [node] = process.env[MARK] === undefined ? packagedNodes(ROOT) : []
  if (node !== undefined) await replaceBy(node, [node, ...process.execArgv, script, ...parameters])
  process.stderr.write(`${unfitSentence(process.version)}\n`)
  process.exit(EXIT_UNFIT)
}

/** Same process id, same descriptors: signals, and even kill -9, meet the gateway itself and no wrapper. */
async function replaceBy(node, argv) {
  try {
    const { replaceProcess } = await import('../../bindings/linux/exec.js')
    replaceProcess(realpathSync(node), argv, { ...process.env, [MARK]: '1' })
  } catch {
    // no koffi for this platform or Node: the sentence below says what to do
  }
}

/** Written by dataplane-as/build.ts when all artefacts are made; its time is that of the last look at the sources. */
function stampOf(root) {
  return join(root, 'build', 'card.sha256')
}

/**
 * Whether the artefacts of the card are missing, or a source of theirs was written since they were last found
 * current. A package without sources is current.
 */
export function cardIsStale(root) {
  if (!existsSync(join(root, 'dataplane-as', 'build.ts'))) return false
  const names = ['gateway', 'gateway-relaxed'].map((name) => `asegate-card-${name}.wasm`)
  const artefacts = [...names, 'asegate-card.wasm', 'asegate-card-relaxed.wasm'].map((name) =>
    join(root, 'build', name),
  )
  if (![...artefacts, stampOf(root)].every(existsSync)) return true
  const built = statSync(stampOf(root)).mtimeMs
  return newest(join(root, 'dataplane-as')) > built || statSync(join(root, 'asconfig.json')).mtimeMs > built
}

function newest(directory) {
  const times = readdirSync(directory, { withFileTypes: true }).map((entry) => {
    const path = join(directory, entry.name)
    return entry.isDirectory() ? newest(path) : statSync(path).mtimeMs
  })
  return Math.max(0, ...times)
}

/** Builds the card of a source checkout when it is missing or stale; one line of progress on stderr. */
export async function requireCard() {
  if (!cardIsStale(ROOT)) return
  process.stderr.write('asegate: building the card (build/), this takes some seconds\n')
  const { spawnSync } = await import('node:child_process')
  const script = join(ROOT, 'dataplane-as', 'build.ts')
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { cwd: ROOT, encoding: 'utf8' })
  if (status === 0) return utimesSync(stampOf(ROOT), new Date(), new Date())
  process.stderr.write(`${stdout}${stderr}asegate: the card cannot be built; npm ci brings its compiler\n`)
  process.exit(1)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  if (!fits(process.version)) {
    process.stderr.write(`${unfitSentence(process.version)}\n`)
    process.exit(EXIT_UNFIT)
  }
  await requireCard()
}
