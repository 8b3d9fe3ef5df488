/**
 * `bun run controls [guard…]`: takes each guard away, one at a time, and shows that its test fails then. Ends with 1 when
 * one does not.
 */
import { join } from 'node:path'
import { HARD_GUARDS } from './guards'

const ROOT = join(import.meta.dir, '..', '..', '..')
const asked = process.argv.slice(2)
const names = Object.keys(HARD_GUARDS).filter((name) => asked.length === 0 || asked.includes(name))
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

let unnoticed = 0
for (const name of names) {
  const { file, test } = HARD_GUARDS[name] ?? { file: 'hard-input', test: 0 }
  const pattern = typeof test === 'number' ? ` ${test} ` : escaped(test)
  const child = Bun.spawn(
    [
      process.execPath,
      'test',
      '--timeout',
      '15000',
      '--preload',
      './test/http/hard-input/without.ts',
      `./test/http/${file}.test.ts`,
      '-t',
      pattern,
    ],
    { cwd: ROOT, env: { ...process.env, HARD_WITHOUT: name }, stdout: 'pipe', stderr: 'pipe' },
  )
  const [out, said] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  await child.exited
  const failed = [...`${out}${said}`.matchAll(/^\(fail\) (.+?) \[/gm)].map(([, title]) => title ?? '')
  // A file that does not load, or a rig that does not start, shows nothing.
  const isNoticed = failed.length > 0 && !failed.includes('(unnamed)')
  if (!isNoticed) unnoticed += 1
  console.log(
    `${isNoticed ? 'fails' : 'PASSES'} without “${name}”: ${[...new Set(failed)].join('; ') || pattern}`,
  )
  if (!isNoticed && asked.length > 0) console.log(said)
}
console.log(`${names.length - unnoticed} of ${names.length} guards are missed by their tests`)
// A name that is none would show nothing, and look like success.
process.exit(unnoticed > 0 || names.length === 0 ? 1 : 0)
