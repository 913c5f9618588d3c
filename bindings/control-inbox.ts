// ESP that reached control's own socket goes back to where it belongs: into the ring of an ASP that control writes.
//
// A train of datagrams (UDP_GRO) lands whole at one socket, and steering programs fail: ESP may arrive beside IKE.
// Any ASP will do, the one without the SA hands the packet on; so this side looks up nothing. Ring t of ASP t is
// written here and nowhere else (abi.ts: inboxes).

import type { Address, Endpoint } from '../control/ports.ts'
import {
  FAMILY_INET,
  HEADER_INBOX_OFFSET,
  IN_UDP,
  INBOX_DATA,
  INBOX_DATA_BYTES,
  INBOX_HEAD,
  INBOX_IN,
  INBOX_RECORD_BYTES,
  INBOX_RECORD_ENCAPSULATION,
  INBOX_RECORD_HAS_LOCAL,
  INBOX_RECORD_KIND,
  INBOX_RECORD_LENGTH,
  INBOX_RECORD_LOCAL,
  INBOX_RECORD_LOCAL_PORT,
  INBOX_RECORD_SOURCE,
  INBOX_RECORD_TOS,
  INBOX_RECORD_TOTAL,
  INBOX_RING_BYTES,
  INBOX_SKIP,
  INBOX_TAIL,
  SOCKADDR_FAMILY,
} from '../dataplane-as/abi.ts'
import { addressBytes } from './address.ts'
import type { CardMemory } from './memory.ts'
import { sockaddrBytes } from './sockaddr.ts'

/** An ESP datagram from the NAT traversal port. tos: TOS or traffic class of the outer header. */
export type ForeignDatagram = { local: Endpoint; remote: Endpoint; tos: number; data: Uint8Array }

/** Copies the datagram into the inbox of an ASP (1-based), which must be woken then. False: the ring is full. */
export function handToAsp(memory: CardMemory, asp: number, datagram: ForeignDatagram): boolean {
  const ring = memory.packets(asp) + memory.header(HEADER_INBOX_OFFSET) + (asp - 1) * INBOX_RING_BYTES
  const total = (INBOX_RECORD_BYTES + datagram.data.length + 63) & ~63
  const head = openRecord(memory, ring, total)
  if (head === null) return false
  writeRecord(memory, recordAt(ring, head), total, datagram)
  memory.store(ring + INBOX_HEAD, head + total)
  return true
}

const recordAt = (ring: number, head: number) => ring + INBOX_DATA + (head & (INBOX_DATA_BYTES - 1))

/** Where the ring's head stands once a record of `total` bytes fits before the end; null: full. */
function openRecord(memory: CardMemory, ring: number, total: number): number | null {
  const head = memory.load(ring + INBOX_HEAD)
  const free = INBOX_DATA_BYTES - ((head - memory.load(ring + INBOX_TAIL)) >>> 0)
  const toEnd = INBOX_DATA_BYTES - (head & (INBOX_DATA_BYTES - 1))
  const skip = total > toEnd ? toEnd : 0
  if (total + skip > free) return null
  if (skip === 0) return head
  memory.setU32(recordAt(ring, head) + INBOX_RECORD_TOTAL, skip)
  memory.setU32(recordAt(ring, head) + INBOX_RECORD_KIND, INBOX_SKIP)
  return (head + skip) >>> 0
}

function writeRecord(memory: CardMemory, record: number, total: number, datagram: ForeignDatagram): void {
  const { local, remote, tos, data } = datagram
  const source = sockaddrBytes(remote)
  memory.bytes.fill(0, record, record + INBOX_RECORD_BYTES)
  memory.setU32(record + INBOX_RECORD_TOTAL, total)
  memory.setU32(record + INBOX_RECORD_KIND, INBOX_IN)
  memory.setU32(record + INBOX_RECORD_LENGTH, data.length)
  memory.view.setUint16(record + INBOX_RECORD_LOCAL_PORT, local.port, true)
  memory.view.setUint8(record + INBOX_RECORD_ENCAPSULATION, IN_UDP)
  memory.view.setUint8(record + INBOX_RECORD_TOS, tos)
  memory.bytes.set(source, record + INBOX_RECORD_SOURCE)
  putLocal(memory, record, local.address, source[SOCKADDR_FAMILY] === FAMILY_INET ? 4 : 16)
  memory.bytes.set(data, record + INBOX_RECORD_BYTES)
}

/** Our own address, unless it is of another family than the sender's. */
function putLocal(memory: CardMemory, record: number, local: Address, bytes: 4 | 16): void {
  const address = addressBytes(local)
  if (address.length !== bytes) return
  memory.setU32(record + INBOX_RECORD_HAS_LOCAL, 1)
  memory.bytes.set(address, record + INBOX_RECORD_LOCAL)
}
