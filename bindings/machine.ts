// What a machine offers the control plane: every port at once, over Linux (linux/machine.ts,
// createLinuxMachine) or over an in-process network (fake/machine.ts, createFakeMachine).

import type { Card, Clock, CryptoJobs, Entropy, Files, Resolver, Routes, Sockets } from '../control/ports.ts'
import type { CardGeometry } from './memory.ts'

export type MachineOptions = {
  /** how many ASPs the card gets; tunnels name them 1..asps */
  asps: number
  /** UDP port for IKE, host order; 500 unless configured */
  ikePort: number
  /** UDP port for IKE and ESP behind NAT, host order; 4500 unless configured */
  natTPort: number
  /** sizes of the card's tables and memory where the defaults (memory.ts) do not fit */
  card?: Partial<Omit<CardGeometry, 'asps'>> & { memoryBytes?: number }
  /** Linux: the start waits, with a limit, until the engine has optimised the card's code; default: no */
  warmUp?: boolean
}

export type Machine = {
  card: Card
  sockets: Sockets
  routes: Routes
  clock: Clock
  entropy: Entropy
  files: Files
  resolver: Resolver
  cryptoJobs: CryptoJobs
  /** counters of the bindings themselves (foreign datagrams, kernel refusals), by name */
  counters(): Record<string, number>
  /** stops the ASPs, closes every descriptor, removes devices, addresses and routes; guard blackholes stay */
  stop(): Promise<void>
}

/** export: createLinuxMachine(options): Promise<Machine>; createFakeMachine(net, options): Promise<Machine> */
export type CreateMachine = (options: MachineOptions) => Promise<Machine>
