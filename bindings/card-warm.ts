// Warm-up: the engine optimises the card's code before the first real burst needs it.
//
// A WebAssembly function runs unoptimised, at less than half its speed, until it has been used for a while. Here a
// card of its own, on a memory of its own, carries dummy bursts from its outbound to its inbound SAs under random
// keys: no socket, device, table or counter of the real card is near. The engine keeps optimised code with the
// module, so every instance of it profits, in every thread. At the end of each suite node:crypto opens what that code
// has sealed (esp-check.ts), and the card opens it as well.

import { randomBytes } from 'node:crypto'
import type { CardSa, EspCipher, Integrity } from '../control/ports.ts'
import {
  ASP_IN_DESCRIPTORS,
  ASP_OUT_DESCRIPTORS,
  ASP_TX_COUNT,
  ASP_TX_DESCRIPTORS,
  HEADER_LOOP_OFFSET,
  IN_ADDRESS,
  IN_BYTES,
  IN_ENCAPSULATION,
  IN_LENGTH,
  IN_SEGMENT,
  IN_UDP,
  OUT_ADDRESS,
  OUT_BYTES,
  OUT_DEVICE,
  OUT_LENGTH,
  TX_ADDRESS,
  TX_BYTES,
  TX_COUNT,
  TX_LENGTH,
  TX_SEGMENT,
} from '../dataplane-as/abi.ts'
import { CardDriver } from './card.ts'
import { openEsp, type Protection } from './esp-check.ts'
import { type CardExports, instantiate } from './wasm.ts'

/** Suites of default and usual proposals; a kernel they share is warm after the first. */
const SUITES: [EspCipher, number, Integrity, number][] = [
  ['aes-256', 32, 'sha256', 32],
  ['aes-128', 16, 'sha1', 20],
  ['aes-gcm-128', 20, 'none', 0],
  ['aes-gcm-256', 36, 'none', 0],
  ['chacha20-poly1305', 36, 'none', 0],
]
const SIZES = [64, 576, 1400]
const PACKETS = 64
const GEOMETRY = { asps: 1, sas: 16, tunnels: 2, devices: 2, selectors: 16, fibNodes: 2 }
const MEMORY_BYTES = 8 << 20
/** Bursts of a suite: so many make its functions candidates, a thread of the engine does the rest. */
const BURSTS = 150

/**
 * Runs dummy bursts through a private card of this module; returns the packets that got through. Throws when the
 * optimised code does not compute what node:crypto does.
 */
export function warmUp(module: WebAssembly.Module): number {
  const cards: CardExports[] = []
  const doorbell = () => void cards[0]?.mailbox()
  const driver = new CardDriver({ ...GEOMETRY, memoryBytes: MEMORY_BYTES, module, doorbell })
  cards.push(instantiate(module, driver.memory))
  cards[0].init(1)
  const tunnel = driver.setTunnel(TUNNEL)
  driver.setTunnelState(tunnel, true)
  let packets = 0
  for (const [index, [cipher, keyBytes, integrity, hashBytes]] of SUITES.entries()) {
    const keys = { encryptionKey: randomBytes(keyBytes), integrityKey: randomBytes(hashBytes) }
    const protection = { cipher, integrity, ...keys }
    const sa: CardSa = {
      ...SA,
      ...keys,
      source: [],
      destination: [],
      tunnel,
      cipher,
      integrity,
      spi: 256 + index,
    }
    driver.addInbound(sa)
    driver.activateOutbound(driver.addOutbound(sa))
    for (let count = 0; count < BURSTS; count++) packets += burst(driver, cards[0])
    requireRight(driver, cards[0], protection)
  }
  void driver.stop()
  return packets
}

const TUNNEL = {
  name: 'warm-up',
  mode: 'circuit',
  asp: 1,
  local: '192.0.2.1',
  remote: { address: '192.0.2.2', port: 4500 },
  encapsulation: 'udp',
  device: 'none',
  mtu: 1400,
  dfBit: 'copy',
  dscp: 'copy',
  ecn: 'normal',
} as const
const NO_LIMITS = { hardSeconds: 0, hardBytes: 0, hardPackets: 0, softBytes: 0, softPackets: 0 }
const SA = {
  ...NO_LIMITS,
  protocol: 'esp',
  esn: false,
  replayWindow: 64,
  source: [],
  destination: [],
} as const

/** One burst out, turned round, and in again; returns the packets that came in. */
function burst(driver: CardDriver, card: CardExports): number {
  const block = driver.cardMemory.block(1)
  const messages = seal(driver, card)
  for (let index = 0; index < messages; index++) turnRound(driver.cardMemory.view, block, index)
  return card.inbound(messages)
}

/** A burst out: dummy packets of all sizes; returns the transmit descriptors. */
function seal(driver: CardDriver, card: CardExports): number {
  const { cardMemory: memory } = driver
  const block = memory.block(1)
  driver.heartbeat(1)
  let address = memory.packets(1) + memory.header(HEADER_LOOP_OFFSET) + 64
  for (let index = 0; index < PACKETS; index++) {
    const length = SIZES[index % SIZES.length]
    const at = block + ASP_OUT_DESCRIPTORS + index * OUT_BYTES
    memory.bytes.fill(0, at, at + OUT_BYTES)
    memory.bytes.set([0x45, 0, length >> 8, length & 255], address)
    memory.setU32(at + OUT_ADDRESS, address)
    memory.setU32(at + OUT_LENGTH, length)
    memory.setU32(at + OUT_DEVICE, driver.deviceNumber(TUNNEL.device))
    address += length
  }
  card.outbound(PACKETS)
  return memory.u32(block + ASP_TX_COUNT)
}

/** Throws unless node:crypto and the card open a whole burst, and all of it is what went in. */
function requireRight(driver: CardDriver, card: CardExports, protection: Protection): void {
  const { view, bytes } = driver.cardMemory
  const block = driver.cardMemory.block(1)
  const messages = seal(driver, card)
  let right = 0
  for (let index = 0; index < messages; index++) {
    for (const datagram of datagramsOf(view, bytes, block, index)) {
      const plaintext = openEsp(datagram, protection)
      if (plaintext !== null && isDummy(plaintext)) right++
    }
    turnRound(view, block, index)
  }
  if (right === PACKETS && card.inbound(messages) === PACKETS) return
  const { cipher, integrity } = protection
  throw new Error(
    `${PACKETS - right} of ${PACKETS} packets of ${cipher} ${integrity} are not what node:crypto makes of them`,
  )
}

/** The datagrams of one transmit descriptor: a train is cut as the kernel cuts it. */
function datagramsOf(view: DataView, bytes: Uint8Array, block: number, index: number): Uint8Array[] {
  const tx = block + ASP_TX_DESCRIPTORS + index * TX_BYTES
  const [address, length] = [view.getUint32(tx + TX_ADDRESS, true), view.getUint32(tx + TX_LENGTH, true)]
  const segment = view.getUint32(tx + TX_COUNT, true) > 1 ? view.getUint32(tx + TX_SEGMENT, true) : length
  const count = Math.ceil(length / segment)
  return Array.from({ length: count }, (_, n) =>
    bytes.slice(address + n * segment, address + Math.min((n + 1) * segment, length)),
  )
}

/** A dummy packet of `seal` with its ESP trailer behind it. */
function isDummy(plaintext: Uint8Array): boolean {
  const length = (plaintext[2] << 8) | plaintext[3]
  return plaintext[0] === 0x45 && SIZES.includes(length) && plaintext.length > length
}

function turnRound(view: DataView, block: number, index: number): void {
  const tx = block + ASP_TX_DESCRIPTORS + index * TX_BYTES
  const at = block + ASP_IN_DESCRIPTORS + index * IN_BYTES
  const trains = view.getUint32(tx + TX_COUNT, true) > 1
  for (let word = 0; word < IN_BYTES; word += 4) view.setUint32(at + word, 0, true)
  view.setUint32(at + IN_ADDRESS, view.getUint32(tx + TX_ADDRESS, true), true)
  view.setUint32(at + IN_LENGTH, view.getUint32(tx + TX_LENGTH, true), true)
  view.setUint32(at + IN_SEGMENT, trains ? view.getUint32(tx + TX_SEGMENT, true) : 0, true)
  view.setUint8(at + IN_ENCAPSULATION, IN_UDP)
}
