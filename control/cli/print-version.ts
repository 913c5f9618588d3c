// `asegate version`: no gateway is asked; what this installation would run.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { artefactPath } from '../../bindings/wasm.ts'
import { ABI_VERSION } from '../../dataplane-as/abi.ts'
import { EXIT, type ExitCode, printJson, printLines } from './exit.ts'
import { VERSION } from './version.ts'

export function printVersion(json: boolean): ExitCode {
  const build = cardBuild()
  const data = { version: VERSION, node: process.version, abi: ABI_VERSION, build }
  if (json) printJson({ ok: true, data })
  else
    printLines([
      `asegate ${VERSION} (node ${process.version}, card ABI ${ABI_VERSION}, build ${build ?? 'missing'})`,
    ])
  return EXIT.done
}

/** Fingerprint of the built card, as the running card reports it; null before npm run build. */
function cardBuild(): string | null {
  const path = artefactPath('gateway')
  if (!existsSync(path)) return null
  return createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12)
}
