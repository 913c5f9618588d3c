/** abi.ts: plain numbers that both languages read alike, records that do not overlap, and a header that agrees. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DROP_REASONS } from '../bindings/drops.ts'
import * as abi from '../dataplane-as/abi.ts'
import { CardBed } from './card-bed.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = readFileSync(join(root, 'dataplane-as/abi.ts'), 'utf8')
const constants = abi as unknown as Record<string, number>

test('every line of abi.ts is a plain number below 2^31', () => {
  const code = source.replace(/\/\*\*[\s\S]*?\*\//g, '').split('\n')
  for (const line of code) {
    const text = line.replace(/\/\/.*$/, '').trim()
    if (text !== '') assert.match(text, /^export const [A-Z0-9_]+ = (\d+|0x[0-9a-f]+)$/, line)
  }
  for (const [name, value] of Object.entries(constants)) {
    assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** 31, `${name} = ${value}`)
  }
})

test('AssemblyScript reads the same values', () => {
  const directory = mkdtempSync(join(tmpdir(), 'asegate-abi-'))
  try {
    const names = Object.keys(constants)
    const lines = names.map((name, index) => `export function v${index}(): i32 { return ${name} }`)
    const imports = `import { ${names.join(', ')} } from './abi.ts'`
    writeFileSync(join(directory, 'abi.ts'), source)
    writeFileSync(join(directory, 'probe.ts'), [imports, ...lines].join('\n'))
    const asc = join(root, 'node_modules/assemblyscript/bin/asc.js')
    const options = ['--config', 'none', '--runtime', 'stub', '--outFile', join(directory, 'probe.wasm')]
    execFileSync(process.execPath, [asc, 'probe.ts', ...options], { cwd: directory })
    const module = new WebAssembly.Module(readFileSync(join(directory, 'probe.wasm')))
    const probe = new WebAssembly.Instance(module).exports as Record<string, () => number>
    names.forEach((name, index) => {
      assert.equal(probe[`v${index}`](), constants[name], name)
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
})

/** Fields of a record: offset and bytes; checked to be aligned, apart, and inside the record. */
function fits(record: string, bytes: number, fields: [name: string, size: number][]) {
  const placed = fields
    .map(([name, size]) => ({ name, from: constants[name], size }))
    .sort((a, b) => a.from - b.from)
  let end = 0
  for (const { name, from, size } of placed) {
    assert.ok(from >= end, `${record}: ${name} overlaps`)
    assert.equal(from % Math.min(size, 8), 0, `${record}: ${name} is not aligned`)
    end = from + size
  }
  assert.ok(end <= bytes, `${record}: ends at ${end} of ${bytes}`)
}

/** All constants with a prefix that are offsets, with their sizes: 4 unless named. */
function offsets(prefix: string, sizes: Record<string, number>, not: RegExp = /^$/): [string, number][] {
  return Object.keys(constants)
    .filter((name) => name.startsWith(prefix) && !not.test(name))
    .map((name) => [name, sizes[name] ?? 4])
}

test('the fields of every record lie apart, aligned and inside', () => {
  fits('header', abi.HEADER_BYTES, offsets('HEADER_', {}, /^HEADER_(BASE|BYTES)$/))
  const long = {
    SA_HARD_BYTES: 8,
    SA_HARD_PACKETS: 8,
    SA_SOFT_BYTES: 8,
    SA_SOFT_PACKETS: 8,
    SA_INITIAL_SEQUENCE: 8,
  }
  const saWords = /^SA_(COLD_BYTES|IN_BYTES|OUT_BYTES|FREE|RESERVED|VALID|EXPIRED|FLAG_ESN|FLAGS_KNOWN)$/
  fits('SA', abi.SA_COLD_BYTES, offsets('SA_', { ...long, SA_KEY: 32, SA_INTEGRITY_KEY: 64 }, saWords))
  const hot = Object.fromEntries(
    [
      'SEQUENCE',
      'BYTES',
      'PACKETS',
      'SEQUENCE_LIMIT',
      'HARD_BYTES',
      'HARD_PACKETS',
      'SOFT_BYTES',
      'SOFT_PACKETS',
      'DEADLINE',
      'NEAR_WRAP',
    ].map((name) => [`HOT_${name}`, 8]),
  )
  const bitmap = (abi.MAX_REPLAY_WINDOW / 64) * 2 * 8
  fits('hot in', abi.SA_IN_BYTES, offsets('HOT_', { ...hot, HOT_BITMAP: bitmap }, /^HOT_FLAG_/))
  fits('hot out', abi.SA_OUT_BYTES, offsets('HOT_', hot, /^HOT_(FLAG_|BITMAP)/))
  const matrix = abi.MAX_CLASSES * abi.MAX_ASPS * 4
  const tunnel = { TUNNEL_PEER: 32, TUNNEL_LOCAL: 32, TUNNEL_OUT_SA: matrix }
  fits(
    'tunnel',
    abi.TUNNEL_BYTES,
    offsets('TUNNEL_', tunnel, /^TUNNEL_(SET_|FLAG_|FLAGS_KNOWN|BYTES|COUNTER|FREE|DOWN|UP)/),
  )
  const command = { TUNNEL_SET_PEER: 32, TUNNEL_SET_LOCAL: 32 }
  fits('TUNNEL_SET', abi.COMMAND_BYTES, offsets('TUNNEL_SET_', command))
  fits(
    'selector',
    abi.SELECTOR_BYTES,
    offsets('SELECTOR_', { SELECTOR_START: 16, SELECTOR_END: 16 }, /BYTES$/),
  )
  fits('out', abi.OUT_BYTES, offsets('OUT_', {}, /^OUT_(BYTES|FLAG_)/))
  fits('deliver', abi.DELIVER_BYTES, offsets('DELIVER_', {}, /^DELIVER_(BYTES|HEADROOM)$/))
  const bytes = { TX_TOS: 1, TX_DF: 1, TX_ENCAPSULATION: 1, TX_PROTOCOL: 1 }
  fits('tx', abi.TX_BYTES, offsets('TX_', bytes, /^TX_BYTES$/))
  const small = { IN_LOCAL_PORT: 2, IN_ENCAPSULATION: 1, IN_TOS: 1, IN_PROTOCOL: 1, IN_FLAGS: 1 }
  fits('in', abi.IN_BYTES, offsets('IN_', small, /^IN_(BYTES|HEADROOM|UDP|RAW|RAW_IPV4|RAW_IPV6|FLAG_.*)$/))
  fits(
    'counters',
    abi.TUNNEL_COUNTER_BYTES,
    offsets('TC_', Object.fromEntries(offsets('TC_', {}).map(([name]) => [name, 8]))),
  )
})

test('the areas of an ASP block lie apart', () => {
  const areas: Record<string, number> = {
    ASP_COUNTERS: 384,
    ASP_DROPS: abi.DROP_NUMBERS * 8,
    ASP_COMMANDS: abi.RING_RECORDS + abi.COMMAND_SLOTS * abi.COMMAND_BYTES,
    ASP_EVENTS: abi.RING_RECORDS + abi.EVENT_SLOTS * abi.EVENT_BYTES,
    ASP_ENTROPY: abi.ENTROPY_POOL + abi.ENTROPY_BYTES,
    ASP_OUT_DESCRIPTORS: abi.MAX_BURST * abi.OUT_BYTES,
    ASP_IN_DESCRIPTORS: abi.MAX_BURST * abi.IN_BYTES,
    ASP_TX_DESCRIPTORS: abi.MAX_BURST * abi.TX_BYTES,
    ASP_DELIVER_DESCRIPTORS: abi.MAX_DELIVER * abi.DELIVER_BYTES,
    ASP_SYSCALLS: abi.ASP_SYSCALLS_BYTES,
    ASP_WORK: abi.ASP_WORK_BYTES,
    ASP_SCRATCH: abi.ASP_SCRATCH_BYTES,
    ASP_NOW: 8,
    ASP_INBOX_PENDING: abi.MAX_ASPS * 4,
  }
  fits('ASP block', abi.ASP_BLOCK_BYTES, offsets('ASP_', areas, /^ASP_(STATE_.*|.*_BYTES)$/))
  const counters = offsets('AC_', {}).map(([name]) => [name, 8] as [string, number])
  fits('ASP counters', abi.ASP_DROPS, counters)
  assert.ok(Math.min(...counters.map(([name]) => constants[name])) >= abi.ASP_COUNTERS)
})

test('the card lays the memory out as the header says: keys below, packets last, all inside', () => {
  const bed = new CardBed({ asps: 3, memoryBytes: 24 << 20 })
  const at = (field: number) => bed.memory.header(field)
  const regions = [
    abi.HEADER_SA_COLD,
    abi.HEADER_SA_IN,
    abi.HEADER_SA_OUT,
    abi.HEADER_KEYS,
    abi.HEADER_KEY_TABLES,
    abi.HEADER_CANARY,
    abi.HEADER_SPI_INDEX,
    abi.HEADER_TUNNEL_TABLE,
    abi.HEADER_DEVICE_TABLE,
    abi.HEADER_SELECTOR_TABLE,
    abi.HEADER_FIB_0,
    abi.HEADER_FIB_1,
    abi.HEADER_TUNNEL_COUNTERS,
    abi.HEADER_ASP_BLOCKS,
    abi.HEADER_PACKETS,
  ].map(at)
  assert.deepEqual(
    regions,
    regions.toSorted((a, b) => a - b),
  )
  assert.ok(regions[0] >= abi.HEADER_BASE + abi.HEADER_BYTES)
  assert.equal(at(abi.HEADER_MAGIC), abi.ABI_MAGIC)
  assert.equal(
    at(abi.HEADER_PACKETS) + 3 * at(abi.HEADER_PACKETS_STRIDE),
    bed.driver.memory.buffer.byteLength,
  )
  assert.equal(at(abi.HEADER_LOOP_OFFSET) + at(abi.HEADER_LOOP_BYTES), at(abi.HEADER_PACKETS_STRIDE))
  assert.equal(
    bed.loopArea(3)[1],
    bed.driver.memory.buffer.byteLength,
    'the last buffer ends with the memory',
  )
  assert.equal(at(abi.HEADER_SA_IN) - at(abi.HEADER_SA_COLD), 64 * abi.SA_COLD_BYTES)
})

test('ten thousand SAs fit, and a memory too small is refused', () => {
  const bed = new CardBed({ sas: 10000, selectors: 40000, memoryBytes: 64 << 20 })
  assert.equal(bed.memory.header(abi.HEADER_SAS), 10000)
  assert.throws(() => new CardBed({ memoryBytes: 2 << 20 }), /memory is too small/)
  assert.throws(() => new CardBed({ asps: 9 }), /out of range/)
})

test('every drop number has a name and a sentence, and nothing else has one', () => {
  const numbers = Object.entries(constants).filter(
    ([name]) => /^DROP_/.test(name) && !/^DROP_(NONE|NUMBERS)$/.test(name),
  )
  assert.deepEqual(
    DROP_REASONS.map(({ number }) => number),
    numbers.map(([, number]) => number).sort((a, b) => a - b),
  )
  for (const [constant, number] of numbers) {
    const { name, sentence } = DROP_REASONS.find((reason) => reason.number === number)!
    assert.equal(`DROP_${name.toUpperCase().replaceAll('-', '_')}`, constant)
    assert.match(sentence, /^[a-z].{15,}[^.]$/, name)
  }
  assert.ok(numbers.every(([, number]) => number > 0 && number < abi.DROP_NUMBERS))
})
