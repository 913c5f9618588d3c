// Entry of the warm-up thread: it shares the module with the ASPs, and nothing else.

import { workerData } from 'node:worker_threads'
import { warmUp } from './card-warm.ts'

warmUp(workerData as WebAssembly.Module)
