/**
 * The long crash run; `bun run crash --help` says what it can do. A run is repeated by its seed and the same options.
 *
 * Exit code 1 when anything was lost, doubled, disordered or otherwise not as promised. For the controls, which take
 * something away, it is 1 when nothing was: a rig that finds nothing proves nothing.
 */
import { parseArgs } from 'node:util'
import { seeded } from '../harness/measure'
import { drained } from './drain'
import { GUARDS, type GuardName } from './guards'
import { faultsIn } from './history'
import { POINTS, type Point, startPointRig } from './point-rig'
import { redelivered } from './redelivery'
import { runRounds, startCrashRig } from './rig'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    messages: { type: 'string', default: '24' },
    sends: { type: 'string', default: '4' },
    minutes: { type: 'string', default: '600' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    points: { type: 'string', default: POINTS.join(',') },
    chats: { type: 'string', default: '3' },
    'sink-fails': { type: 'string', default: '0' },
    without: { type: 'string' },
    raw: { type: 'boolean', default: false },
    bursts: { type: 'boolean', default: false },
    twice: { type: 'boolean', default: false },
    drain: { type: 'string' },
    drops: { type: 'string', default: '50' },
    redeliver: { type: 'string' },
    times: { type: 'string', default: '10' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const listed = (names: readonly string[]) => names.map((name) => `\n                     ${name}`).join('')
const HELP = `bun run crash [options]

Kills the service at named points (the default):
  --kills N        kills in all (200), ten between two rests
  --messages N     messages of phones for each kill (24)
  --sends N        messages of ours for each kill (4)
  --minutes N      ends after the batch in which this time is over
  --chats N        phones that write and are written to (3)
  --sink-fails S   share of the webhook's posts that fail, by 400, 500, 503 or a cut (0); others are late, and the waits
                   between attempts are short
  --twice          WhatsApp delivers every message two times
  --points "a,b"   only at some of these:${listed(POINTS)}
  --without "g"    control, without one of these guards:${listed(Object.keys(GUARDS))}

Other runs:
  --drain N        N messages of an absence, the connection cut --drops times (50) while they come in, and the mark of
                   their end withheld until the last cut
  --redeliver N    N messages, each delivered --times times more (10) in another order, before a kill and after it
  --bursts         kills from outside alone, in the middle of bursts, --kills rounds each way
  --raw            control: the same with stock Baileys in the place of the service

  --seed N         repeats a run that had the same other options

The service runs from its sources (src/main.ts), for the built program has nothing that could arm a point. With --bursts
it may be the built one: WABUN_PROGRAM=dist/wabun bun run crash --bursts`
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
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
    chats: Number(values.chats),
    sinkFails: Number(values['sink-fails']),
    ...(without === undefined ? {} : { without, patience: 8_000 }),
    say,
  })
  const sum = { kills: 0, said: 0, confirmed: 0, accepted: 0, repeated: 0, failed: 0 }
  const faults = { lost: 0, doubled: 0, disordered: 0, strange: 0 }
  const until = performance.now() + Number(values.minutes) * 60_000
  try {
    while (sum.kills < kills && performance.now() < until) {
      const batch = await rig.batch(Math.min(BATCH, kills - sum.kills))
      for (const what of Object.keys(sum) as (keyof typeof sum)[]) sum[what] += batch[what]
      for (const kind of Object.keys(faults) as (keyof typeof faults)[]) {
        faults[kind] += batch[kind].length
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
  const { lost, doubled, disordered, strange } = faults
  say(
    `seed ${seed}: ${sum.kills} kills, ${sum.said} messages in (${sum.confirmed} confirmed to WhatsApp), ${sum.accepted} out: ${lost} lost, ${doubled} doubled, ${disordered} disordered, ${strange} strange; ${sum.failed} posts were not taken, ${sum.repeated} came again under the same id`,
  )
  const count = lost + doubled + disordered + strange
  return without === undefined ? count === 0 : count > 0
}

async function drain(messages: number): Promise<boolean> {
  const drops = Number(values.drops)
  const random = seeded(seed)
  // Four fifths of the receipts on average, so that the last cut still meets one.
  const cuts = Array.from({ length: drops }, () => 1 + Math.floor((random() * 1.6 * messages) / drops))
  const {
    told,
    stored,
    twice,
    cuts: met,
    seconds,
  } = await drained({
    gateway: 'wabun',
    messages,
    cuts,
    patience: 600_000,
  })
  say(
    `${messages} messages of an absence, ${met} cuts: ${told} told, ${stored} stored, ${twice} told twice, in ${Math.round(seconds)} s`,
  )
  return told === messages && stored === messages && twice === 0 && met === drops
}

async function redeliver(messages: number): Promise<boolean> {
  const { again, rowsTooMany, eventsTooMany, troubles } = await redelivered({
    seed,
    messages,
    times: Number(values.times),
  })
  say(
    `${messages} messages, ${again} stanzas came again: ${rowsTooMany} rows and ${eventsTooMany} events too many, ${troubles.length} not understood or refused`,
  )
  return rowsTooMany === 0 && eventsTooMany === 0 && troubles.length === 0
}

async function chosenRun(): Promise<boolean> {
  if (values.raw) return rawControl()
  if (values.bursts) return bursts()
  if (values.drain !== undefined) return drain(Number(values.drain))
  if (values.redeliver !== undefined) return redeliver(Number(values.redeliver))
  return points()
}

say(`seed ${seed}`)
const sound = await chosenRun()
if (!sound) say(`FAILED; repeat with --seed ${seed}`)
process.exit(sound ? 0 : 1)
