// `unsupported`: the table of unbuilt.ts, applied.

import { UNSUPPORTED } from '../unbuilt.ts'
import type { CheckContext } from './report.ts'

export function checkUnbuilt({ config, error }: CheckContext) {
  for (const { feature, instead, find } of UNSUPPORTED) {
    for (const line of find(config))
      error(line, 'unsupported', `${feature}: not built in this version; ${instead}`)
  }
}
