// Counting: drops by reason, and the stages of a tunnel. One writer per counter, so plain u64 additions.

import {
  ASP_DROPS,
  STAGE_ASE,
  STAGE_EGRESS,
  STAGE_EPPA,
  STAGE_IPPA,
  STAGE_IPPA_LOOPED,
  STAGE_LOOP,
  TC_ASE,
  TC_DROPS,
  TC_EGRESS,
  TC_EPPA,
  TC_IPPA,
  TC_IPPA_LOOPED,
  TC_LOOP,
} from './abi.ts'
import { block, counters } from './machine.ts'

/** no tunnel is known (yet) for this packet */
export const NO_TUNNEL: u32 = 0xffffffff

/** Adds to a u64 counter that only this instance writes. */
export function add(counter: usize, amount: u64): void {
  store<u64>(counter, load<u64>(counter) + amount)
}

/** Counts a drop under its reason and, where the tunnel is known, for the tunnel. */
export function countDrop(number: u32, tunnel: u32): void {
  add(block + ASP_DROPS + (number << 3), 1)
  if (tunnel !== NO_TUNNEL) add(counters(tunnel) + TC_DROPS, 1)
}

/** Adds `packets` packets to each stage they passed. */
export function countStages(tunnel: u32, stages: u32, packets: u32): void {
  const at = counters(tunnel)
  if (stages & STAGE_IPPA) add(at + TC_IPPA, packets)
  if (stages & STAGE_EPPA) add(at + TC_EPPA, packets)
  if (stages & STAGE_LOOP) add(at + TC_LOOP, packets)
  if (stages & STAGE_IPPA_LOOPED) add(at + TC_IPPA_LOOPED, packets)
  if (stages & STAGE_ASE) add(at + TC_ASE, packets)
  if (stages & STAGE_EGRESS) add(at + TC_EGRESS, packets)
}
