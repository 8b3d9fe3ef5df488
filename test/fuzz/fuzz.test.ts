/** The short run of the fuzzers: a few seconds, always the same inputs. The long one is `bun run fuzz`. */
import { expect, test } from 'bun:test'
import { fuzz, type Target } from './run'
import { TARGETS } from './targets'

const INPUTS: Record<string, number> = {
  stanzas: 5_000,
  bodies: 8_000,
  urls: 5_000,
  cursors: 8_000,
  routes: 400,
}

test.each(TARGETS.map((target) => [target.name, target] as const))('%s', async (name, target) => {
  const inputs = INPUTS[name] ?? 0
  expect(inputs).toBeGreaterThan(0)
  const { crashes } = await fuzz(target, inputs, 1)
  expect(crashes).toEqual([])
})

test('control: what breaks is told, with its input, and the same seed finds it again', async () => {
  const brittle: Target<number> = {
    name: 'brittle',
    open: async () => ({
      make: (chance) => chance.below(1_000),
      take: (input) => {
        if (input === 7) throw new Error('broken')
      },
      end: async () => undefined,
    }),
    show: String,
  }
  const first = await fuzz(brittle, 20_000, 5)
  expect(first.crashes[0]).toEqual({ input: '7', error: 'Error: broken' })
  const { crashes } = await fuzz(brittle, 20_000, 5)
  expect(crashes).toEqual(first.crashes)
})
