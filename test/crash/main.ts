/**
 * The long crash run.
 *
 *   bun test/crash/main.ts [--kills 200] [--messages 24] [--sends 4] [--minutes N] [--seed N] [--points "a,b"]
 *                          [--twice] [--without "guard"] | --bursts | --raw
 *
 * `--messages` and `--sends` are for each kill, inbound and outbound. A run is repeated by its seed and the same options.
 * With `--twice` WhatsApp delivers every message two times. With `--bursts` the kills come from outside alone, so that the
 * compiled program can stand there as well (`WABUN_PROGRAM=dist/wabun`).
 * Exit code 1 when anything was lost, doubled, disordered or otherwise not as promised. With `--without` a guard of the
 * product is taken away, with `--raw` stock Baileys takes its place: exit code 1 when then nothing is lost, for a rig that
 * finds nothing proves nothing.
 */
import { parseArgs } from 'node:util'
import { GUARDS, type GuardName } from './guards'
import { faultsIn } from './history'
import { POINTS, type Point, startPointRig } from './point-rig'
import { runRounds, startCrashRig } from './rig'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    messages: { type: 'string', default: '24' },
    sends: { type: 'string', default: '4' },
    minutes: { type: 'string', default: '600' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    points: { type: 'string', default: POINTS.join(',') },
    without: { type: 'string' },
    raw: { type: 'boolean', default: false },
    bursts: { type: 'boolean', default: false },
    twice: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const kills = Number(values.kills)
/** Kills between two rests. */
const BATCH = 10

const isPoint = (name: string): name is Point => (POINTS as readonly string[]).includes(name)
const isGuard = (name: string): name is GuardName => Object.hasOwn(GUARDS, name)
const unknown = (what: string, name: string, known: readonly string[]): never => {
  console.error(`There is no ${what} “${name}”. There are: ${known.join(', ')}`)
  process.exit(2)
}

const say = (line: string) => console.log(line)

async function rawControl(): Promise<boolean> {
  const rig = await startCrashRig({ seed, guard: 'off', say })
  const tally = await runRounds(rig, 'inbound', kills).finally(() => rig.stop())
  say(`stock Baileys: ${tally.sent} messages, ${tally.kills} kills, ${tally.lost.length} lost`)
  return tally.lost.length > 0
}

async function bursts(): Promise<boolean> {
  const rig = await startCrashRig({ seed, guard: 'on', say })
  let faults = 0
  try {
    for (const kind of ['inbound', 'outbound'] as const) {
      const { sent, kills: killed, lost, doubled, strange } = await runRounds(rig, kind, kills)
      say(
        `${kind}: ${sent} messages, ${killed} kills: ${lost.length} lost, ${doubled.length} doubled, ${strange.length} strange`,
      )
      for (const line of [...lost, ...doubled, ...strange]) say(`  ${line}`)
      faults += lost.length + doubled.length + strange.length
    }
  } finally {
    await rig.stop()
  }
  return faults === 0
}

async function points(): Promise<boolean> {
  const names = values.points.split(',').map((name) => name.trim())
  const chosen = names.map((name) => (isPoint(name) ? name : unknown('point', name, POINTS)))
  const guard = values.without
  const without = guard === undefined || isGuard(guard) ? guard : unknown('guard', guard, Object.keys(GUARDS))
  const rig = await startPointRig({
    seed,
    points: chosen,
    burst: Number(values.messages),
    sends: Number(values.sends),
    twice: values.twice,
    ...(without === undefined ? {} : { without, patience: 8_000 }),
    say,
  })
  const sum = { kills: 0, said: 0, accepted: 0, lost: 0, doubled: 0, disordered: 0, strange: 0, repeated: 0 }
  const until = performance.now() + Number(values.minutes) * 60_000
  try {
    while (sum.kills < kills && performance.now() < until) {
      const batch = await rig.batch(Math.min(BATCH, kills - sum.kills))
      sum.kills += batch.kills
      sum.said += batch.said
      sum.accepted += batch.accepted
      sum.repeated += batch.repeated
      for (const kind of ['lost', 'doubled', 'disordered', 'strange'] as const) {
        sum[kind] += batch[kind].length
        for (const line of batch[kind].slice(0, 20)) say(`  ${kind}: ${line}`)
      }
      if (without !== undefined && faultsIn(batch) > 0) break
    }
  } finally {
    await rig.stop()
  }
  say('')
  for (const [point, { at, missed, broken }] of Object.entries(rig.points))
    say(
      `${point.padEnd(34)} ${String(at).padStart(6)} kills ${String(missed).padStart(6)} not passed ${broken} bad`,
    )
  const { lost, doubled, disordered, strange } = sum
  say(
    `seed ${seed}: ${sum.kills} kills, ${sum.said} messages in, ${sum.accepted} out: ${lost} lost, ${doubled} doubled, ${disordered} disordered, ${strange} strange; ${sum.repeated} deliveries came again under the same id`,
  )
  const faults = lost + doubled + disordered + strange
  return without === undefined ? faults === 0 : faults > 0
}

say(`seed ${seed}`)
const sound = await (values.raw ? rawControl() : values.bursts ? bursts() : points())
if (!sound) say(`FAILED; repeat with --seed ${seed}`)
process.exit(sound ? 0 : 1)
