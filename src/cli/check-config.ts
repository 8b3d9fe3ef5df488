/** `wabun check-config`: every setting, its value and source, and everything that is wrong. */
import { CONFIG_KEYS, readConfig, schemaOf, shownValue, variableOf } from '../config'
import type { CommandInput } from './commands'

/** Prints the table; exit code 2 when the configuration cannot be used. */
export async function checkConfig(input: CommandInput): Promise<number> {
  const { config, sources, problems } = readConfig(input)
  const rows = CONFIG_KEYS.map((key) => ({
    name: variableOf(key),
    value: shownValue(key, config),
    source: sources[key],
    says: schemaOf(key).description ?? '',
  }))
  const width = Math.max(...rows.map(({ name }) => name.length))
  for (const { name, value, source, says } of rows) {
    process.stdout.write(`${name.padEnd(width)}  ${value}  (${source})\n${''.padEnd(width)}    ${says}\n`)
  }
  if (problems.length === 0) {
    process.stdout.write('\nThe configuration can be used.\n')
    return 0
  }
  process.stdout.write(`\n${problems.length} problem(s):\n`)
  for (const { name, says } of problems) process.stdout.write(`  ${name}: ${says}\n`)
  return 2
}
