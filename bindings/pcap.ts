// Capture files for Wireshark and tcpdump: classic pcap, microseconds, raw IP packets (LINKTYPE_RAW).

import { closeSync, openSync, writeSync } from 'node:fs'

const MAGIC = 0xa1b2c3d4
const LINKTYPE_RAW = 101
const SNAP_LENGTH = 262144

export function pcapHeader(): Uint8Array {
  const header = new Uint8Array(24)
  const view = new DataView(header.buffer)
  view.setUint32(0, MAGIC, true)
  view.setUint16(4, 2, true)
  view.setUint16(6, 4, true)
  view.setUint32(16, SNAP_LENGTH, true)
  view.setUint32(20, LINKTYPE_RAW, true)
  return header
}

/** One packet that begins with its IP header; time in milliseconds since 1970 (or since any start). */
export function pcapRecord(packet: Uint8Array, time: number): Uint8Array {
  const record = new Uint8Array(16 + packet.length)
  const view = new DataView(record.buffer)
  view.setUint32(0, Math.floor(time / 1000), true)
  view.setUint32(4, Math.floor((time % 1000) * 1000), true)
  view.setUint32(8, packet.length, true)
  view.setUint32(12, packet.length, true)
  record.set(packet, 16)
  return record
}

/** A capture file, written as packets come, so that it is complete up to a crash. */
export class PcapFile {
  readonly #fd: number

  constructor(path: string) {
    this.#fd = openSync(path, 'w', 0o600)
    writeSync(this.#fd, pcapHeader())
  }

  write(packet: Uint8Array, time: number): void {
    writeSync(this.#fd, pcapRecord(packet, time))
  }

  close(): void {
    closeSync(this.#fd)
  }
}
