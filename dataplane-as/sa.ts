// Security associations: from the record the driver wrote to one that packets may use, and back to zeros.
//
// reserved -> valid: every field checked, keys expanded, raw keys wiped, VALID stored last.
// valid -> expired: a hard limit was reached; keys are wiped at the next tick, the record stays for its counters.
// any -> free: everything zeroised, the kernels' scratch and jobs too (round keys and salts of the last burst).

import {
  ASP_SCRATCH,
  DIRECTION_IN,
  DIRECTION_OUT,
  ERROR_ASP,
  ERROR_FIELD,
  ERROR_INDEX,
  ERROR_NONE,
  ERROR_SPI,
  ERROR_STATE,
  ERROR_SUITE,
  EVENT_SA_HARD,
  HEADER_KEY_TABLES,
  HEADER_KEYS,
  HEADER_TABLES,
  HOT_BLOCK_BYTES,
  HOT_BUNDLE,
  HOT_BUNDLE_SPI,
  HOT_CIPHER,
  HOT_DEADLINE,
  HOT_FLAG_BUNDLED,
  HOT_FLAG_ESN,
  HOT_FLAG_HARD_RAISED,
  HOT_FLAGS,
  HOT_HARD_BYTES,
  HOT_HARD_PACKETS,
  HOT_ICV_BYTES,
  HOT_INTEGRITY,
  HOT_IV_BYTES,
  HOT_KEYS,
  HOT_NEAR_WRAP,
  HOT_PROTOCOL,
  HOT_SEQUENCE,
  HOT_SEQUENCE_LIMIT,
  HOT_SOFT_BYTES,
  HOT_SOFT_PACKETS,
  HOT_SPI,
  HOT_TABLE,
  HOT_TUNNEL,
  HOT_WINDOW,
  HOT_WORD_MASK,
  KEY_BLOCK_BYTES,
  KEY_HMAC,
  KEY_SALT,
  KEY_SCHEDULE,
  KEY_TABLE_BYTES,
  MAX_CLASSES,
  MAX_REPLAY_WINDOW,
  MIN_REPLAY_WINDOW,
  PROTOCOL_AH,
  PROTOCOL_ESP,
  SA_ASP,
  SA_BUNDLE,
  SA_CIPHER,
  SA_CLASS,
  SA_COLD_BYTES,
  SA_DESTINATION_COUNT,
  SA_DIRECTION,
  SA_EXPIRED,
  SA_FLAG_ESN,
  SA_FLAGS,
  SA_FLAGS_KNOWN,
  SA_FREE,
  SA_HARD_BYTES,
  SA_HARD_PACKETS,
  SA_HARD_SECONDS,
  SA_IN_BYTES,
  SA_INITIAL_SEQUENCE,
  SA_INTEGRITY,
  SA_INTEGRITY_KEY,
  SA_INTEGRITY_KEY_BYTES,
  SA_KEY,
  SA_KEY_BYTES,
  SA_OUT_BYTES,
  SA_PROTOCOL,
  SA_RESERVED,
  SA_SALT,
  SA_SELECTOR_FIRST,
  SA_SOFT_BYTES,
  SA_SOFT_PACKETS,
  SA_SOURCE_COUNT,
  SA_SPI,
  SA_STATE,
  SA_TABLE,
  SA_TUNNEL,
  SA_VALID,
  SA_WINDOW,
  TUNNEL_ASP,
  TUNNEL_FREE,
  TUNNEL_STATE,
} from './abi.ts'
import {
  atomicLoad,
  atomicStore,
  block,
  clock,
  cold,
  header,
  hotIn,
  hotOut,
  sas,
  self,
  tunnelRecord,
  tunnels,
} from './machine.ts'
import { wordsFor } from './replay.ts'
import { raise } from './ring.ts'
import { checkSelectorRange, setSelectors } from './sa-selectors.ts'
import { findSpi, insertSpi, NOT_FOUND, removeSpi } from './spi-index.ts'
import {
  blockBytes,
  cipherQueue,
  expandCipherKey,
  expandHashKey,
  hashQueue,
  icvBytes,
  isAead,
  ivBytes,
  NOT_BUILT,
  needsTable,
  QUEUE_NONE,
  SCRATCH_BYTES,
} from './suites.ts'
import { unlinkOutbound } from './tunnel.ts'
import { wipeSalts } from './work.ts'

const NEVER: u64 = u64.MAX_VALUE
const LAST_32: u64 = 0xffffffff
const SMALLEST_SPI: u32 = 256 // 1..255 are reserved (RFC 4303 §2.1)

/** The hot record of an SA, whichever direction it has. */
export function hotOf(sa: u32): usize {
  return load<u32>(cold(sa) + SA_DIRECTION) === DIRECTION_IN ? hotIn(sa) : hotOut(sa)
}

export function keyBlock(sa: u32): usize {
  return header(HEADER_KEYS) + sa * KEY_BLOCK_BYTES
}

/** -- reserved -> valid */
export function addSa(sa: u32, direction: u32): u32 {
  if (sa >= sas) return ERROR_INDEX
  const record = cold(sa)
  if (atomicLoad(record + SA_STATE) !== SA_RESERVED) return ERROR_STATE
  let error = checkRecord(record, direction)
  if (error === ERROR_NONE) error = checkSuite(record)
  if (error === ERROR_NONE) error = checkBundle(record)
  if (error === ERROR_NONE) error = checkSelectors(record)
  if (error === ERROR_NONE && direction === DIRECTION_IN) {
    if (findSpi(load<u32>(record + SA_SPI), load<u32>(record + SA_PROTOCOL)) !== NOT_FOUND) error = ERROR_SPI
  }
  if (error === ERROR_NONE && direction === DIRECTION_IN && !insertSpi(sa)) error = ERROR_SPI
  if (error !== ERROR_NONE) {
    wipeRawKeys(record)
    return error
  }
  expandKeys(sa, record)
  fillHot(sa, record)
  bundle(record, hotOf(sa))
  wipeRawKeys(record)
  atomicStore(record + SA_STATE, SA_VALID)
  return ERROR_NONE
}

function checkRecord(record: usize, direction: u32): u32 {
  if (load<u32>(record + SA_DIRECTION) !== direction) return ERROR_FIELD
  const tunnel = load<u32>(record + SA_TUNNEL)
  if (tunnel >= tunnels) return ERROR_INDEX
  if (load<u32>(tunnelRecord(tunnel) + TUNNEL_STATE) === TUNNEL_FREE) return ERROR_STATE
  if (load<u32>(record + SA_ASP) !== self || load<u32>(tunnelRecord(tunnel) + TUNNEL_ASP) !== self)
    return ERROR_ASP
  if (load<u32>(record + SA_SPI) < SMALLEST_SPI) return ERROR_SPI
  if ((load<u32>(record + SA_FLAGS) & ~SA_FLAGS_KNOWN) !== 0) return ERROR_FIELD
  if (load<u32>(record + SA_CLASS) >= <u32>MAX_CLASSES) return ERROR_FIELD
  if (!windowHolds(load<u32>(record + SA_WINDOW))) return ERROR_FIELD
  const esn = (load<u32>(record + SA_FLAGS) & SA_FLAG_ESN) !== 0
  if (!esn && load<u64>(record + SA_INITIAL_SEQUENCE) > LAST_32) return ERROR_FIELD
  return ERROR_NONE
}

function windowHolds(window: u32): bool {
  if (window === 0) return true
  return window >= <u32>MIN_REPLAY_WINDOW && window <= <u32>MAX_REPLAY_WINDOW && popcnt<u32>(window) === 1
}

/** A suite that is built: with integrity, or with encryption only, and then without anti-replay (RFC 4303 §3.2). */
function checkSuite(record: usize): u32 {
  const cipher = cipherOf(record)
  const hash = hashOf(record)
  if (cipher === NOT_BUILT || hash === NOT_BUILT) return ERROR_SUITE
  const table = load<u32>(record + SA_TABLE)
  if (needsTable(cipher) ? table === 0 || table > header(HEADER_TABLES) : table !== 0) return ERROR_SUITE
  const protocol = load<u32>(record + SA_PROTOCOL)
  if (protocol === PROTOCOL_AH) return cipher === QUEUE_NONE && hash !== QUEUE_NONE ? ERROR_NONE : ERROR_SUITE
  if (protocol !== PROTOCOL_ESP) return ERROR_SUITE
  if (isAead(cipher)) return hash === QUEUE_NONE ? ERROR_NONE : ERROR_SUITE
  if (hash !== QUEUE_NONE) return ERROR_NONE
  return cipher === QUEUE_NONE || load<u32>(record + SA_WINDOW) !== 0 ? ERROR_SUITE : ERROR_NONE
}

function cipherOf(record: usize): u32 {
  return cipherQueue(load<u32>(record + SA_CIPHER), load<u32>(record + SA_KEY_BYTES))
}

function hashOf(record: usize): u32 {
  return hashQueue(load<u32>(record + SA_INTEGRITY), load<u32>(record + SA_INTEGRITY_KEY_BYTES))
}

/** AH may name the ESP SA inside it: valid, of the same tunnel and direction. ESP names none. */
function checkBundle(record: usize): u32 {
  const inside = load<u32>(record + SA_BUNDLE)
  if (inside === 0) return ERROR_NONE
  if (load<u32>(record + SA_PROTOCOL) !== PROTOCOL_AH) return ERROR_FIELD
  if (inside > sas) return ERROR_INDEX
  const esp = cold(inside - 1)
  if (atomicLoad(esp + SA_STATE) !== SA_VALID) return ERROR_STATE
  const fits =
    load<u32>(esp + SA_PROTOCOL) === PROTOCOL_ESP &&
    load<u32>(esp + SA_TUNNEL) === load<u32>(record + SA_TUNNEL) &&
    load<u32>(esp + SA_DIRECTION) === load<u32>(record + SA_DIRECTION)
  return fits ? ERROR_NONE : ERROR_FIELD
}

function checkSelectors(record: usize): u32 {
  const sources = load<u32>(record + SA_SOURCE_COUNT)
  const destinations = load<u32>(record + SA_DESTINATION_COUNT)
  return checkSelectorRange(load<u32>(record + SA_SELECTOR_FIRST), sources, destinations)
}

function expandKeys(sa: u32, record: usize): void {
  const keys = keyBlock(sa)
  memory.fill(keys, 0, KEY_BLOCK_BYTES)
  const cipherBytes = load<u32>(record + SA_KEY_BYTES)
  const cipher = cipherOf(record)
  const scratch = block + ASP_SCRATCH
  expandCipherKey(cipher, record + SA_KEY, cipherBytes, keys + KEY_SCHEDULE, tableOf(record), scratch)
  store<u32>(keys + KEY_SALT, load<u32>(record + SA_SALT))
  const hashBytes = load<u32>(record + SA_INTEGRITY_KEY_BYTES)
  expandHashKey(hashOf(record), record + SA_INTEGRITY_KEY, hashBytes, keys + KEY_HMAC)
}

/** The big table of an SA, 0 = none. */
function tableOf(record: usize): usize {
  const table = load<u32>(record + SA_TABLE)
  if (table === 0 || table > header(HEADER_TABLES)) return 0
  return header(HEADER_KEY_TABLES) + (table - 1) * KEY_TABLE_BYTES
}

function fillHot(sa: u32, record: usize): void {
  const inbound = load<u32>(record + SA_DIRECTION) === DIRECTION_IN
  const hot = hotOf(sa)
  const esn = (load<u32>(record + SA_FLAGS) & SA_FLAG_ESN) !== 0
  const window = load<u32>(record + SA_WINDOW)
  const last = esn ? NEVER : LAST_32
  memory.fill(hot, 0, inbound ? SA_IN_BYTES : SA_OUT_BYTES)
  store<u64>(hot + HOT_SEQUENCE, load<u64>(record + SA_INITIAL_SEQUENCE))
  store<u64>(hot + HOT_SEQUENCE_LIMIT, last)
  store<u64>(hot + HOT_NEAR_WRAP, (last / 5) * 4) // 80 %
  store<u64>(hot + HOT_HARD_BYTES, limit(record + SA_HARD_BYTES))
  store<u64>(hot + HOT_HARD_PACKETS, limit(record + SA_HARD_PACKETS))
  store<u64>(hot + HOT_SOFT_BYTES, limit(record + SA_SOFT_BYTES))
  store<u64>(hot + HOT_SOFT_PACKETS, limit(record + SA_SOFT_PACKETS))
  const seconds = <u64>load<u32>(record + SA_HARD_SECONDS)
  store<u64>(hot + HOT_DEADLINE, seconds === 0 ? NEVER : clock + seconds * 1000)
  store<u32>(hot + HOT_SPI, bswap<u32>(load<u32>(record + SA_SPI)))
  fillSuite(hot, cipherOf(record), hashOf(record))
  store<u32>(hot + HOT_KEYS, <u32>keyBlock(sa))
  store<u32>(hot + HOT_TABLE, <u32>tableOf(record))
  store<u32>(hot + HOT_TUNNEL, load<u32>(record + SA_TUNNEL))
  store<u32>(hot + HOT_FLAGS, esn ? HOT_FLAG_ESN : 0)
  store<u32>(hot + HOT_WINDOW, window)
  if (inbound) store<u32>(hot + HOT_WORD_MASK, wordsFor(window) - 1)
  setSelectors(
    hot,
    load<u32>(record + SA_SELECTOR_FIRST),
    load<u32>(record + SA_SOURCE_COUNT),
    load<u32>(record + SA_DESTINATION_COUNT),
  )
}

/** Ties AH to the ESP SA inside; an inbound one is accepted there only from now on. */
function bundle(record: usize, hot: usize): void {
  store<u32>(hot + HOT_PROTOCOL, load<u32>(record + SA_PROTOCOL))
  const inside = load<u32>(record + SA_BUNDLE)
  if (inside === 0) return
  store<u32>(hot + HOT_BUNDLE, inside)
  store<u32>(hot + HOT_BUNDLE_SPI, load<u32>(cold(inside - 1) + SA_SPI))
  const esp = hotOf(inside - 1)
  store<u32>(esp + HOT_FLAGS, load<u32>(esp + HOT_FLAGS) | HOT_FLAG_BUNDLED)
}

/** no ESP SA for this AH any more */
export const BROKEN: u32 = 0xffffffff

/** Index + 1 of the ESP SA inside an AH SA, 0 when it protects the packet itself, BROKEN when that SA has gone. */
export function bundledSa(hot: usize): u32 {
  const inside = load<u32>(hot + HOT_BUNDLE)
  if (inside === 0) return 0
  const record = cold(inside - 1)
  const there =
    atomicLoad(record + SA_STATE) === SA_VALID &&
    load<u32>(record + SA_SPI) === load<u32>(hot + HOT_BUNDLE_SPI)
  return there ? inside : BROKEN
}

function fillSuite(hot: usize, cipher: u32, hash: u32): void {
  store<u32>(hot + HOT_CIPHER, cipher)
  store<u32>(hot + HOT_INTEGRITY, hash)
  store<u32>(hot + HOT_ICV_BYTES, icvBytes(cipher, hash))
  store<u32>(hot + HOT_IV_BYTES, ivBytes(cipher))
  store<u32>(hot + HOT_BLOCK_BYTES, blockBytes(cipher))
}

function limit(field: usize): u64 {
  const value = load<u64>(field)
  return value === 0 ? NEVER : value
}

function wipeRawKeys(record: usize): void {
  memory.fill(record + SA_KEY, 0, SA_COLD_BYTES - SA_KEY)
  store<u32>(record + SA_SALT, 0)
}

/** -- valid -> expired: no packet passes any more. The event is raised once. */
export function expireSa(sa: u32, hot: usize): void {
  atomicStore(cold(sa) + SA_STATE, SA_EXPIRED)
  const flags = load<u32>(hot + HOT_FLAGS)
  if ((flags & HOT_FLAG_HARD_RAISED) !== 0) return
  store<u32>(hot + HOT_FLAGS, flags | HOT_FLAG_HARD_RAISED)
  raise(EVENT_SA_HARD, sa, 0, 0)
}

/** Raises an event of an SA unless its flag says it was raised. */
export function raiseOnce(sa: u32, hot: usize, flag: u32, event: u32): void {
  const flags = load<u32>(hot + HOT_FLAGS)
  if ((flags & flag) !== 0) return
  store<u32>(hot + HOT_FLAGS, flags | flag)
  raise(event, sa, 0, 0)
}

/** Wipes the keys of an expired SA; not while jobs of a burst may still point to them. */
export function wipeKeys(sa: u32): void {
  memory.fill(keyBlock(sa), 0, KEY_BLOCK_BYTES)
  const table = tableOf(cold(sa))
  if (table !== 0) memory.fill(table, 0, KEY_TABLE_BYTES)
}

/** -- any -> free */
export function deleteSa(sa: u32): u32 {
  if (sa >= sas) return ERROR_INDEX
  const record = cold(sa)
  const state = atomicLoad(record + SA_STATE)
  if (state === SA_FREE) return ERROR_STATE
  if (load<u32>(record + SA_ASP) !== self) return ERROR_ASP
  if (state !== SA_RESERVED) forget(sa, record)
  const bytes = SA_COLD_BYTES
  wipeKeys(sa)
  memory.fill(block + ASP_SCRATCH, 0, SCRATCH_BYTES)
  wipeSalts()
  memory.fill(record + 4, 0, bytes - 4)
  atomicStore(record + SA_STATE, SA_FREE)
  return ERROR_NONE
}

function forget(sa: u32, record: usize): void {
  if (load<u32>(record + SA_DIRECTION) === DIRECTION_OUT) {
    unlinkOutbound(load<u32>(record + SA_TUNNEL), sa)
    memory.fill(hotOut(sa), 0, SA_OUT_BYTES)
  } else {
    removeSpi(sa)
    memory.fill(hotIn(sa), 0, SA_IN_BYTES)
  }
}

/** Deletes every SA of this ASP: after a reset none may go on with its old numbers. */
export function deleteAllSas(): void {
  for (let sa: u32 = 0; sa < sas; sa++) {
    if (load<u32>(cold(sa) + SA_STATE) !== SA_FREE && load<u32>(cold(sa) + SA_ASP) === self) deleteSa(sa)
  }
}
