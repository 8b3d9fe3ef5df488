/** Room that is taken before it is used. */
import { expect, test } from 'bun:test'
import { createRoom } from '../../src/lib/room'

test('what is under way counts, for its own key and until it has ended either way', async () => {
  const room = createRoom()
  const seen: number[] = []
  const take = (key: string, work: () => Promise<string>) =>
    room.take(key, (more) => void seen.push(more), work)
  const first = Promise.withResolvers<string>()
  const second = Promise.withResolvers<string>()
  const one = take('a', () => first.promise)
  const two = take('a', () => second.promise)
  await take('b', async () => 'at once')
  expect(seen).toEqual([0, 1, 0])
  first.resolve('done')
  expect(await one).toBe('done')
  second.reject(new Error('no'))
  await expect(two).rejects.toThrow('no')
  await take('a', async () => 'again')
  expect(seen.at(-1)).toBe(0)
})

test('who is refused takes no room', async () => {
  const room = createRoom()
  const refuse = () => {
    throw new Error('full')
  }
  await expect(room.take('a', refuse, async () => 'x')).rejects.toThrow('full')
  let underWay = -1
  await room.take(
    'a',
    (more) => {
      underWay = more
    },
    async () => 'x',
  )
  expect(underWay).toBe(0)
})
