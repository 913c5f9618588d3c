// The floors of the house: which room may import which. Reads every import of the tree and fails on a wrong one.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const SOURCE = /\.(ts|js)$/

type Import = { target: string; typeOnly: boolean }
type Source = { path: string; text: string }

/** Packages that touch no machine. */
const PURE = /^(ipaddr\.js|@noble\/(hashes|curves)(\/.*)?|asn1js|pkijs)$/
const PROTOCOL_ROOMS = ['wire', 'crypto', 'ikev2', 'ikev1', 'sa', 'tunnel', 'pki', 'config']
const PROTOCOL_FILES = ['gateway', 'reducer', 'executor', 'effects', 'explain', 'address', 'ports']
/** The parts of manage that hold sockets; the rest is pure and the gateway may use it. */
const SOCKET_FILES = ['server', 'session', 'client', 'metrics-server'].map(
  (name) => `control/manage/${name}.ts`,
)
/** Value imports inside control go downwards or stay on their floor. */
const LEVELS: Record<string, number> = {
  ports: 0,
  address: 0,
  wire: 1,
  crypto: 1,
  sa: 2,
  config: 2,
  explain: 2,
  pki: 2,
  ikev2: 3,
  ikev1: 3,
  effects: 4,
  tunnel: 4,
  reducer: 5,
  executor: 5,
  manage: 5,
  'card-events': 6,
  gateway: 6,
  cli: 7,
}
const MACHINE_WORDS =
  /\b(Date\.now|performance\.now|process\.\w+|setTimeout|setInterval|setImmediate|Math\.random|fetch)\b/

function isCardTool(path: string): boolean {
  return path === 'dataplane-as/build.ts' || path.startsWith('dataplane-as/gen/')
}

/** `control/tunnel/plan.ts` -> `tunnel`, `control/gateway.ts` -> `gateway`. */
function controlRoom(path: string): string {
  return path.split('/')[1].replace(SOURCE, '')
}

function isProtocol(path: string): boolean {
  if (!path.startsWith('control/')) return false
  const room = controlRoom(path)
  return PROTOCOL_ROOMS.includes(room) || PROTOCOL_FILES.includes(room)
}

/** Static and dynamic imports and re-exports; specifiers built at run time are refused by name. */
function importsOf(text: string): Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const found: Import[] = []
  const declared = /^\s*(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/gm
  for (const [, type, target] of code.matchAll(declared)) found.push({ target, typeOnly: type !== undefined })
  for (const [, target] of code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)(?!\.\w+)/g))
    found.push({ target, typeOnly: false })
  for (const [, target] of code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)\.\w+/g))
    found.push({ target, typeOnly: true })
  return found
}

/** A path from the root, or the name of a package or node module. */
function resolved(from: string, target: string): string {
  return target.startsWith('.') ? normalize(join(dirname(from), target)) : target
}

/** Why this import is wrong, or null. */
function judge(from: string, { target, typeOnly }: Import): string | null {
  const to = resolved(from, target)
  const outside = !target.startsWith('.')
  if (to.startsWith('test/') || to.startsWith('bench/'))
    return /^(test|bench)\//.test(from) ? null : 'nobody imports test or bench'
  if (/^(test|bench)\//.test(from)) return null
  if (from.startsWith('dataplane-as/')) return judgeCard(from, to, outside)
  if (from.startsWith('bindings/')) return judgeBindings(to, outside, typeOnly)
  if (from.startsWith('control/')) return judgeControl(from, to, outside, typeOnly)
  return null
}

function judgeCard(from: string, to: string, outside: boolean): string | null {
  if (isCardTool(from)) return null
  if (outside || !to.startsWith('dataplane-as/') || isCardTool(to)) return 'the card imports only itself'
  return from === 'dataplane-as/abi.ts' ? 'abi.ts imports nothing' : null
}

function judgeBindings(to: string, outside: boolean, typeOnly: boolean): string | null {
  if (outside)
    return to === 'koffi' || to.startsWith('node:') || PURE.test(to)
      ? null
      : 'bindings use node and koffi only'
  if (to.startsWith('bindings/') || to === 'dataplane-as/abi.ts') return null
  return to === 'control/ports.ts' && typeOnly
    ? null
    : 'bindings import themselves, abi.ts and types of control/ports.ts'
}

function judgeControl(from: string, to: string, outside: boolean, typeOnly: boolean): string | null {
  if (from.startsWith('control/cli/')) return to === 'koffi' ? 'koffi belongs to bindings' : null
  if (outside) return judgePackage(from, to)
  if (!to.startsWith('control/')) return 'only control/cli leaves control/'
  if (SOCKET_FILES.includes(to) && !SOCKET_FILES.includes(from))
    return 'sockets of manage are for control/cli'
  const ours = controlRoom(from)
  const theirs = controlRoom(to)
  if (/^ikev[12]$/.test(ours) && /^ikev[12]$/.test(theirs) && ours !== theirs)
    return 'IKE versions never meet'
  if (!typeOnly && LEVELS[theirs] > LEVELS[ours]) return `${ours} lies below ${theirs}`
  return null
}

function judgePackage(from: string, to: string): string | null {
  if (to === 'node:crypto' || PURE.test(to)) return null
  if (isProtocol(from)) return 'protocol rooms use pure packages and node:crypto only'
  return to.startsWith('node:') && SOCKET_FILES.includes(from)
    ? null
    : 'only the sockets of manage touch node'
}

/** Every wrong import and every touch of the machine, as `path: what`. */
function violations({ path, text }: Source): string[] {
  const wrong = importsOf(text).flatMap((one) => {
    const why = judge(path, one)
    return why === null ? [] : [`${path} imports ${one.target}: ${why}`]
  })
  if (!isProtocol(path)) return wrong
  const code = text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*$/gm, '')
    .replace(/'[^'\n]*'|`[^`]*`/g, "''")
  const touch = MACHINE_WORDS.exec(code)
  return touch === null ? wrong : [...wrong, `${path} uses ${touch[0]}: the machine is behind the ports`]
}

function sources(): Source[] {
  return ['control', 'bindings', 'dataplane-as', 'bench', 'test'].flatMap((room) => {
    const names = readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' })
    const paths = names.filter((name) => SOURCE.test(name) && !name.endsWith('.d.ts'))
    return paths.map((name) => {
      const path = join(ROOT, room, name)
      return { path: relative(ROOT, path), text: readFileSync(path, 'utf8') }
    })
  })
}

describe('floors', () => {
  test('no file of the tree imports upwards or sideways', () => {
    const all = sources()
    assert.ok(all.length > 50, `only ${all.length} files were found`)
    assert.deepEqual(all.flatMap(violations), [])
  })

  test('every room of control has a level', () => {
    const rooms = new Set(
      sources().flatMap(({ path }) => (path.startsWith('control/') ? [controlRoom(path)] : [])),
    )
    assert.deepEqual(
      [...rooms].filter((room) => LEVELS[room] === undefined),
      [],
    )
  })

  const wrong: [path: string, text: string][] = [
    ['control/ikev2/x.ts', "import { readFileSync } from 'node:fs'"],
    ['control/wire/x.ts', "import { y } from '../ikev2/y.ts'"],
    ['control/ikev2/x.ts', "import type { y } from '../ikev1/y.ts'"],
    ['control/tunnel/x.ts', "import { y } from '../../bindings/y.ts'"],
    ['control/gateway.ts', "import { y } from './manage/server.ts'"],
    ['control/config/x.ts', 'const later = Date.now()'],
    ['control/pki/x.ts', "const y = await import('node:net')"],
    ['control/cli/x.ts', "import koffi from 'koffi'"],
    ['control/cli/x.ts', "import { y } from '../../test/y.ts'"],
    ['bindings/x.ts', "import { y } from '../control/ports.ts'"],
    ['bindings/x.ts', "import type { y } from '../control/sa/contract.ts'"],
    ['dataplane-as/x.ts', "import { y } from '../control/ports.ts'"],
    ['dataplane-as/abi.ts', "export { y } from './y.ts'"],
    ['control/sa/x.ts', "import {\n  a,\n  b,\n} from '../../bindings/y.ts'"],
  ]
  for (const [path, text] of wrong)
    test(`refuses in ${path}: ${text.replace(/\s+/g, ' ')}`, () => {
      assert.equal(violations({ path, text }).length, 1)
    })

  const right: [path: string, text: string][] = [
    ['control/cli/x.ts', "import { y } from '../../bindings/y.ts'"],
    ['bindings/x.ts', "import type { Card } from '../control/ports.ts'"],
    ['control/wire/x.ts', "import type { Config } from '../config/model.ts'"],
    ['control/ikev2/x.ts', "import { z } from '../crypto/z.ts' // node:fs is not imported"],
    ['test/x.ts', "import { y } from '../control/y.ts'"],
  ]
  for (const [path, text] of right)
    test(`allows in ${path}: ${text}`, () => assert.deepEqual(violations({ path, text }), []))
})
