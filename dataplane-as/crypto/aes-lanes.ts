/**
 * Which key each of the 64 AES lanes has, and their round keys in sliced form. The narrow kernels work on the
 * first 8 or 16 lanes, in groups of 8; the wide ones work on all and have round keys of another form in the
 * same place: who changes from one to the other calls forgetSchedules.
 */
import { aesSliceKeys, aesSpreadKey, aesSpreadLanes } from './generated/aes-keys.ts'
import { aesWideSliceKeys, aesWideSpreadKey, aesWideSpreadLanes } from './generated/aes-wide-keys.ts'
import {
  SCRATCH_AES_CHANGED,
  SCRATCH_AES_GROUP_BYTES,
  SCRATCH_AES_KEYS,
  SCRATCH_AES_SCHEDULES,
} from './scratch.ts'

/** Lanes of the wide kernels, of two groups, and of one. */
export const AES_WIDE = 64
export const AES_LANES = 16
export const AES_GROUP = 8
/** All lanes of a group. */
const ALL: u32 = 255
/** All lanes of the wide kernels. */
const ALL_WIDE: u64 = u64.MAX_VALUE
/** So many different new keys are put in one by one; with more, all lanes of a group are sliced together. */
const MOST_SPREADS = 3

/** Says that nothing is sliced; to be called before the first lane of a call gets its key. */
export function forgetSchedules(scratch: usize): void {
  store<u64>(scratch, ALL_WIDE, SCRATCH_AES_CHANGED)
}

/** Gives a lane the key of `schedule`. */
export function setSchedule(scratch: usize, lane: i32, schedule: u32): void {
  const at = scratch + ((<usize>lane) << 2)
  if (load<u32>(at, SCRATCH_AES_SCHEDULES) === schedule) return
  store<u32>(at, schedule, SCRATCH_AES_SCHEDULES)
  const changed = load<u64>(scratch, SCRATCH_AES_CHANGED)
  store<u64>(scratch, changed | ((<u64>1) << lane), SCRATCH_AES_CHANGED)
}

/**
 * Brings the sliced round keys of the first `lanes` (8 or 16) lanes up to date; each must have a key. Those of
 * the first group stand at SCRATCH_AES_KEYS; returns the address of those of the second, which are the same
 * if all lanes have one key.
 */
export function sliceKeys(scratch: usize, rounds: i32, lanes: i32): usize {
  const keys = scratch + SCRATCH_AES_KEYS
  const schedules = scratch + SCRATCH_AES_SCHEDULES
  sliceGroup(scratch, rounds, 0)
  if (lanes === AES_GROUP) return keys
  const first = load<u32>(schedules)
  if (lanesWith(schedules, first) === ALL && lanesWith(schedules + 32, first) === ALL) {
    // what the second group has of its own is old from now on
    store<u32>(scratch, ALL << AES_GROUP, SCRATCH_AES_CHANGED)
    return keys
  }
  sliceGroup(scratch, rounds, 1)
  return keys + SCRATCH_AES_GROUP_BYTES
}

/** The round keys of one group. */
function sliceGroup(scratch: usize, rounds: i32, group: i32): void {
  const all = load<u32>(scratch, SCRATCH_AES_CHANGED)
  let changed = (all >> (group * AES_GROUP)) & ALL
  if (changed === 0) return
  store<u32>(scratch, all ^ (changed << (group * AES_GROUP)), SCRATCH_AES_CHANGED)
  const schedules = scratch + SCRATCH_AES_SCHEDULES + <usize>(group << 5)
  const keys = scratch + SCRATCH_AES_KEYS + <usize>(group * SCRATCH_AES_GROUP_BYTES)
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

/** Brings the round keys of the wide kernels at SCRATCH_AES_KEYS up to date; all lanes must have a key. */
export function sliceWideKeys(scratch: usize, rounds: i32): usize {
  const keys = scratch + SCRATCH_AES_KEYS
  const schedules = scratch + SCRATCH_AES_SCHEDULES
  let changed = load<u64>(scratch, SCRATCH_AES_CHANGED)
  if (changed === 0) return keys
  store<u64>(scratch, 0, SCRATCH_AES_CHANGED)
  if (wideLanesWith(schedules, load<u32>(schedules)) === ALL_WIDE) {
    aesWideSpreadKey(<usize>load<u32>(schedules), rounds, keys)
    return keys
  }
  for (let spreads = 0; changed !== 0; spreads++) {
    if (spreads === MOST_SPREADS) {
      aesWideSliceKeys(schedules, rounds, keys)
      return keys
    }
    const schedule = load<u32>(schedules + ((<usize>ctz(changed)) << 2))
    const same = wideLanesWith(schedules, schedule)
    aesWideSpreadLanes(<usize>schedule, rounds, keys, <u32>same, <u32>(same >> 32))
    changed &= ~same
  }
  return keys
}

/** The lanes that have the key of `schedule`, one bit each. */
function wideLanesWith(schedules: usize, schedule: u32): u64 {
  let lanes: u64 = 0
  for (let group = 0; group < AES_WIDE; group += AES_GROUP) {
    lanes |= (<u64>lanesWith(schedules + ((<usize>group) << 2), schedule)) << group
  }
  return lanes
}

/** The lanes of a group that have the key of `schedule`, one bit each. */
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
