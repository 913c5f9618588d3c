// Packets of one burst in buckets of one (SA, TOS, DF): messages stay whole, order within a flow is kept.

import { ASP_WORK } from './abi.ts'
import { block } from './machine.ts'
import { AT_BUCKET_TABLE, AT_BUCKETS, entry, W_DF, W_HOT, W_LENGTH, W_NEXT, W_TOS } from './work.ts'

// bucket record
const B_HOT = 0
const B_MARKS = 4 // tos | df << 8
const B_FIRST = 8 // entry index + 1
const B_LAST = 12
const B_PACKETS = 16
const B_INNER = 20 // bytes of its packets
const BUCKET_BYTES = 32
/** slots of the hash table: twice the packets of a burst, so a free slot always comes */
const BUCKET_SLOTS: u32 = 512

let buckets: u32 = 0
let latest: usize = 0 // bucket of the packet before, 0 = none

export function beginBuckets(): void {
  buckets = 0
  latest = 0
  memory.fill(block + ASP_WORK + AT_BUCKET_TABLE, 0, BUCKET_SLOTS << 2)
}

/** Number of buckets; they stand in the order of their first packets. */
export function bucketCount(): u32 {
  return buckets
}

/** Entry index + 1 of the first packet of a bucket; W_NEXT leads on. */
export function bucketFirst(bucket: u32): u32 {
  return load<u32>(record(bucket) + B_FIRST)
}

/** Number of its packets. */
export function bucketPackets(bucket: u32): u32 {
  return load<u32>(record(bucket) + B_PACKETS)
}

/** Bytes of its packets, without TFC padding. */
export function bucketInner(bucket: u32): u32 {
  return load<u32>(record(bucket) + B_INNER)
}

function record(bucket: u32): usize {
  return block + ASP_WORK + AT_BUCKETS + bucket * BUCKET_BYTES
}

/** Appends entry `index` at `at` to the bucket of its SA and marks. */
export function intoBucket(index: u32, at: usize): void {
  const hot = load<u32>(at + W_HOT)
  const marks = load<u32>(at + W_TOS) | (load<u32>(at + W_DF) << 8)
  if (latest === 0 || !isOf(latest, hot, marks)) latest = bucketFor(hot, marks)
  const bucket = latest
  store<u32>(at + W_NEXT, 0)
  const last = load<u32>(bucket + B_LAST)
  if (last === 0) store<u32>(bucket + B_FIRST, index + 1)
  else store<u32>(entry(last - 1) + W_NEXT, index + 1)
  store<u32>(bucket + B_LAST, index + 1)
  store<u32>(bucket + B_PACKETS, load<u32>(bucket + B_PACKETS) + 1)
  store<u32>(bucket + B_INNER, load<u32>(bucket + B_INNER) + load<u32>(at + W_LENGTH))
}

function isOf(bucket: usize, hot: u32, marks: u32): bool {
  return load<u32>(bucket + B_HOT) === hot && load<u32>(bucket + B_MARKS) === marks
}

function bucketFor(hot: u32, marks: u32): usize {
  const table = block + ASP_WORK + AT_BUCKET_TABLE
  let slot = ((hot >> 6) ^ (marks * 0x9e5)) & (BUCKET_SLOTS - 1)
  for (;;) {
    const found = load<u32>(table + (slot << 2))
    if (found === 0) break
    const bucket = record(found - 1)
    if (isOf(bucket, hot, marks)) return bucket
    slot = (slot + 1) & (BUCKET_SLOTS - 1)
  }
  store<u32>(table + (slot << 2), buckets + 1)
  const bucket = record(buckets++)
  store<u32>(bucket + B_HOT, hot)
  store<u32>(bucket + B_MARKS, marks)
  store<u64>(bucket + B_FIRST, 0)
  store<u64>(bucket + B_PACKETS, 0)
  return bucket
}
