/**
 * The lanes of the DES kernels: a table in the scratch area of addresses, schedules and blocks left.
 *
 * Lanes 0 to `live` - 1 hold messages; the lanes behind them, up to the width of the kernel, repeat the work of
 * lane 0 and write the same bytes to the same places.
 */
import { DES_ADDRESSES, DES_LEFT, DES_SCHEDULES } from './des-scratch.ts'

/** The lane's place in each of the three tables. */
function laneAt(scratch: usize, lane: i32): usize {
  return scratch + ((<usize>lane) << 2)
}

/** Blocks that a lane has left. */
export function blocksLeft(scratch: usize, lane: i32): u32 {
  return load<u32>(laneAt(scratch, lane), DES_LEFT)
}

/** Address of the block before the next one of a lane. */
export function laneAddress(scratch: usize, lane: i32): usize {
  return <usize>load<u32>(laneAt(scratch, lane), DES_ADDRESSES)
}

/** Schedule of a lane. */
export function laneSchedule(scratch: usize, lane: i32): usize {
  return <usize>load<u32>(laneAt(scratch, lane), DES_SCHEDULES)
}

/** Gives a lane work: `blocks` blocks behind `before` under `schedule`. Says whether that is another schedule. */
export function setLane(scratch: usize, lane: i32, before: u32, schedule: u32, blocks: u32): bool {
  const at = laneAt(scratch, lane)
  store<u32>(at, before, DES_ADDRESSES)
  store<u32>(at, blocks, DES_LEFT)
  if (load<u32>(at, DES_SCHEDULES) === schedule) return false
  store<u32>(at, schedule, DES_SCHEDULES)
  return true
}

/** Moves the work of lane `from` to lane `to`; says whether `to` changed to another schedule. */
export function moveLane(scratch: usize, from: i32, to: i32): bool {
  const at = laneAt(scratch, from)
  const before = load<u32>(at, DES_ADDRESSES)
  return setLane(scratch, to, before, load<u32>(at, DES_SCHEDULES), load<u32>(at, DES_LEFT))
}

/** Lets the lanes from `live` to `width` - 1 repeat lane 0; says whether one changed to another schedule. */
export function fillLanes(scratch: usize, live: i32, width: i32): bool {
  let changed = false
  for (let lane = live; lane < width; lane++) if (moveLane(scratch, 0, lane)) changed = true
  return changed
}

/**
 * Gives lanes `lane` to `lane` + `count` - 1 one block each, the first of them the block behind `before`, the others
 * the blocks before it, all under `schedule`. Says whether a lane changed to another schedule.
 */
export function setRun(scratch: usize, lane: i32, count: i32, before: u32, schedule: u32): bool {
  const end = laneAt(scratch, lane + count)
  let changes: u32 = 0
  for (let at = laneAt(scratch, lane); at < end; at += 4) {
    store<u32>(at, before, DES_ADDRESSES)
    changes |= load<u32>(at, DES_SCHEDULES) ^ schedule
    store<u32>(at, schedule, DES_SCHEDULES)
    before -= 8
  }
  return changes !== 0
}

/** The smallest number of blocks left in lanes 0 to `live` - 1. */
export function shortestLane(scratch: usize, live: i32): u32 {
  let least = blocksLeft(scratch, 0)
  for (let lane = 1; lane < live; lane++) least = min(least, blocksLeft(scratch, lane))
  return least
}

/** Moves `width` (a multiple of 4) lanes on by one block. */
export function stepLanes(scratch: usize, width: i32): void {
  const eight = i32x4.splat(8)
  const end = laneAt(scratch, width)
  for (let at = scratch; at < end; at += 16) {
    v128.store(at, i32x4.add(v128.load(at, DES_ADDRESSES), eight), DES_ADDRESSES)
  }
}

/** Takes `blocks` from what lanes 0 to `live` - 1 have left. */
export function countDown(scratch: usize, live: i32, blocks: u32): void {
  for (let lane = 0; lane < live; lane++) {
    const at = laneAt(scratch, lane)
    store<u32>(at, load<u32>(at, DES_LEFT) - blocks, DES_LEFT)
  }
}

/** Sorts lanes 0 to `live` - 1, those with most blocks left first. For few lanes. */
export function sortLanes(scratch: usize, live: i32): void {
  for (let lane = 1; lane < live; lane++) {
    const at = laneAt(scratch, lane)
    const left = load<u32>(at, DES_LEFT)
    const before = load<u32>(at, DES_ADDRESSES)
    const schedule = load<u32>(at, DES_SCHEDULES)
    let place = lane
    for (; place > 0 && blocksLeft(scratch, place - 1) < left; place--) moveLane(scratch, place - 1, place)
    setLane(scratch, place, before, schedule, left)
  }
}
