// The FIB of the economical mode as the card reads it: a trie of 4-bit strides (abi.ts: FIB_*), built whole and
// written into the copy no ASP uses.

import type { FibEntry } from '../control/ports.ts'
import {
  ERROR_NONE,
  FIB_CHILD,
  FIB_ENTRY_BYTES,
  FIB_NODE_BYTES,
  FIB_NULL0,
  FIB_ROOT_IPV4,
  FIB_ROOT_IPV6,
  FIB_TARGET,
  FIB_TUNNEL,
  HEADER_FIB_0,
  HEADER_FIB_1,
  HEADER_FIB_NODES,
  OP_FIB_SWAP,
} from '../dataplane-as/abi.ts'
import { parsePrefix } from './address.ts'
import { CardError, errorSentence } from './card-error.ts'
import type { CardLink } from './card-link.ts'
import type { CardMemory } from './memory.ts'

const SLOTS = 16
const STRIDE = 4

/**
 * Builds the nodes, little endian. A longer prefix wins over a shorter one; of two equal ones the later.
 * Throws CardError when they do not fit into `maxNodes` nodes, and on text that is no prefix.
 */
export function buildFib(entries: readonly FibEntry[], maxNodes: number): Uint8Array {
  const trie = new Trie(maxNodes)
  const parsed = entries.map(({ prefix, target }) => ({ ...parse(prefix), target }))
  for (const { address, length, target } of parsed.sort((a, b) => a.length - b.length)) {
    trie.insert(address, length, target === 'null0' ? FIB_NULL0 : FIB_TUNNEL + target.tunnel)
  }
  return trie.bytes()
}

function parse(prefix: string): { address: Uint8Array; length: number } {
  try {
    return parsePrefix(prefix)
  } catch (error) {
    throw new CardError(`FIB: ${(error as Error).message}`)
  }
}

/** Swaps the two copies: the old one is written again only after every living ASP has acknowledged the new one. */
export class FibTable {
  readonly #memory: CardMemory
  readonly #link: CardLink
  #active = 0
  #generation = 0
  #last: Promise<void> = Promise.resolve()

  constructor(memory: CardMemory, link: CardLink) {
    this.#memory = memory
    this.#link = link
  }

  /** Resolves when no ASP reads the old FIB any more. Rejects with CardError when the new one does not fit. */
  set(entries: readonly FibEntry[]): Promise<void> {
    const swapped = this.#last.then(() => this.#swap(entries))
    this.#last = swapped.catch(() => {})
    return swapped
  }

  async #swap(entries: readonly FibEntry[]): Promise<void> {
    const nodes = buildFib(entries, this.#memory.header(HEADER_FIB_NODES))
    const copy = 1 - this.#active
    this.#memory.bytes.set(nodes, this.#memory.header(copy === 0 ? HEADER_FIB_0 : HEADER_FIB_1))
    this.#generation = (this.#generation % 0x7fffffff) + 1
    const payload = new Uint8Array(new Uint32Array([this.#generation]).buffer)
    const command = { opcode: OP_FIB_SWAP, index: 0, argument: copy, payload }
    await Promise.all(this.#link.living().map((asp) => this.#tell(asp, command)))
    this.#active = copy
  }

  /** An ASP that fails meanwhile reads nothing any more. */
  #tell(asp: number, command: Parameters<CardLink['send']>[1]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#link.send(asp, command, (error) => {
        if (error === ERROR_NONE || !this.#link.alive(asp)) resolve()
        else reject(new CardError(`ASP ${asp} refuses the FIB: ${errorSentence(error)}`))
      })
    })
  }
}

class Trie {
  readonly #maxNodes: number
  /** per node 16 x {child, target} */
  readonly #words: number[] = []
  #nodes = 0

  constructor(maxNodes: number) {
    this.#maxNodes = maxNodes
    this.#add() // FIB_ROOT_IPV4
    this.#add() // FIB_ROOT_IPV6
  }

  #add(): number {
    if (this.#nodes === this.#maxNodes) {
      throw new CardError(
        `the FIB needs more than ${this.#maxNodes} nodes: raise fibNodes or aggregate routes`,
      )
    }
    for (let slot = 0; slot < SLOTS; slot++) this.#words.push(0, 0)
    return this.#nodes++
  }

  /** Prefixes must come shortest first: a longer one overwrites the entries a shorter one covered. */
  insert(address: Uint8Array, length: number, target: number): void {
    let node = address.length === 4 ? FIB_ROOT_IPV4 : FIB_ROOT_IPV6
    let depth = 0
    for (; length - depth > STRIDE; depth += STRIDE) {
      const entry = this.#entry(node, nibble(address, depth))
      if (this.#words[entry] === 0) this.#words[entry] = this.#add()
      node = this.#words[entry]
    }
    const covered = 2 ** (STRIDE - (length - depth)) // entries of this node that the prefix spans
    const first = length === depth ? 0 : nibble(address, depth) & ~(covered - 1)
    for (let slot = first; slot < first + covered; slot++) this.#words[this.#entry(node, slot) + 1] = target
  }

  #entry(node: number, slot: number): number {
    return (node * SLOTS + slot) * 2
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#nodes * FIB_NODE_BYTES)
    const view = new DataView(bytes.buffer)
    for (let entry = 0; entry < this.#nodes * SLOTS; entry++) {
      view.setUint32(entry * FIB_ENTRY_BYTES + FIB_CHILD, this.#words[entry * 2], true)
      view.setUint32(entry * FIB_ENTRY_BYTES + FIB_TARGET, this.#words[entry * 2 + 1], true)
    }
    return bytes
  }
}

function nibble(address: Uint8Array, bit: number): number {
  const octet = address[bit >>> 3]
  return (bit & 4) === 0 ? octet >>> 4 : octet & 15
}
