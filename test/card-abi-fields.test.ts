/** Every field that comes over the ABI by a command or a call is checked: a wrong one is an error number, and no change. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Command, CommandRing } from '../bindings/card-commands.ts'
import { createMemory } from '../bindings/memory.ts'
import { sockaddrBytes } from '../bindings/sockaddr.ts'
import { instantiate } from '../bindings/wasm.ts'
import * as abi from '../dataplane-as/abi.ts'
import { CardBed } from './card-bed.ts'
import { gateway } from './card-gateway.ts'

/** Executes one command and returns its error number. */
function execute(bed: CardBed, command: Command): number {
  let answer = -1
  new CommandRing(bed.memory, 1).send(command, () => {})
  bed.cards[0].mailbox()
  const events = bed.memory.block(1) + abi.ASP_EVENTS
  const last = (bed.memory.u32(events) - 1) % abi.EVENT_SLOTS
  const at = events + abi.RING_RECORDS + last * abi.EVENT_BYTES
  if (bed.memory.u32(at + abi.EVENT_KIND) === abi.EVENT_ACK) answer = bed.memory.u32(at + abi.EVENT_VALUE)
  return answer
}

const PEER = sockaddrBytes({ address: '192.0.2.9', port: 4500 })

/** The payload of a good OP_TUNNEL_SET with one u32 changed; offsets are those of the command. */
function tunnelSet(field = 0, value = 0): Uint8Array {
  const payload = new Uint8Array(abi.COMMAND_BYTES - abi.COMMAND_PAYLOAD)
  const view = new DataView(payload.buffer)
  const put = (offset: number, number: number) => view.setUint32(offset - abi.COMMAND_PAYLOAD, number, true)
  put(abi.TUNNEL_SET_ASP, 1)
  put(abi.TUNNEL_SET_MODE, abi.MODE_CIRCUIT)
  put(abi.TUNNEL_SET_ENCAPSULATION, abi.ENCAPSULATION_UDP)
  put(abi.TUNNEL_SET_MTU, 1400)
  put(abi.TUNNEL_SET_DSCP, abi.DSCP_COPY)
  payload.set(PEER, abi.TUNNEL_SET_PEER - abi.COMMAND_PAYLOAD)
  payload.set(PEER, abi.TUNNEL_SET_LOCAL - abi.COMMAND_PAYLOAD)
  if (field !== 0) put(field, value)
  return payload
}

describe('OP_TUNNEL_SET', () => {
  const fields: [name: string, offset: number, wrong: number[], right: number[]][] = [
    ['MODE', abi.TUNNEL_SET_MODE, [0, 3, 0xffffffff], [2]],
    ['ENCAPSULATION', abi.TUNNEL_SET_ENCAPSULATION, [0, 3, 0xffffffff], [2]],
    ['DEVICE', abi.TUNNEL_SET_DEVICE, [16, 0xffffffff], [15]],
    ['MTU', abi.TUNNEL_SET_MTU, [0, 67, 65281, 0xffffffff], [68, 65280]],
    ['DF', abi.TUNNEL_SET_DF, [3, 0xffffffff], [0, 2]],
    ['DSCP', abi.TUNNEL_SET_DSCP, [65, 0xffffffff], [0, 63]],
    ['ECN', abi.TUNNEL_SET_ECN, [2, 0xffffffff], [1]],
    ['FLAGS', abi.TUNNEL_SET_FLAGS, [2, 0x80000000], [1]],
    ['TFC', abi.TUNNEL_SET_TFC, [65281, 0xffffffff], [65280]],
    ['MSS', abi.TUNNEL_SET_MSS, [2, 27, 65496, 0xffffffff], [1, 28, 65495]],
    ['PEER', abi.TUNNEL_SET_PEER, [0, 1, 0xffff], [2, 10]],
    ['LOCAL', abi.TUNNEL_SET_LOCAL, [0, 9, 11], [2, 10]],
  ]
  for (const [name, offset, wrong, right] of fields)
    test(`${name}: ${wrong.join(', ')} are refused, the record stays; ${right.join(', ')} are taken`, () => {
      const { bed, ref } = gateway()
      const record = bed.memory.header(abi.HEADER_TUNNEL_TABLE) + ref * abi.TUNNEL_BYTES
      const kept = () =>
        Buffer.from(bed.memory.bytes.slice(record, record + abi.TUNNEL_BYTES)).toString('hex')
      const before = kept()
      const set = (value: number) =>
        execute(bed, { opcode: abi.OP_TUNNEL_SET, index: ref, payload: tunnelSet(offset, value) })
      for (const value of wrong) assert.equal(set(value), abi.ERROR_FIELD, String(value))
      assert.equal(kept(), before)
      for (const value of right) assert.equal(set(value), abi.ERROR_NONE, String(value))
    })

  test('a tunnel outside the table, or of another ASP', () => {
    const { bed, ref } = gateway()
    const set = (index: number, payload: Uint8Array) =>
      execute(bed, { opcode: abi.OP_TUNNEL_SET, index, payload })
    assert.equal(set(32, tunnelSet()), abi.ERROR_INDEX)
    assert.equal(set(0xffffffff, tunnelSet()), abi.ERROR_INDEX)
    assert.equal(set(ref, tunnelSet(abi.TUNNEL_SET_ASP, 2)), abi.ERROR_ASP)
    assert.equal(set(ref, tunnelSet(abi.TUNNEL_SET_ASP, 0)), abi.ERROR_ASP)
  })
})

describe('the other commands', () => {
  const NONE = 0xffffffff
  const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer)
  const rows: [string, Omit<Command, 'index'> & { index?: number }, number][] = [
    ['HELLO of another version', { opcode: abi.OP_HELLO, argument: 99 }, abi.ERROR_VERSION],
    ['an unknown opcode', { opcode: 77 }, abi.ERROR_OPCODE],
    ['an opcode of 0', { opcode: 0 }, abi.ERROR_OPCODE],
    ['QOS_SET, not built', { opcode: abi.OP_QOS_SET }, abi.ERROR_OPCODE],
    ['DEBUG, not built', { opcode: abi.OP_DEBUG }, abi.ERROR_OPCODE],
    ['SA_ADD_IN outside the table', { opcode: abi.OP_SA_ADD_IN, index: 64 }, abi.ERROR_INDEX],
    ['SA_ADD_OUT of a free record', { opcode: abi.OP_SA_ADD_OUT, index: 9 }, abi.ERROR_STATE],
    ['SA_DEL outside the table', { opcode: abi.OP_SA_DEL, index: NONE }, abi.ERROR_INDEX],
    ['SA_DEL of a free record', { opcode: abi.OP_SA_DEL, index: 9 }, abi.ERROR_STATE],
    ['SA_ACTIVATE_OUT outside the table', { opcode: abi.OP_SA_ACTIVATE_OUT, index: 64 }, abi.ERROR_INDEX],
    ['SA_ACTIVATE_OUT of an inbound SA', { opcode: abi.OP_SA_ACTIVATE_OUT, index: 0 }, abi.ERROR_STATE],
    ['SA_QUERY outside the table', { opcode: abi.OP_SA_QUERY, index: 64 }, abi.ERROR_INDEX],
    ['TUNNEL_DEL with SAs', { opcode: abi.OP_TUNNEL_DEL, index: 0 }, abi.ERROR_STATE],
    ['TUNNEL_DEL outside the table', { opcode: abi.OP_TUNNEL_DEL, index: 32 }, abi.ERROR_INDEX],
    ['CIRCUIT_UP of a free tunnel', { opcode: abi.OP_CIRCUIT_UP, index: 5 }, abi.ERROR_STATE],
    ['CIRCUIT_DOWN outside the table', { opcode: abi.OP_CIRCUIT_DOWN, index: 32 }, abi.ERROR_INDEX],
    [
      'CIRCUIT_SET outside the table',
      { opcode: abi.OP_CIRCUIT_SET, index: 16, argument: 1 },
      abi.ERROR_INDEX,
    ],
    ['CIRCUIT_SET of a kind', { opcode: abi.OP_CIRCUIT_SET, index: 3, argument: 3 }, abi.ERROR_FIELD],
    [
      'CIRCUIT_SET onto a tunnel outside',
      { opcode: abi.OP_CIRCUIT_SET, index: 3, argument: 1, payload: words(32) },
      abi.ERROR_INDEX,
    ],
    [
      'TS_SET for one side',
      { opcode: abi.OP_TS_SET, index: 0, argument: 0, payload: words(1, 0) },
      abi.ERROR_SELECTOR,
    ],
    [
      'TS_SET beyond the table',
      { opcode: abi.OP_TS_SET, index: 0, argument: 255, payload: words(1, 1) },
      abi.ERROR_SELECTOR,
    ],
    [
      'TS_SET whose counts wrap',
      { opcode: abi.OP_TS_SET, index: 0, argument: 2, payload: words(NONE, NONE) },
      abi.ERROR_SELECTOR,
    ],
    ['FIB_SWAP to copy 2', { opcode: abi.OP_FIB_SWAP, argument: 2, payload: words(1) }, abi.ERROR_INDEX],
    [
      'PEER_ADDR_UPDATE with an encapsulation',
      { opcode: abi.OP_PEER_ADDR_UPDATE, index: 0, argument: 3, payload: PEER },
      abi.ERROR_FIELD,
    ],
    [
      'PEER_ADDR_UPDATE without a family',
      { opcode: abi.OP_PEER_ADDR_UPDATE, index: 0, argument: 1, payload: new Uint8Array(32) },
      abi.ERROR_FIELD,
    ],
    ['TRACE outside the table', { opcode: abi.OP_TRACE, index: 32, argument: 1 }, abi.ERROR_INDEX],
  ]
  for (const [name, command, expected] of rows)
    test(name, () => {
      const { bed } = gateway()
      assert.equal(execute(bed, { index: 0, ...command }), expected)
    })
})

describe('calls', () => {
  const counts = { asps: 1, sas: 8, tunnels: 2, devices: 2, selectors: 8, fibNodes: 2, tables: 8 }
  const layout = (change: Partial<typeof counts>, bytes = 8 << 20) => {
    const card = instantiate(new CardBed().driver.module, createMemory(bytes))
    const { asps, sas, tunnels, devices, selectors, fibNodes, tables } = { ...counts, ...change }
    return { card, error: card.layout(asps, sas, tunnels, devices, selectors, fibNodes, tables) }
  }

  test('layout(): every count of 0 and beyond its limit, and a memory that is too small', () => {
    assert.equal(layout({}).error, abi.ERROR_NONE)
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) {
      if (name !== 'tables') assert.equal(layout({ [name]: 0 }).error, abi.ERROR_ARGUMENT, name)
      assert.equal(layout({ [name]: 0xffffffff }).error, abi.ERROR_ARGUMENT, name)
    }
    assert.equal(layout({ fibNodes: 1 }).error, abi.ERROR_ARGUMENT)
    assert.equal(layout({ asps: 4 }).error, abi.ERROR_MEMORY)
    assert.equal(layout({ sas: abi.MAX_SAS }).error, abi.ERROR_MEMORY)
    assert.equal(layout({}, 1 << 17).error, abi.ERROR_MEMORY)
  })

  test('init(): no header, ASP 0, an ASP beyond the last', () => {
    const bare = instantiate(new CardBed().driver.module, createMemory(8 << 20))
    assert.equal(bare.init(1), abi.ERROR_VERSION)
    const { card } = layout({})
    for (const asp of [0, 2, 0xffffffff]) assert.equal(card.init(asp), abi.ERROR_ARGUMENT)
    for (const call of ['mailbox', 'inbox', 'tick'] as const) assert.equal(card[call](), 0, 'before init()')
    assert.deepEqual([card.outbound(1), card.inbound(1)], [0, 0])
    assert.equal(card.init(1), abi.ERROR_NONE)
  })
})
