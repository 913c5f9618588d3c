// What a gateway refuses to run with, and what it needs from the kernel.

import { existsSync, readFileSync } from 'node:fs'
import { EXIT, ExitError } from './exit.ts'

/** Variables through which somebody else chooses this process's cryptography or code. */
const REFUSED_VARIABLES: Record<string, string> = {
  OPENSSL_CONF: 'it can load other cryptography into this process',
  OPENSSL_MODULES: 'it can load other cryptography into this process',
}
const INSPECT = /--inspect|--debug(?![\w-]*=?false)/

/** Throws when the environment could subvert keys: OPENSSL_CONF, OPENSSL_MODULES, an inspector. */
export function refuseEnvironment(environment: NodeJS.ProcessEnv, execArgv: string[]) {
  for (const [name, why] of Object.entries(REFUSED_VARIABLES))
    if (environment[name] !== undefined)
      throw new ExitError(EXIT.usage, 'environment', `${name} is set: ${why}; unset it`)
  const flags = [...execArgv, ...(environment.NODE_OPTIONS ?? '').split(/\s+/)]
  const inspect = flags.find((flag) => INSPECT.test(flag))
  if (inspect !== undefined)
    throw new ExitError(EXIT.usage, 'environment', `${inspect} opens keys to a debugger; run without it`)
}

/** Capabilities by bit (linux/capability.h). */
const CAPABILITIES: [bit: bigint, name: string, need: string][] = [
  [12n, 'CAP_NET_ADMIN', 'TUN devices and routes'],
  [13n, 'CAP_NET_RAW', 'native ESP'],
]
const BIND_SERVICE = 10n
const FIRST_FREE_PORT = 1024

/** Throws with one sentence when a capability or a kernel feature is missing. */
export function requirePrivileges(ports: number[]) {
  const held = effectiveCapabilities()
  const missing = CAPABILITIES.filter(([bit]) => (held & (1n << bit)) === 0n).map(
    ([, name, need]) => `${name} (${need})`,
  )
  const low = ports.filter((port) => port < FIRST_FREE_PORT)
  if (low.length > 0 && (held & (1n << BIND_SERVICE)) === 0n && !unprivileged(low))
    missing.push(`CAP_NET_BIND_SERVICE (UDP port ${low.join(', ')})`)
  if (missing.length > 0)
    throw new ExitError(
      EXIT.unfit,
      'privilege',
      `asegate run lacks ${missing.join(', ')}: run it as root or give it these`,
    )
  if (!existsSync('/dev/net/tun'))
    throw new ExitError(
      EXIT.unfit,
      'kernel',
      'this kernel offers no /dev/net/tun: load the tun module (modprobe tun)',
    )
}

function effectiveCapabilities(): bigint {
  const line = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return BigInt(`0x${line?.[1] ?? '0'}`)
}

/** Ports from net.ipv4.ip_unprivileged_port_start on need no capability. */
function unprivileged(ports: number[]): boolean {
  const path = '/proc/sys/net/ipv4/ip_unprivileged_port_start'
  const start = existsSync(path) ? Number(readFileSync(path, 'utf8')) : FIRST_FREE_PORT
  return ports.every((port) => port >= start)
}
