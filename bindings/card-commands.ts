// One ASP's command ring: records written in order, the rest waits here until the card has taken some.
//
// Keys never come here: a command only names the record that holds them. A token ties each command to its
// acknowledgement, which arrives in the event ring whenever the ASP's loop next looks into its mailbox.

import {
  ASP_COMMANDS,
  COMMAND_ARGUMENT,
  COMMAND_BYTES,
  COMMAND_INDEX,
  COMMAND_OPCODE,
  COMMAND_PAYLOAD,
  COMMAND_SLOTS,
  COMMAND_TOKEN,
  RING_HEAD,
  RING_RECORDS,
  RING_TAIL,
} from '../dataplane-as/abi.ts'
import type { CardMemory } from './memory.ts'

export type Command = {
  opcode: number
  index: number
  argument?: number
  /** bytes from COMMAND_PAYLOAD on, at most COMMAND_BYTES - COMMAND_PAYLOAD */
  payload?: Uint8Array
}

/** What the sender wants to know about the command: error is an ERROR_* number. */
export type Settled = (error: number) => void

export class CommandRing {
  readonly #memory: CardMemory
  readonly #ring: number
  readonly #waiting: { command: Command; token: number }[] = []
  readonly #settled = new Map<number, Settled>()
  #token = 1

  constructor(memory: CardMemory, asp: number) {
    this.#memory = memory
    this.#ring = memory.block(asp) + ASP_COMMANDS
  }

  /** Queues a command; settled runs when its acknowledgement has been read. */
  send(command: Command, settled: Settled): void {
    const token = this.#token
    this.#token = (this.#token % 0x7fffffff) + 1
    this.#settled.set(token, settled)
    this.#waiting.push({ command, token })
    this.flush()
  }

  /** Moves what waits into the ring as far as it has room. */
  flush(): void {
    const memory = this.#memory
    while (this.#waiting.length > 0) {
      const head = memory.load(this.#ring + RING_HEAD)
      const used = (head - memory.load(this.#ring + RING_TAIL)) >>> 0
      if (used >= COMMAND_SLOTS) return
      const { command, token } = this.#waiting.shift()!
      this.#write(this.#ring + RING_RECORDS + (head % COMMAND_SLOTS) * COMMAND_BYTES, command, token)
      memory.store(this.#ring + RING_HEAD, head + 1)
    }
  }

  #write(at: number, command: Command, token: number): void {
    const memory = this.#memory
    memory.bytes.fill(0, at, at + COMMAND_BYTES)
    memory.setU32(at + COMMAND_OPCODE, command.opcode)
    memory.setU32(at + COMMAND_TOKEN, token)
    memory.setU32(at + COMMAND_INDEX, command.index)
    memory.setU32(at + COMMAND_ARGUMENT, command.argument ?? 0)
    if (command.payload !== undefined) memory.bytes.set(command.payload, at + COMMAND_PAYLOAD)
  }

  /** Runs what waits for this acknowledgement. */
  acknowledge(token: number, error: number): void {
    const settled = this.#settled.get(token)
    this.#settled.delete(token)
    settled?.(error)
  }

  /** The ASP will answer no more: whatever waits is settled with this error. */
  abandon(error: number): void {
    const open = [...this.#settled.values()]
    this.#settled.clear()
    this.#waiting.length = 0
    this.#memory.store(this.#ring + RING_TAIL, this.#memory.load(this.#ring + RING_HEAD))
    for (const settled of open) settled(error)
  }

  get open(): number {
    return this.#settled.size
  }
}
