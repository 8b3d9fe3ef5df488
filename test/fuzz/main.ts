/**
 * The long run: `bun run fuzz [target…] [--inputs 1000000] [--seed 1]`. Prints the seed, and a line for each target; ends
 * with 1 when an input broke something.
 */
import { parseArgs } from 'node:util'
import { fuzz } from './run'
import { TARGETS } from './targets'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { inputs: { type: 'string', default: '1000000' }, seed: { type: 'string' } },
})
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed)
const chosen = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
console.log(`seed ${seed}`)
let broken = 0
for (const target of chosen) {
  const { name, inputs, crashes, slowestMs, slowest, seconds } = await fuzz(
    target,
    Number(values.inputs),
    seed,
  )
  console.log(
    `${name}: ${inputs} inputs in ${seconds.toFixed(0)} s, ${crashes.length} broke something, slowest ${slowestMs.toFixed(1)} ms of processor: ${slowest}`,
  )
  for (const { input, error } of crashes) console.log(`  ${error}\n    ${input}`)
  broken += crashes.length
}
process.exit(broken > 0 ? 1 : 0)
