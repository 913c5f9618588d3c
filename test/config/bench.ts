// What configuration tests share: files that are not there, and findings as short text.

import { readFileSync } from 'node:fs'
import { type CheckEnvironment, type CheckFiles, loadConfig } from '../../control/config/load.ts'
import type { CheckResult } from '../../control/config/model.ts'

export const FILE = '/etc/asegate/gateway.conf'

const KEY = new Uint8Array(32).fill(0x6b)

/** A file by path: its bytes, or the sentence with which reading it as a secret is refused. */
export type FakeFiles = Record<string, Uint8Array | string>

/** Files without a disk. Paths that are not named hold 32 bytes 'k', except those below /nowhere. */
export function fakeFiles(content: FakeFiles = {}): CheckFiles {
  const read = (path: string): Uint8Array => {
    const found = path.startsWith('/nowhere/') ? `there is no file ${path}` : (content[path] ?? KEY)
    if (typeof found === 'string') throw new Error(found)
    return Uint8Array.from(found)
  }
  return { read, readSecret: read, exists: (path) => !path.startsWith('/nowhere/') }
}

/** Loads text as the gateway would, with keys of 20 bytes for the manual example. */
export function load(text: string, files: FakeFiles = {}, environment: CheckEnvironment = {}): CheckResult {
  const keys = {
    '/etc/asegate/keys/out': new Uint8Array(20).fill(1),
    '/etc/asegate/keys/in': new Uint8Array(20).fill(2),
  }
  return loadConfig(FILE, text, fakeFiles({ ...keys, ...files }), { privateFile: true, ...environment })
}

/** `LINE code` of each finding, in order. */
export function codes(findings: { line: number; code: string }[]): string[] {
  return findings.map(({ line, code }) => `${line} ${code}`)
}

/** An example of the language's section 8. */
export function example(name: string): string {
  return readFileSync(new URL(`./examples/${name}.conf`, import.meta.url), 'utf8')
}

/** A static tunnel with a pre-shared key that has nothing to complain about. */
export const GOOD = `
context local
 interface t-a
  ip address 169.254.1.0/31
 ip route 10.2.0.0/16 interface t-a
ike policy to-a
 pre-shared-key file psk/a
tunnel ipsec a
 peer-end-point local 198.51.100.1 remote 203.0.113.1
 bind interface t-a local
 ike-policy to-a
`
