import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { Phone } from '../../src/sandbox/phone'
import {
  type BaileysClient,
  pairWithBaileys,
  startSandbox,
  type TestSandbox,
  textOf,
} from '../harness/sandbox'

let sandbox: TestSandbox
const clients: BaileysClient[] = []
let next = 4915550000000
const addPhone = (name = 'Somebody', addressing: 'lid' | 'pn' = 'lid') =>
  sandbox.addPhone({ phoneNumber: String(++next), name, addressing })
const pair = async (phone: Phone) => {
  const client = await pairWithBaileys(sandbox, phone)
  clients.push(client)
  return client
}

beforeAll(async () => {
  sandbox = await startSandbox()
})
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})
afterAll(() => sandbox.stop())

describe.each(['lid', 'pn'] as const)('between a companion and phones (%s)', (addressing) => {
  test('a scanned QR code leads through the restart to an open connection, and the owner’s name', async () => {
    const phone = addPhone('Ada', addressing)
    const client = await pair(phone)
    expect(phone.devices()).toEqual([{ id: 1, keyIndex: 1, online: true }])
    expect(client.sock.user?.id).toBe(`${phone.phoneNumber}:1@s.whatsapp.net`)
    await client.until((event) => event.name === 'messaging-history.set')
    await client.until((event) => event.name === 'creds.update' && event.data.me?.name === 'Ada')
  })

  test('text goes both ways, opened with the phone’s own keys', async () => {
    const [ada, bob] = [addPhone('Ada', addressing), addPhone('Bob', addressing)]
    const client = await pair(ada)
    await bob.send(ada.phoneNumber, 'hello Ada')
    const heard = await client.untilMessage((message) => textOf(message) === 'hello Ada')
    expect(heard.pushName).toBe('Bob')
    const said = await client.sock.sendMessage(bob.jid, { text: 'hello Bob' })
    const got = await bob.waitForMessage(({ content }) => content.text === 'hello Bob')
    expect(got).toMatchObject({
      id: said?.key.id as string,
      from: ada.jid,
      chat: ada.jid,
      fromMe: false,
      device: 1,
    })
    // The companion's own phone has a copy, and the other phone's first message too.
    await ada.waitForMessage(
      ({ content, fromMe, chat }) => content.text === 'hello Bob' && fromMe && chat === bob.jid,
    )
    await ada.waitForMessage(({ content }) => content.text === 'hello Ada')
  })
})
