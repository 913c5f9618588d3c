/** Which key each of the 8 AES lanes has, and their round keys in sliced form. */
import { aesSliceKeys, aesSpreadKey, aesSpreadLanes } from './generated/aes-keys.ts'
import { SCRATCH_AES_CHANGED, SCRATCH_AES_KEYS, SCRATCH_AES_SCHEDULES } from './scratch.ts'

/** Lanes of the AES kernels. */
export const AES_LANES = 8
const ALL = 255
/** So many different new keys are put in one by one; with more, all lanes are sliced together. */
const MOST_SPREADS = 3

/** Says that nothing is sliced; to be called before the first lane of a call gets its key. */
export function forgetSchedules(scratch: usize): void {
  store<u32>(scratch, ALL, SCRATCH_AES_CHANGED)
}

/** Gives a lane the key of `schedule`. */
export function setSchedule(scratch: usize, lane: i32, schedule: u32): void {
  const at = scratch + ((<usize>lane) << 2)
  if (load<u32>(at, SCRATCH_AES_SCHEDULES) === schedule) return
  store<u32>(at, schedule, SCRATCH_AES_SCHEDULES)
  store<u32>(scratch, load<u32>(scratch, SCRATCH_AES_CHANGED) | (1 << lane), SCRATCH_AES_CHANGED)
}

/** Brings the sliced round keys up to date; every lane must have a key. */
export function sliceKeys(scratch: usize, rounds: i32): void {
  let changed = load<u32>(scratch, SCRATCH_AES_CHANGED)
  if (changed === 0) return
  store<u32>(scratch, 0, SCRATCH_AES_CHANGED)
  const schedules = scratch + SCRATCH_AES_SCHEDULES
  const keys = scratch + SCRATCH_AES_KEYS
  if (lanesWith(schedules, load<u32>(schedules)) === ALL) {
    aesSpreadKey(<usize>load<u32>(schedules), rounds, keys)
    return
  }
  if (differentIn(schedules, changed) > MOST_SPREADS) {
    aesSliceKeys(schedules, rounds, keys)
    return
  }
  while (changed !== 0) {
    const schedule = load<u32>(schedules + ((<usize>ctz(changed)) << 2))
    const same = lanesWith(schedules, schedule)
    aesSpreadLanes(<usize>schedule, rounds, keys, same)
    changed &= ~same
  }
}

/** The lanes that have the key of `schedule`, one bit each. */
function lanesWith(schedules: usize, schedule: u32): u32 {
  const wanted = i32x4.splat(schedule)
  const low = i32x4.bitmask(i32x4.eq(v128.load(schedules), wanted))
  return <u32>(low | (i32x4.bitmask(i32x4.eq(v128.load(schedules, 16), wanted)) << 4))
}

/** How many different keys the lanes of `set` have. */
function differentIn(schedules: usize, set: u32): i32 {
  let count = 0
  for (; set !== 0; count++) set &= ~lanesWith(schedules, load<u32>(schedules + ((<usize>ctz(set)) << 2)))
  return count
}
