/** What the devices of an account know together, as a phone and unmodified companions share it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Phone } from '../../src/sandbox/phone'
import { createSandbox } from '../../src/sandbox/sandbox'
import { type BaileysClient, pairWithBaileys, startSandbox, type TestSandbox } from '../harness/sandbox'

let sandbox: TestSandbox
let ada: Phone
let bob: Phone
let first: BaileysClient
let second: BaileysClient
let group: string

beforeAll(async () => {
  sandbox = await startSandbox()
  ada = sandbox.addPhone({ phoneNumber: '4917400000001', name: 'Ada' })
  bob = sandbox.addPhone({ phoneNumber: '4917400000002', name: 'Bob' })
  first = await pairWithBaileys(sandbox, ada)
  second = await pairWithBaileys(sandbox, ada)
  group = (await sandbox.createGroup({ owner: bob.phoneNumber, subject: 'All', members: [ada.phoneNumber] }))
    .jid
  for (const client of [first, second]) {
    await client.until((event) => event.name === 'creds.update' && event.data.myAppStateKeyId)
    await client.until((event) => event.name === 'creds.update' && event.data.me?.name === 'Ada')
  }
})
afterAll(async () => {
  await first.close()
  await second.close()
  await sandbox.stop()
})

/** Resolves when the phone shows its chat with Bob so. */
async function marked(fits: (chat: ReturnType<Phone['chats']>[string]) => boolean) {
  while (!ada.chats()[bob.jid] || !fits(ada.chats()[bob.jid] as never)) await new Promise(setImmediate)
}
const starred = (client: BaileysClient, id: string, star: boolean) =>
  client.until(
    (event) =>
      event.name === 'messages.update' &&
      event.data.find(({ key, update }) => key.id === id && update.starred === star),
  )

test('companions get one key, by which each reads what the other writes', () => {
  expect(first.auth.creds.myAppStateKeyId).toBe(second.auth.creds.myAppStateKeyId as string)
})

test.each(['1:1', 'group'])('stars are seen on all devices, whoever gives them (%s)', async (where) => {
  const { id } = await bob.send(where === 'group' ? group : ada.phoneNumber, 'a star?')
  const { key } = await first.untilMessage((message) => message.key.id === id)
  await ada.waitForMessage((message) => message.id === id)
  const star = { id, fromMe: key.fromMe === true }
  await first.sock.star(key.remoteJid ?? '', [star], true)
  await ada.waitUntilShown(id, (message) => message.starred)
  await starred(second, id, true)

  await ada.star(id, false)
  expect(ada.message(id)?.starred).toBe(false)
  for (const client of [first, second]) await starred(client, id, false)
  await expect(ada.star('NONE', true)).rejects.toThrow('NONE')
})

test('the phone’s own messages have stars too', async () => {
  const { id } = await ada.send(bob.phoneNumber, 'mine')
  await ada.star(id, true)
  for (const client of [first, second]) {
    const update = await starred(client, id, true)
    expect(update.key).toMatchObject({ fromMe: true, remoteJid: bob.lid })
  }
})

describe('chats', () => {
  test('are pinned, archived, muted and marked by companions', async () => {
    await bob.send(ada.phoneNumber, 'last')
    const last = await first.untilMessage(({ message }) => message?.conversation === 'last')
    const chat = bob.lid
    const lastMessages = [{ key: last.key, messageTimestamp: Number(last.messageTimestamp) }]
    await first.sock.chatModify({ pin: true }, chat)
    await marked(({ pinned }) => pinned)
    await first.sock.chatModify({ archive: true, lastMessages }, chat)
    await marked(({ archived }) => archived)
    await first.sock.chatModify({ mute: 4_000_000_000_000 }, chat)
    await marked(({ mutedUntil }) => mutedUntil === 4_000_000_000_000)
    await first.sock.chatModify({ markRead: false, lastMessages }, chat)
    await marked(({ read }) => read === false)
    await first.sock.chatModify({ mute: null }, chat)
    await marked(({ mutedUntil }) => mutedUntil === null)
    expect(ada.chats()).toEqual({
      [bob.jid]: { pinned: true, archived: true, mutedUntil: null, read: false },
    })
  })

  test('are marked by the phone', async () => {
    await ada.changeChat(bob.phoneNumber, {
      pinned: false,
      archived: false,
      mutedUntil: 5_000_000_000_000,
      read: true,
    })
    expect(ada.chats()[bob.jid]).toEqual({
      pinned: false,
      archived: false,
      mutedUntil: 5_000_000_000_000,
      read: true,
    })
    for (const client of [first, second]) {
      await client.until(
        (event) =>
          event.name === 'chats.update' &&
          event.data.some(
            ({ id, muteEndTime }) => id === bob.lid && Number(muteEndTime) === 5_000_000_000_000,
          ),
      )
      await client.until(
        (event) => event.name === 'chats.update' && event.data.some(({ pinned }) => pinned === null),
      )
    }
  })
})

test('changes at the same time are both kept', async () => {
  const [one, two] = [await bob.send(ada.phoneNumber, 'one'), await bob.send(ada.phoneNumber, 'two')]
  for (const { id } of [one, two]) {
    await ada.waitForMessage((message) => message.id === id)
    await first.untilMessage(({ key }) => key.id === id)
  }
  await Promise.all([ada.star(one.id, true), first.sock.star(bob.lid, [{ id: two.id, fromMe: false }], true)])
  for (const { id } of [one, two]) {
    await ada.waitUntilShown(id, (message) => message.starred)
    await starred(second, id, true)
  }
})

test('a patch that does not fit changes nothing, and is told', async () => {
  const broken = new Promise((resolve) => bob.on((event) => event.type === 'broken patch' && resolve(event)))
  const device = sandbox.server.directory.byPhoneNumber(bob.phoneNumber)?.devices.get(0)
  if (!device) throw new Error('no phone')
  const patches = [Buffer.from([0x0a, 0x02, 0x08, 0x01])]
  sandbox.server.world.profiles.of(device.account).collections.set('regular', { patches })
  const collection = { tag: 'collection', attrs: { name: 'regular', version: '1' } }
  device.link?.send({
    tag: 'notification',
    attrs: { from: '@s.whatsapp.net', type: 'server_sync', id: '1', t: '1' },
    content: [collection],
  })
  expect(await broken).toMatchObject({ collection: 'regular' })
})

test('a phone that is switched on again knows its stars, and goes on where it was', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-app-state-'))
  const stateFile = join(directory, 'state.sqlite')
  try {
    const before = createSandbox({ stateFile })
    await before.start()
    const [eve, zoe] = ['4917400000003', '4917400000004'].map((phoneNumber) =>
      before.addPhone({ phoneNumber, name: phoneNumber }),
    ) as [Phone, Phone]
    const { id } = await zoe.send(eve.phoneNumber, 'keep me')
    await eve.waitForMessage((message) => message.id === id)
    await eve.star(id, true)
    await eve.changeChat(zoe.phoneNumber, { pinned: true })
    await before.stop()

    const after = createSandbox({ stateFile })
    await after.start()
    const again = after.phone(eve.phoneNumber)
    expect(again.message(id)?.starred).toBe(true)
    expect(again.chats()[zoe.jid]?.pinned).toBe(true)
    await again.star(id, false)
    expect(again.message(id)?.starred).toBe(false)
    await after.stop()
  } finally {
    rmSync(directory, { recursive: true })
  }
})
