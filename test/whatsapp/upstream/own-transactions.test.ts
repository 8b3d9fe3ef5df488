import { afterEach, expect, test } from 'bun:test'
import { keepTransactionsApart } from '../../../src/whatsapp/baileys/upstream/own-transactions'
import { quietLibsignal } from '../../../src/whatsapp/baileys/upstream/quiet-libsignal'
import { type Person, person } from '../support/signal-pair'

let takeBack: () => void = () => undefined
let quiet = quietLibsignal()
quiet.undo()
afterEach(() => {
  takeBack()
  quiet.undo()
})

const MESSAGES = 22

/** Two accounts of one process write to the same person at once; how many of their messages can be read. */
async function readable(): Promise<number> {
  quiet = quietLibsignal()
  const [customer, ...accounts] = [person('9@lid'), person('1@lid'), person('2@lid')]
  for (const account of accounts) await account.begin(customer)
  const said = await Promise.all(
    Array.from({ length: MESSAGES - 2 }, (_, n) => {
      const from = accounts[n % 2] as Person
      return from.say(customer, `${n}`).then((sealed) => ({ from, sealed }))
    }),
  )
  // What was never stored is missing now.
  for (const from of accounts) said.push({ from, sealed: await from.say(customer, 'later') })
  let count = 0
  for (const { from, sealed } of said)
    count += await customer.hear(from, sealed).then(
      () => 1,
      () => 0,
    )
  return count
}

test('upstream: accounts of one process that write to one person spoil each other’s sessions', async () => {
  keepTransactionsApart()()
  expect(await readable()).toBeLessThan(MESSAGES)
})

test('accounts of one process that write to one person do not meet', async () => {
  takeBack = keepTransactionsApart()
  expect(await readable()).toBe(MESSAGES)
})
