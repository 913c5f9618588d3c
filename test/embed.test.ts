/**
 * The card in a program of one's own: the embeddable build behind bindings/embedded.ts, no import of the control plane.
 * Runs the AES-128-CBC + HMAC-SHA1-96 packets of the vectors out and in. What an embedder writes is between the lines.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { EmbeddedCard } from '../bindings/embedded.ts'
import { DROP_REPLAY } from '../dataplane-as/abi.ts'
import { build } from '../dataplane-as/build.ts'

build()
const read = (path: string) => readFileSync(new URL(path, import.meta.url))
type Vector = Record<
  'id' | 'mode' | 'encr' | 'integ' | 'spi' | 'encr_key' | 'integ_key' | 'iv' | 'inner_packet' | 'esp',
  string
> & { seq: number; esn: boolean }
const all = (JSON.parse(read('vectors/data/packets/esp-generated.json').toString()) as { tests: Vector[] })
  .tests
const chosen = (v: Vector) => v.mode === 'tunnel' && v.encr === 'AES-CBC-128' && v.integ === 'HMAC-SHA1-96'
const vectors = all.filter((v) => chosen(v) && !v.esn)
const hex = (text: string) => Buffer.from(text, 'hex')

// ---- an embedder's program ----------------------------------------------------------------------------------
const wasm = new WebAssembly.Module(read('../build/asegate-card.wasm'))
const card = new EmbeddedCard(wasm)

function roundTrip(vector: Vector): { datagram: Buffer; packet: Buffer } {
  const keys = { key: hex(vector.encr_key), integrityKey: hex(vector.integ_key) }
  const sa = { ...keys, spi: Number.parseInt(vector.spi, 16), lastSequence: vector.seq - 1 } // really: 0
  card.addSa({ ...sa, direction: 'out' })
  card.addSa({ ...sa, direction: 'in' })
  const datagram = card.protect(hex(vector.inner_packet), hex(vector.iv)) // really: a random IV
  return { datagram, packet: card.open(datagram) }
}
// ---- end of the embedder's program --------------------------------------------------------------------------

test('the embeddable build imports nothing and brings a memory of its own', () => {
  assert.deepEqual(WebAssembly.Module.imports(wasm), [])
  const gateway = new WebAssembly.Module(read('../build/asegate-card-gateway.wasm'))
  assert.deepEqual(WebAssembly.Module.imports(gateway), [{ module: 'env', name: 'memory', kind: 'memory' }])
  const names = (of: WebAssembly.Module) =>
    WebAssembly.Module.exports(of)
      .map(({ name }) => name)
      .sort()
  assert.deepEqual(names(wasm), names(gateway))
})

test('ESP vectors run out and in without the control plane', () => {
  assert.ok(vectors.length >= 4, `only ${vectors.length} vectors`)
  for (const vector of vectors) {
    const { datagram, packet } = roundTrip(vector)
    assert.equal(datagram.toString('hex'), vector.esp, vector.id)
    assert.equal(packet.toString('hex'), vector.inner_packet, vector.id)
  }
})

test('a datagram opened twice is a replay and delivers nothing', () => {
  assert.equal(card.open(hex(vectors[0].esp)).length, 0)
  assert.equal(card.drops(DROP_REPLAY), 1n)
})
