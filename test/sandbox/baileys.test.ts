/** Unmodified Baileys clients among themselves: what one says, the others read, through the server alone. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { DisconnectReason, proto, type WAMessage } from '@whiskeysockets/baileys'
import type { Phone } from '../../src/sandbox/phone'
import {
  type BaileysClient,
  baileysClient,
  hasStatus,
  memoryAuth,
  pairWithBaileys,
  startSandbox,
  statusOf,
  type TestSandbox,
  textOf,
} from '../harness/sandbox'

const { Status } = proto.WebMessageInfo
let sandbox: TestSandbox
let anna: Phone
let ben: Phone
let a: BaileysClient
let b: BaileysClient

beforeAll(async () => {
  sandbox = await startSandbox()
  anna = sandbox.addPhone({ phoneNumber: '4926000000001', name: 'Anna' })
  ben = sandbox.addPhone({ phoneNumber: '4926000000002', name: 'Ben' })
  a = await pairWithBaileys(sandbox, anna)
  b = await pairWithBaileys(sandbox, ben)
})
afterAll(async () => {
  await a.close()
  await b.close()
  await sandbox.stop()
})

const closing = (client: BaileysClient, code: number) =>
  client.until(
    (event) =>
      event.name === 'connection.update' &&
      event.data.connection === 'close' &&
      statusOf(event.data.lastDisconnect?.error) === code,
  )
const says = (text: string) => (message: WAMessage) => textOf(message) === text
const sent = async (client: BaileysClient, to: string, text: string) => {
  const message = await client.sock.sendMessage(to, { text })
  return message?.key.id ?? ''
}

test('two companions talk, and each message climbs to read', async () => {
  const id = await sent(a, ben.jid, 'Hello Ben')
  const got = await b.untilMessage(says('Hello Ben'))
  expect(got.key).toMatchObject({ remoteJid: anna.lid, remoteJidAlt: anna.jid, fromMe: false, id })
  expect(got.pushName).toBe('Anna')
  await a.until((event) => hasStatus(event, id, Status.DELIVERY_ACK))
  await b.sock.readMessages([got.key])
  await a.until((event) => hasStatus(event, id, Status.READ))

  await sent(b, anna.lid, 'Hello Anna')
  expect((await a.untilMessage(says('Hello Anna'))).key.remoteJid).toBe(ben.lid)
  // Both phones have the whole conversation, opened with their own keys.
  await anna.waitForMessage(({ content }) => content.text === 'Hello Anna')
  await ben.waitForMessage(({ content }) => content.text === 'Hello Ben')
})

test('a group made by one is spoken in by all', async () => {
  const group = await a.sock.groupCreate('Walk', [ben.jid])
  expect(group).toMatchObject({ subject: 'Walk', addressingMode: 'lid', owner: anna.lid, ownerPn: anna.jid })
  await b.until((event) => event.name === 'groups.upsert' && event.data.some(({ id }) => id === group.id))
  for (const [client, text] of [
    [a, 'One'],
    [b, 'Two'],
    [a, 'Three'],
  ] as const)
    await sent(client, group.id, text)
  expect((await b.untilMessage(says('One'))).key).toMatchObject({
    remoteJid: group.id,
    participant: anna.lid,
  })
  await a.untilMessage(says('Two'))
  await b.untilMessage(says('Three'))
  await a.sock.groupUpdateSubject(group.id, 'Run')
  await b.until(
    (event) =>
      event.name === 'messages.upsert' &&
      event.data.messages.some(({ messageStubParameters }) => messageStubParameters?.[0] === 'Run'),
  )
  expect((await b.sock.groupMetadata(group.id)).subject).toBe('Run')
  expect(Object.keys(await b.sock.groupFetchAllParticipating())).toContain(group.id)
  await a.sock.groupUpdateDescription(group.id, 'Every day')
  expect((await b.sock.groupMetadata(group.id)).desc).toBe('Every day')
  const removed = await a.sock.groupParticipantsUpdate(group.id, [ben.lid], 'remove')
  expect(removed.map(({ status }) => status)).toEqual(['200'])
  expect(await b.sock.groupMetadata(group.id).catch((error: { data?: unknown }) => error.data)).toBe(403)
})

test('what was said while away comes in order as something appended', async () => {
  await b.sock.end(undefined)
  await sent(a, ben.jid, 'Missed 1')
  await sent(a, ben.jid, 'Missed 2')
  await sent(a, ben.jid, 'Missed 3')
  await ben.waitForMessage(({ content }) => content.text === 'Missed 3')
  await b.connect()
  await b.untilMessage(says('Missed 3'))
  const upserts = b.events.flatMap((event) => (event.name === 'messages.upsert' ? [event.data] : []))
  const missed = upserts.filter(({ messages }) =>
    messages.some((message) => textOf(message)?.startsWith('Missed')),
  )
  expect(new Set(missed.map(({ type }) => type))).toEqual(new Set(['append']))
  expect(missed.flatMap(({ messages }) => messages.map(textOf))).toEqual(['Missed 1', 'Missed 2', 'Missed 3'])
})

test('numbers are looked up, privacy and props are read', async () => {
  const found = await a.sock.onWhatsApp(ben.phoneNumber, '4926099999999')
  expect(found).toEqual([{ jid: ben.jid, exists: true }])
  expect(await a.sock.fetchPrivacySettings(true)).toMatchObject({ readreceipts: 'all' })
  await a.sock.updateProfileStatus('Here')
  expect(await b.sock.fetchStatus(anna.jid)).toMatchObject([{ id: anna.jid, status: { status: 'Here' } }])
  await a.sock.updateBlockStatus(ben.jid, 'block')
  expect(await a.sock.fetchBlocklist()).toEqual([ben.lid])
  await a.sock.updateBlockStatus(ben.jid, 'unblock')
  expect(await a.sock.fetchAccountReachoutTimelock()).toMatchObject({ isActive: false })
})

test('keys are renewed: rotation, and more one-time keys when they run low', async () => {
  const device = sandbox.server.directory.byPhoneNumber(anna.phoneNumber)?.devices.get(1)
  const before = device?.signedPreKey.id ?? 0
  await a.sock.rotateSignedPreKey()
  expect(device?.signedPreKey.id).toBe(before + 1)
  // Whoever asks for the bundle takes one key; the fifth before last makes the server ask for more.
  device?.preKeys.splice(5)
  await b.sock.assertSessions([`${anna.lid.replace('@', ':1@')}`], true)
  await until(() => (device?.preKeys.length ?? 0) > 5)
})

/** Resolves when a fact holds; the test's own time-out is the limit. */
async function until(fact: () => boolean) {
  while (!fact()) await new Promise((resolve) => setImmediate(resolve))
}

describe('a client is turned away', () => {
  test('when another connection has taken its place', async () => {
    const replaced = closing(a, DisconnectReason.connectionReplaced)
    const twin = baileysClient(sandbox, { auth: a.auth })
    await twin.connect()
    await replaced
    await twin.close()
    await a.connect()
  })

  test('when its Noise key is not the one it was linked with', async () => {
    const auth = { ...b.auth, creds: { ...b.auth.creds, noiseKey: memoryAuth().creds.noiseKey } }
    const thief = baileysClient(sandbox, { auth })
    void thief.connect()
    await closing(thief, DisconnectReason.loggedOut)
  })

  test('when it has logged out, and its contacts hear of it', async () => {
    const client = await pairWithBaileys(sandbox, ben)
    expect(ben.devices()).toHaveLength(2)
    await client.sock.logout()
    await closing(client, DisconnectReason.loggedOut)
    await until(() => ben.devices().length === 1)
    await sent(a, ben.jid, 'Still there?')
    await b.untilMessage(says('Still there?'))
  })
})

describe('a client by pairing code', () => {
  test('is linked', async () => {
    const client = baileysClient(sandbox)
    await client.showQr()
    const code = await client.sock.requestPairingCode(ben.phoneNumber)
    const open = client.until(
      (event) => event.name === 'connection.update' && event.data.connection === 'open',
    )
    await ben.enterPairingCode(code)
    await open
    await sent(a, ben.jid, 'Three of you')
    await client.untilMessage(says('Three of you'))
    await client.close()
  })
})
