// `unsupported` and `not-yet`: the table of unbuilt.ts, applied.

import { NOT_YET, UNSUPPORTED } from '../unbuilt.ts'
import type { CheckContext } from './report.ts'

export function checkUnbuilt({ config, error, warn }: CheckContext) {
  for (const { feature, instead, find } of UNSUPPORTED) {
    for (const line of find(config))
      error(line, 'unsupported', `${feature}: not built in this version; ${instead}`)
  }
  for (const { feature, instead, find } of NOT_YET) {
    for (const line of find(config))
      warn(line, 'not-yet', `${feature}: accepted, but not built in this version; ${instead}`)
  }
}
