/**
 * How long the first bursts of an ASP's thread take, in CPU time (ms), printed. With the argument `warm` another
 * thread of the process has warmed the card up before.
 */
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { threadTime } from '../bench/thread-clock.ts'
import { warmUp } from '../bindings/card-warm.ts'
import { loadModule } from '../bindings/wasm.ts'
import { CardBed } from './card-bed.ts'
import { addLane } from './card-gateway.ts'
import { packetOf } from './packets.ts'

/** the engine's own threads optimise meanwhile */
const PAUSE = 1500

function firstBursts(): number {
  const bed = new CardBed()
  const lane = addLane(bed, 0)
  const device = bed.driver.deviceNumber(lane.device)
  const packets = Array.from({ length: 128 }, () => packetOf(1400))
  bed.place(packets, 1, false).forEach((address, index) => {
    bed.describeOut(index, address, 1400, device)
  })
  const start = threadTime()
  for (let burst = 0; burst < 4; burst++) bed.cards[0].outbound(128)
  return threadTime() - start
}

if (!isMainThread) parentPort!.postMessage(firstBursts())
else {
  if (process.argv[2] === 'warm') {
    warmUp(loadModule())
    await setTimeout(PAUSE)
  }
  new Worker(fileURLToPath(import.meta.url)).on('message', (time: number) => console.log(time))
}
