// `asegate version`: no gateway is asked; what this installation would run.

import { cardBuild } from '../../bindings/wasm.ts'
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
