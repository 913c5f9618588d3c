// One case a finding: the least configuration that brings it, and where.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { codes, type FakeFiles, load } from './bench.ts'

/** Errors and warnings as `LINE code`; every message is one line that names something. */
export type Case = {
  name: string
  text: string
  errors?: string[]
  warnings?: string[]
  says?: RegExp
  files?: FakeFiles
}

/** An economical tunnel `a` of the policy `p`. */
export const TUNNEL = `tunnel ipsec a
 peer-end-point local 198.51.100.1 remote 203.0.113.1
 mode economical
 ike-policy p
`
export const POLICY = `ike policy p
 pre-shared-key file psk
`

export function run(cases: Case[]) {
  for (const { name, text, errors = [], warnings = [], says, files } of cases) {
    it(name, () => {
      const found = load(text, files)
      assert.deepEqual(codes(found.errors), errors, JSON.stringify(found.errors, null, 1))
      assert.deepEqual(codes(found.warnings), warnings, JSON.stringify(found.warnings, null, 1))
      const messages = [...found.errors, ...found.warnings].map((finding) => finding.message)
      if (says)
        assert.ok(
          messages.some((message) => says.test(message)),
          messages.join('\n'),
        )
      for (const message of messages) assert.match(message, /^[^\n]{20,}$/)
    })
  }
}
