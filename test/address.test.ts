import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  addressFamily,
  canonicalAddress,
  compareBytes,
  describeRange,
  describeSelector,
  formatAddress,
  formatPrefix,
  isMulticast,
  isUnspecified,
  networkOf,
  parseAddress,
  parsePrefix,
  prefixContains,
  prefixRange,
  rangeContains,
  rangePrefix,
  wholeRange,
} from '../control/address.ts'

const bytes = (text: string) => parseAddress(text) as Uint8Array

describe('an address', () => {
  it('is four decimal parts or IPv6 text, and nothing else', () => {
    assert.deepEqual([...bytes('198.51.100.1')], [198, 51, 100, 1])
    assert.deepEqual([...bytes('2001:db8::1')], [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    const none = [
      '',
      '1.2.3',
      '1.2.3.4.5',
      '256.1.1.1',
      '010.1.1.1',
      '0x7f.0.0.1',
      '1.2.3.4 ',
      '127.1',
      '2130706433',
    ]
    for (const text of none) assert.equal(parseAddress(text), null, text)
    const noneV6 = [
      ':',
      ':::',
      '1::2::3',
      '12345::',
      '::00001',
      'fe80::1%eth0',
      '::g',
      '1:2:3:4:5:6:7',
      '[::1]',
    ]
    for (const text of noneV6) assert.equal(parseAddress(text), null, text)
    for (const text of ['::1.2.3', '::256.1.1.1', '::01.2.3.4', '::0x1.2.3.4', '1.2.3.4::']) {
      assert.equal(parseAddress(text), null, text)
    }
  })

  it('with a dotted end keeps its first 96 bits (RFC 4291 section 2.2)', () => {
    assert.equal(canonicalAddress('::1.2.3.4'), '::102:304')
    assert.equal(canonicalAddress('::ffff:1.2.3.4'), '::ffff:102:304')
    assert.equal(canonicalAddress('64:ff9b::192.0.2.33'), '64:ff9b::c000:221')
  })

  it('is printed as RFC 5952 wants it', () => {
    const pairs = [
      ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
      ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
      ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['0:0:0:0:0:0:0:0', '::'],
      ['fe80:0:0:0:0:0:0:0', 'fe80::'],
    ]
    for (const [text, canonical] of pairs) assert.equal(canonicalAddress(text), canonical)
  })

  it('survives printing and parsing, whatever its bytes', () => {
    const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
    const v6 = fc.uint8Array({ minLength: 16, maxLength: 16 })
    const sparse = fc
      .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
      .map((a) => Uint8Array.from(a))
    fc.assert(
      fc.property(fc.oneof(v4, v6, sparse), (address) => {
        assert.deepEqual(parseAddress(formatAddress(address)), address)
        assert.equal(addressFamily(formatAddress(address)), address.length === 4 ? 4 : 6)
      }),
    )
  })

  it('never throws on any text', () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789abcf.:/%x-') }))
    fc.assert(
      fc.property(text, (each) => {
        const parsed = parseAddress(each)
        assert.ok(parsed === null || parsed.length === 4 || parsed.length === 16)
        parsePrefix(each)
        networkOf(each)
      }),
    )
  })

  it('knows multicast and unspecified', () => {
    assert.deepEqual(
      ['224.0.0.5', '239.255.255.255', 'ff02::5'].map((each) => isMulticast(bytes(each))),
      [true, true, true],
    )
    assert.deepEqual(
      ['223.255.255.255', '240.0.0.1', 'fe80::5'].map((each) => isMulticast(bytes(each))),
      [false, false, false],
    )
    assert.deepEqual(
      ['0.0.0.0', '::', '::1'].map((each) => isUnspecified(bytes(each))),
      [true, true, false],
    )
  })
})

describe('a prefix', () => {
  it('has an address and a length of its family', () => {
    assert.equal(formatPrefix(parsePrefix('10.0.0.1/24')!), '10.0.0.1/24')
    for (const text of [
      '10.0.0.0',
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/08',
      '::/129',
      '10.0.0.0/8/8',
      '/8',
      '10.0.0.0/',
    ]) {
      assert.equal(parsePrefix(text), null, text)
    }
  })

  it('covers from its first to its last address', () => {
    assert.equal(describeRange(prefixRange(parsePrefix('10.1.2.3/12')!)), '10.0.0.0/12')
    const all = prefixRange(parsePrefix('10.1.2.3/0')!)
    assert.deepEqual(all, wholeRange(4))
    const host = prefixRange(parsePrefix('2001:db8::7/128')!)
    assert.deepEqual([formatAddress(host.start), formatAddress(host.end)], ['2001:db8::7', '2001:db8::7'])
    assert.equal(networkOf('10.1.2.3/20'), '10.1.0.0/20')
  })

  it('contains exactly the addresses that share its leading bits', () => {
    const address = fc.uint8Array({ minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(address, address, fc.nat(32), (network, candidate, length) => {
        const bits = (each: Uint8Array) => [...each].map((byte) => byte.toString(2).padStart(8, '0')).join('')
        const shares = bits(network).slice(0, length) === bits(candidate).slice(0, length)
        assert.equal(prefixContains(`${formatAddress(network)}/${length}`, formatAddress(candidate)), shares)
      }),
    )
  })

  it('is found again from its range, and a range that is none is not', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(128), (address, length) => {
        const range = prefixRange({ family: 6, address, length })
        assert.equal(rangePrefix(range)?.length, length)
      }),
    )
    assert.equal(rangePrefix({ family: 4, start: bytes('10.0.0.1'), end: bytes('10.0.0.2') }), null)
    assert.equal(rangePrefix({ family: 4, start: bytes('10.0.0.0'), end: bytes('10.0.2.255') }), null)
  })

  it('never contains an address of the other family', () => {
    assert.ok(!prefixContains('0.0.0.0/0', '::'))
    assert.ok(!prefixContains('::/0', '0.0.0.0'))
    assert.ok(!rangeContains(wholeRange(4), bytes('::')))
  })
})

describe('byte order', () => {
  it('is numeric within a family, IPv4 before IPv6', () => {
    assert.ok(compareBytes(bytes('9.255.255.255'), bytes('10.0.0.0')) < 0)
    assert.ok(compareBytes(bytes('10.0.0.1'), bytes('10.0.0.0')) > 0)
    assert.equal(compareBytes(bytes('::1'), bytes('::1')), 0)
    assert.ok(compareBytes(bytes('255.255.255.255'), bytes('::')) < 0)
  })
})

describe('a selector in words', () => {
  const selector = (from: string, to: string, protocol = 0, ports: [number, number] = [0, 65535]) => ({
    family: from.includes(':') ? (6 as const) : (4 as const),
    protocol,
    startPort: ports[0],
    endPort: ports[1],
    start: bytes(from),
    end: bytes(to),
  })

  it('is the shortest form that says it all', () => {
    assert.equal(describeSelector(selector('10.1.0.0', '10.1.0.255')), '10.1.0.0/24')
    assert.equal(describeSelector(selector('10.0.0.1', '10.0.0.1')), '10.0.0.1')
    assert.equal(describeSelector(selector('10.0.0.1', '10.0.0.9', 6, [80, 80])), '10.0.0.1-10.0.0.9 tcp 80')
    assert.equal(describeSelector(selector('0.0.0.0', '255.255.255.255')), '0.0.0.0/0')
    assert.equal(
      describeSelector(selector('10.0.0.0', '10.0.0.255', 17, [5060, 5061])),
      '10.0.0.0/24 udp 5060-5061',
    )
    assert.equal(describeSelector(selector('2001:db8::', '2001:db8::ffff', 47)), '2001:db8::/112 47')
    assert.equal(describeSelector(selector('10.0.0.1', '10.0.0.1', 6, [65535, 0])), '10.0.0.1 tcp opaque')
  })
})
