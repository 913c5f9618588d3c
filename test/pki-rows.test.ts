// Rows of security.md about certificates that stand as cases in test/vectors/data/x509: each row by its name.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { VectorResult } from './vectors/kind.ts'
import { x509Chains } from './vectors/kind-x509.ts'

const ROWS: [string, RegExp, number][] = [
  ['L1 a leaf as CA', /^leaf acting as CA/, 1],
  ['L2 path length exceeded, a CA without keyCertSign', /^path length exceeded|^CA without keyCertSign/, 2],
  ['L4 name constraints met, violated, excluded', /name constraint/, 3],
  ['L5 unknown extensions, critical or not', /^unknown (non-)?critical extension/, 2],
  ['L7 identity only in CN, another, NUL and wildcard in the SAN', /^ID |^NUL inside|^wildcard SAN/, 4],
  ['L8 on a fresh CRL, and not on it', /^revoked leaf|^CRL of the issuer/, 2],
  [
    'L9 CRL of another key, or stale: as none, and refused when strict',
    /^CRL signed by another|^CRL expired/,
    4,
  ],
  ['L12 EKU serverAuth only, an unrelated certificate beside it', /^EKU serverAuth|^extra unrelated/, 2],
]

const path = 'vectors/data/x509/chains.json'
const content = readFileSync(new URL(path, import.meta.url), 'utf8')
const results = [...(x509Chains.run(path, content) as Iterable<VectorResult>)]

for (const [row, pattern, count] of ROWS)
  test(row, () => {
    const cases = results.filter(({ id }) => pattern.test(id))
    assert.equal(cases.length, count, cases.map(({ id }) => id).join('\n'))
    for (const { id, outcome, note } of cases) assert.equal(outcome, 'passed', `${id}: ${note}`)
  })
