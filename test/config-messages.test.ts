// What the parser says about lines that are no statements, and that it survives every text.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LANGUAGE } from '../control/config/grammar/global.ts'
import type { Finding } from '../control/config/model.ts'
import { parseConfig } from '../control/config/parse.ts'
import { codes, example, FILE } from './config/bench.ts'

const parse = (text: string) => parseConfig(FILE, text)
const message = (text: string): string => {
  const { errors } = parse(text)
  assert.equal(errors.length, 1, JSON.stringify(errors))
  return `${errors[0].line} ${errors[0].code}: ${errors[0].message}`
}

describe('a line that fits nowhere', () => {
  const cases: [text: string, expected: RegExp][] = [
    [
      'ike proposal p\n encrypton aes-128',
      /^2 syntax: unknown statement "encrypton" in ike proposal; did you mean "encryption"\?; ike proposal takes encryption, /,
    ],
    [
      'ike proposal p\n encryption aes-265',
      /^2 syntax: "aes-265" does not fit after "encryption"; did you mean "aes-256"\?; expected des, 3des, aes-128/,
    ],
    ['ike proposal p\n dh-group 22', /^2 syntax: "22" does not fit after "dh-group"; expected 1, 2, 5, 14/],
    ['tunnel ipsec a\n encryption aes-256', /^2 syntax: .* in tunnel; it belongs in ike proposal/],
    [
      'tunnel ipsec a\n mode',
      /^2 syntax: the line ends too early after "mode"; expected circuit, economical$/,
    ],
    ['tunnel ipsec a\n shutdown now', /^2 syntax: nothing may follow "shutdown", but "now" does/],
    [
      'tunnel ipsec a\n ip mtu big',
      /^2 syntax: "big" does not fit after "ip mtu"; expected INT \(0-65535\) \(a number/,
    ],
    [
      'tunnel ipsec a\n peer-end-point local any remote bad_\u00e9',
      /^2 syntax: remote "bad_\\u00e9" is neither an address nor a DNS name/,
    ],
    [
      'tunnel ipsec a\n peer-end-point local any remote 300.1.1.1',
      /^2 syntax: remote "300.1.1.1" is neither/,
    ],
    ['tunnel ipsec 1a', /^1 syntax: "1a" does not fit after "tunnel ipsec"; expected NAME \(a name: letter/],
    ['no ike proposal p', /^1 syntax: "no" removes statements in the shell only/],
    [
      'ip route 10.0.0.0/8 null0',
      /^1 syntax: unknown statement "ip"; it belongs in context or interface or tunnel/,
    ],
    [
      'tunnel ipsec a\n traffic-selector local 10.0.0.1 remote any',
      /^2 syntax: "10.0.0.1" does not fit after .* expected any, host, PREFIX, range/,
    ],
  ]
  for (const [text, expected] of cases) {
    it(`says what is wrong and what would be right: ${JSON.stringify(text.split('\n').at(-1))}`, () => {
      assert.match(message(text), expected)
    })
  }

  it('is corrected for the rest of the file, so that one mistake is one finding', () => {
    const { config, errors } = parse(
      'tunel ipsec a\n mode econmical\n shutdown\nike proposal p extra\n lifetime 9\ntunnel ipsec 1\n shutdown',
    )
    assert.deepEqual(codes(errors), ['1 syntax', '2 syntax', '4 syntax', '6 syntax'])
    assert.deepEqual([config.tunnels.get('a')?.mode, config.tunnels.get('a')?.shutdown], ['economical', true])
    assert.equal(config.ikeProposals.get('p')?.lifetime, 9)
  })
})

describe('a number out of range', () => {
  const cases: [text: string, expected: RegExp][] = [
    ['ipsec alarms holddown 121', /^1 range: ipsec alarms holddown: 121 is not between 1 and 120$/],
    ['ike port 65536', /^1 range: ike port: 65536 /],
    ['ike port 4500', /^1 range: ike port and nat-t-port are both 4500/],
    ['ike cookie-threshold 99999999999999999999', /^1 range: /],
    ['ipsec policy p\n anti-replay 16', /^2 range: anti-replay: 16 is not between 32 and 4096$/],
    ['ipsec policy p\n anti-replay 100', /^2 range: anti-replay 100 is no power of two/],
    ['ipsec policy p\n dscp set 64', /^2 range: dscp: 64 /],
    ['tunnel ipsec a\n max-tunnels 1025', /^2 range: max-tunnels: 1025 is not between 1 and 1024$/],
    [
      'tunnel ipsec a\n traffic-selector tcp local any port 70000 remote any',
      /^2 range: .*70000 is not between 0 and 65535$/,
    ],
    [
      'tunnel ipsec a\n traffic-selector tcp local any port 9-8 remote any',
      /^2 range: .*ports 9-8 run backwards$/,
    ],
    ['tunnel ipsec a\n peer-end-point local 300.1.1.1', /^2 range: .*300.1.1.1 is no IPv4 or IPv6 address$/],
    [
      'context local\n ip route 10.0.0.0/33 null0',
      /^2 range: ip route: 10.0.0.0\/33 is no IPv4 or IPv6 prefix$/,
    ],
    [
      'context local\n ip route 10.0.0.1/24 null0',
      /^2 range: ip route: 10.0.0.1\/24 has host bits set; write 10.0.0.0\/24$/,
    ],
    ['ipsec qos-policy q\n class c priority 8', /^2 range: class: 8 is not between 0 and 7$/],
    [
      'ipsec qos-policy q\n class c priority 1 match dscp 1,64',
      /^2 range: class: 64 is not between 0 and 63$/,
    ],
    ['ipsec sa k\n inbound esp spi 4294967296 encryption null', /^2 range: inbound\|outbound: 4294967296 /],
  ]
  for (const [text, expected] of cases) {
    it(JSON.stringify(text.split('\n').at(-1)), () => assert.match(message(text), expected))
  }
})

describe('any text at all', () => {
  const words = LANGUAGE.flatMap((mode) =>
    mode.statements.flatMap((text) => text.split(/[\s()[\]|]+/)),
  ).filter(Boolean)
  const noise = [
    'a',
    '10.0.0.0/8',
    '::1',
    '7',
    '"x y"',
    '!',
    '"',
    'exit',
    'no',
    '0xff',
    '1-2',
    '1,2',
    '\\',
    '\u0000',
    '99999999999',
  ]
  const line = fc.array(fc.constantFrom(...words, ...noise), { maxLength: 9 }).map((each) => each.join(' '))
  const plausible = fc.array(line, { maxLength: 25 }).map((lines) => lines.join('\n'))

  it('is parsed without an exception, every finding on a line of it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), plausible), (text) => {
        const { errors, warnings } = parse(text)
        const last = text.split('\n').length
        const onALine = ({ line, code, message }: Finding) =>
          line >= 1 && line <= last && code !== '' && message !== ''
        assert.ok([...errors, ...warnings].every(onALine))
      }),
      { numRuns: 500 },
    )
  })

  it('that is an example with lines lost, doubled or cut is parsed too', () => {
    const lines = ['figure3', 'figure4', 'qos', 'manual'].flatMap((name) => example(name).split('\n'))
    const cut = fc.tuple(fc.constantFrom(...lines), fc.nat(60)).map(([text, at]) => text.slice(0, at))
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...lines), cut), { maxLength: 40 }), (some) => {
        parse(some.join('\n'))
      }),
    )
  })
})

describe('the grammar tables', () => {
  it('print the whole language', () => {
    const printed = LANGUAGE.flatMap((mode) => [mode.name, ...mode.statements.map((text) => `  ${text}`)])
    const expected = readFileSync(new URL('./config/grammar.txt', import.meta.url), 'utf8')
    assert.equal(`${printed.join('\n')}\n`, expected)
  })

  it('give no line to a mode and to the mode around it', () => {
    const [outer, context, device] = LANGUAGE
    const first = (mode: (typeof LANGUAGE)[number]) => mode.statements.map((text) => text.split(/ [A-Z(]/)[0])
    for (const mode of LANGUAGE.slice(1)) {
      assert.deepEqual(
        first(mode).filter((each) => first(outer).includes(each)),
        [],
        mode.name,
      )
    }
    assert.deepEqual(
      first(device).filter((each) => first(context).includes(each)),
      [],
    )
  })
})
