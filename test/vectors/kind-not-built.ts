/**
 * Vector files whose algorithm the project does not have yet: recognised, counted case by case, and reported
 * as not built. A line leaves this table when its algorithm is built.
 */
import type { VectorKind, VectorResult } from './kind.ts'

type Row = {
  /** What the report calls the algorithm. */
  algorithm: string
  /** Both must hold for a file to be of this kind. */
  path: RegExp
  content: RegExp
  /** Matches once per case. */
  oneCase: RegExp
}

const rows: readonly Row[] = [
  {
    algorithm: '3des-cbc',
    path: /\.rsp$/,
    content: /"tdes_values"[\s\S]*? for CBC\b/,
    oneCase: /^COUNT = /gm,
  },
  {
    algorithm: '3des-ecb',
    path: /\.rsp$/,
    content: /"tdes_values"[\s\S]*? for ECB\b/,
    oneCase: /^COUNT = /gm,
  },
  { algorithm: '3des-cbc', path: /\.txt$/, content: /^CBC-TDES \(/m, oneCase: /^CBC-TDES \(/gm },
]

function rowFor(path: string, content: string): Row | undefined {
  return rows.find((row) => row.path.test(path) && row.content.test(content))
}

/** Every case of the table's files as `not-built`. */
export const notBuilt: VectorKind = {
  name: 'not-built',
  matches: (path, content) => rowFor(path, content) !== undefined,
  run: (path, content) => {
    const { algorithm, oneCase } = rowFor(path, content)!
    return [...content.matchAll(oneCase)].map(
      (_, i): VectorResult => ({ id: `case ${i + 1}`, outcome: 'not-built', note: algorithm }),
    )
  },
}
