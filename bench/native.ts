// The native limit: intel-ipsec-mb on this core, by a small C program that is compiled when it is first wanted.
//
// Wanted are a compiler and Debian's libipsec-mb-dev. One run measures one suite, direction and size for a moment.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Size } from './traffic.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SOURCE = join(ROOT, 'bench/native/ipsec-mb.c')
const PROGRAM = join(ROOT, 'build/bench-ipsec-mb')
const MILLISECONDS = 200

/** Why there are no native figures here, or null. */
export function nativeRefusal(): string | null {
  if (!existsSync('/usr/include/intel-ipsec-mb.h'))
    return 'no intel-ipsec-mb.h: install libipsec-mb-dev (x86-64 only) for --native'
  try {
    compile()
    return null
  } catch {
    return `no C compiler that takes ${SOURCE}: install gcc for --native`
  }
}

function compile(): void {
  if (existsSync(PROGRAM) && statSync(PROGRAM).mtimeMs >= statSync(SOURCE).mtimeMs) return
  mkdirSync(dirname(PROGRAM), { recursive: true })
  const options = ['-O2', '-Wall', '-Wextra', '-o', PROGRAM, SOURCE, '-lIPSec_MB']
  execFileSync('cc', options, { stdio: ['ignore', 'ignore', 'pipe'] })
}

export type Native = { mpps: number; widestMpps: number }

/**
 * Million packets a second of ipsec-mb, with 256-bit vectors and with all that this processor has; null where it has
 * no such suite.
 */
export function nativeMpps(suite: string, direction: 'out' | 'in', size: Size): Native | null {
  const options = [suite, direction, String(size), String(MILLISECONDS)]
  const [mpps, widestMpps] = execFileSync(PROGRAM, options, { encoding: 'utf8' }).split(' ').map(Number)
  return mpps > 0 ? { mpps, widestMpps } : null
}
