// ICMP echo from inside a namespace: a host of the lab without a process of its own (RFC 792).

import { Arena } from './arena.ts'
import { AF_INET, MSG_DONTWAIT, O_CLOEXEC, SOCK_RAW } from './constants.ts'
import { must } from './failure.ts'
import { inNamespace, type NamespaceFd } from './namespace.ts'
import { putSockaddr, SOCKADDR_IN_SIZE } from './sockaddr.ts'
import { bind, close, recvmsg, sendmsg, socket, watchReadable } from './syscalls.ts'

const IPPROTO_ICMP = 1
const ECHO_REQUEST = 8
const ECHO_REPLY = 0
const ICMP_HEADER = 8

const MSGHDR = 0
const IOVEC = 64
const NAME = 96
const DATA = 128
const ROOM = 4096

/** Sends echo requests and hands over the replies to them, until close. IPv4. */
export type Echo = {
  /** false when the kernel refused to send (no route); sequence is 16 bits */
  request(destination: string, sequence: number, payload: Uint8Array): boolean
  close(): void
}

/** identifier (16 bits) tells this sender's replies from others'; source null: the kernel's choice. */
export function openEcho(
  namespace: NamespaceFd,
  source: string | null,
  identifier: number,
  onReply: (sequence: number) => void,
): Echo {
  const arena = new Arena(DATA + ROOM)
  const fd = inNamespace(namespace, () =>
    must(socket(AF_INET, SOCK_RAW | O_CLOEXEC, IPPROTO_ICMP), 'echo socket'),
  )
  if (source !== null) {
    putSockaddr(arena, NAME, { address: source, port: 0 })
    must(bind(fd, arena.address(NAME), SOCKADDR_IN_SIZE), `echo from ${source}`)
  }
  const watch = watchReadable(fd, () => takeReplies(fd, arena, identifier, onReply))
  return {
    request: (destination, sequence, payload) => {
      const length = putRequest(arena, identifier, sequence, payload)
      putSockaddr(arena, NAME, { address: destination, port: 0 })
      putMessage(arena, SOCKADDR_IN_SIZE, length)
      return sendmsg(fd, arena.address(MSGHDR), MSG_DONTWAIT) === length
    },
    close: () => {
      watch.close()
      close(fd)
    },
  }
}

function putMessage(arena: Arena, nameLength: number, length: number): void {
  arena.bytes.fill(0, MSGHDR, IOVEC)
  if (nameLength > 0) arena.setWord(MSGHDR, arena.address(NAME))
  arena.setInt(MSGHDR + 8, nameLength)
  arena.setWord(MSGHDR + 16, arena.address(IOVEC))
  arena.setWord(MSGHDR + 24, 1)
  arena.setWord(IOVEC, arena.address(DATA))
  arena.setWord(IOVEC + 8, length)
}

function putRequest(arena: Arena, identifier: number, sequence: number, payload: Uint8Array): number {
  const length = ICMP_HEADER + payload.length
  const { view } = arena
  view.setUint16(DATA, ECHO_REQUEST << 8)
  view.setUint16(DATA + 2, 0)
  view.setUint16(DATA + 4, identifier)
  view.setUint16(DATA + 6, sequence)
  arena.bytes.set(payload, DATA + ICMP_HEADER)
  arena.bytes[DATA + length] = 0
  view.setUint16(DATA + 2, checksum(view, DATA, length))
  return length
}

/** RFC 1071; an odd last byte counts as if a zero followed. */
function checksum(view: DataView, at: number, length: number): number {
  let sum = 0
  for (let i = 0; i < length; i += 2) sum += view.getUint16(at + i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** A raw socket receives the IPv4 header too, and every ICMP message of the namespace. */
function takeReplies(
  fd: number,
  arena: Arena,
  identifier: number,
  onReply: (sequence: number) => void,
): void {
  for (;;) {
    putMessage(arena, 0, ROOM)
    const length = recvmsg(fd, arena.address(MSGHDR), MSG_DONTWAIT)
    if (length < 0) return
    const at = DATA + (arena.bytes[DATA]! & 15) * 4
    if (length < at - DATA + ICMP_HEADER) continue
    if (arena.bytes[at] !== ECHO_REPLY || arena.view.getUint16(at + 4) !== identifier) continue
    onReply(arena.view.getUint16(at + 6))
  }
}
