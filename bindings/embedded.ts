// The embeddable card in a program of one's own: one ASP, one circuit, native ESP, no control plane, no machine.
//
// A thin wrapper over the ABI for JavaScript runtimes; it is also the shortest description of what any other runtime has
// to do. Packets are handed over one at a time here: bursts are the descriptors' business (abi.ts).

import * as abi from '../dataplane-as/abi.ts'

type Calls = Record<'layout' | 'init' | 'mailbox' | 'outbound' | 'inbound', (...numbers: number[]) => number>
type Fields = Partial<Record<keyof typeof abi, number>>
/** One direction of an SA under AES-CBC and HMAC-SHA1-96. `lastSequence`: last number sent or received, 0 for a new SA. */
export type EmbeddedSa = {
  direction: 'in' | 'out'
  spi: number
  key: Uint8Array
  integrityKey: Uint8Array
  lastSequence: number
}

const OFFSETS: Record<string, number> = { ...abi }
const SA_CAPACITY = 64

/** Throws Error with the card's error number when a command is refused. */
export class EmbeddedCard {
  readonly #card: Calls
  readonly #bytes: Buffer
  readonly #block: number
  readonly #buffer: number
  #sas = 0

  constructor(module: WebAssembly.Module) {
    const exports = new WebAssembly.Instance(module).exports as Calls & { memory: WebAssembly.Memory }
    this.#card = exports
    exports.layout(1, SA_CAPACITY, 4, 2, 16, 2, 0) // one ASP, 64 SAs, 4 tunnels, 2 devices
    exports.init(1)
    this.#bytes = Buffer.from(exports.memory.buffer as ArrayBuffer)
    this.#block = this.#word(abi.HEADER_BASE + abi.HEADER_ASP_BLOCKS)
    const packets = this.#word(abi.HEADER_BASE + abi.HEADER_PACKETS)
    this.#buffer = packets + this.#word(abi.HEADER_BASE + abi.HEADER_LOOP_OFFSET) + abi.IN_HEADROOM
    this.#circuit()
  }

  /** Adds an SA to the circuit; an outbound one sends from now on. */
  addSa(sa: EmbeddedSa): void {
    const index = this.#sas++
    const at = this.#word(abi.HEADER_BASE + abi.HEADER_SA_COLD) + index * abi.SA_COLD_BYTES
    const out = sa.direction === 'out'
    const direction = out ? abi.DIRECTION_OUT : abi.DIRECTION_IN
    this.#put(at, { SA_DIRECTION: direction, SA_SPI: sa.spi, SA_PROTOCOL: abi.PROTOCOL_ESP, SA_ASP: 1 })
    this.#put(at, { SA_CIPHER: abi.CIPHER_AES_CBC, SA_INTEGRITY: abi.INTEGRITY_SHA1_96, SA_WINDOW: 64 })
    this.#put(at, { SA_KEY_BYTES: sa.key.length, SA_INTEGRITY_KEY_BYTES: sa.integrityKey.length })
    this.#put(at, { SA_INITIAL_SEQUENCE: sa.lastSequence })
    this.#bytes.set(sa.key, at + abi.SA_KEY)
    this.#bytes.set(sa.integrityKey, at + abi.SA_INTEGRITY_KEY)
    this.#put(at, { SA_STATE: abi.SA_RESERVED })
    this.#command(out ? abi.OP_SA_ADD_OUT : abi.OP_SA_ADD_IN, index)
    if (out) this.#command(abi.OP_SA_ACTIVATE_OUT, index)
  }

  /** One inner packet to one ESP packet; `iv` is 16 fresh random bytes, never used before. Empty when it was dropped. */
  protect(packet: Uint8Array, iv: Uint8Array): Buffer {
    const pool = this.#block + abi.ASP_ENTROPY
    const produced = this.#word(pool)
    this.#bytes.set(iv, pool + abi.ENTROPY_POOL + (produced % abi.ENTROPY_BYTES))
    this.#put(pool, { ENTROPY_HEAD: produced + 16 })
    this.#bytes.set(packet, this.#buffer)
    const at = this.#block + abi.ASP_OUT_DESCRIPTORS
    this.#put(at, { OUT_ADDRESS: this.#buffer, OUT_LENGTH: packet.length, OUT_DEVICE: 0 })
    const made = this.#card.outbound(1)
    return made === 1 ? this.#result(this.#block + abi.ASP_TX_DESCRIPTORS) : Buffer.alloc(0)
  }

  /** One ESP packet to one inner packet. Empty when it was dropped. */
  open(datagram: Uint8Array): Buffer {
    this.#bytes.set(datagram, this.#buffer)
    const at = this.#block + abi.ASP_IN_DESCRIPTORS
    this.#put(at, { IN_ADDRESS: this.#buffer, IN_LENGTH: datagram.length })
    this.#bytes[at + abi.IN_ENCAPSULATION] = abi.IN_RAW
    const made = this.#card.inbound(1)
    return made === 1 ? this.#result(this.#block + abi.ASP_DELIVER_DESCRIPTORS) : Buffer.alloc(0)
  }

  /** Packets dropped for a reason, a DROP_ number of abi.ts. */
  drops(reason: number): bigint {
    return this.#bytes.readBigUInt64LE(this.#block + abi.ASP_DROPS + reason * 8)
  }

  #circuit(): void {
    const kind = { TUNNEL_SET_ASP: 1, TUNNEL_SET_MODE: abi.MODE_CIRCUIT, TUNNEL_SET_MTU: 9000 }
    const ends = { TUNNEL_SET_PEER: abi.FAMILY_INET, TUNNEL_SET_LOCAL: abi.FAMILY_INET }
    const raw = { TUNNEL_SET_ENCAPSULATION: abi.ENCAPSULATION_RAW }
    this.#command(abi.OP_TUNNEL_SET, 0, { ...kind, ...ends, ...raw })
    this.#command(abi.OP_CIRCUIT_SET, 0, { COMMAND_ARGUMENT: abi.DEVICE_CIRCUIT })
    this.#command(abi.OP_CIRCUIT_UP, 0)
  }

  /** Writes one command record, lets the card take it, and reads the newest event: its acknowledgement. */
  #command(opcode: number, index: number, fields: Fields = {}): void {
    const ring = this.#block + abi.ASP_COMMANDS
    const events = this.#block + abi.ASP_EVENTS
    const head = this.#word(ring)
    const record = ring + abi.RING_RECORDS + (head % abi.COMMAND_SLOTS) * abi.COMMAND_BYTES
    this.#put(record, { COMMAND_OPCODE: opcode, COMMAND_INDEX: index, ...fields })
    this.#put(ring, { RING_HEAD: head + 1 })
    this.#card.mailbox()
    const newest = (this.#word(events) - 1) % abi.EVENT_SLOTS
    this.#put(events, { RING_TAIL: this.#word(events) })
    const error = this.#word(events + abi.RING_RECORDS + newest * abi.EVENT_BYTES + abi.EVENT_VALUE)
    if (error !== abi.ERROR_NONE) throw new Error(`the card refused command ${opcode}: error ${error}`)
  }

  /** Both result descriptors begin with address and length. */
  #result(at: number): Buffer {
    const address = this.#word(at)
    return Buffer.from(this.#bytes.subarray(address, address + this.#word(at + 4)))
  }

  #word(at: number): number {
    return this.#bytes.readUInt32LE(at)
  }

  #put(at: number, fields: Fields): void {
    for (const [name, value] of Object.entries(fields)) this.#bytes.writeUInt32LE(value, at + OFFSETS[name])
  }
}
