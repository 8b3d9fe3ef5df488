/** Holds the arrows between the folders of `src` (ARCHITECTURE.md) and the borders of foreign libraries. */
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const SRC = join(import.meta.dir, '..', 'src')

/** Folder or top file → what it may import. A folder may always import itself. */
const ARROWS: Record<string, readonly string[]> = {
  lib: [],
  domain: ['lib'],
  sessions: ['domain', 'lib'],
  webhooks: ['domain', 'lib'],
  stream: ['domain', 'lib'],
  stats: ['domain', 'lib'],
  access: ['domain', 'lib'],
  media: ['domain', 'lib'],
  storage: ['domain', 'lib'],
  whatsapp: ['domain', 'lib'],
  sandbox: ['lib'],
  http: ['sessions', 'webhooks', 'stream', 'stats', 'access', 'media', 'domain', 'lib', 'config'],
  config: ['domain', 'lib'],
  app: [
    'http',
    'sessions',
    'webhooks',
    'stream',
    'stats',
    'access',
    'media',
    'storage',
    'whatsapp',
    'sandbox',
    'config',
    'domain',
    'lib',
  ],
  demo: ['app', 'config', 'sandbox', 'sessions', 'webhooks', 'domain', 'lib'],
  cli: [
    'app',
    'config',
    'demo',
    'sandbox',
    'http',
    'domain',
    'lib',
    'storage',
    'whatsapp',
    'access',
    'sessions',
  ],
  main: ['cli', 'app', 'config', 'demo', 'sandbox', 'http', 'domain', 'lib'],
}

/** Foreign library → the only places that may know it. */
const BORDERS: Record<string, readonly string[]> = {
  '@whiskeysockets/baileys': ['whatsapp', 'sandbox'],
  libsignal: ['whatsapp', 'sandbox'],
  'whatsapp-rust-bridge': ['whatsapp', 'sandbox', 'lib'],
  elysia: ['http', 'sandbox', 'app', 'cli'],
  '@elysiajs/jwt': ['access', 'http'],
  'drizzle-orm': ['storage'],
  'bun:sqlite': ['storage', 'sandbox'],
  qrcode: ['sessions'],
  'libopus-wasm': ['media'],
  'mpg123-decoder': ['media'],
  '@wasm-audio-decoders': ['media'],
}

type Import = { from: string; to: string }

const files = [...new Bun.Glob('**/*.ts').scanSync(SRC)].filter((file) => !file.endsWith('.d.ts')).sort()

/** `sessions/supervisor.ts` → `sessions`; `main.ts` → `main`. */
const placeOf = (file: string): string => (file.split('/')[0] ?? '').replace(/\.ts$/, '')

/** Both value and type imports: a type is an arrow too. */
function importsOf(source: string): string[] {
  const found = source.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"()]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g,
  )
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

function resolveInside(file: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null
  const base = join(SRC, dirname(file), specifier)
  const path = [base, `${base}.ts`, join(base, 'index.ts')].find(
    (candidate) => existsSync(candidate) && statSync(candidate).isFile(),
  )
  return path ? relative(SRC, path) : `unresolved:${specifier}`
}

function forbiddenArrows(imports: readonly Import[]): string[] {
  return imports
    .filter(({ from, to }) => {
      const [here, there] = [placeOf(from), placeOf(to)]
      // The version is read from package.json, which is no room of the house.
      return here !== there && !to.startsWith('..') && !(ARROWS[here] ?? []).includes(there)
    })
    .map(({ from, to }) => `${from} → ${to}`)
}

const sources = new Map(files.map((file) => [file, readFileSync(join(SRC, file), 'utf8')]))
const inside: Import[] = []
const outside: Import[] = []
for (const [file, source] of sources) {
  for (const specifier of importsOf(source)) {
    const target = resolveInside(file, specifier)
    if (target !== null) inside.push({ from: file, to: target })
    else outside.push({ from: file, to: specifier })
  }
}

describe('arrows', () => {
  test('every folder and top file has its place in the table', () => {
    expect([...new Set(files.map(placeOf))].filter((place) => !(place in ARROWS))).toEqual([])
  })

  test('every relative import resolves', () => {
    expect(inside.filter(({ to }) => to.startsWith('unresolved:'))).toEqual([])
  })

  test('point one way', () => {
    expect(inside.length).toBeGreaterThan(30)
    expect(forbiddenArrows(inside)).toEqual([])
  })

  test('control: a forbidden arrow is found, in value, type and dynamic imports', () => {
    const source =
      "import type { A } from '../http/api'\nexport { b } from '../webhooks/sender'\nconst c = import('../app')"
    expect(importsOf(source)).toEqual(['../http/api', '../webhooks/sender', '../app'])
    expect(forbiddenArrows([{ from: 'sessions/x.ts', to: 'webhooks/sender.ts' }])).toHaveLength(1)
  })

  test('no file is imported in a circle', () => {
    const next = new Map<string, string[]>()
    for (const { from, to } of inside) next.set(from, [...(next.get(from) ?? []), to])
    const done = new Set<string>()
    const circles: string[] = []
    const walk = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
        return
      }
      if (done.has(file)) return
      for (const target of next.get(file) ?? []) walk(target, [...path, file])
      done.add(file)
    }
    for (const file of files) walk(file, [])
    // Types that refer to each other are erased; circles of values are what breaks at start-up.
    const values = circles.filter((circle) => {
      const path = circle.split(' → ')
      return path.slice(0, -1).every((from, index) => {
        const source = sources.get(from) ?? ''
        const target = (path[index + 1] ?? '').replace(/\.ts$/, '').split('/').at(-1) ?? ''
        return new RegExp(`(?:^|\\n)import (?!type)[^'"]*['"][^'"]*/${target}['"]`).test(source)
      })
    })
    expect(values).toEqual([])
  })
})

describe('borders', () => {
  test('foreign libraries stay behind their one border', () => {
    const strays = outside.filter(({ from, to }) => {
      const library = Object.keys(BORDERS).find((name) => to === name || to.startsWith(`${name}/`))
      return library !== undefined && !(BORDERS[library] ?? []).includes(placeOf(from))
    })
    expect(strays).toEqual([])
  })

  test('no production code but app and the command line knows the sandbox', () => {
    const knowing = inside
      .filter(({ from, to }) => placeOf(to) === 'sandbox' && placeOf(from) !== 'sandbox')
      .map(({ from }) => placeOf(from))
    expect([...new Set(knowing)].filter((place) => !['app', 'main', 'cli', 'demo'].includes(place))).toEqual(
      [],
    )
  })
})

describe('habits', () => {
  const offenders = (pattern: RegExp, except: (file: string) => boolean = () => false): string[] =>
    [...sources].filter(([file, source]) => !except(file) && pattern.test(source)).map(([file]) => file)

  test('no default exports', () => {
    expect(offenders(/^export default/m)).toEqual([])
  })

  test('no asynchronous database transaction, which would not roll back', () => {
    expect(offenders(/transaction\(\s*async\b/)).toEqual([])
  })

  test('the book of rules has no clock, no dice and no timers', () => {
    expect(
      offenders(/\bDate\.now\(|\bsetTimeout\(|\bMath\.random\(/, (file) => !file.startsWith('domain/')),
    ).toEqual([])
  })

  test('nothing is printed past the log, but by commands', () => {
    expect(
      offenders(
        /\bconsole\.\w+\(|process\.std(?:out|err)\.write/,
        (file) => file.startsWith('cli/') || file.startsWith('demo') || file === 'main.ts',
      ),
    ).toEqual([])
  })

  test('names say what a thing is', () => {
    expect(
      files.filter((file) => /(?:service|manager|helper|util|handler|base|impl)s?\.ts$/i.test(file)),
    ).toEqual([])
  })
})
