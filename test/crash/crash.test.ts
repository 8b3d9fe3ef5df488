/** A few rounds of the crash rig; `bun test/crash/main.ts --bursts` is the long run. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { runRounds, startCrashRig } from './rig'

setDefaultTimeout(300_000)
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000)

test(`nothing is lost or doubled over kill -9, inbound and outbound (seed ${seed})`, async () => {
  const rig = await startCrashRig({ seed, guard: 'on' })
  try {
    const inbound = await runRounds(rig, 'inbound', 4)
    expect(inbound).toMatchObject({ sent: 80, lost: [], doubled: [], strange: [], kills: 4 })
    const outbound = await runRounds(rig, 'outbound', 3)
    expect(outbound).toMatchObject({ sent: 36, lost: [], doubled: [], strange: [], kills: 3 })
  } finally {
    await rig.stop()
  }
})

test(`control: raw Baileys in the same rig loses messages (seed ${seed})`, async () => {
  const rig = await startCrashRig({ seed, guard: 'off' })
  try {
    const lost: string[] = []
    // Mostly the first; a kill may come when all has been told.
    for (let round = 0; round < 30 && lost.length === 0; round++)
      lost.push(...(await runRounds(rig, 'inbound', 1)).lost)
    expect(lost.length).toBeGreaterThan(0)
  } finally {
    await rig.stop()
  }
})
