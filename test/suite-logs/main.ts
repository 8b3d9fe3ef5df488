/**
 * `bun run scan-logs [tests…]`: runs the tests with every log at level trace, and looks in all that was logged and printed
 * for every secret that any test has handed over or got, and for whatever looks like one. Exits with 1 on a finding.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { searchIn } from './search'

const directory = mkdtempSync(join(tmpdir(), 'wabun-suite-logs-'))
const tests = Bun.spawn(
  [
    process.execPath,
    'test',
    '--timeout',
    '120000',
    '--preload',
    join(import.meta.dir, 'record.ts'),
    ...process.argv.slice(2),
  ],
  { env: { ...process.env, SUITE_LOGS: directory }, stdio: ['ignore', 'inherit', 'inherit'] },
)
const code = await tests.exited
const { findings, lines, refusals, secrets } = searchIn(directory)
rmSync(directory, { recursive: true, force: true })

process.stdout.write(
  `\n${lines} lines and ${refusals} refusals searched for ${secrets} secrets: ${findings.length} found\n${findings.slice(0, 50).join('\n')}\n`,
)
const isVoid = lines === 0 || secrets === 0
if (isVoid) process.stdout.write('Nothing was recorded: the scan proves nothing\n')
process.exitCode = code !== 0 ? code : findings.length > 0 || isVoid ? 1 : 0
