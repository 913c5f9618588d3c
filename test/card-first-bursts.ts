/**
 * The first bursts of an ASP's thread. The engine optimises at once instead of beside them, and says so line by line;
 * the CPU time of the bursts (ms) follows. With the argument `warm` the warm-up thread has run to its end before.
 */
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { threadTime } from '../bench/thread-clock.ts'
import { WarmUp } from '../bindings/warm-host.ts'
import { loadModule } from '../bindings/wasm.ts'
import { CardBed } from './card-bed.ts'
import { addLane } from './card-gateway.ts'
import { packetOf } from './packets.ts'

const BURSTS = 8

function firstBursts(): number {
  const bed = new CardBed()
  const lane = addLane(bed, 0)
  const device = bed.driver.deviceNumber(lane.device)
  const packets = Array.from({ length: 128 }, () => packetOf(1400))
  bed.place(packets, 1, false).forEach((address, index) => {
    bed.describeOut(index, address, 1400, device)
  })
  setFlagsFromString('--trace-wasm-compilation-times')
  const start = threadTime()
  for (let burst = 0; burst < BURSTS; burst++) bed.cards[0].outbound(128)
  const time = threadTime() - start
  setFlagsFromString('--no-trace-wasm-compilation-times')
  return time
}

if (!isMainThread) parentPort!.postMessage(firstBursts())
else {
  setFlagsFromString('--wasm-sync-tier-up')
  const module = loadModule()
  if (process.argv[2] === 'warm') await new WarmUp(module).within(60_000)
  new Worker(fileURLToPath(import.meta.url)).on('message', (time: number) => console.log(`${time} ms`))
}
