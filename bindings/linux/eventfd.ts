// Wake-up between threads: a counter that epoll and uv_poll can wait for.

import { Arena } from './arena.ts'
import { O_CLOEXEC, O_NONBLOCK } from './constants.ts'
import { must } from './failure.ts'
import { eventfd, read, write } from './syscalls.ts'

const VALUE = 0
const SINK = 8
let arena: Arena | null = null

function memory(): Arena {
  if (arena === null) {
    arena = new Arena(4096)
    arena.setWord(VALUE, 1)
  }
  return arena
}

/** A new descriptor, non-blocking and closed on exec. */
export function createEvent(): number {
  return must(eventfd(0, O_NONBLOCK | O_CLOEXEC), 'eventfd')
}

/** Makes the descriptor readable. A full counter (EAGAIN) is awake already. */
export function signalEvent(fd: number): void {
  write(fd, memory().address(VALUE), 8)
}

/** Makes the descriptor unreadable again. */
export function clearEvent(fd: number): void {
  read(fd, memory().address(SINK), 8)
}
