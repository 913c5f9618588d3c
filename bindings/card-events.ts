// What the card says to control: records of the event rings, and IKE messages of the control inboxes.

import type { Endpoint, IkeDatagram } from '../control/ports.ts'
import {
  ASP_EVENTS,
  EVENT_BYTES,
  EVENT_EXTRA,
  EVENT_INDEX,
  EVENT_KIND,
  EVENT_SLOTS,
  EVENT_SOCKADDR,
  EVENT_VALUE,
  FAMILY_INET6,
  HEADER_CONTROL_INBOX_OFFSET,
  INBOX_DATA,
  INBOX_DATA_BYTES,
  INBOX_HEAD,
  INBOX_IKE,
  INBOX_RECORD_BYTES,
  INBOX_RECORD_HAS_LOCAL,
  INBOX_RECORD_KIND,
  INBOX_RECORD_LENGTH,
  INBOX_RECORD_LOCAL,
  INBOX_RECORD_LOCAL_PORT,
  INBOX_RECORD_SOURCE,
  INBOX_RECORD_TOTAL,
  INBOX_TAIL,
  RING_HEAD,
  RING_RECORDS,
  RING_TAIL,
  SOCKADDR_FAMILY,
  STAGE_ASE,
  STAGE_EGRESS,
  STAGE_EPPA,
  STAGE_IPPA,
  STAGE_IPPA_LOOPED,
  STAGE_LOOP,
  TRACE_DIRECTION,
  TRACE_LENGTH,
} from '../dataplane-as/abi.ts'
import type { CardMemory } from './memory.ts'
import { readAddress, readSockaddr } from './sockaddr.ts'

/** One event record as numbers. */
export type RawEvent = {
  kind: number
  index: number
  value: number
  extra: number
  source: Endpoint
  length: number
  direction: number
}

/** Takes every event that waits in an ASP's ring. */
export function takeEvents(memory: CardMemory, asp: number): RawEvent[] {
  const ring = memory.block(asp) + ASP_EVENTS
  const head = memory.load(ring + RING_HEAD)
  const tail = memory.load(ring + RING_TAIL)
  const count = (head - tail) >>> 0
  const events: RawEvent[] = []
  for (let i = 0; i < Math.min(count, EVENT_SLOTS); i++) {
    events.push(readEvent(memory, ring + RING_RECORDS + ((tail + i) % EVENT_SLOTS) * EVENT_BYTES))
  }
  memory.store(ring + RING_TAIL, head)
  return events
}

function readEvent(memory: CardMemory, at: number): RawEvent {
  return {
    kind: memory.u32(at + EVENT_KIND),
    index: memory.u32(at + EVENT_INDEX),
    value: memory.u32(at + EVENT_VALUE),
    extra: memory.u32(at + EVENT_EXTRA),
    source: readSockaddr(memory.view, at + EVENT_SOCKADDR),
    length: memory.u32(at + TRACE_LENGTH),
    direction: memory.u32(at + TRACE_DIRECTION),
  }
}

/** Takes every IKE message an ASP handed over; each is copied out of the ring. */
export function takeIke(memory: CardMemory, asp: number): IkeDatagram[] {
  const ring = memory.packets(asp) + memory.header(HEADER_CONTROL_INBOX_OFFSET)
  const head = memory.load(ring + INBOX_HEAD)
  let tail = memory.load(ring + INBOX_TAIL)
  const messages: IkeDatagram[] = []
  while (tail !== head) {
    const record = ring + INBOX_DATA + (tail % INBOX_DATA_BYTES)
    const total = memory.u32(record + INBOX_RECORD_TOTAL)
    if (total === 0 || total > (head - tail) >>> 0) break // contradicts itself: give the ring up
    if (memory.u32(record + INBOX_RECORD_KIND) === INBOX_IKE) messages.push(readIke(memory, record))
    tail = (tail + total) >>> 0
  }
  memory.store(ring + INBOX_TAIL, head)
  return messages
}

function readIke(memory: CardMemory, record: number): IkeDatagram {
  const length = memory.u32(record + INBOX_RECORD_LENGTH)
  const data = memory.bytes.slice(record + INBOX_RECORD_BYTES, record + INBOX_RECORD_BYTES + length)
  const source = record + INBOX_RECORD_SOURCE
  const long = memory.view.getUint16(source + SOCKADDR_FAMILY, true) === FAMILY_INET6
  const known = memory.u32(record + INBOX_RECORD_HAS_LOCAL) !== 0
  const unspecified = long ? '::' : '0.0.0.0'
  const address = known ? readAddress(memory.view, record + INBOX_RECORD_LOCAL, long ? 16 : 4) : unspecified
  const port = memory.view.getUint16(record + INBOX_RECORD_LOCAL_PORT, true)
  return { local: { address, port }, remote: readSockaddr(memory.view, source), data }
}

const STAGES: [number, string][] = [
  [STAGE_IPPA, 'ippa'],
  [STAGE_EPPA, 'eppa'],
  [STAGE_LOOP, 'loop'],
  [STAGE_IPPA_LOOPED, 'ippa'],
  [STAGE_ASE, 'ase'],
  [STAGE_EGRESS, 'egress'],
]

/** Names of the stages a packet passed, in the order of its way. */
export function stageNames(bits: number): string[] {
  return STAGES.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name)
}
