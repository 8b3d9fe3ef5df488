/** Fault points are for tests alone. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { FAULT_POINTS } from '../../src/lib/fault-points'

const SRC = join(import.meta.dir, '..', '..', 'src')
const HOME = 'lib/fault-points.ts'

const sources = new Map<string, string>()
for (const file of new Bun.Glob('**/*.ts').scanSync(SRC)) {
  if (file !== HOME) sources.set(file, await Bun.file(join(SRC, file)).text())
}
const filesWith = (words: string) =>
  [...sources].filter(([, text]) => text.includes(words)).map(([file]) => file)

test('the product never arms them, so nothing that reaches it can', () => {
  expect(filesWith('armFaultPoints')).toEqual([])
})

test('every point of the list is passed somewhere, and no other', () => {
  const passed = [...sources.values()].flatMap((text) =>
    [...text.matchAll(/faultPoint\('([^']+)'\)/g)].map((match) => match[1] ?? ''),
  )
  expect([...new Set(passed)].sort()).toEqual([...FAULT_POINTS].sort())
})
