/** SECURITY.md names tests, commands and settings that exist, and nobody's address. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { COMMANDS } from '../src/cli/commands'
import { CONFIG_KEYS, variableOf } from '../src/config'

const ROOT = join(import.meta.dir, '..')
const PAGE = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8')
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}
const named = (pattern: RegExp): string[] => [...PAGE.matchAll(pattern)].map((match) => match[1] ?? '')

test('what it names is there', () => {
  const files = named(/`((?:test|build|src)\/[\w./-]+)`/g)
  expect(files.length).toBeGreaterThan(30)
  expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
  const commands = named(/`wabun (\w+)/g)
  expect(commands.filter((name) => !(name in COMMANDS))).toEqual([])
  expect(named(/`bun run ([\w-]+)/g).filter((name) => !(name in scripts))).toEqual([])
  const variables = CONFIG_KEYS.map(variableOf)
  expect(named(/`([A-Z]+(?:_[A-Z]+)+)`/g).filter((name) => !variables.includes(name))).toEqual([])
})

test('control: what is not there is found', () => {
  expect(existsSync(join(ROOT, 'test/http/no-such.test.ts'))).toBe(false)
  expect('no-such' in COMMANDS).toBe(false)
})

test('it sends nobody to an invented address', () => {
  expect(PAGE).toContain('security advisories of this repository')
  expect(PAGE).not.toMatch(/[\w.]+@[\w-]+\.\w+/)
})
