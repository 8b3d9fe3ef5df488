/**
 * `bun run scan-logs [tests…]`: runs the tests with every log at level trace, and looks in all that was logged and printed
 * for every secret that any test has handed over or got, and for whatever looks like one. Exits with 1 on a finding.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

type Planted = { name: string; kind: 'key' | 'text'; value: string }

/** What is no secret although it looks like one or was handed over as one. */
const HARMLESS: readonly RegExp[] = [/^status@broadcast$/, /^me$/]
/** Whatever the tests are about, these have no place in a line. */
const FORBIDDEN: Record<string, RegExp> = {
  'API key': /wapi_[A-Za-z0-9_-]{12,}/g,
  'webhook secret': /whsec_[A-Za-z0-9+/=]{8,}/g,
  token: /eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g,
  'address of a person': /\b\d{7,15}(?::\d+)?@(?:s\.whatsapp\.net|lid|c\.us)/g,
  'number with a plus': /\+\d{9,15}\b/g,
  'private key': /-----BEGIN [A-Z ]*PRIVATE KEY/g,
  'login in an address': /:\/\/[^/\s:@"]+:[^/\s@"]+@/g,
  'bytes as they print': /(?:\b\d{1,3}, ?){20,}|<Buffer(?: [0-9a-f]{2}){8,}|Uint8Array\(\d+\) \[/g,
}

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
const read = (file: string): string =>
  existsSync(join(directory, file)) ? readFileSync(join(directory, file), 'utf8') : ''
const lines = read('lines')
const refusals = read('refusals')
const secrets = read('secrets')
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line) as Planted)
  .filter(({ value }) => !HARMLESS.some((pattern) => pattern.test(value)))

/** As it is, and as JSON, addresses and base64 have it. */
const formsOf = (value: string): string[] => [
  ...new Set([
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    Buffer.from(value).toString('base64').replace(/=+$/, '').slice(0, -1),
  ]),
]
const around = (text: string, found: string): string => {
  const at = text.indexOf(found)
  const from = text.lastIndexOf('\n', at) + 1
  const to = text.indexOf('\n', at)
  return text.slice(from, to === -1 ? undefined : to).slice(0, 400)
}

const findings: string[] = []
for (const { name, kind, value } of secrets) {
  for (const form of formsOf(value)) {
    if (lines.includes(form)) findings.push(`${name} in a line: ${around(lines, form)}`)
    else if (kind === 'key' && refusals.includes(form))
      findings.push(`${name} in a refusal: ${around(refusals, form)}`)
    else continue
    break
  }
}
for (const [name, pattern] of Object.entries(FORBIDDEN)) {
  for (const found of new Set(lines.match(pattern) ?? [])) findings.push(`${name}: ${around(lines, found)}`)
}
rmSync(directory, { recursive: true, force: true })

const count = lines.split('\n').length
process.stdout.write(
  `\n${count} lines (${Math.round(lines.length / 1e6)} MB) and ${refusals.split('\n').length} refusals searched for ${secrets.length} secrets: ${findings.length} found\n${findings.slice(0, 50).join('\n')}\n`,
)
if (count < 2 || secrets.length === 0) process.stdout.write('Nothing was recorded: the scan proves nothing\n')
process.exitCode = code !== 0 ? code : findings.length > 0 || count < 2 || secrets.length === 0 ? 1 : 0
