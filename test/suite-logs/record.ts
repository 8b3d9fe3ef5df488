/**
 * Loaded before the tests by `bun run scan-logs`, and before every program that they start: writes down each line that any
 * log of the product makes, at level trace whatever it was made with, and each secret that a test hands over or gets.
 *
 * `SUITE_LOGS` names the directory: `lines` (what was logged and printed), `secrets` (JSON, one a line), `refusals` (bodies
 * of answers to what failed).
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { plugin } from 'bun'

const directory = process.env.SUITE_LOGS
if (directory === undefined) throw new Error('SUITE_LOGS is not set')

const append = (file: string, text: string) => appendFileSync(join(directory, file), `${text}\n`)

/** What stands in `src/lib/log.ts`, and what stands there for the scan. */
const CHANGES: readonly (readonly [string, string])[] = [
  [
    'if (LOG_LEVELS.indexOf(level) < threshold) return',
    `const write = (line: string) => {
      ;(globalThis as unknown as { suiteLog(line: string): void }).suiteLog(line)
      if (LOG_LEVELS.indexOf(level) >= threshold) options.write(line)
    }`,
  ],
  ['options.write(\n', 'write(\n'],
  ['level: options.level,\n    trace', "level: 'trace',\n    trace"],
]
Object.assign(globalThis, { suiteLog: (line: string) => append('lines', line) })
const LOG = join(import.meta.dir, '..', '..', 'src', 'lib', 'log.ts')
plugin({
  name: 'every line of every log',
  setup(build) {
    build.onLoad({ filter: new RegExp(`^${LOG.replaceAll('.', '\\.')}$`) }, async () => {
      let contents = await Bun.file(LOG).text()
      for (const [found, instead] of CHANGES) {
        if (contents.split(found).length !== 2) throw new Error(`“${found}” is not in log.ts once`)
        contents = contents.replace(found, () => instead)
      }
      return { contents, loader: 'ts' }
    })
  },
})

// What the server prints, beside its log; the demo and the document are there to be read.
if (process.argv.some((word) => word.endsWith('src/main.ts')) && process.argv.includes('serve')) {
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream)
    stream.write = ((text: string | Uint8Array, ...more: never[]) => {
      append('lines', typeof text === 'string' ? text : Buffer.from(text).toString())
      return write(text, ...more)
    }) as typeof stream.write
  }
}

/** Fields of requests and answers that hold something for nobody's log, and the kind of secret it is. */
const FIELDS: Record<string, 'key' | 'text'> = {
  password: 'key',
  currentPassword: 'key',
  newPassword: 'key',
  secret: 'key',
  webhookSecret: 'key',
  token: 'key',
  apiKey: 'key',
  ticket: 'key',
  proxyUrl: 'key',
  qrText: 'key',
  text: 'text',
  caption: 'text',
  question: 'text',
  fullName: 'text',
  phoneNumber: 'text',
  to: 'text',
  documentBase64: 'text',
  imageBase64: 'text',
}
const HEADERS = ['x-api-key', 'authorization', 'cookie', 'idempotency-key']
const SHORTEST = 8
const LONGEST = 2_000

const known = new Set<string>()
function plant(name: string, kind: 'key' | 'text', value: unknown): void {
  if (typeof value !== 'string' || value.length < SHORTEST || value.length > LONGEST) return
  // Filling, words that the product may say itself, and addresses that give nothing away.
  if (new Set(value).size < 5 || /^[A-Za-z]+$|^[A-Za-z ]{1,15}$/.test(value) || known.has(value)) return
  if (name === 'proxyUrl' && !value.includes('@')) return
  known.add(value)
  append('secrets', JSON.stringify({ name, kind, value }))
}
function plantAll(body: unknown): void {
  if (typeof body !== 'object' || body === null) return
  for (const [name, value] of Object.entries(body)) {
    const kind = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined
    if (kind) plant(name, kind, value)
    plantAll(value)
  }
}
const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const original = globalThis.fetch
const recording = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
  const url = input instanceof Request ? input.url : String(input)
  const response = await original(input, init)
  if (!/^http:\/\/(?:127\.0\.0\.1|localhost)[:/]/.test(url)) return response
  const headers = new Headers(input instanceof Request ? input.headers : init?.headers)
  for (const name of HEADERS) plant(name, 'key', headers.get(name)?.replace(/^Bearer +/i, ''))
  if (typeof init?.body === 'string') plantAll(parsed(init.body))
  if (!(response.headers.get('content-type') ?? '').startsWith('application/json')) return response
  // A copy is read beside the test, which does not wait for it.
  response
    .clone()
    .text()
    .then(
      (text) => {
        plantAll(parsed(text))
        if (response.status >= 400) append('refusals', text)
      },
      () => undefined,
    )
  return response
}
globalThis.fetch = Object.assign(recording, original)

const spawn = Bun.spawn
Bun.spawn = ((...given: unknown[]) => {
  const [first, second] = given
  const command = (Array.isArray(first) ? first : (first as { cmd: string[] }).cmd) as string[]
  // Compiled programs and the compiler itself take no preload.
  if (command[0] !== process.execPath || command.some((word) => /\bbuild\b/.test(word)))
    return spawn(...(given as Parameters<typeof spawn>))
  const options = (Array.isArray(first) ? (second ?? {}) : first) as { env?: Record<string, string> }
  const env = {
    ...(options.env ?? process.env),
    SUITE_LOGS: directory,
    BUN_OPTIONS: `--preload ${import.meta.path}`,
  }
  return spawn(command, { ...options, env } as Parameters<typeof spawn>[1])
}) as typeof spawn
