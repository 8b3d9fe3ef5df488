/** Every guard can be taken away, and the product has no way to do so itself. */
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { GUARDS, type GuardName, withoutGuard } from './guards'

const names = Object.keys(GUARDS) as GuardName[]

describe('guards', () => {
  test.each(names)('%s stands in its file once', async (name) => {
    const source = await Bun.file(join(import.meta.dir, '..', '..', 'src', GUARDS[name].file)).text()
    expect(withoutGuard(name, source)).not.toBe(source)
  })

  test('a guard that has been reworded is noticed', () => {
    for (const name of names) expect(() => withoutGuard(name, 'something else')).toThrow('is not in')
  })
})
