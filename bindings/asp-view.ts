// One ASP's part of the card's memory as its packet loop sees it: addresses from the header, a DataView, counters.
//
// Offsets are those of abi.ts; "address" is a byte offset from the start of linear memory. The memory is
// shared and never grows, so the views stay valid for the life of the card.

import {
  ASP_BLOCK_BYTES,
  ASP_CONSUMED,
  ASP_DELIVER_COUNT,
  ASP_DELIVER_DESCRIPTORS,
  ASP_DROPS,
  ASP_IN_DESCRIPTORS,
  ASP_INBOX_IN,
  ASP_INBOX_OUT,
  ASP_OUT_DESCRIPTORS,
  ASP_SYSCALLS,
  ASP_TX_DESCRIPTORS,
  ASP_WAKE,
  HEADER_ASP_BLOCKS,
  HEADER_BASE,
  HEADER_DEVICES,
  HEADER_LOOP_BYTES,
  HEADER_LOOP_OFFSET,
  HEADER_NOW,
  HEADER_PACKETS,
  HEADER_PACKETS_STRIDE,
} from '../dataplane-as/abi.ts'

export class AspView {
  /** 1-based */
  readonly asp: number
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly words: Int32Array
  /** addresses of this ASP's block and of what lies in it */
  readonly block: number
  readonly outDescriptors: number
  readonly inDescriptors: number
  readonly txDescriptors: number
  readonly deliverDescriptors: number
  readonly syscalls: number
  /** the loop's own buffers: the highest part of this ASP's packets */
  readonly loop: number
  readonly loopBytes: number
  /** size of the device table */
  readonly devices: number

  /** The memory must have been laid out. */
  constructor(memory: WebAssembly.Memory, asp: number) {
    this.asp = asp
    this.bytes = new Uint8Array(memory.buffer)
    this.view = new DataView(memory.buffer)
    this.words = new Int32Array(memory.buffer)
    this.block = this.#header(HEADER_ASP_BLOCKS) + (asp - 1) * ASP_BLOCK_BYTES
    this.outDescriptors = this.block + ASP_OUT_DESCRIPTORS
    this.inDescriptors = this.block + ASP_IN_DESCRIPTORS
    this.txDescriptors = this.block + ASP_TX_DESCRIPTORS
    this.deliverDescriptors = this.block + ASP_DELIVER_DESCRIPTORS
    this.syscalls = this.block + ASP_SYSCALLS
    const packets = this.#header(HEADER_PACKETS) + (asp - 1) * this.#header(HEADER_PACKETS_STRIDE)
    this.loop = packets + this.#header(HEADER_LOOP_OFFSET)
    this.loopBytes = this.#header(HEADER_LOOP_BYTES)
    this.devices = this.#header(HEADER_DEVICES)
  }

  #header(offset: number): number {
    return this.view.getUint32(HEADER_BASE + offset, true)
  }

  u32(address: number): number {
    return this.view.getUint32(address, true)
  }

  setU32(address: number, value: number): void {
    this.view.setUint32(address, value, true)
  }

  consumed(): number {
    return this.u32(this.block + ASP_CONSUMED)
  }

  deliverCount(): number {
    return this.u32(this.block + ASP_DELIVER_COUNT)
  }

  inboxOut(): number {
    return this.u32(this.block + ASP_INBOX_OUT)
  }

  inboxIn(): number {
    return this.u32(this.block + ASP_INBOX_IN)
  }

  /** Monotonic milliseconds for the card's clock (its low 32 bits). */
  setNow(now: number): void {
    Atomics.store(this.words, (HEADER_BASE + HEADER_NOW) >>> 2, Math.floor(now % 2 ** 32) | 0)
  }

  /** Who must be woken since the last call: bit 0 control, bit n ASP n. */
  takeWake(): number {
    return Atomics.exchange(this.words, (this.block + ASP_WAKE) >>> 2, 0)
  }

  /** Adds to the 64-bit drop counter of this ASP; the loop is its only writer besides the card in the same thread. */
  drop(reason: number, packets: number): void {
    const address = this.block + ASP_DROPS + reason * 8
    const low = this.u32(address) + packets
    this.setU32(address, low)
    if (low >= 2 ** 32) this.setU32(address + 4, this.u32(address + 4) + 1)
  }
}
