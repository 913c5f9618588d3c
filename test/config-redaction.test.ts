// No output of this room shows a secret: not a finding, not a configuration printed whole.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { diffConfigs } from '../control/config/diff.ts'
import { codes, load } from './config/bench.ts'

// a letter first and a length that no other word here has, so that a hit is a leak
const secret = fc.stringMatching(/^x[g-z]{11,19}$/)
const hexSecret = fc.stringMatching(/^[0-9a-f]{26}$/)

function printed(text: string): string {
  const { config, errors, warnings } = load(text, {}, { privateFile: false })
  return [JSON.stringify({ errors, warnings }), JSON.stringify(config), inspect(config, { depth: 9 })].join(
    '\n',
  )
}

describe('a secret', () => {
  const lines: ((word: string) => string)[] = [
    (word) => `ike policy p\n pre-shared-key text ${word}`,
    (word) => `ike policy p\n pre-shared-key text "${word}`,
    (word) => `ike policy p\n pre-shared-key text ${word}!`,
    (word) => `ike policy p\n pre-shared-key ${word}`,
    (word) => `ike policy p\n pre-shared-key remote ${word} file k`,
    (word) => `ike policy p\n pre-shared-key txt ${word}`,
    (word) => `ike policy p\n pre-shared-key text ${word} ${word}`,
    (word) => `ike policy p\n pre-shard-key text ${word}`,
    (word) => `ike policy p\n ppk id hex ${word}`,
    (word) => `tunnel ipsec a\n pre-shared-key text ${word}`,
    (word) => `no pre-shared-key text ${word}`,
    (word) => `ipsec sa k\n inbound esp spi 300 encryption aes-128 key hex ${word}`,
    (word) => `ipsec sa k\n inbound esp spi 300 encryption aes-128 key ${word}`,
    (word) => `ipsec sa k\n inbound esp spi 300 encryption aes-129 key hex ${word}`,
    (word) => `ipsec sa k\n inbound esp spi 300 encryption aes-128 key hex ${word} authentcation sha1`,
    (word) => `ipsec sa k\n inbound esp spi 99999999999 encryption aes-128 key hex ${word}`,
  ]
  for (const line of lines) {
    it(`is not shown by ${JSON.stringify(line('SECRET').split('\n').at(-1))}`, () => {
      fc.assert(
        fc.property(fc.oneof(secret, hexSecret), (word) => {
          assert.ok(!printed(line(word)).includes(word))
        }),
        { numRuns: 50 },
      )
    })
  }

  it('leaves the rest of its statement readable, quotes and backslashes included', () => {
    const text =
      'insecure-crypto permit "a \\"b\\" \\\\ c"\nike policy p\n  pre-shared-key remote text "x y"  ! key\n ppk id hex 00ff'
    assert.deepEqual(load(text, {}, { privateFile: true }).config.statements, [
      'insecure-crypto permit "a \\"b\\" \\\\ c"',
      'ike policy p',
      ' pre-shared-key remote text <hidden>',
      ' ppk <hidden> hex <hidden>',
    ])
  })

  it('is there all the same, and a change of it is seen', () => {
    const [one, two] = ['one', 'two'].map(
      (word) =>
        load(`ike policy p\n pre-shared-key text sixteen-bytes-${word}\ntunnel ipsec a\n ike-policy p`)
          .config,
    )
    const changes = diffConfigs(one, two)
    assert.deepEqual(
      changes.map(({ action, reason }) => [action, reason]),
      [['change', 'changed: ike policy p']],
    )
    assert.ok(!JSON.stringify(changes).includes('sixteen'))
  })

  it('makes its file a secret file', () => {
    const text =
      'ipsec sa k\n inbound esp spi 300 encryption aes-128 key hex 00112233445566778899aabbccddeeff authentication sha256 key file k\n outbound esp spi 300 encryption null authentication sha256 key file k\n'
    assert.deepEqual(codes(load(text, {}, { privateFile: false }).errors), ['2 auth'])
  })
})
