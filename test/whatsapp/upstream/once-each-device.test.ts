/** A message to the own number, by unmodified Baileys and by a socket with the repair, to a server that counts devices. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { proto } from '@whiskeysockets/baileys'
import type { Phone } from '../../../src/sandbox/phone'
import { onceEachDevice } from '../../../src/whatsapp/baileys/upstream/once-each-device'
import {
  type BaileysClient,
  hasStatus,
  pairWithBaileys,
  startSandbox,
  type TestSandbox,
} from '../../harness/sandbox'

const { Status } = proto.WebMessageInfo
const SAID = { conversation: 'a note' }
let sandbox: TestSandbox
let phone: Phone
let stock: BaileysClient
beforeAll(async () => {
  sandbox = await startSandbox()
  phone = sandbox.addPhone({ phoneNumber: '4926000000001', name: 'Anna' })
  stock = await pairWithBaileys(sandbox, phone)
})
afterAll(async () => {
  await stock.close()
  await sandbox.stop()
})

describe('the devices of a message to oneself', () => {
  test('upstream: each is named twice, and the server refuses the message', async () => {
    const sent = await stock.sock.sendMessage(phone.jid, { text: 'a note' })
    await stock.until((event) => hasStatus(event, sent?.key.id ?? '', Status.ERROR))
    expect(phone.messages()).toEqual([])
  })

  test('with the repair each is there once', () => {
    const named: unknown = onceEachDevice(SAID, ['1@lid', '1@lid', '1:2@lid'])
    expect(named).toEqual([
      { recipientJid: '1@lid', message: SAID },
      { recipientJid: '1:2@lid', message: SAID },
    ])
  })

  test('any other message is left as it is', () => {
    expect(onceEachDevice(SAID, ['1@lid', '1:2@lid', '2@lid'])).toBe(SAID)
    expect(onceEachDevice(SAID)).toBe(SAID)
  })
})
