// TUN devices: one descriptor per queue, raw IP packets without a leading header.
//
// A device lives as long as a queue of it is open, so a killed process leaves none behind. Super-packets
// (IFF_VNET_HDR) would be one more flag here and a 10-byte header before each packet; the packet loop
// leaves room for it before every buffer.

import { Arena } from './arena.ts'
import {
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TUN,
  IFNAMSIZ,
  IFREQ_SIZE,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  TUNSETIFF,
} from './constants.ts'
import { must, SystemError } from './failure.ts'
import { close, errno, ioctl, open } from './syscalls.ts'

const NODE = '/dev/net/tun'
const IFF_TUN_EXCL = 0x8000 // refuse a name that exists
const TUNSETQUEUE = 0x400454d9
const IFF_DETACH_QUEUE = 0x400
const FLAGS_OFFSET = IFNAMSIZ
const PATH_OFFSET = 64

/** Opens all queues of a new device; the descriptors are non-blocking. Throws SystemError; nothing stays open then. */
export function createTun(name: string, queues: number): number[] {
  refuseBadName(name)
  const fds: number[] = []
  try {
    for (let queue = 0; queue < queues; queue++) fds.push(openQueue(name, queues > 1, queue === 0))
    return fds
  } catch (error) {
    for (const fd of fds) close(fd)
    throw error
  }
}

function openQueue(name: string, multiQueue: boolean, first: boolean): number {
  const arena = new Arena(4096)
  const path = arena.text(PATH_OFFSET, NODE)
  const fd = must(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0), `cannot open ${NODE} (module tun loaded?)`)
  arena.bytes.fill(0, 0, IFREQ_SIZE)
  arena.text(0, name)
  const flags = IFF_TUN | IFF_NO_PI | (multiQueue ? IFF_MULTI_QUEUE : 0) | (first ? IFF_TUN_EXCL : 0)
  arena.view.setUint16(FLAGS_OFFSET, flags, true)
  if (ioctl(fd, TUNSETIFF, arena.address(0)) >= 0) return fd
  const failure = new SystemError(`cannot create TUN device ${name}`, errno())
  close(fd)
  throw failure
}

/** The kernel spreads packets over the other queues from now on; the descriptor stays open. */
export function detachQueue(fd: number): void {
  const arena = new Arena(4096)
  arena.view.setUint16(FLAGS_OFFSET, IFF_DETACH_QUEUE, true)
  must(ioctl(fd, TUNSETQUEUE, arena.address(0)), 'cannot detach a TUN queue')
}

function refuseBadName(name: string): void {
  const length = new TextEncoder().encode(name).length
  if (length < 1 || length >= IFNAMSIZ || /[\s/:%]/.test(name) || name === '.' || name === '..')
    throw new Error(
      `'${name}' is no device name: 1 to ${IFNAMSIZ - 1} bytes without space, slash, colon or percent`,
    )
}
