// Identities and distinguished names: encoding, text, and when two are the same.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Identity } from '../control/config/model.ts'
import { fromHex, hex } from '../control/wire/bytes.ts'
import {
  der,
  derOid,
  derSequence,
  derText,
  derUnsigned,
  readAll,
  readElement,
  readOid,
  readUnsigned,
  readWhole,
  Tag,
} from '../control/wire/der.ts'
import { type Dn, dnText, encodeDn, matchesDn, parseDnText, readDn } from '../control/wire/dn.ts'
import {
  decodeIdentity,
  encodeIdentity,
  hasWildcard,
  idBody,
  matchesIdentity,
} from '../control/wire/identity.ts'
import { within } from './support/within.ts'

const dn = (text: string): Dn => {
  const parsed = parseDnText(text)
  assert.ok(parsed, text)
  return parsed
}

test('identities go into ID payloads and come back', () => {
  const cases: [Identity, number, string][] = [
    [{ kind: 'address', value: '192.0.2.1' }, 1, 'c0000201'],
    [{ kind: 'address', value: '2001:db8::1' }, 5, '20010db8000000000000000000000001'],
    [{ kind: 'fqdn', value: 'pe1.example.net' }, 2, hex(new TextEncoder().encode('pe1.example.net'))],
    [{ kind: 'user-fqdn', value: 'a@b.c' }, 3, '6140622e63'],
    [{ kind: 'key-id', value: '00ff' }, 11, '00ff'],
    [
      { kind: 'dn', value: 'O=Provider, CN=pe1' },
      9,
      '30213111300f060355040a130850726f7669646572310c300a06035504031303706531',
    ],
  ]
  for (const [identity, idType, data] of cases) {
    const encoded = encodeIdentity(identity)
    assert.ok(encoded)
    assert.deepEqual([encoded.idType, hex(encoded.data)], [idType, data])
    assert.deepEqual(decodeIdentity(idType, encoded.data), { ok: true, value: identity })
    assert.equal(hex(idBody(encoded.idType, encoded.data)), `0${idType.toString(16)}000000${data}`)
  }
})

test('texts that do not fit their kind encode to nothing', () => {
  const cases: Identity[] = [
    { kind: 'address', value: 'pe1.example.net' },
    { kind: 'fqdn', value: 'a b' },
    { kind: 'fqdn', value: '' },
    { kind: 'key-id', value: 'xyz' },
    { kind: 'dn', value: 'pe1' },
  ]
  for (const identity of cases) assert.equal(encodeIdentity(identity), null)
})

test('received identities of wrong length or with hidden bytes are refused', () => {
  const cases: [number, string][] = [
    [1, 'c00002'],
    [1, 'c000020101'],
    [5, 'c0000201'],
    [2, ''],
    [2, '706531002e'],
    [2, '7065310a'],
    [2, '1b5b324a'],
    [3, 'c3a4'],
    [9, '3000'],
    [9, '30ff'],
    [10, '00'],
    [11, ''],
    [0, '00'],
    [200, '00'],
  ]
  for (const [idType, data] of cases)
    assert.equal(decodeIdentity(idType, fromHex(data)).ok, false, `${idType} ${data}`)
})

test('C8: types are never coerced', () => {
  assert.ok(!matchesIdentity({ kind: 'fqdn', value: '192.0.2.1' }, { kind: 'address', value: '192.0.2.1' }))
  assert.ok(!matchesIdentity({ kind: 'address', value: '192.0.2.1' }, { kind: 'fqdn', value: '192.0.2.1' }))
  assert.ok(!matchesIdentity({ kind: 'fqdn', value: 'a@b.c' }, { kind: 'user-fqdn', value: 'a@b.c' }))
  assert.ok(
    !matchesIdentity({ kind: 'address', value: '192.0.2.1' }, { kind: 'address', value: '::ffff:192.0.2.1' }),
  )
})

test('names match without case, addresses by value, wildcards only in the configured one', () => {
  const fqdn = (value: string): Identity => ({ kind: 'fqdn', value })
  assert.ok(matchesIdentity(fqdn('PE1.example.NET'), fqdn('pe1.Example.net')))
  assert.ok(!matchesIdentity(fqdn('pe1.example.net'), fqdn('pe1.example.net.')))
  assert.ok(matchesIdentity(fqdn('*.example.net'), fqdn('cpe.example.net')))
  assert.ok(!matchesIdentity(fqdn('*.example.net'), fqdn('example.net')))
  assert.ok(!matchesIdentity(fqdn('*.example.net'), fqdn('cpe.example.netx')))
  assert.ok(!matchesIdentity(fqdn('cpe.example.net'), fqdn('*.example.net')))
  assert.ok(!matchesIdentity(fqdn('a.example'), fqdn('axexample')))
  assert.ok(
    matchesIdentity({ kind: 'address', value: '2001:db8::1' }, { kind: 'address', value: '2001:DB8:0::1' }),
  )
  assert.ok(matchesIdentity('any', fqdn('x')))
  assert.deepEqual(['any' as const, fqdn('*.x'), fqdn('x')].map(hasWildcard), [true, true, false])
})

test('a dn is a sequence: order, number and type count, case, spaces and string type do not', () => {
  const match = (a: string, b: string) => matchesIdentity({ kind: 'dn', value: a }, { kind: 'dn', value: b })
  assert.ok(match('O=Provider, CN=pe1', 'o = provider,cn=PE1'))
  assert.ok(match('O=A  B, CN=x', 'O=a b, CN=x'))
  assert.ok(!match('O=Provider, CN=pe1', 'CN=pe1, O=Provider'))
  assert.ok(!match('O=Provider, CN=pe1', 'O=Provider, CN=pe1, OU=x'))
  assert.ok(!match('O=Provider, CN=pe1', 'O=Provider, OU=pe1'))
  assert.ok(match('O=Customer, CN=*', 'O=customer, CN=anyone'))
  assert.ok(!match('O=Customer, CN=*', 'O=Other, CN=anyone'))
  assert.ok(!match('O=Customer, CN=x', 'O=Customer, CN=*'))
  const utf8 = derSequence(der(Tag.SET, derSequence(derOid('2.5.4.3'), derText(Tag.UTF8, 'pe1'))))
  assert.ok(matchesDn(dn('CN=pe1'), readDn(utf8)!))
})

test('dn text survives separators, controls, umlauts, unknown types and values that are no string', () => {
  for (const value of [
    'a,b',
    'a+b',
    'a=b',
    '"',
    ' lead',
    'trail ',
    '#hash',
    'back\\slash',
    'ä, ö',
    'tab\tnul\0',
    '\u0085',
    '日本',
  ]) {
    const name: Dn = [[{ type: '2.5.4.3', value: derText(Tag.UTF8, value), text: value }]]
    const text = dnText(name)
    assert.ok(matchesDn(dn(text), name), text)
    assert.ok(!/\p{Cc}/u.test(text), 'no control character reaches a log')
  }
  const odd = readDn(
    derSequence(der(Tag.SET, derSequence(derOid('1.2.3.4'), derUnsigned(Uint8Array.of(7))))),
  )!
  assert.equal(dnText(odd), '1.2.3.4=#020107')
  assert.ok(matchesDn(dn('1.2.3.4=#020107'), odd))
  const both = dn('OU=a + CN=b, O=c')
  assert.deepEqual([both.length, both[0].length], [2, 2])
  assert.ok(matchesDn(readDn(encodeDn(both))!, both))
})

test('texts that are no dn', () => {
  for (const text of [
    '',
    'pe1',
    'CN=',
    'CN=a,',
    'CN=a, ,O=b',
    'XX=a',
    '=a',
    'CN=a\\',
    'CN=#zz',
    'CN=#30ff',
  ]) {
    assert.equal(parseDnText(text), null, text)
  }
})

test('our own subject is sent in its own encoding', () => {
  const subject = derSequence(der(Tag.SET, derSequence(derOid('2.5.4.3'), derText(Tag.UTF8, 'pe1'))))
  assert.equal(encodeIdentity({ kind: 'dn', value: 'CN=PE1' }, subject)?.data, subject)
  assert.notDeepEqual(encodeIdentity({ kind: 'dn', value: 'CN=pe2' }, subject)?.data, subject)
})

test('a long dn costs nothing', () => {
  const spaces = derText(Tag.UTF8, ' '.repeat(60_000))
  const long = derSequence(der(Tag.SET, derSequence(derOid('2.5.4.3'), spaces)))
  assert.equal(decodeIdentity(9, long).ok, false)
  const most = derSequence(
    der(Tag.SET, derSequence(derOid('2.5.4.3'), derText(Tag.UTF8, `${' '.repeat(4000)}x`))),
  )
  within(500, () => {
    const decoded = decodeIdentity(9, most)
    assert.ok(decoded.ok)
    matchesIdentity({ kind: 'dn', value: 'CN=y' }, decoded.value)
  })
})

test('DER: lengths are minimal and definite, elements end where they say', () => {
  for (const bad of [
    '',
    '30',
    '3080',
    '308100',
    '30817f',
    '30820001',
    '3084ffffffff',
    '3001',
    '1f8101',
    '30830000ff',
  ]) {
    assert.equal(readElement(fromHex(bad)), null, bad)
  }
  assert.equal(readWhole(fromHex('300000')), null)
  assert.equal(readAll(fromHex('0500050000')), null)
  assert.equal(readAll(fromHex('05000500'))?.length, 2)
  assert.equal(readOid(readElement(fromHex('06028001'))), null)
  assert.equal(readOid(readElement(fromHex('060181'))), null)
  for (const bad of ['0200', '02020001', '0201ff', '0202ff80'])
    assert.equal(readUnsigned(readElement(fromHex(bad))), null, bad)
})

test('DER: OIDs and integers come back', () => {
  for (const oid of [
    '0.9.2342.19200300.100.1.25',
    '1.2.840.113549.1.1.11',
    '2.5.29.17',
    '2.999.1',
    '1.3.6.1.4.1.4294967296',
  ]) {
    assert.equal(readOid(readElement(derOid(oid))), oid)
  }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (magnitude) => {
      const back = readUnsigned(readElement(derUnsigned(magnitude)))
      assert.ok(back)
      assert.equal(BigInt(`0x${hex(back)}`), BigInt(`0x${hex(magnitude)}`))
    }),
  )
})

test('no bytes make the DER and dn readers throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(12), (bytes, idType) => {
      readAll(bytes)
      const name = readDn(derSequence(der(Tag.SET, bytes)))
      if (name) assert.ok(matchesDn(name, name))
      decodeIdentity(idType, bytes)
    }),
    { numRuns: 3000 },
  )
})
