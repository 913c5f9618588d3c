// strongSwan as the peer: one charon in a namespace of its own, with private /run and /etc/swanctl, ESP in user space
// (kernel-libipsec; 5.9.8 always in UDP: it claims a NAT). Driven by swanctl over its vici socket.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gone, stopChild } from './peer-process.ts'
import { charonIn, type Release, type ReleaseName, releaseOf } from './release.ts'

const PLUGINS = [
  ...['random', 'nonce', 'openssl', 'aes', 'sha1', 'sha2', 'hmac', 'kdf', 'gmp', 'curve25519'],
  ...['pem', 'pkcs1', 'pkcs8', 'x509', 'constraints', 'pubkey'],
  // libipsec must register before netlink: the first one is the ESP implementation
  ...['kernel-libipsec', 'kernel-netlink', 'socket-default', 'vici'],
]
const START_DEADLINE = 60_000

/** One connection: the text of the swanctl connection `peer` and its secrets. */
export type SwanConfig = {
  /** body of connections { peer { ... } }, from shape below */
  connection: string
  /** body of secrets { ... } */
  secrets: string
  /** name below x509, x509ca or private, PEM */
  files?: Record<string, string>
}

export type StrongSwan = {
  configure(config: SwanConfig): void
  /** a swanctl command; throws when it fails */
  swanctl(...parameters: string[]): string
  /** kill -9, then a new process with the configuration it had */
  restart(): Promise<void>
  kill(): Promise<void>
  log(): string
  stop(): Promise<void>
}

/** Starts charon inside the named namespace and waits for its vici socket. */
export async function startStrongSwan(namespace: string, name: ReleaseName): Promise<StrongSwan> {
  const release = releaseOf(name)
  const directory = mkdtempSync(join(tmpdir(), 'aseiop-'))
  layOut(release, directory)
  let child = await launch(release, namespace, directory)
  const swanctl = (...parameters: string[]) => callSwanctl(directory, parameters)
  const kill = () => killChild(child)
  return {
    configure: (config) => {
      writeConfig(directory, config)
      swanctl('--load-all', '--noprompt')
    },
    swanctl,
    kill,
    restart: async () => {
      await kill()
      child = await launch(release, namespace, directory)
      swanctl('--load-all', '--noprompt')
    },
    log: () => readFileSync(join(directory, 'charon.log'), 'utf8'),
    stop: async () => {
      await stopChild(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** One setting a line: a value runs to the end of its line. */
function strongswanConf(release: Release, home: string): string {
  return `charon {
  load = ${PLUGINS.join(' ')}
  port = 500
  port_nat_t = 4500
  install_virtual_ip = no
  retransmit_timeout = 1.0
  retransmit_base = 1.4
  retransmit_tries = 8
  retransmit_limit = 2
  syslog {
    daemon {
      default = -1
    }
    auth {
      default = -1
    }
  }
  filelog {
    main {
      path = ${home}/charon.log
      default = 1
      ike = 2
      chd = 2
      cfg = 2
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix://${home}/vici.sock
    }
    kernel-libipsec {
      ${release.libipsec.join('\n      ')}
    }
    kernel-netlink {
      fwmark = !0x42
    }
    socket-default {
      fwmark = 0x42
    }
  }
}
`
}

const SWANCTL_DIRECTORIES = ['conf.d', 'x509', 'x509ca', 'private', 'rsa', 'pkcs8', 'pubkey']

function layOut(release: Release, directory: string): void {
  const { home } = charonIn(release, directory)
  mkdirSync(join(directory, 'run'))
  for (const name of SWANCTL_DIRECTORIES) mkdirSync(join(directory, 'swanctl', name), { recursive: true })
  writeFileSync(join(directory, 'strongswan.conf'), strongswanConf(release, home))
  writeFileSync(join(directory, 'openssl.cnf'), OPENSSL_CONF)
}

function writeConfig(directory: string, config: SwanConfig): void {
  const text = `connections {\n peer {\n${config.connection}\n }\n}\nsecrets {\n${config.secrets}\n}\n`
  writeFileSync(join(directory, 'swanctl', 'swanctl.conf'), text, { mode: 0o600 })
  for (const [name, content] of Object.entries(config.files ?? {}))
    writeFileSync(join(directory, 'swanctl', name), content, { mode: 0o600 })
}

/** DES is in OpenSSL's legacy provider. */
const OPENSSL_CONF = `openssl_conf = start
[start]
providers = providers
[providers]
default = on
legacy = on
[on]
activate = 1
`

function environment(home: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    OPENSSL_CONF: join(home, 'openssl.cnf'),
    STRONGSWAN_CONF: join(home, 'strongswan.conf'),
    SWANCTL_DIR: join(home, 'swanctl'),
  }
}

async function launch(release: Release, namespace: string, directory: string): Promise<ChildProcess> {
  const vici = join(directory, 'vici.sock')
  rmSync(vici, { force: true })
  const { script, home } = charonIn(release, directory)
  const child = spawn('ip', ['netns', 'exec', namespace, 'bash', '-c', script], {
    env: environment(home),
    stdio: 'ignore',
  })
  const deadline = Date.now() + START_DEADLINE
  while (!answers(directory)) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`charon did not start: ${readLog(directory)}`)
    }
    await sleep(50)
  }
  return child
}

function answers(directory: string): boolean {
  if (!existsSync(join(directory, 'vici.sock'))) return false
  return (
    spawnSync('swanctl', ['--stats', '--uri', uri(directory)], { env: environment(directory) }).status === 0
  )
}

const uri = (directory: string) => `unix://${directory}/vici.sock`

function readLog(directory: string): string {
  const path = join(directory, 'charon.log')
  return existsSync(path) ? readFileSync(path, 'utf8') : 'no log'
}

function callSwanctl(directory: string, parameters: string[]): string {
  const result = spawnSync('swanctl', [...parameters, '--uri', uri(directory)], {
    env: environment(directory),
    encoding: 'utf8',
    timeout: 60_000,
  })
  if (result.status === 0) return result.stdout
  throw new Error(`swanctl ${parameters.join(' ')}: ${result.stderr}${result.stdout}`)
}

async function killChild(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await gone(child)
}
