/** Every guard can be taken away, and the product has no way to do so itself. */
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { changed, GUARDS, type GuardName, SHORT_WAITS } from './guards'

const names = Object.keys(GUARDS) as GuardName[]

describe('guards', () => {
  test.each([...names, null])('%p stands in its file once', async (name) => {
    for (const change of name ? GUARDS[name] : [SHORT_WAITS]) {
      const source = await Bun.file(join(import.meta.dir, '..', '..', 'src', change.file)).text()
      expect(changed(change, source)).not.toBe(source)
    }
  })

  test('a guard that has been reworded is noticed', () => {
    for (const change of names.flatMap((name) => [...GUARDS[name]]))
      expect(() => changed(change, 'something else')).toThrow('is not in')
  })
})
