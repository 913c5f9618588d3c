/** Nothing made of a key outlives its SA: raw keys, schedules, HMAC states, GHASH tables, scratch. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as abi from '../dataplane-as/abi.ts'
import { CardBed } from './card-bed.ts'
import { addLane, builtSuites } from './card-gateway.ts'
import { packetOf } from './packets.ts'

/** Everything below the canary: SA records, key blocks, tables. */
const keyArea = ({ memory }: CardBed) =>
  memory.bytes.subarray(memory.header(abi.HEADER_SA_COLD), memory.header(abi.HEADER_CANARY))
const scratch = ({ memory }: CardBed) => {
  const at = memory.block(1) + abi.ASP_SCRATCH
  return memory.bytes.subarray(at, at + abi.ASP_SCRATCH_BYTES)
}

for (const [index, suite] of builtSuites.entries()) {
  test(`${suite.cipher} ${suite.integrity}: gone after SA_DEL, and after stop`, async () => {
    const bed = new CardBed()
    const lanes = [0, 1].map((half) => addLane(bed, 2 * (index % 8) + half, suite))
    for (const { device } of lanes)
      bed.open(bed.protect([packetOf(100), packetOf(900)], device).map((d) => d.data))
    assert.ok(keyArea(bed).some((byte) => byte !== 0))
    for (const lane of lanes) bed.driver.deleteTunnel(lane.tunnel)
    assert.ok(
      keyArea(bed).every((byte) => byte === 0),
      'after SA_DEL',
    )
    assert.ok(
      scratch(bed).every((byte) => byte === 0),
      'the scratch after SA_DEL',
    )
    const last = addLane(bed, 30, suite)
    bed.protect([packetOf(100)], last.device)
    const { encryptionKey, integrityKey } = last.sa
    await bed.driver.stop()
    assert.ok(
      keyArea(bed).every((byte) => byte === 0),
      'after stop',
    )
    const memory = Buffer.from(bed.memory.bytes)
    for (const key of [encryptionKey.subarray(0, 16), integrityKey]) {
      if (key.length > 0) assert.equal(memory.indexOf(key), -1)
    }
  })
}
