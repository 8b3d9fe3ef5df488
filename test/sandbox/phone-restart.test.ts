import { afterEach, beforeEach, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { baileysClient, pairWithBaileys, startSandbox, textOf } from '../harness/sandbox'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sandbox-restart-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

/** The state file as another process would find it if this one were killed now. */
const asKilled = (name: string): string => {
  const copy = join(directory, name)
  for (const suffix of ['', '-wal']) cpSync(join(directory, `state.sqlite${suffix}`), `${copy}${suffix}`)
  return copy
}

test('a device that was just linked is known to the next process, whatever happened to this one', async () => {
  const first = await startSandbox({ stateFile: join(directory, 'state.sqlite') })
  const phone = first.addPhone({ phoneNumber: '4915550001', name: 'Ada' })
  const client = baileysClient(first)
  const qr = await client.showQr()
  const scanned = phone.scan(qr)
  const open = client.until((e) => e.name === 'connection.update' && e.data.connection === 'open')
  await scanned
  const file = asKilled('killed.sqlite')
  await open
  await client.close()
  await first.stop()

  const second = await startSandbox({ stateFile: file })
  expect(second.rootPublicKey).toBe(first.rootPublicKey)
  expect(second.phone('4915550001').devices()).toMatchObject([{ id: 1, keyIndex: 1 }])
  const again = baileysClient(second, { auth: client.auth })
  await again.connect()
  await again.close()
  await second.stop()
})

test('conversations, groups and what a companion has missed go on after a restart', async () => {
  const stateFile = join(directory, 'state.sqlite')
  const first = await startSandbox({ stateFile })
  const [ada, bob] = ['4915550001', '4915550002'].map((phoneNumber) =>
    first.addPhone({ phoneNumber, name: phoneNumber }),
  )
  if (!ada || !bob) throw new Error('two phones are needed')
  const client = await pairWithBaileys(first, ada)
  const { jid } = await first.createGroup({
    owner: bob.phoneNumber,
    subject: 'Tea',
    members: [ada.phoneNumber],
  })
  for (const to of [ada.phoneNumber, jid]) await bob.send(to, `before, to ${to}`)
  for (const to of [ada.phoneNumber, jid]) await client.untilMessage((m) => textOf(m) === `before, to ${to}`)
  for (const to of [bob.jid, jid]) await client.sock.sendMessage(to, { text: `back, to ${to}` })
  await bob.waitForMessage(({ content }) => content.text === `back, to ${jid}`)
  await client.close()
  await bob.send(ada.phoneNumber, 'while you were away')
  await first.stop()

  const second = await startSandbox({ stateFile })
  const [adaAgain, bobAgain] = [second.phone(ada.phoneNumber), second.phone(bob.phoneNumber)]
  expect([adaAgain.lid, bobAgain.lid]).toEqual([ada.lid, bob.lid])
  expect(bobAgain.messages().map(({ content }) => content.text)).toEqual([
    `back, to ${bob.jid}`,
    `back, to ${jid}`,
  ])
  const again = baileysClient(second, { auth: client.auth })
  await again.connect()
  const missed = await again.until(
    (e) =>
      e.name === 'messages.upsert' &&
      e.data.messages.some((m) => textOf(m) === 'while you were away') &&
      e.data,
  )
  expect(missed.type).toBe('append')
  for (const to of [ada.phoneNumber, jid]) await bobAgain.send(to, `after, to ${to}`)
  for (const to of [ada.phoneNumber, jid]) await again.untilMessage((m) => textOf(m) === `after, to ${to}`)
  for (const to of [bob.jid, jid]) {
    await again.sock.sendMessage(to, { text: `after, to ${to}` })
    await bobAgain.waitForMessage(({ content }) => content.text === `after, to ${to}`)
  }
  await again.close()
  await second.stop()
})

test('without a file everything is forgotten', async () => {
  const first = await startSandbox()
  first.addPhone({ phoneNumber: '4915550001', name: 'Ada' })
  await first.stop()
  const second = await startSandbox()
  expect(second.phones.size).toBe(0)
  expect(second.rootPublicKey).not.toBe(first.rootPublicKey)
  await second.stop()
})
