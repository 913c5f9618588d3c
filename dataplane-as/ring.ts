// Command and event rings: one producer, one consumer, free-running head and tail on lines of their own.
//
// Events that find the ring full are counted and lost; a ring whose head and tail contradict each other (more
// records than slots) is given up as a whole and reported, never followed.

import {
  ASP_COMMANDS,
  ASP_EVENTS,
  ASP_EVENTS_LOST,
  ASP_WAKE,
  COMMAND_BYTES,
  COMMAND_SLOTS,
  EVENT_BYTES,
  EVENT_EXTRA,
  EVENT_FAULT,
  EVENT_INDEX,
  EVENT_KIND,
  EVENT_SLOTS,
  EVENT_VALUE,
  FAULT_RING,
  RING_HEAD,
  RING_RECORDS,
  RING_TAIL,
} from './abi.ts'
import { atomicLoad, atomicOr, atomicStore, block } from './machine.ts'

export const WAKE_CONTROL: u32 = 1

/** Address of the oldest waiting command, 0 when there is none. */
export function peekCommand(): usize {
  const ring = block + ASP_COMMANDS
  const head = atomicLoad(ring + RING_HEAD)
  const tail = load<u32>(ring + RING_TAIL)
  if (head === tail) return 0
  if (head - tail > <u32>COMMAND_SLOTS) {
    atomicStore(ring + RING_TAIL, head)
    raise(EVENT_FAULT, 0, FAULT_RING, 0)
    return 0
  }
  return ring + RING_RECORDS + (tail & (COMMAND_SLOTS - 1)) * COMMAND_BYTES
}

/** Gives the slot of the command just executed back to the driver. */
export function releaseCommand(): void {
  const ring = block + ASP_COMMANDS
  atomicStore(ring + RING_TAIL, load<u32>(ring + RING_TAIL) + 1)
}

/** Opens an event record and fills its three words; 0 when the ring is full. Follow with publishEvent(). */
export function openEvent(kind: u32, index: u32, value: u32, extra: u32): usize {
  const ring = block + ASP_EVENTS
  const head = load<u32>(ring + RING_HEAD)
  if (head - atomicLoad(ring + RING_TAIL) >= <u32>EVENT_SLOTS) {
    store<u32>(block + ASP_EVENTS_LOST, load<u32>(block + ASP_EVENTS_LOST) + 1)
    return 0
  }
  const event = ring + RING_RECORDS + (head & (EVENT_SLOTS - 1)) * EVENT_BYTES
  memory.fill(event, 0, EVENT_BYTES)
  store<u32>(event + EVENT_KIND, kind)
  store<u32>(event + EVENT_INDEX, index)
  store<u32>(event + EVENT_VALUE, value)
  store<u32>(event + EVENT_EXTRA, extra)
  return event
}

export function publishEvent(): void {
  const ring = block + ASP_EVENTS
  atomicStore(ring + RING_HEAD, load<u32>(ring + RING_HEAD) + 1)
  atomicOr(block + ASP_WAKE, WAKE_CONTROL)
}

/** An event without payload. */
export function raise(kind: u32, index: u32, value: u32, extra: u32): void {
  if (openEvent(kind, index, value, extra) !== 0) publishEvent()
}
