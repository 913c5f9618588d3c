/** The tags of AES-GCM jobs (NIST SP 800-38D §7): GHASH of short messages in lanes, of long ones one by one. */
import { ghashJob } from './ghash.ts'
import { ghashLanes, ghashShortBlocks, ghashSpread, ghashStage, ghashWipeLanes } from './ghash-short.ts'
import { AEAD_JOB_TABLE } from './job.ts'
import { orderedJob } from './order.ts'
import { SCRATCH_AEAD_MASKS, SCRATCH_GHASH, SCRATCH_GHASH_PLACES, SCRATCH_GHASH_SUMS } from './scratch.ts'

const LANES = 16
/** With fewer messages of one key the lanes do not pay. */
const FEWEST = 8

/** Makes tags of the masks: adds the hash value of each of the first `count` ordered jobs. Jobs of one key are neighbours. */
export function gcmTags(count: i32, scratch: usize): void {
  for (let first = 0; first < count; ) {
    const table = tableOf(first, scratch)
    let end = first
    let short = 0
    while (end < count && tableOf(end, scratch) === table) {
      if (ghashShortBlocks(orderedJob(scratch, end++)) !== 0) short++
    }
    if (short < FEWEST) tagsAlone(first, end, table, scratch)
    else tagsTogether(first, end, table, scratch)
    first = end
  }
}

function tableOf(index: i32, scratch: usize): usize {
  return <usize>load<u32>(orderedJob(scratch, index), AEAD_JOB_TABLE)
}

function tagsAlone(first: i32, end: i32, table: usize, scratch: usize): void {
  for (let i = first; i < end; i++) tagAlone(i, table, scratch)
}

function tagAlone(index: i32, table: usize, scratch: usize): void {
  const area = scratch + SCRATCH_GHASH
  ghashJob(table, orderedJob(scratch, index), area)
  addToMask(index, v128.load(area), scratch)
}

/** The short ones of the jobs `first` to `end` - 1, all of one key, in lanes. */
function tagsTogether(first: i32, end: i32, table: usize, scratch: usize): void {
  ghashSpread(table, scratch)
  let filled = 0
  let most: u32 = 0
  for (let i = first; i < end; i++) {
    const job = orderedJob(scratch, i)
    const blocks = ghashShortBlocks(job)
    if (blocks === 0) {
      tagAlone(i, table, scratch)
      continue
    }
    ghashStage(job, filled, scratch)
    store<u32>(scratch + ((<usize>filled) << 2), i, SCRATCH_GHASH_PLACES)
    most = max(most, blocks)
    if (++filled < LANES) continue
    finishLanes(LANES, most, scratch)
    filled = 0
    most = 0
  }
  if (filled !== 0) finishLanes(filled, most, scratch)
  ghashWipeLanes(scratch)
}

function finishLanes(filled: i32, most: u32, scratch: usize): void {
  ghashLanes(filled, most, scratch)
  for (let lane = 0; lane < filled; lane++) {
    const index = load<u32>(scratch + ((<usize>lane) << 2), SCRATCH_GHASH_PLACES)
    addToMask(index, v128.load(scratch + ((<usize>lane) << 4), SCRATCH_GHASH_SUMS), scratch)
  }
}

function addToMask(index: i32, value: v128, scratch: usize): void {
  const mask = scratch + SCRATCH_AEAD_MASKS + ((<usize>index) << 4)
  v128.store(mask, v128.xor(v128.load(mask), value))
}
