/** Webhook deliveries per second, from committed events to outcomes on disk, beside a loop that only signs and posts. */
import { join } from 'node:path'
import { startChild } from '../harness/process'
import type { Row } from './report'
import type { BenchWorld } from './runs'

const CHILD = join(import.meta.dir, 'webhook-child.ts')
const MODES = ['bare', 'wabun', 'hanging'] as const

async function measured(mode: string, url: string): Promise<number> {
  const child = Bun.spawn([process.execPath, CHILD, mode, url], {
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: '4096' },
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const text = await new Response(child.stdout).text()
  return (JSON.parse(text) as { perSecond: number }).perSecond
}

/** 8,000 posts of 1 KB to 100 endpoints, each of a session of its own; then with ten of them that never answer. */
export async function measureWebhooks({ options }: BenchWorld): Promise<Row[]> {
  const sink = await startChild({ name: 'sink', args: [CHILD, 'sink'], env: {} })
  const figures: Record<(typeof MODES)[number], number[]> = { bare: [], wabun: [], hanging: [] }
  for (let round = 0; round < options.rounds; round += 1) {
    const order = round % 2 === 0 ? MODES : [...MODES].reverse()
    for (const mode of order) figures[mode].push(await measured(mode, sink.url))
    options.say(`round ${round + 1} of ${options.rounds} done`)
  }
  await sink.kill()
  return [
    {
      name: 'webhook deliveries, beside bare signed posts',
      unit: '1/s',
      wabun: figures.wabun,
      raw: figures.bare,
      goal: '≥ 0.4×',
      meets: (wabun, raw) => wabun >= 0.4 * raw,
    },
    {
      name: '… with 10 of 100 endpoints hanging, beside none',
      unit: '1/s',
      wabun: figures.hanging,
      raw: figures.wabun,
      goal: '≥ 0.9×',
      meets: (hanging, none) => hanging >= 0.9 * none,
    },
  ]
}
