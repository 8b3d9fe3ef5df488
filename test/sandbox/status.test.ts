/** Status posts between real Baileys clients: exactly the audience, decrypted, answered with receipts. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { proto } from '@whiskeysockets/baileys'
import type { Phone } from '../../src/sandbox/phone'
import {
  type BaileysClient,
  hasStatus,
  pairWithBaileys,
  startSandbox,
  type TestSandbox,
  textOf,
} from '../harness/sandbox'

const STATUS = 'status@broadcast'
let sandbox: TestSandbox
let phones: Phone[]
let clients: BaileysClient[]

beforeAll(async () => {
  sandbox = await startSandbox()
  phones = ['Anna', 'Ben', 'Carl'].map((name, at) =>
    sandbox.addPhone({ phoneNumber: `493500000000${at}`, name }),
  )
  clients = await Promise.all(phones.map((phone) => pairWithBaileys(sandbox, phone)))
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await sandbox.stop()
})

test('a status is read by its audience and by nobody else, and taken back', async () => {
  const [anna, ben, carl] = clients
  const [annasPhone, bensPhone, carlsPhone] = phones
  if (!anna || !ben || !carl || !annasPhone || !bensPhone || !carlsPhone) throw new Error('three are there')
  const audience = { statusJidList: [bensPhone.jid, annasPhone.jid] }
  const sent = await anna.sock.sendMessage(STATUS, { text: 'On holiday' }, audience)
  const got = await ben.untilMessage((message) => textOf(message) === 'On holiday')
  expect(got.key).toMatchObject({
    remoteJid: STATUS,
    id: sent?.key.id ?? '',
    fromMe: false,
    participant: annasPhone.lid,
  })
  await bensPhone.waitForMessage(({ content }) => content.text === 'On holiday')
  // Whoever posts is in the own audience with the other devices.
  await annasPhone.waitForMessage(({ content }) => content.text === 'On holiday')
  await ben.sock.readMessages([got.key])
  await anna.until(
    (event) =>
      event.name === 'message-receipt.update' &&
      event.data.some(({ key, receipt }) => key.id === sent?.key.id && receipt.readTimestamp),
  )

  if (!sent) throw new Error('nothing was sent')
  await anna.sock.sendMessage(STATUS, { delete: sent.key }, audience)
  await ben.until(
    (event) =>
      event.name === 'messages.update' &&
      event.data.some(({ key, update }) => key.id === sent.key.id && update.message === null),
  )
  // Carl has heard of nothing, although he is there.
  await bensPhone.send(carlsPhone.jid, 'Seen it?')
  await carl.untilMessage((message) => textOf(message) === 'Seen it?')
  expect(carl.messages.filter(({ key }) => key.remoteJid === STATUS)).toEqual([])
})

test('a status without an audience is accepted, and nobody hears of it', async () => {
  const [anna, ben] = clients
  const sent = await anna?.sock.sendMessage(STATUS, { text: 'Alone' })
  const acknowledged = sandbox.server.stats.snapshot().messages
  expect(acknowledged).toBeGreaterThan(0)
  await anna?.sock.sendMessage(phones[1]?.jid ?? '', { text: 'And?' })
  await ben?.untilMessage((message) => textOf(message) === 'And?')
  expect(ben?.messages.some((message) => textOf(message) === 'Alone')).toBe(false)
  const failed = anna?.events.some((event) =>
    hasStatus(event, sent?.key.id ?? '', proto.WebMessageInfo.Status.ERROR),
  )
  expect(failed).toBe(false)
})
