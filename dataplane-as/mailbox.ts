// Commands from the driver: executed between bursts, in order, each acknowledged with its token and an error number.

import {
  ABI_VERSION,
  AC_COMMANDS,
  ASP_FIB_COPY,
  ASP_FIB_GENERATION,
  ASP_GENERATION,
  ASP_STATE,
  ASP_STATE_STOPPED,
  COMMAND_ARGUMENT,
  COMMAND_BYTES,
  COMMAND_INDEX,
  COMMAND_OPCODE,
  COMMAND_PAYLOAD,
  COMMAND_SLOTS,
  COMMAND_TOKEN,
  DIRECTION_IN,
  DIRECTION_OUT,
  ERROR_ASP,
  ERROR_FIELD,
  ERROR_INDEX,
  ERROR_NONE,
  ERROR_OPCODE,
  ERROR_STATE,
  ERROR_VERSION,
  EVENT_ACK,
  EVENT_SA,
  EVENT_U64_A,
  EVENT_U64_B,
  EVENT_U64_C,
  HOT_BYTES,
  HOT_PACKETS,
  HOT_SEQUENCE,
  OP_ASP_RESET,
  OP_ASP_SHUTDOWN,
  OP_CIRCUIT_DOWN,
  OP_CIRCUIT_SET,
  OP_CIRCUIT_UP,
  OP_FIB_SWAP,
  OP_HELLO,
  OP_PEER_ADDR_UPDATE,
  OP_SA_ACTIVATE_OUT,
  OP_SA_ADD_IN,
  OP_SA_ADD_OUT,
  OP_SA_DEL,
  OP_SA_QUERY,
  OP_TRACE,
  OP_TS_SET,
  OP_TUNNEL_DEL,
  OP_TUNNEL_SET,
  SA_ASP,
  SA_EXPIRED,
  SA_STATE,
  SA_VALID,
} from './abi.ts'
import { add } from './counters.ts'
import { atomicLoad, atomicStore, block, cold, ready, sas, self } from './machine.ts'
import { openEvent, peekCommand, publishEvent, raise, releaseCommand } from './ring.ts'
import { addSa, deleteAllSas, deleteSa, hotOf } from './sa.ts'
import { checkSelectorRange, setSelectors } from './sa-selectors.ts'
import {
  activateOutbound,
  deleteTunnel,
  setDevice,
  setPeer,
  setTunnel,
  setTunnelState,
  traceTunnel,
} from './tunnel.ts'

/** Executes what waits; returns how many commands that were. */
export function runMailbox(): u32 {
  let done: u32 = 0
  while (done < <u32>COMMAND_SLOTS && ready()) {
    const command = peekCommand()
    if (command === 0) break
    const opcode = load<u32>(command + COMMAND_OPCODE)
    const token = load<u32>(command + COMMAND_TOKEN)
    const error = execute(opcode, command)
    memory.fill(command, 0, COMMAND_BYTES)
    releaseCommand()
    add(block + AC_COMMANDS, 1)
    raise(EVENT_ACK, token, error, opcode)
    if (opcode === OP_ASP_SHUTDOWN) stop()
    done++
  }
  return done
}

function execute(opcode: u32, command: usize): u32 {
  const index = load<u32>(command + COMMAND_INDEX)
  const argument = load<u32>(command + COMMAND_ARGUMENT)
  const payload = command + COMMAND_PAYLOAD
  switch (opcode) {
    case OP_HELLO:
      return argument === ABI_VERSION ? ERROR_NONE : ERROR_VERSION
    case OP_SA_ADD_IN:
      return addSa(index, DIRECTION_IN)
    case OP_SA_ADD_OUT:
      return addSa(index, DIRECTION_OUT)
    case OP_SA_ACTIVATE_OUT:
      return activateOutbound(index)
    case OP_SA_DEL:
      return deleteSa(index)
    case OP_SA_QUERY:
      return querySa(index)
    case OP_TS_SET:
      return replaceSelectors(index, argument, load<u32>(payload), load<u32>(payload + 4))
    case OP_TUNNEL_SET:
      return setTunnel(index, command)
    case OP_TUNNEL_DEL:
      return deleteTunnel(index)
    case OP_CIRCUIT_SET:
      return setDevice(index, argument, load<u32>(payload))
    case OP_CIRCUIT_UP:
      return setTunnelState(index, true)
    case OP_CIRCUIT_DOWN:
      return setTunnelState(index, false)
    case OP_PEER_ADDR_UPDATE:
      return setPeer(index, argument, payload)
    case OP_FIB_SWAP:
      return swapFib(argument, load<u32>(payload))
    case OP_TRACE:
      return traceTunnel(index, argument)
    case OP_ASP_RESET:
    case OP_ASP_SHUTDOWN:
      deleteAllSas()
      return ERROR_NONE
    default:
      return ERROR_OPCODE
  }
}

/** ERROR_NONE when the SA is one of ours that packets may have used. */
function ownSa(sa: u32): u32 {
  if (sa >= sas) return ERROR_INDEX
  const state = atomicLoad(cold(sa) + SA_STATE)
  if (state !== SA_VALID && state !== SA_EXPIRED) return ERROR_STATE
  return load<u32>(cold(sa) + SA_ASP) === self ? ERROR_NONE : ERROR_ASP
}

function querySa(sa: u32): u32 {
  const error = ownSa(sa)
  if (error !== ERROR_NONE) return error
  const event = openEvent(EVENT_SA, sa, atomicLoad(cold(sa) + SA_STATE), 0)
  if (event === 0) return ERROR_STATE
  const hot = hotOf(sa)
  store<u64>(event + EVENT_U64_A, load<u64>(hot + HOT_BYTES))
  store<u64>(event + EVENT_U64_B, load<u64>(hot + HOT_PACKETS))
  store<u64>(event + EVENT_U64_C, load<u64>(hot + HOT_SEQUENCE))
  publishEvent()
  return ERROR_NONE
}

function replaceSelectors(sa: u32, first: u32, sources: u32, destinations: u32): u32 {
  let error = ownSa(sa)
  if (error === ERROR_NONE) error = checkSelectorRange(first, sources, destinations)
  if (error === ERROR_NONE) setSelectors(hotOf(sa), first, sources, destinations)
  return error
}

/** From the next packet on the other copy is looked up; the acknowledgement frees the old one. */
function swapFib(copy: u32, generation: u32): u32 {
  if (copy > 1) return ERROR_INDEX
  if (generation === 0) return ERROR_FIELD
  store<u32>(block + ASP_FIB_COPY, copy)
  atomicStore(block + ASP_FIB_GENERATION, generation)
  return ERROR_NONE
}

function stop(): void {
  atomicStore(block + ASP_STATE, ASP_STATE_STOPPED)
  store<u32>(block + ASP_GENERATION, 0)
}
