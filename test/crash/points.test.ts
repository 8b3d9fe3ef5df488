/**
 * Kills at named points under traffic both ways, short; the long run is `bun run crash`. Each guard has a control: the same
 * run without it must find something, else the rig proves nothing.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import type { Verdict } from './history'
import { POINTS, type Point, type PointRigOptions, startPointRig } from './point-rig'

setDefaultTimeout(300_000)
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000)

type Fault = Exclude<keyof Verdict, 'repeated'>

/** The number of batches until one has a fault of this kind; null when `most` have none. */
async function batchesUntil(
  fault: Fault,
  options: Omit<PointRigOptions, 'seed'>,
  most: number,
  point: Point,
) {
  const rig = await startPointRig({ seed, ...options })
  try {
    for (let n = 1; n <= most; n++) if ((await rig.batch(4, point))[fault].length > 0) return n
    return null
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

test(`every promise holds while the webhook fails and many write (seed ${seed})`, async () => {
  const rig = await startPointRig({ seed, burst: 30, sends: 5, chats: 12, sinkFails: 0.25 })
  try {
    const batch = await rig.batch(4)
    expect(batch).toMatchObject({ lost: [], doubled: [], disordered: [], strange: [] })
    expect(batch.failed).toBeGreaterThan(10)
  } finally {
    await rig.stop()
  }
})

test.each([
  ['failed deliveries again', 'lost'],
  ['a lane waits', 'disordered'],
] as const)(`control: without “%s” there are %s (seed ${seed})`, async (without, kind) => {
  const rig = await startPointRig({ seed, sinkFails: 0.5, without, patience: 2_000 })
  try {
    expect((await rig.batch(1))[kind].length).toBeGreaterThan(0)
  } finally {
    await rig.stop()
  }
})

test(`a message that comes twice is one, over kills (seed ${seed})`, async () => {
  const rig = await startPointRig({ seed, twice: true, burst: 12 })
  try {
    expect(await rig.batch(4)).toMatchObject({ lost: [], doubled: [], disordered: [], strange: [] })
  } finally {
    await rig.stop()
  }
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

test.each([
  [undefined, 'all can be read'],
  ['ratchet before the wire', 'control: without that guard the next one cannot be read'],
] as const)(`killed as a message counts as sent, without %p: %s (seed ${seed})`, async (without) => {
  const rig = await startPointRig({
    seed,
    ...(without === undefined ? {} : { without, patience: 3_000 }),
  })
  try {
    const { strange, lost, doubled } = await rig.afterSent()
    expect([strange.length > 0, lost, doubled]).toEqual([without !== undefined, [], []])
  } finally {
    await rig.stop()
  }
})

/** The first batch nearly always finds what it must; a kill may miss, and so it goes on until one does not. */
const MANY = 30

/** What is said to us needs nothing of ours. */
const CONTROLS = [
  ['stanza on disk first', 'receipt taken', 'lost', 0],
  ['plaintext with the ratchet', 'message emitted', 'lost', 0],
  ['position of the webhooks', 'message stored', 'lost', 0],
  ['failed attempts undone', 'sent committed', 'strange', 4],
] as const

test.each(CONTROLS)(
  `control: without “%s”, killed at “%s”, there are %s (seed ${seed})`,
  async (without, point, kind, sends) => {
    const options = { without, patience: 2_000, burst: 15, sends }
    const batches = await batchesUntil(kind, options, MANY, point)
    expect(batches).not.toBeNull()
    if (process.env.CRASH_TELL) console.log(`“${without}”: ${kind} in batch ${batches}`)
  },
  600_000,
)
