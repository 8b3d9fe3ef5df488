import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openState } from '../../src/sandbox/state'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sandbox-state-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const bytes = (text: string) => Buffer.from(text)

describe.each([
  ['in memory', () => openState()],
  ['in a file', () => openState(join(directory, 'sandbox.sqlite'))],
])('state %s', (_, open) => {
  test('keeps scopes apart, in order, and deletes', () => {
    const state = open()
    state.write(
      'a',
      new Map([
        ['2', bytes('two')],
        ['1', bytes('one')],
      ]),
    )
    state.write('b', new Map([['1', bytes('other')]]))
    expect(state.entries('a').map(({ key, value }) => `${key}=${value}`)).toEqual(['1=one', '2=two'])
    expect(state.get('b', '1')).toEqual(bytes('other'))
    state.write('a', new Map([['1', null]]))
    expect(state.get('a', '1')).toBeNull()
    state.drop('a')
    expect(state.entries('a')).toEqual([])
    expect(state.entries('b')).toHaveLength(1)
    state.close()
  })
})

test('what a killed process wrote is there for the next one', async () => {
  const file = join(directory, 'sandbox.sqlite')
  const script = `
    import { openState } from '${join(import.meta.dir, '../../src/sandbox/state')}'
    const state = openState(${JSON.stringify(file)})
    for (let i = 0; ; i++) {
      state.write('n', new Map([[String(i).padStart(8, '0'), Buffer.from('x')], ['last', Buffer.from(String(i))]]))
      if (i === 200) { console.log(i); process.kill(process.pid, 'SIGKILL') }
    }`
  const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' })
  expect((await new Response(child.stdout).text()).trim()).toBe('200')
  await child.exited
  const state = openState(file)
  expect(state.get('n', 'last')?.toString()).toBe('200')
  expect(state.entries('n')).toHaveLength(202)
  state.close()
})
