/**
 * The card in a program of one's own: the embeddable build, abi.ts, and nothing else of the product. Runs the
 * AES-128-CBC + HMAC-SHA1-96 packets of the vectors out and in. What an embedder writes is between the lines.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as abi from '../dataplane-as/abi.ts'
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
type Calls = Record<'layout' | 'init' | 'mailbox' | 'outbound' | 'inbound', (...numbers: number[]) => number>
const wasm = new WebAssembly.Module(read('../build/asegate-card.wasm'))

// ---- an embedder's program ----------------------------------------------------------------------------------
const card = new WebAssembly.Instance(wasm).exports as Calls & { memory: WebAssembly.Memory }
card.layout(1, 64, 4, 2, 16, 2, 0) // one ASP, 64 SAs, 4 tunnels, 2 devices
card.init(1)
const bytes = Buffer.from(card.memory.buffer as ArrayBuffer)
const word = (at: number) => bytes.readUInt32LE(at)
const offsets: Record<string, number> = { ...abi }
const put = (at: number, fields: Partial<Record<keyof typeof abi, number>>) => {
  for (const [name, value] of Object.entries(fields)) bytes.writeUInt32LE(value, at + offsets[name])
}
const block = word(abi.HEADER_BASE + abi.HEADER_ASP_BLOCKS)
const [packets, loop] = [abi.HEADER_PACKETS, abi.HEADER_LOOP_OFFSET].map((field) =>
  word(abi.HEADER_BASE + field),
)
const buffer = packets + loop + abi.IN_HEADROOM

/** Gives the card a command; returns the error number of its acknowledgement. */
function command(opcode: number, index: number, fields: Parameters<typeof put>[1] = {}): number {
  const [ring, events] = [block + abi.ASP_COMMANDS, block + abi.ASP_EVENTS]
  const head = word(ring)
  const record = ring + abi.RING_RECORDS + (head % abi.COMMAND_SLOTS) * abi.COMMAND_BYTES
  put(record, { COMMAND_OPCODE: opcode, COMMAND_INDEX: index, ...fields })
  put(ring, { RING_HEAD: head + 1 })
  card.mailbox()
  const newest = (word(events) - 1) % abi.EVENT_SLOTS
  put(events, { RING_TAIL: word(events) })
  return word(events + abi.RING_RECORDS + newest * abi.EVENT_BYTES + abi.EVENT_VALUE)
}
const kind = {
  TUNNEL_SET_ASP: 1,
  TUNNEL_SET_MODE: abi.MODE_CIRCUIT,
  TUNNEL_SET_ENCAPSULATION: abi.ENCAPSULATION_RAW,
}
const ends = { TUNNEL_SET_MTU: 9000, TUNNEL_SET_PEER: abi.FAMILY_INET, TUNNEL_SET_LOCAL: abi.FAMILY_INET }
command(abi.OP_TUNNEL_SET, 0, { ...kind, ...ends })
command(abi.OP_CIRCUIT_SET, 0, { COMMAND_ARGUMENT: abi.DEVICE_CIRCUIT })
command(abi.OP_CIRCUIT_UP, 0)

function addSa(index: number, direction: number, vector: Vector): number {
  const sa = word(abi.HEADER_BASE + abi.HEADER_SA_COLD) + index * abi.SA_COLD_BYTES
  put(sa, { SA_DIRECTION: direction, SA_SPI: Number.parseInt(vector.spi, 16), SA_PROTOCOL: 50, SA_ASP: 1 })
  put(sa, { SA_CIPHER: abi.CIPHER_AES_CBC, SA_KEY_BYTES: 16, SA_INTEGRITY: abi.INTEGRITY_SHA1_96 })
  put(sa, { SA_INTEGRITY_KEY_BYTES: 20, SA_WINDOW: 64, SA_INITIAL_SEQUENCE: vector.seq - 1 }) // really: 0
  bytes.set(Buffer.from(vector.encr_key, 'hex'), sa + abi.SA_KEY)
  bytes.set(Buffer.from(vector.integ_key, 'hex'), sa + abi.SA_INTEGRITY_KEY)
  put(sa, { SA_STATE: abi.SA_RESERVED })
  return command(direction === abi.DIRECTION_OUT ? abi.OP_SA_ADD_OUT : abi.OP_SA_ADD_IN, index)
}
function protect(packet: Buffer, iv: Buffer): Buffer {
  const pool = block + abi.ASP_ENTROPY // really: keep it full of random bytes
  bytes.set(iv, pool + abi.ENTROPY_POOL + (word(pool) % abi.ENTROPY_BYTES))
  put(pool, { ENTROPY_HEAD: word(pool) + 16 })
  bytes.set(packet, buffer)
  put(block + abi.ASP_OUT_DESCRIPTORS, { OUT_ADDRESS: buffer, OUT_LENGTH: packet.length, OUT_DEVICE: 0 })
  return card.outbound(1) === 1 ? result(block + abi.ASP_TX_DESCRIPTORS) : Buffer.alloc(0)
}
function open(datagram: Buffer): Buffer {
  bytes.set(datagram, buffer)
  put(block + abi.ASP_IN_DESCRIPTORS, { IN_ADDRESS: buffer, IN_LENGTH: datagram.length })
  bytes[block + abi.ASP_IN_DESCRIPTORS + abi.IN_ENCAPSULATION] = abi.IN_RAW
  return card.inbound(1) === 1 ? result(block + abi.ASP_DELIVER_DESCRIPTORS) : Buffer.alloc(0)
}
/** Both result descriptors begin with address and length. */
const result = (at: number) => Buffer.from(bytes.subarray(word(at), word(at) + word(at + 4)))
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
  for (const [index, vector] of vectors.entries()) {
    assert.equal(addSa(index * 2, abi.DIRECTION_OUT, vector), abi.ERROR_NONE)
    assert.equal(addSa(index * 2 + 1, abi.DIRECTION_IN, vector), abi.ERROR_NONE)
    assert.equal(command(abi.OP_SA_ACTIVATE_OUT, index * 2), abi.ERROR_NONE)
    const datagram = protect(Buffer.from(vector.inner_packet, 'hex'), Buffer.from(vector.iv, 'hex'))
    assert.equal(datagram.toString('hex'), vector.esp, vector.id)
    assert.equal(open(datagram).toString('hex'), vector.inner_packet, vector.id)
  }
})

test('a datagram opened twice is a replay and delivers nothing', () => {
  assert.equal(open(Buffer.from(vectors[0].esp, 'hex')).length, 0)
  assert.equal(bytes.readBigUInt64LE(block + abi.ASP_DROPS + abi.DROP_REPLAY * 8), 1n)
})
