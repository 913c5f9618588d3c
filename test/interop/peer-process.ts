// How a peer runs in a folder with a file system of its own, and how any peer is stopped.

import type { ChildProcess } from 'node:child_process'

const STOP_DEADLINE = 10_000 // ms

/**
 * Shell words for `command` in the folder `root` by chroot, which sees `directory` as its /tmp and `directory`/run as its
 * /run. The mounts end with the mount namespace of the shell: `ip netns exec` and `unshare --mount` make one.
 */
export function inFolder(root: string, directory: string, command: string): string {
  const binds = [
    ['/proc', '/proc'],
    ['/dev', '/dev'],
    [directory, '/tmp'],
    [`${directory}/run`, '/run'],
  ].map(([from, to]) => `mount --bind ${from} ${root}${to}`)
  return `${binds.join(' && ')} && exec chroot ${root} ${command}`
}

export function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => child.once('exit', () => resolve()))
}

/** SIGTERM, then SIGKILL. */
export async function stopChild(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE)
  await gone(child)
  clearTimeout(timer)
}
