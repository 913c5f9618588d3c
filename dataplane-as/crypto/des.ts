/**
 * Key set-up of DES (FIPS 46-3) and of 3DES with three keys (SP 800-67), in constant time.
 *
 * A schedule holds the keys as they are, for the bitsliced kernel, which makes its round keys by reading the
 * bits of a key from other places; and from byte 32 on the round keys in the order of encryption, 8 bytes a
 * round, for the kernels of 16 lanes and of one message. DES has a schedule of one pass and its own entry
 * points: it costs a third of 3DES with three equal keys.
 *
 * Parity bits are not read, weak keys not refused: both are for whoever agrees on keys (RFC 2451 §2.3).
 */
import { DES_SCHEDULE_ROUNDS } from './des-sizes.ts'
import { desRoundKeys } from './generated/des-keys.ts'

/** Expands a key of 8 bytes into `schedule` (DES_SCHEDULE_BYTES). */
export function desExpandKey(key: usize, schedule: usize): void {
  memory.fill(schedule, 0, DES_SCHEDULE_ROUNDS)
  memory.copy(schedule, key, 8)
  desRoundKeys(key, schedule + DES_SCHEDULE_ROUNDS, 8)
}

/** Expands K1, K2 and K3, 8 bytes each, into `schedule` (TDES_SCHEDULE_BYTES). */
export function tdesExpandKey(key: usize, schedule: usize): void {
  memory.fill(schedule, 0, DES_SCHEDULE_ROUNDS)
  memory.copy(schedule, key, 24)
  const rounds = schedule + DES_SCHEDULE_ROUNDS
  desRoundKeys(key, rounds, 8)
  // the second pass decrypts (SP 800-67 §3.1): its round keys stand in opposite order
  desRoundKeys(key + 8, rounds + 248, -8)
  desRoundKeys(key + 16, rounds + 256, 8)
}
