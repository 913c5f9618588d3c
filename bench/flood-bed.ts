// The network of `bench flood`: four anonymous namespaces, three real gateway processes, one flooder.
//
//   peer   192.0.2.2 ------- 192.0.2.1    gateway    198.51.100.1 ------- 198.51.100.2 honest, an on-demand peer
//          a tunnel that is up and carries pings   |
//                                             198.18.0.1 ------- 198.18.0.2 flooder, sources out of 10.64.0.0/10
//
// Everything hangs on descriptors and children of this process; nothing is left when it ends.

import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, closeSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createNamespace, inNamespace, type NamespaceFd } from '../bindings/linux/namespace.ts'
import { addGatewayRoute, addLinkAddress, createVeth, raiseLink } from '../bindings/linux/namespace-links.ts'
import { type GatewayProcess, startGateway } from '../control/cli/lab-gateway.ts'
import { encodeMessage } from '../control/wire/message.ts'
import { Exchange } from '../control/wire/types.ts'
import { IkeBed } from '../test/support/ike-bed.ts'
import { peerA } from '../test/support/ike-peers.ts'
import { RawPeer } from '../test/support/raw-ike.ts'
import type { FloodOrder } from './flood-sender.ts'

const SENDER = fileURLToPath(new URL('./flood-sender.ts', import.meta.url))
const GATEWAY = '198.51.100.1'
const METRICS_PORT = 9576
const READY_MS = 30_000

const PROPOSALS = `ike proposal p
 encryption aes-128
 authentication sha256
 dh-group 31
`
const SECRET = 'pre-shared-key text "a key of more than sixteen bytes"'

const running = (local: string, remote: string, end: number) => `context local
 interface t1
  ip address 169.254.1.${end}/31
${PROPOSALS}ike policy running
 seq 10 proposal p
 ${SECRET}
tunnel ipsec running
 peer-end-point local ${local} remote ${remote}
 bind interface t1 local
 ike-policy running
`

const FLOODED = `${running('192.0.2.1', '192.0.2.2', 0)}ike policy anybody
 seq 10 proposal p
 role responder
 ${SECRET}
 local-id fqdn gateway.example.net
 remote-id fqdn *.site.example.net
tunnel ipsec anybody on-demand
 mode economical
 peer-end-point local ${GATEWAY}
 ike-policy anybody
 traffic-selector local any remote 10.4.0.0/16
management
 metrics 127.0.0.1 port ${METRICS_PORT}
`

const HONEST = `${PROPOSALS}ike policy gateway
 seq 10 proposal p
 ${SECRET}
 local-id fqdn one.site.example.net
 remote-id fqdn gateway.example.net
tunnel ipsec gateway
 mode economical
 peer-end-point local 198.51.100.2 remote ${GATEWAY}
 ike-policy gateway
 traffic-selector local 10.4.1.0/24 remote any
`

type Room = 'gateway' | 'peer' | 'honest' | 'flooder'
type Legs = [Room, string, string]
const WIRES: [Legs, Legs][] = [
  [
    ['gateway', 'to-peer', '192.0.2.1/24'],
    ['peer', 'wan', '192.0.2.2/24'],
  ],
  [
    ['gateway', 'to-honest', `${GATEWAY}/24`],
    ['honest', 'wan', '198.51.100.2/24'],
  ],
  [
    ['gateway', 'to-flooder', '198.18.0.1/24'],
    ['flooder', 'wan', '198.18.0.2/24'],
  ],
]

export class FloodBed {
  readonly rooms: Record<Room, NamespaceFd>
  readonly #folder = mkdtempSync(join(tmpdir(), 'asegate-flood-'))
  readonly #gateways: GatewayProcess[] = []
  #flooder: ChildProcess | null = null

  constructor() {
    const made = ROOMS.map((room) => [room, createNamespace()])
    this.rooms = Object.fromEntries(made) as Record<Room, NamespaceFd>
    for (const room of ROOMS) raiseLink(this.rooms[room], 'lo')
    for (const [[a, nameA, addressA], [b, nameB, addressB]] of WIRES) {
      createVeth({ namespace: this.rooms[a], name: nameA }, { namespace: this.rooms[b], name: nameB })
      addLinkAddress(this.rooms[a], nameA, addressA)
      addLinkAddress(this.rooms[b], nameB, addressB)
      raiseLink(this.rooms[a], nameA)
      raiseLink(this.rooms[b], nameB)
    }
    addGatewayRoute(this.rooms.gateway, '10.64.0.0/10', '198.18.0.2')
    addGatewayRoute(this.rooms.flooder, '198.51.100.0/24', '198.18.0.1')
  }

  /** The flooded gateway and the peer whose tunnel runs; resolves when it does. */
  async start(): Promise<void> {
    this.#start('gateway', FLOODED)
    const peer = this.#start('peer', running('192.0.2.2', '192.0.2.1', 1))
    for (const gateway of this.#gateways) await gateway.ready(performance.now() + READY_MS)
    await this.#up(peer, performance.now() + READY_MS)
  }

  /** Starts the peer that nobody knows; seconds from its first word until its tunnel is up, null: not within the limit. */
  async connectHonest(limitMs: number): Promise<number | null> {
    const honest = this.#start('honest', HONEST)
    await honest.ready(performance.now() + READY_MS)
    const began = performance.now()
    try {
      await this.#up(honest, began + limitMs)
    } catch {
      return null
    }
    return (performance.now() - began) / 1000
  }

  /** Sends requests at this rate; resolves with how many there were. */
  flood(rate: number, seconds: number): Promise<number> {
    const order: FloodOrder = { source: 0x0a400000, destination: GATEWAY, rate, seconds, ...request() }
    const child = inNamespace(this.rooms.flooder, () =>
      spawn(process.execPath, [SENDER, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'inherit'] }),
    )
    this.#flooder = child
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => {
        if (code === 0) resolve((JSON.parse(text) as { sent: number }).sent)
        else reject(new Error(`the flooder ended with code ${code}`))
      })
    })
  }

  /** Resident memory of the flooded gateway, bytes. */
  memory(): number {
    const status = readFileSync(`/proc/${this.#gateways[0].pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024
  }

  /** One metric of the flooded gateway; 0 when it has no such sample. */
  async metric(sample: string): Promise<number> {
    const page = await scrape(this.rooms.gateway)
    const line = page.split('\n').find((each) => each.startsWith(`${sample} `))
    return line === undefined ? 0 : Number(line.slice(sample.length + 1))
  }

  log(): string[] {
    return this.#gateways.flatMap((gateway) => gateway.lastLog().map((line) => `${gateway.name}: ${line}`))
  }

  async stop(): Promise<void> {
    this.#flooder?.kill('SIGKILL')
    await Promise.all(this.#gateways.map((gateway) => gateway.stop()))
    for (const namespace of Object.values(this.rooms)) closeSync(namespace)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #start(room: Room, text: string): GatewayProcess {
    const config = join(this.#folder, `${room}.conf`)
    writeFileSync(config, text)
    chmodSync(config, 0o600)
    const gateway = startGateway(room, this.rooms[room], config, join(this.#folder, `${room}.sock`))
    this.#gateways.push(gateway)
    return gateway
  }

  async #up(gateway: GatewayProcess, deadline: number): Promise<void> {
    for (;;) {
      const [tunnel] = (await gateway.ask('show tunnel ipsec')) as { state: string; reason: string | null }[]
      if (tunnel.state === 'up') return
      if (performance.now() > deadline) throw new Error(`${gateway.name} does not come up: ${tunnel.reason}`)
      await sleep(50)
    }
  }
}

const ROOMS: readonly Room[] = ['gateway', 'peer', 'honest', 'flooder']

/** A request that passes every check of the gateway but the one for a cookie. */
function request(): Pick<FloodOrder, 'request' | 'nonceAt'> {
  const peer = new RawPeer(new IkeBed(), peerA())
  const fields = {
    initiatorSpi: 1n,
    responderSpi: 0n,
    exchange: Exchange.IKE_SA_INIT,
    messageId: 0,
    response: false,
    initiator: true,
  }
  const bytes = Buffer.from(encodeMessage(fields, peer.initPayloads()))
  return { request: bytes.toString('hex'), nonceAt: bytes.indexOf(peer.nonce) }
}

/** The page, fetched inside the namespace: a short-lived process does it, for a socket belongs to where it was made. */
function scrape(namespace: NamespaceFd): Promise<string> {
  const program = `fetch('http://127.0.0.1:${METRICS_PORT}/metrics').then(r => r.text()).then(t => process.stdout.write(t))`
  const child = inNamespace(namespace, () =>
    spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve(text))
  })
}
