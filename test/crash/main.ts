/**
 * The long crash run.
 *
 *   bun test/crash/main.ts [--rounds 50] [--seed N] [--guard on|off] [--kind inbound|outbound|both]
 *
 * With the guard on: exit code 1 when a message was lost or doubled. With `--guard off` raw Baileys takes the product's
 * place: exit code 1 when it lost nothing, for then the rig proves nothing.
 */
import { runRounds, startCrashRig } from './rig'

const option = (name: string, fallback: string): string => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? fallback : (process.argv[at + 1] ?? fallback)
}

const seed = Number(option('seed', String(Date.now() % 1_000_000)))
const rounds = Number(option('rounds', '50'))
const guard = option('guard', 'on') === 'off' ? 'off' : 'on'
const wanted = guard === 'off' ? 'inbound' : option('kind', 'both')
console.log(`seed ${seed} · ${rounds} rounds · guard ${guard}`)

const rig = await startCrashRig({ seed, guard, say: (line) => console.log(line) })
let sound = true
try {
  for (const kind of ['inbound', 'outbound'] as const) {
    if (wanted !== 'both' && wanted !== kind) continue
    const tally = await runRounds(rig, kind, rounds)
    console.log(
      `${kind}: ${tally.sent} messages, ${tally.kills} kills: ${tally.lost.length} lost, ${tally.doubled.length} doubled, ${tally.strange.length} strange`,
    )
    const lines = [...tally.lost.map((text) => `lost: ${text}`), ...tally.doubled, ...tally.strange]
    for (const line of guard === 'on' ? lines : []) console.log(`  ${line}`)
    const clean = tally.lost.length + tally.doubled.length + tally.strange.length === 0
    sound &&= guard === 'on' ? clean : tally.lost.length > 0
  }
} finally {
  await rig.stop()
}
if (!sound) console.log(`FAILED; repeat with --seed ${seed}`)
process.exit(sound ? 0 : 1)
