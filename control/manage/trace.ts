// `trace packet`: the way the next packets of a tunnel take through the card, stage by stage.

import type { Values } from '../config/match.ts'
import type { Gateway } from '../gateway.ts'
import { CommandError } from './error.ts'
import { tunnelsNamed } from './find.ts'

/** The line card's port is the host's kernel: what leaves the card's egress goes out there. */
const PORT = 'port'

export async function tracePackets(gateway: Gateway, values: Values) {
  const [{ config }] = tunnelsNamed(gateway, values.text('name'))
  const traces = await gateway.trace(config.name, values.maybeInt('count') ?? 1)
  if (traces.length === 0)
    throw new CommandError(
      'timeout',
      `no packet of tunnel ${config.name} came within 10 s: send some traffic`,
    )
  return traces.map(({ direction, stages, length, drop }) => ({
    tunnel: config.name,
    mode: config.mode,
    direction,
    stages: direction === 'out' && drop === null ? [...stages, PORT] : stages,
    length,
    drop,
  }))
}
