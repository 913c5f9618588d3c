// The Prometheus text format, version 0.0.4: HELP, TYPE, then one sample a line.

import type { Labels } from '../tunnel/tally.ts'

export type Sample = { labels?: Labels; value: number | bigint }
/** `name` in full: the prefix, base units, `_total` for counters. */
export type Metric = { name: string; type: 'counter' | 'gauge'; help: string; samples: Sample[] }

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** The page; metrics without a sample are left out. Names of metrics and labels are ours, values are escaped. */
export function exposition(metrics: Metric[]): string {
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map(
      ({ name, type, help, samples }) =>
        `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${samples.map((one) => line(name, one)).join('')}`,
    )
    .join('')
}

function line(name: string, { labels = {}, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
}

function escapeHelp(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replace(/"/g, '\\"')
}
