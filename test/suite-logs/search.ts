/** Looks in what `record.ts` has written down for every secret that it has seen, and for whatever looks like one. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

type Planted = { name: string; kind: 'key' | 'text'; value: string }

/** What is no secret although it looks like one or was handed over as one. */
const HARMLESS: readonly RegExp[] = [/^status@broadcast$/, /^me$/]
/** The test of the log itself shows with these lines that a secret is found. */
const CONTROL = 'A control of this test'
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

/** Findings with the line in which each is, and how much was searched for how many secrets. */
export function searchIn(directory: string): {
  findings: string[]
  lines: number
  refusals: number
  secrets: number
} {
  const read = (file: string): string =>
    existsSync(join(directory, file)) ? readFileSync(join(directory, file), 'utf8') : ''
  const lines = read('lines')
    .split('\n')
    .filter((line) => !line.includes(CONTROL))
    .join('\n')
  const refusals = read('refusals')
  const secrets = read('secrets')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Planted)
    .filter(({ value }) => !HARMLESS.some((pattern) => pattern.test(value)))

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
  const count = (text: string) => text.split('\n').length - 1
  return { findings, lines: count(lines), refusals: count(refusals), secrets: secrets.length }
}
