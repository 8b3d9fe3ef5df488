/** What a phone hands over to a companion that is linked later, as an unmodified Baileys understands it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Chat, downloadMediaMessage, proto, type WAMessage } from '@whiskeysockets/baileys'
import { optionHash } from '../../src/sandbox/content-votes'
import type { Phone } from '../../src/sandbox/phone'
import {
  type BaileysClient,
  type Happened,
  pairWithBaileys,
  startSandbox,
  type TestSandbox,
  textOf,
} from '../harness/sandbox'

let sandbox: TestSandbox
let ada: Phone
let bob: Phone
let eve: Phone
let group: string
let left: string
let client: BaileysClient
type Ids = Record<
  'text' | 'image' | 'once' | 'poll' | 'event' | 'gone' | 'own' | 'grouped' | 'reaction' | 'vote' | 'answer',
  string
>
let ids: Ids

const FILE = Buffer.from('file')
const LONG = 45
const { HistorySyncType } = proto.HistorySync
type History = Extract<Happened, { name: 'messaging-history.set' }>['data']

const histories = (): History[] =>
  client.events.flatMap((event) => (event.name === 'messaging-history.set' ? [event.data] : []))
const messages = (): WAMessage[] => histories().flatMap((history) => history.messages)
const found = (id: string): WAMessage => {
  const message = messages().find(({ key }) => key.id === id)
  if (!message) throw new Error(`no ${id} in the history`)
  return message
}

beforeAll(async () => {
  sandbox = await startSandbox()
  ada = sandbox.addPhone({ phoneNumber: '4917500000001', name: 'Ada' })
  bob = sandbox.addPhone({ phoneNumber: '4917500000002', name: 'Bob' })
  eve = sandbox.addPhone({ phoneNumber: '4917500000003', name: 'Eve' })
  const members = [ada.phoneNumber, eve.phoneNumber]
  group = (await sandbox.createGroup({ owner: bob.phoneNumber, subject: 'All', members })).jid
  left = (await sandbox.createGroup({ owner: bob.phoneNumber, subject: 'Left', members })).jid
  const to = ada.phoneNumber
  const say = async (...said: Parameters<Phone['send']>) => {
    const { id } = await bob.send(...said)
    await ada.waitForMessage((message) => message.id === id)
    return id
  }
  for (let at = 0; at < LONG; at++) await say(to, `number ${at}`)
  const text = await say(to, 'teh end')
  await say(to, { type: 'edit', text: 'the end', targetMessageId: text })
  const image = await say(to, { type: 'image', base64: FILE.toString('base64'), caption: 'look' })
  const poll = await say(to, { type: 'poll', question: 'Tea?', options: ['yes', 'no'] })
  const once = await say(to, { type: 'video', base64: FILE.toString('base64'), viewOnce: true })
  const event = await say(to, { type: 'event', name: 'Tea', startsAt: '2030-01-01T15:00:00.000Z' })
  const gone = await say(to, 'oops')
  await say(to, { type: 'delete', targetMessageId: gone })
  const grouped = await say(group, 'all of us')
  await say(left, 'not for long')
  await say('status@broadcast', 'sunny', { audience: [to] })
  const { id: own } = await ada.send(bob.phoneNumber, 'mine')
  await bob.waitForMessage((message) => message.id === own)
  const reaction = await say(to, { type: 'reaction', emoji: '👍', targetMessageId: own })
  const { id: vote } = await ada.send(bob.phoneNumber, {
    type: 'vote',
    targetMessageId: poll,
    options: ['yes'],
  })
  const { id: answer } = await ada.send(bob.phoneNumber, {
    type: 'rsvp',
    targetMessageId: event,
    response: 'maybe',
  })
  await ada.star(image, true)
  await ada.changeChat(bob.phoneNumber, { archived: true })
  const removed = { tag: 'participant', attrs: { jid: ada.lid } }
  await bob.changeGroup(left, { tag: 'remove', attrs: {}, content: [removed] })
  await ada.settled()
  ids = { text, image, once, poll, event, gone, own, grouped, reaction, vote, answer }
  client = await pairWithBaileys(sandbox, ada)
  await client.until((event) => event.name === 'messaging-history.set' && event.data.progress === 100)
})
afterAll(async () => {
  await client.close()
  await sandbox.stop()
})

test('comes in pieces, the first at once and the older by the media host', () => {
  expect(histories().map(({ syncType, chunkOrder }) => [syncType, chunkOrder])).toEqual([
    [HistorySyncType.INITIAL_BOOTSTRAP, 1],
    [HistorySyncType.PUSH_NAME, 2],
    [HistorySyncType.INITIAL_STATUS_V3, 3],
    [HistorySyncType.RECENT, 4],
  ])
  const progress = histories().map((history) => history.progress ?? 0)
  expect(progress).toEqual([...progress].sort((a, b) => a - b))
  const texts = messages().map(textOf)
  for (let at = 0; at < LONG; at++) expect(texts.filter((text) => text === `number ${at}`)).toHaveLength(1)
  const direct = messages().filter(({ key }) => key.remoteJid === bob.lid)
  expect(direct.length).toBe(LONG + 7)
})

test('names people and chats', async () => {
  const [first, names] = histories()
  const chats = first?.chats as Chat[]
  expect(chats.find(({ id }) => id === bob.lid)).toMatchObject({
    archived: true,
    pnJid: bob.jid,
    lidJid: bob.lid,
  })
  expect(chats.find(({ id }) => id === group)?.name).toBe('All')
  expect(names?.contacts).toContainEqual({ id: bob.lid, notify: 'Bob' })
  expect(await client.sock.signalRepository.lidMapping.getLIDForPN(bob.jid)).toBe(bob.lid)
})

describe('holds messages as they have become', () => {
  test('edited, in a group, in a group that was left', () => {
    expect(textOf(found(ids.text))).toBe('the end')
    expect(found(ids.text).key).toMatchObject({ remoteJid: bob.lid, fromMe: false })
    expect(found(ids.grouped)).toMatchObject({
      key: { remoteJid: group, participant: bob.lid, fromMe: false },
      participant: bob.lid,
      pushName: 'Bob',
    })
    expect(messages().map(textOf)).toContain('not for long')
  })

  test('a file with its star, that can be downloaded', async () => {
    expect(found(ids.image)).toMatchObject({ starred: true, message: { imageMessage: { caption: 'look' } } })
    expect(await downloadMediaMessage(found(ids.image), 'buffer', {})).toEqual(FILE)
  })

  test('a poll with its secret and votes', () => {
    const poll = found(ids.poll)
    expect(poll.messageSecret).toHaveLength(32)
    expect(poll.pollUpdates).toMatchObject([{ pollUpdateMessageKey: { id: ids.vote, fromMe: true } }])
    expect(
      Buffer.from(poll.pollUpdates?.[0]?.vote?.selectedOptions?.[0] ?? []).equals(optionHash('yes')),
    ).toBe(true)
  })

  test('an event with its answers', () => {
    expect(found(ids.event).eventResponses).toMatchObject([
      { eventResponseMessageKey: { id: ids.answer, fromMe: true }, eventResponseMessage: { response: 3 } },
    ])
  })

  test('a file that can be opened once without its place', () => {
    const { message } = found(ids.once)
    expect(message?.viewOnceMessageV2?.message?.imageMessage?.viewOnce).toBe(true)
    expect(JSON.stringify(message)).not.toContain('directPath')
  })

  test('an own one with its receipt and the reaction to it', () => {
    expect(found(ids.own)).toMatchObject({
      key: { fromMe: true },
      status: proto.WebMessageInfo.Status.DELIVERY_ACK,
    })
    expect(found(ids.own).reactions).toMatchObject([{ text: '👍', key: { id: ids.reaction, fromMe: false } }])
  })

  test('a deleted one without content', () => {
    expect(found(ids.gone)).toMatchObject({ messageStubType: proto.WebMessageInfo.StubType.REVOKE })
    expect(textOf(found(ids.gone))).toBeNull()
    expect(JSON.stringify(messages())).not.toContain('oops')
  })

  test('and nothing of what acted on them', () => {
    for (const { message } of messages()) {
      expect(message?.reactionMessage ?? message?.pollUpdateMessage ?? message?.editedMessage).toBeFalsy()
    }
  })
})

test('a first piece too large for a message goes by the media host as well', async () => {
  const [zoe, max] = ['4917500000004', '4917500000005'].map((phoneNumber) =>
    sandbox.addPhone({ phoneNumber, name: phoneNumber }),
  ) as [Phone, Phone]
  // Random, so that it does not shrink.
  const text = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString('base64')
  const { id } = await max.send(zoe.phoneNumber, text)
  await zoe.waitForMessage((message) => message.id === id)
  const late = await pairWithBaileys(sandbox, zoe)
  try {
    const history = await late.until((event) => event.name === 'messaging-history.set' && event.data)
    expect(history.syncType).toBe(HistorySyncType.INITIAL_BOOTSTRAP)
    expect(history.messages.map(textOf)).toEqual([text])
  } finally {
    await late.close()
  }
})

test('pieces that the media host refuses are told, and nothing else suffers', async () => {
  const [kim, lea] = ['4917500000006', '4917500000007'].map((phoneNumber) =>
    sandbox.addPhone({ phoneNumber, name: phoneNumber }),
  ) as [Phone, Phone]
  for (let at = 0; at < LONG; at++) await lea.send(kim.phoneNumber, `number ${at}`)
  await kim.waitForMessage(({ content }) => content.text === `number ${LONG - 1}`)
  const unsent = new Promise((resolve) =>
    kim.on((event) => event.type === 'unsent history' && resolve(event.reason)),
  )
  const fault = sandbox.server.faults.add({ kind: 'media_refuse', all: true })
  const late = await pairWithBaileys(sandbox, kim)
  try {
    expect(await unsent).toContain('503')
    sandbox.server.faults.clear(fault.id)
    const { id } = await lea.send(kim.phoneNumber, 'still there?')
    await late.untilMessage((message) => message.key.id === id && textOf(message) === 'still there?')
    const history = await late.until((event) => event.name === 'messaging-history.set' && event.data)
    expect(history.messages.length).toBeGreaterThan(0)
  } finally {
    await late.close()
  }
})
