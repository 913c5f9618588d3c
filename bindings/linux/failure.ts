// A refused system call as a sentence for the operator.

import { errno, errorName } from './syscalls.ts'

const HINTS: Record<string, string> = {
  EPERM: 'run as root or with CAP_NET_ADMIN and CAP_NET_RAW',
  EACCES: 'run as root or with CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE',
  EADDRINUSE: 'another process has it: stop the other IKE daemon or choose other ports (ike port)',
  EBUSY: 'another process holds the device: stop it or choose another name',
  ENODEV: 'there is no such device',
  EMFILE: 'raise the limit of open files (ulimit -n)',
}

export class SystemError extends Error {
  readonly code: number
  constructor(what: string, code: number) {
    const name = errorName(code)
    super(HINTS[name] ? `${what}: ${name}; ${HINTS[name]}` : `${what}: ${name}`)
    this.name = 'SystemError'
    this.code = code
  }
}

/** Passes a result >= 0 on; throws SystemError naming what was attempted otherwise. */
export function must(result: number, what: string): number {
  if (result < 0) throw new SystemError(what, errno())
  return result
}
