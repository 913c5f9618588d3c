// The end of a packet's way: stage counters, drop counter and, for a traced tunnel, an event that tells the way.

import {
  DIRECTION_IN,
  DIRECTION_OUT,
  DROP_NONE,
  EVENT_TRACE,
  TRACE_DIRECTION,
  TRACE_LENGTH,
  TUNNEL_TRACE_IN,
  TUNNEL_TRACE_OUT,
} from './abi.ts'
import { countDrop, countStages, NO_TUNNEL } from './counters.ts'
import { tunnelRecord } from './machine.ts'
import { openEvent, publishEvent } from './ring.ts'

/** The way of an outbound packet ends: stages counted, and the drop if there was one. */
export function endOut(tunnel: u32, stages: u32, length: u32, drop: u32): void {
  if (drop !== DROP_NONE) countDrop(drop, tunnel)
  if (tunnel === NO_TUNNEL) return
  countStages(tunnel, stages, 1)
  trace(tunnel, stages, length, drop, DIRECTION_OUT, tunnelRecord(tunnel) + TUNNEL_TRACE_OUT)
}

/** The way of an inbound packet ends. Its stages appear in the trace only: the counters are the way out. */
export function endIn(tunnel: u32, stages: u32, length: u32, drop: u32): void {
  if (drop !== DROP_NONE) countDrop(drop, tunnel)
  if (tunnel === NO_TUNNEL) return
  trace(tunnel, stages, length, drop, DIRECTION_IN, tunnelRecord(tunnel) + TUNNEL_TRACE_IN)
}

function trace(tunnel: u32, stages: u32, length: u32, drop: u32, direction: u32, left: usize): void {
  const wanted = load<u32>(left)
  if (wanted === 0) return
  store<u32>(left, wanted - 1)
  const event = openEvent(EVENT_TRACE, tunnel, stages, drop)
  if (event === 0) return
  store<u32>(event + TRACE_LENGTH, length)
  store<u32>(event + TRACE_DIRECTION, direction)
  publishEvent()
}
