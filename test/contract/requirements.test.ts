/** Every requirement of the manual names its proof, or stands in the list of what is still open. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { REQUIREMENTS, STILL_OPEN } from './requirements'

const ROOT = join(import.meta.dir, '..', '..')
const sources = new Map<string, string>()
const sourceOf = (file: string): string => {
  const path = join(ROOT, file)
  const source = sources.get(file) ?? (existsSync(path) ? readFileSync(path, 'utf8') : '')
  sources.set(file, source)
  return source
}

/** A test whose name begins so, in any way of writing it. */
const names = (source: string, name: string): boolean =>
  ["'", '"', '`'].some((quote) => source.includes(`${quote}${name}`))

test('all 140 lines are there', () => {
  expect(Object.keys(REQUIREMENTS)).toEqual(Array.from({ length: 140 }, (_, index) => `R${index + 1}`))
})

test('every proof is a test that exists', () => {
  const missing = Object.entries(REQUIREMENTS).flatMap(([line, proof]) =>
    'open' in proof || names(sourceOf(proof.file), proof.test)
      ? []
      : [`${line}: ${proof.file} › ${proof.test}`],
  )
  expect(missing).toEqual([])
})

test('what is open is few, and said', () => {
  const open = Object.entries(REQUIREMENTS).flatMap(([line, proof]) =>
    'open' in proof ? [`${line}: ${proof.open}`] : [],
  )
  expect(open.length).toBeLessThan(12)
  console.log(
    `Still open of the manual:\n  ${open.join('\n  ')}\nStill open of the contract:\n  ${STILL_OPEN.join('\n  ')}`,
  )
})

test('control: a proof that does not exist is noticed', () => {
  expect(names(sourceOf('test/contract/manual.test.ts'), 'No such test')).toBe(false)
  expect(sourceOf('test/no-such.test.ts')).toBe('')
})
