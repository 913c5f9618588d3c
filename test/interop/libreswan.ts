// libreswan 4.10 as the peer of the IKE half: one pluto by chroot in a folder of Debian packages (.ci/peers), with a
// shim that lets it go on where the kernel has no ESP. No traffic is possible, so the tests compare what both ends say
// about the SAs.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inFolder, stopChild } from './peer-process.ts'
import { PEERS } from './release.ts'

const ROOT = `${PEERS}/libreswan`
const PLUTO = '/usr/libexec/ipsec/pluto'
const WHACK = '/usr/libexec/ipsec/whack'
const SHIM = fileURLToPath(new URL('./xfrm-shim.c', import.meta.url))
const READY = 'loading secrets from'
const START_DEADLINE = 20_000
const COMMAND_DEADLINE = 20_000

export type LibreswanConfig = {
  /** statements of `conn peer` */
  connection: string[]
  /** ipsec.secrets */
  secrets: string
}

export type Libreswan = {
  /** a whack command; returns its output, whatever its exit code says about the connection */
  whack(...parameters: string[]): string
  log(): string
  stop(): Promise<void>
}

/** null: everything is there; else one sentence saying what is missing. */
export function missingLibreswan(): string | null {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces'
  if (!existsSync(ROOT + PLUTO)) return `libreswan is not there (${ROOT + PLUTO}): see .ci/peers`
  for (const tool of ['ip', 'cc', 'sysctl'])
    if (spawnSync('which', [tool]).status !== 0) return `${tool} is not installed`
  return null
}

/** Starts pluto inside the named namespace and waits until it listens. */
export async function startLibreswan(namespace: string, config: LibreswanConfig): Promise<Libreswan> {
  const directory = mkdtempSync(join(tmpdir(), 'aseiop-'))
  layOut(directory, config)
  const child = spawn('ip', ['netns', 'exec', namespace, 'bash', '-c', inRoot(directory, PLUTO_COMMAND)], {
    stdio: 'ignore',
  })
  const log = () => readLog(directory)
  const peer: Libreswan = {
    whack: (...parameters) => {
      const command = `${WHACK} --rundir /run ${parameters.join(' ')}`
      const result = spawnSync('ip', ['netns', 'exec', namespace, 'bash', '-c', inRoot(directory, command)], {
        encoding: 'utf8',
        timeout: COMMAND_DEADLINE,
      })
      return result.stdout + result.stderr
    },
    log,
    stop: async () => {
      await stopChild(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
  await untilReady(peer, child)
  return peer
}

const PLUTO_COMMAND = [
  ...['/usr/bin/env LD_PRELOAD=/tmp/shim.so', PLUTO, '--nofork --logfile /tmp/pluto.log --no-dnssec'],
  ...['--config /tmp/ipsec.conf --secretsfile /tmp/ipsec.secrets --nssdir /tmp/nss --rundir /run'],
].join(' ')

const inRoot = (directory: string, command: string) => inFolder(ROOT, directory, command)

function layOut(directory: string, config: LibreswanConfig): void {
  for (const name of ['run', 'nss']) mkdirSync(join(directory, name))
  const put = (name: string, text: string) => writeFileSync(join(directory, name), text, { mode: 0o600 })
  const lines = (statements: string[]) => statements.map((statement) => ` ${statement}\n`).join('')
  put('ipsec.conf', `config setup\n uniqueids=no\nconn peer\n${lines(config.connection)}`)
  put('ipsec.secrets', `${config.secrets}\n`)
  must('cc', ['-shared', '-fPIC', '-O2', '-o', join(directory, 'shim.so'), SHIM, '-ldl'])
  const database = inRoot(directory, '/usr/bin/certutil -N -d sql:/tmp/nss --empty-password')
  must('unshare', ['--mount', 'bash', '-c', database])
}

function must(command: string, parameters: string[]): void {
  const result = spawnSync(command, parameters, { encoding: 'utf8', timeout: COMMAND_DEADLINE })
  if (result.status !== 0)
    throw new Error(`${command} ${parameters.join(' ')}: ${result.stderr}${result.stdout}`)
}

function readLog(directory: string): string {
  const path = join(directory, 'pluto.log')
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

async function untilReady(peer: Libreswan, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_DEADLINE
  while (!peer.log().includes(READY)) {
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`pluto did not start: ${peer.log()}`)
    }
    await sleep(50)
  }
}
