// Classic BPF programs that steer datagrams to the socket of the ASP that probably serves them.
//
// Steering saves a copy and nothing else: whatever arrives at the wrong socket is handed over, so the
// programs may be simple. The guess is SPI mod number of living ASPs. Raw sockets are different: each one
// gets a copy of every packet, so there the filter decides which ASP sees it and exactly one does.

import { Arena } from './arena.ts'
import { SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF, SOL_SOCKET } from './constants.ts'
import { must } from './failure.ts'
import { setsockopt } from './syscalls.ts'

/** struct sock_filter: code, jump if true, jump if false, constant */
export type Instruction = [code: number, jt: number, jf: number, k: number]

const LD_LEN = 0x80
const LD_WORD = 0x20
const LD_WORD_INDEXED = 0x40
const LDX_IP_HEADER_LENGTH = 0xb1
const LDX_IMMEDIATE = 0x01
const MOD = 0x94
const SUBTRACT_INDEX = 0x1c
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const RETURN = 0x06
const RETURN_A = 0x16
const WHOLE_PACKET = 0x40000

const FILTER_SIZE = 8
const PROGRAM_OFFSET = 16

/**
 * Member of the port 4500 group for a datagram (RFC 3948 §2): 0 = control (first word zero: IKE), else the
 * number of the ASP (1-based) by SPI among `living`. Keepalives and other short datagrams go to the first.
 */
export function steerProgram(living: number[]): Instruction[] {
  const table = living.flatMap((asp, index): Instruction[] => [
    [JUMP_EQUAL, 0, 1, index],
    [RETURN, 0, 0, asp],
  ])
  return [
    [LD_LEN, 0, 0, 0],
    [JUMP_AT_LEAST, 1, 0, 4],
    [RETURN, 0, 0, living[0]],
    [LD_WORD, 0, 0, 0],
    [JUMP_EQUAL, 0, 1, 0],
    [RETURN_A, 0, 0, 0],
    [MOD, 0, 0, living.length],
    ...table,
    [RETURN, 0, 0, living[0]],
  ]
}

/**
 * Accepts on an ASP's raw socket what its SPI maps to: `share` (0-based) of `shares`. IPv4 packets carry their
 * header here; the SPI stands spiOffset bytes behind it. A packet too short for one belongs to the first share,
 * which counts it.
 */
export function rawShareProgram(
  family: 4 | 6,
  spiOffset: number,
  shares: number,
  share: number,
): Instruction[] {
  const header: Instruction = family === 4 ? [LDX_IP_HEADER_LENGTH, 0, 0, 0] : [LDX_IMMEDIATE, 0, 0, 0]
  return [
    header,
    [LD_LEN, 0, 0, 0],
    [SUBTRACT_INDEX, 0, 0, 0],
    [JUMP_AT_LEAST, 1, 0, spiOffset + 4],
    [RETURN, 0, 0, share === 0 ? WHOLE_PACKET : 0],
    [LD_WORD_INDEXED, 0, 0, spiOffset],
    [MOD, 0, 0, shares],
    [JUMP_EQUAL, 0, 1, share],
    [RETURN, 0, 0, WHOLE_PACKET],
    [RETURN, 0, 0, 0],
  ]
}

/** A socket that only sends, or whose ASP is no more. */
export const DROP_ALL: Instruction[] = [[RETURN, 0, 0, 0]]

export function attachSteering(fd: number, program: Instruction[]): void {
  attach(fd, SO_ATTACH_REUSEPORT_CBPF, program)
}

export function attachFilter(fd: number, program: Instruction[]): void {
  attach(fd, SO_ATTACH_FILTER, program)
}

function attach(fd: number, option: number, program: Instruction[]): void {
  const arena = new Arena(4096)
  arena.view.setUint16(0, program.length, true)
  arena.setWord(8, arena.address(PROGRAM_OFFSET))
  program.forEach(([code, jt, jf, k], index) => {
    const at = PROGRAM_OFFSET + index * FILTER_SIZE
    arena.view.setUint16(at, code, true)
    arena.bytes[at + 2] = jt
    arena.bytes[at + 3] = jf
    arena.view.setUint32(at + 4, k, true)
  })
  must(setsockopt(fd, SOL_SOCKET, option, arena.address(0), 16), 'cannot attach a socket filter')
}
