/** What comes again is not seen again; `bun run crash --redeliver 1000` is the long run. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { redelivered } from './redelivery'

setDefaultTimeout(60_000)
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000)

test(`twelve messages ten times again, before and after a kill (seed ${seed})`, async () => {
  expect(await redelivered({ seed, messages: 12, times: 10 })).toEqual({
    again: (12 + 13) * 10,
    rowsTooMany: 0,
    eventsTooMany: 0,
    troubles: [],
  })
})

test(`control: without its plaintext a message that comes again cannot be read (seed ${seed})`, async () => {
  const without = 'plaintext with the ratchet'
  const { troubles } = await redelivered({ seed, messages: 4, times: 1, without })
  expect(troubles.length).toBeGreaterThan(0)
})
