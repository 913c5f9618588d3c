/** The second opinion on the card's datagrams: it agrees with the vectors' reference, and notices one wrong bit. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { referenceFor } from '../bench/reference.ts'
import { keysFor, SUITES } from '../bench/suites.ts'
import { openEsp, type Protection } from '../bindings/esp-check.ts'

const CHECKED = ['aes-128+sha1', 'aes-256+sha256', 'aes-gcm-128', 'chacha20-poly1305']

for (const suite of SUITES.filter(({ name }) => CHECKED.includes(name))) {
  test(`${suite.name}: opens what another program sealed; nothing with one bit changed`, () => {
    const keys = keysFor(suite)
    const packet = randomBytes(100)
    const [datagram] = referenceFor(suite, keys).seal([packet])
    const protection = { ...suite, ...keys } as Protection
    assert.ok(packet.equals(openEsp(datagram, protection)!.subarray(0, packet.length)))
    for (const at of [0, 7, 8, 20, datagram.length - 1]) {
      const wrong = Buffer.from(datagram)
      wrong[at] ^= 1
      assert.equal(openEsp(wrong, protection), null, `byte ${at}`)
    }
  })
}

test('a suite it does not know is refused', () => {
  const protection = {
    cipher: 'null',
    integrity: 'sha1',
    encryptionKey: Buffer.alloc(0),
    integrityKey: randomBytes(20),
  }
  assert.throws(() => openEsp(randomBytes(64), protection as Protection), /no second opinion on null sha1/)
})
