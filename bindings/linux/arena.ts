// A piece of memory with a fixed address for system calls of the main thread (the ASPs use the card's memory).

import { addressOf } from './syscalls.ts'

const SMALLEST = 4096 // V8 may keep tiny arrays inside its moving heap

/** size bytes; offsets are relative, address(offset) is what the kernel gets. Everything is little endian unless named. */
export class Arena {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly base: number

  constructor(size: number) {
    const buffer = new ArrayBuffer(Math.max(size, SMALLEST))
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.base = addressOf(this.bytes)
  }

  address(offset: number): number {
    return this.base + offset
  }

  /** 64-bit little endian number below 2^53 */
  setWord(offset: number, value: number): void {
    this.view.setUint32(offset, value >>> 0, true)
    this.view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true)
  }

  setInt(offset: number, value: number): void {
    this.view.setInt32(offset, value, true)
  }

  /** Writes text and its terminating zero; returns the address. */
  text(offset: number, value: string): number {
    const encoded = new TextEncoder().encode(value)
    this.bytes.set(encoded, offset)
    this.bytes[offset + encoded.length] = 0
    return this.address(offset)
  }
}
