// Our own eyes on a wire: every frame that the devices of one namespace receive or send (packet(7)).
//
// Nothing is filtered in the kernel and frames lost for want of buffer are counted, so a caller can say
// "no such packet was seen" and mean it. Frames start at the Ethernet header, network order.

import koffi from 'koffi'
import { Arena } from './arena.ts'
import {
  MSG_DONTWAIT,
  MSG_TRUNC,
  O_CLOEXEC,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_RAW,
  SOL_SOCKET,
} from './constants.ts'
import { must } from './failure.ts'
import { inNamespace, type NamespaceFd } from './namespace.ts'
import { close, recvmsg, setsockopt, socket, watchReadable } from './syscalls.ts'

const AF_PACKET = 17
const ETH_P_ALL = 0x0300 // 3 in network order, as socket(2) wants it
const SOL_PACKET = 263
const PACKET_STATISTICS = 6
const PACKET_OUTGOING = 4
const BUFFER_BYTES = 16 * 1024 * 1024
const BURST = 256 // frames per turn of the event loop

const MSGHDR = 0
const IOVEC = 64
const NAME = 128
const OPTION = 192
const FRAME = 256
const SOCKADDR_LL_SIZE = 20

const getsockopt = koffi
  .load(null)
  .func('int getsockopt(int fd, int level, int option, uint64 value, uint64 length)')

/** One frame; `bytes` (cut at the snap length) is only valid during the call that hands it over. */
export type Frame = {
  /** interface index in the namespace */
  device: number
  /** true: this namespace sends it; false: it came from the wire */
  outgoing: boolean
  /** length on the wire, bytes */
  length: number
  bytes: Uint8Array
}

export type Capture = {
  /** frames the kernel dropped for want of buffer since the start: must be 0 for a verdict */
  dropped(): number
  /** takes what is waiting now, without the event loop */
  drain(): void
  close(): void
}

/** Watches every device of the namespace until close; throws without CAP_NET_RAW. */
export function openCapture(namespace: NamespaceFd, onFrame: (frame: Frame) => void, snap = 2048): Capture {
  const arena = new Arena(FRAME + snap)
  const fd = inNamespace(namespace, () =>
    must(socket(AF_PACKET, SOCK_RAW | O_CLOEXEC, ETH_P_ALL), 'capture socket'),
  )
  arena.setInt(OPTION, BUFFER_BYTES)
  // a user namespace gives no right to exceed rmem_max: then take what it allows
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, arena.address(OPTION), 4) < 0)
    must(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, arena.address(OPTION), 4), 'capture buffer')
  layOut(arena, snap)
  const take = () => takeFrames(fd, arena, snap, onFrame)
  const watch = watchReadable(fd, take)
  let lost = 0
  return {
    dropped: () => {
      lost += readDrops(fd, arena)
      return lost
    },
    drain: () => {
      while (take() === BURST);
    },
    close: () => {
      watch.close()
      close(fd)
    },
  }
}

function layOut(arena: Arena, snap: number): void {
  arena.setWord(MSGHDR, arena.address(NAME))
  arena.setWord(MSGHDR + 16, arena.address(IOVEC))
  arena.setWord(MSGHDR + 24, 1)
  arena.setWord(IOVEC, arena.address(FRAME))
  arena.setWord(IOVEC + 8, snap)
}

function takeFrames(fd: number, arena: Arena, snap: number, onFrame: (frame: Frame) => void): number {
  for (let taken = 0; taken < BURST; taken++) {
    arena.setInt(MSGHDR + 8, SOCKADDR_LL_SIZE)
    const length = recvmsg(fd, arena.address(MSGHDR), MSG_DONTWAIT | MSG_TRUNC)
    if (length < 0) return taken
    onFrame({
      device: arena.view.getInt32(NAME + 4, true),
      outgoing: arena.bytes[NAME + 10] === PACKET_OUTGOING,
      length,
      bytes: arena.bytes.subarray(FRAME, FRAME + Math.min(length, snap)),
    })
  }
  return BURST
}

/** struct tpacket_stats { packets, drops }; reading clears it. */
function readDrops(fd: number, arena: Arena): number {
  arena.setInt(OPTION + 16, 8)
  must(
    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, arena.address(OPTION), arena.address(OPTION + 16)),
    'capture statistics',
  )
  return arena.view.getUint32(OPTION + 4, true)
}
