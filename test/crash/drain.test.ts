/** A connection that is cut while the messages of an absence come in: the product has all of them, stock Baileys has not. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { drained, NEVER } from './drain'

setDefaultTimeout(60_000)
const MESSAGES = 20
const patience = 20_000

test.each([
  ['at receipt 1', [1]],
  ['at receipt 10', [10]],
  ['at receipt 20', [20]],
  ['three times', [4, 1, 7]],
])('cut %s of 20: all arrive once', async (_, cuts) => {
  expect(await drained({ gateway: 'wabun', messages: MESSAGES, cuts, patience })).toMatchObject({
    told: MESSAGES,
    stored: MESSAGES,
    twice: 0,
    cuts: cuts.length,
  })
})

test('the end mark never comes: all arrive all the same', async () => {
  expect(await drained({ gateway: 'wabun', messages: MESSAGES, cuts: [NEVER], patience })).toMatchObject({
    told: MESSAGES,
    stored: MESSAGES,
    twice: 0,
    cuts: 0,
  })
})

test('control: stock Baileys loses what it has confirmed', async () => {
  const { told } = await drained({
    gateway: 'raw',
    messages: MESSAGES,
    cuts: [MESSAGES / 2],
    patience: 3_000,
  })
  expect(told).toBeLessThan(MESSAGES)
})
