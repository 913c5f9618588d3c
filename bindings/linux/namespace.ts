// Anonymous network namespaces, held by file descriptors of one process and by nothing else.
//
// A namespace made here has no name in /run/netns: it lives as long as a descriptor, a socket or a
// process holds it, and the kernel removes it with every veth and TUN device inside when the last of
// them goes, however its holder died. unshare(2) and setns(2) move the calling thread only, so work inside
// a namespace is one synchronous function; what it opens or starts there (sockets, child processes) stays there.

import { closeSync, constants, openSync } from 'node:fs'
import koffi from 'koffi'
import { must } from './failure.ts'

const CLONE_NEWNET = 0x40000000
const MS_NOSUID_NODEV = 0x2 | 0x4
const SELF = '/proc/thread-self/ns/net'

const libc = koffi.load(null)
const unshare = libc.func('int unshare(int flags)')
const setns = libc.func('int setns(int fd, int kind)')
const mount = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
)

/** Descriptor of a network namespace; closes on exec, so no child keeps it alive. */
export type NamespaceFd = number

/** The namespace of the calling thread. The caller closes the descriptor. */
export function currentNamespace(): NamespaceFd {
  return openSync(SELF, constants.O_RDONLY)
}

/** Makes an anonymous namespace (loopback down, no routes); the thread returns to where it was. */
export function createNamespace(): NamespaceFd {
  const home = currentNamespace()
  try {
    must(unshare(CLONE_NEWNET), 'unshare(CLONE_NEWNET)')
    const made = currentNamespace()
    must(setns(home, CLONE_NEWNET), 'setns')
    return made
  } finally {
    closeSync(home)
  }
}

/** Runs synchronous work with the thread inside the namespace; always returns to where it was. */
export function inNamespace<T>(namespace: NamespaceFd, work: () => T): T {
  const home = currentNamespace()
  try {
    must(setns(namespace, CLONE_NEWNET), 'setns')
    try {
      return work()
    } finally {
      must(setns(home, CLONE_NEWNET), 'setns')
    }
  } finally {
    closeSync(home)
  }
}

/** Mounts a fresh memory file system (mode 0700) over a directory of this process's mount namespace. */
export function mountMemory(directory: string): void {
  const result = mount('none', directory, 'tmpfs', MS_NOSUID_NODEV, 'mode=0700,size=64m')
  must(result, `mount tmpfs on ${directory}`)
}
