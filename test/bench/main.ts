/**
 * The bench: every figure beside raw Baileys in the same run.
 *
 *   bun test/bench/main.ts [sessions|send|inbound|receive|resume|start|group|storage|fanout|get …] [--sessions N] [--rounds N] [--json]
 *
 * The sandbox, the product and the raw gateway are processes of their own; this one drives the load and holds the
 * webhook receiver. All share the machine. Exits with 0 whatever the verdicts are.
 */
import { startSandboxProcess } from '../harness/sandbox-process'
import { startSink } from '../harness/sink'
import { measureFanout } from './fanout-run'
import { measureGet } from './get-run'
import { measureGroup } from './group-run'
import { measureNeighbours } from './neighbours-run'
import { measureReceive } from './receive-run'
import { asJson, type Row, surroundings, table } from './report'
import {
  type BenchWorld,
  measureInbound,
  measureResume,
  measureSend,
  measureSessions,
  measureStart,
} from './runs'
import { measureSlowReader } from './slow-reader-run'
import { measureStorage } from './storage-run'
import { measureWebhooks } from './webhook-run'

const RUNS: Record<string, (world: BenchWorld) => Promise<Row[]>> = {
  start: measureStart,
  get: measureGet,
  send: measureSend,
  inbound: measureInbound,
  receive: measureReceive,
  resume: measureResume,
  sessions: measureSessions,
  group: measureGroup,
  storage: measureStorage,
  webhooks: measureWebhooks,
  fanout: measureFanout,
  slow: measureSlowReader,
  neighbours: measureNeighbours,
}

const flag = (name: string, fallback: number): number => {
  const at = process.argv.indexOf(`--${name}`)
  const value = at < 0 ? fallback : Number(process.argv[at + 1])
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} takes a positive number`)
  return value
}

const json = process.argv.includes('--json')
const say = (line: string) => console.error(line)
const options = { sessions: flag('sessions', 100), rounds: flag('rounds', 5), say }
const names = process.argv.slice(2).filter((word) => word in RUNS)

const rows: Row[] = []
const sandbox = await startSandboxProcess()
const sink = startSink()
for (const name of names.length > 0 ? names : Object.keys(RUNS)) {
  say(`— ${name}`)
  try {
    rows.push(...((await RUNS[name]?.({ sandbox, sink, options })) ?? []))
  } catch (error) {
    say(`${name} failed: ${error instanceof Error ? error.message : String(error)}`)
    rows.push({
      name: `${name}: failed, see above`,
      unit: '',
      wabun: [],
      raw: [],
      goal: 'runs',
      meets: () => false,
    })
  }
}
await sink.stop()
await sandbox.stop()

if (json) console.log(asJson(rows))
else {
  console.log(
    `\n${Object.entries(surroundings())
      .map(([name, value]) => `${name} ${value}`)
      .join(' · ')}`,
  )
  console.log(`${options.rounds} interleaved rounds, medians, half the spread in per cent\n`)
  console.log(table(rows))
}
process.exit(0)
