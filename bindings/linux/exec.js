// execve(2): another program takes the place of this one, with its process id and its open descriptors 0 to 2.
//
// Plain JavaScript, because its one caller runs it under a Node that is too old for the rest of the product.

import koffi from 'koffi'

const F_SETFD = 2

/**
 * Replaces this process. Returns only by throwing, when the kernel refuses.
 * @param {string} path absolute path of the program
 * @param {string[]} argv its arguments, argv[0] included
 * @param {Record<string, string | undefined>} environment
 */
export function replaceProcess(path, argv, environment) {
  const libc = koffi.load(null)
  const fcntl = libc.func('int fcntl(int fd, int command, int flags)')
  const execve = libc.func('int execve(const char *path, const char **argv, const char **envp)')
  const variables = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  )
  for (const fd of [0, 1, 2]) fcntl(fd, F_SETFD, 0) // Node opens its own descriptors close-on-exec
  execve(path, [...argv, null], [...variables, null])
  throw new Error(`cannot execute ${path}: errno ${koffi.errno()}`)
}
