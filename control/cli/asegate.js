#!/usr/bin/env node
// The binary: finds a Node that fits, then hands over to main.ts.

import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { requireNode } from './preflight.js'

const script = realpathSync(fileURLToPath(import.meta.url))
await requireNode(script, process.argv.slice(2))
const { main } = await import('./main.ts')
process.exitCode = await main(process.argv)
