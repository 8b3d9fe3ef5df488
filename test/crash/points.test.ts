/**
 * Kills at named points under traffic both ways, short; the long run is `bun run crash`. Each guard has a control: the same
 * run without it must find something, else the rig proves nothing.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { faultsIn } from './history'
import { type Batch, POINTS, type Point, type PointRigOptions, startPointRig } from './point-rig'

setDefaultTimeout(120_000)
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000)

/** Batches until one is not as promised, at most `batches`. */
async function run(options: Omit<PointRigOptions, 'seed'>, batches: number, kills: number, point?: Point) {
  const rig = await startPointRig({ seed, ...options })
  const found: Batch[] = []
  try {
    for (let n = 0; n < batches; n++) {
      const batch = await rig.batch(kills, point)
      found.push(batch)
      if (faultsIn(batch) > 0) break
    }
    return { found, points: rig.points }
  } finally {
    await rig.stop()
  }
}

test(`every promise holds over kills at all named points (seed ${seed})`, async () => {
  const rig = await startPointRig({ seed, burst: 15 })
  try {
    for (let from = 0; from < POINTS.length; from += 8) {
      const batch = await rig.batchAt(POINTS.slice(from, from + 8))
      expect(batch).toMatchObject({ lost: [], doubled: [], disordered: [], strange: [] })
      expect(batch.said).toBeGreaterThan(0)
    }
    const killed = Object.values(rig.points).reduce((sum, { at }) => sum + at, 0)
    expect(killed).toBeGreaterThan(POINTS.length / 2)
  } finally {
    await rig.stop()
  }
})

test(`a message that comes twice is one, over kills (seed ${seed})`, async () => {
  const { found } = await run({ twice: true, burst: 12 }, 1, 4)
  expect(found).toMatchObject([{ lost: [], doubled: [], disordered: [], strange: [] }])
})

test.each([
  [undefined, 'all arrive'],
  ['sent when acknowledged', 'control: without that guard all are lost'],
] as const)(`written and never taken by WhatsApp, without %p: %s (seed ${seed})`, async (without) => {
  const rig = await startPointRig({
    seed,
    ...(without === undefined ? {} : { without, patience: 3_000 }),
  })
  try {
    const { lost, accepted, doubled } = await rig.swallowed(5)
    // Three are sent before, one to each phone.
    expect({ lost: lost.length, accepted, doubled }).toEqual({
      lost: without === undefined ? 0 : 5,
      accepted: 8,
      doubled: [],
    })
  } finally {
    await rig.stop()
  }
})

const CONTROLS = [
  ['stanza on disk first', 'receipt taken', 'lost'],
  ['plaintext with the ratchet', 'message emitted', 'lost'],
  ['ratchet before the wire', 'message taken', 'strange'],
  ['position of the webhooks', 'message stored', 'lost'],
  ['failed attempts undone', 'sent committed', 'strange'],
] as const

test.each(CONTROLS)(
  `control: without “%s”, killed at “%s”, there are %s (seed ${seed})`,
  async (without, point, kind) => {
    const { found } = await run({ without, patience: 2_000, burst: 15 }, 3, 6, point)
    expect(found.flatMap((batch) => batch[kind]).length).toBeGreaterThan(0)
  },
)
