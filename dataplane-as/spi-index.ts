// From SPI to inbound SA. Each ASP has an index of its own and is its only writer; all may read all.

import {
  HEADER_SPI_INDEX,
  HEADER_SPI_SLOTS,
  SA_FREE,
  SA_PROTOCOL,
  SA_SPI,
  SA_STATE,
  SPI_HASH,
  SPI_SLOT_BYTES,
} from './abi.ts'
import { asps, atomicLoad, atomicStore, cold, header, sas, self } from './machine.ts'

/** no inbound SA has this SPI and protocol */
export const NOT_FOUND: u32 = 0xffffffff
const DELETED: u32 = 0xffffffff

/** Index of the SA with this SPI (host order) and protocol: in our own index, else in another ASP's. */
export function findSpi(spi: u32, protocol: u32): u32 {
  const own = findAt(self, spi, protocol)
  if (own !== NOT_FOUND) return own
  for (let asp: u32 = 1; asp <= asps; asp++) {
    if (asp === self) continue
    const found = findAt(asp, spi, protocol)
    if (found !== NOT_FOUND) return found
  }
  return NOT_FOUND
}

function findAt(asp: u32, spi: u32, protocol: u32): u32 {
  const slots = header(HEADER_SPI_SLOTS)
  const index = indexOf(asp, slots)
  let slot = hash(spi, slots)
  for (let tried: u32 = 0; tried < slots; tried++) {
    const entry = atomicLoad(index + slot * SPI_SLOT_BYTES)
    if (entry === 0) return NOT_FOUND
    if (entry !== DELETED && entry <= sas && matches(entry - 1, spi, protocol)) return entry - 1
    slot = (slot + 1) & (slots - 1)
  }
  return NOT_FOUND
}

function matches(sa: u32, spi: u32, protocol: u32): bool {
  const record = cold(sa)
  return (
    load<u32>(record + SA_SPI) === spi &&
    load<u32>(record + SA_PROTOCOL) === protocol &&
    atomicLoad(record + SA_STATE) !== SA_FREE
  )
}

/** Enters an SA into our own index. False: it is full. */
export function insertSpi(sa: u32): bool {
  const slots = header(HEADER_SPI_SLOTS)
  const index = indexOf(self, slots)
  let slot = hash(load<u32>(cold(sa) + SA_SPI), slots)
  for (let tried: u32 = 0; tried < slots; tried++) {
    const at = index + slot * SPI_SLOT_BYTES
    const entry = load<u32>(at)
    if (entry === 0 || entry === DELETED) {
      atomicStore(at, sa + 1)
      return true
    }
    slot = (slot + 1) & (slots - 1)
  }
  return false
}

/** Takes an SA out of our own index; marks of deletion that no chain needs any more become empty again. */
export function removeSpi(sa: u32): void {
  const slots = header(HEADER_SPI_SLOTS)
  const index = indexOf(self, slots)
  let slot = hash(load<u32>(cold(sa) + SA_SPI), slots)
  for (let tried: u32 = 0; tried < slots; tried++) {
    const entry = load<u32>(index + slot * SPI_SLOT_BYTES)
    if (entry === 0) return
    if (entry === sa + 1) {
      clearChain(index, slot, slots - 1)
      return
    }
    slot = (slot + 1) & (slots - 1)
  }
}

function clearChain(index: usize, slot: u32, mask: u32): void {
  const next = load<u32>(index + ((slot + 1) & mask) * SPI_SLOT_BYTES)
  atomicStore(index + slot * SPI_SLOT_BYTES, next === 0 ? 0 : DELETED)
  if (next !== 0) return
  let before = (slot - 1) & mask
  while (load<u32>(index + before * SPI_SLOT_BYTES) === DELETED) {
    atomicStore(index + before * SPI_SLOT_BYTES, 0)
    before = (before - 1) & mask
  }
}

function indexOf(asp: u32, slots: u32): usize {
  return header(HEADER_SPI_INDEX) + (asp - 1) * slots * SPI_SLOT_BYTES
}

function hash(spi: u32, slots: u32): u32 {
  return (spi * SPI_HASH) >> (clz<u32>(slots) + 1)
}
