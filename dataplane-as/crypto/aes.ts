/**
 * AES key schedule (FIPS 197 §5.2), in the form that the bit-sliced kernels read.
 *
 * A schedule holds rounds + 1 round keys of 16 bytes. Each is in row-major order; keys 0 to rounds-1 with
 * their rows shifted, since the state stands so between the rounds (see gen/aes.ts). Keys 1 to rounds include
 * the S-box constant 0x63: in encryption it is added behind SubBytes (MixColumns leaves a state of equal
 * bytes as it is), in decryption before InvSubBytes. One schedule serves both directions.
 */
import { AES_ENTER_SHIFTED, AES_RCON, AES_TRANSPOSE } from './constants.ts'
import { aesSubWord } from './generated/aes-keys.ts'
import { AES_SCHEDULE_BYTES } from './job.ts'

export { AES_SCHEDULE_BYTES }

/**
 * Expands a key of 16, 24 or 32 bytes into `schedule` (AES_SCHEDULE_BYTES). In constant time: no table, no
 * branch on key bits. Any other length traps; the caller has checked it.
 */
export function aesExpandKey(key: usize, keyBytes: i32, schedule: usize): void {
  if (keyBytes !== 16 && keyBytes !== 24 && keyBytes !== 32) unreachable()
  memory.copy(schedule, key, <usize>keyBytes)
  expandWords(schedule, keyBytes >> 2)
  const rounds = aesRounds(keyBytes)
  arrange(schedule, rounds)
  const used = <usize>((rounds + 1) << 4)
  memory.fill(schedule + used, 0, <usize>AES_SCHEDULE_BYTES - used)
}

/** Rounds for a key length in bytes: 10, 12 or 14 (FIPS 197 §5). */
export function aesRounds(keyBytes: i32): i32 {
  return (keyBytes >> 2) + 6
}

/** KeyExpansion on little-endian words: RotWord is a rotation to the right, Rcon goes into the low byte. */
function expandWords(words: usize, keyWords: i32): void {
  const total = (keyWords + 7) << 2
  let previous = load<u32>(words + ((<usize>(keyWords - 1)) << 2))
  for (let i = keyWords, phase = 0; i < total; i++) {
    if (phase === 0) {
      previous = aesSubWord(rotr<u32>(previous, 8)) ^ 0x63636363
      previous ^= <u32>load<u8>(AES_RCON + <usize>(i / keyWords - 1))
    } else if (keyWords === 8 && phase === 4) {
      previous = aesSubWord(previous) ^ 0x63636363
    }
    const at = words + ((<usize>i) << 2)
    previous ^= load<u32>(at - ((<usize>keyWords) << 2))
    store<u32>(at, previous)
    phase = phase + 1 === keyWords ? 0 : phase + 1
  }
}

/** Brings the round keys to the kernels' byte order and adds 0x63 to all but the first. */
function arrange(schedule: usize, rounds: i32): void {
  const shifted = v128.load(AES_ENTER_SHIFTED)
  const constant = i8x16.splat(0x63)
  v128.store(schedule, v128.swizzle(v128.load(schedule), shifted))
  for (let round = 1; round < rounds; round++) {
    const at = schedule + ((<usize>round) << 4)
    v128.store(at, v128.xor(v128.swizzle(v128.load(at), shifted), constant))
  }
  const last = schedule + ((<usize>rounds) << 4)
  v128.store(last, v128.xor(v128.swizzle(v128.load(last), v128.load(AES_TRANSPOSE)), constant))
}
