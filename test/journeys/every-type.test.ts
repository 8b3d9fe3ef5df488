/**
 * Every type of message, sent and received, between two people and in a group: what the API was asked for, what the phone
 * at the other side shows after its own decryption, what an unmodified Baileys linked to that phone reads, what another
 * device of ours is told, and what the API then says of it, field by field.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { normalizeMessageContent, type proto, type WAMessage } from '@whiskeysockets/baileys'
import { ASK_TYPES, MESSAGE_TYPES } from '../../src/domain/content'
import { OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { type BaileysClient, baileysClient } from '../harness/sandbox'
import { KINDS, type Kind, type Said } from './every-type'

const OURS = '4915111111101'
const ADA = '4915122222201'
const BOB = '4915133333301'

type Shown = {
  id: string
  chat: string
  from: string
  fromMe: boolean
  content: Record<string, unknown>
} & Said
type View = Record<string, unknown> & { id: string; type: string }

let app: TestApp
let session: string
let group: string
/** Unmodified Baileys, linked to Ada's phone and to ours. */
let atAda: BaileysClient
let twin: BaileysClient

beforeAll(async () => {
  app = await startApp()
  await app.phone(ADA, 'Ada')
  await app.phone(BOB, 'Bob')
  session = await app.linked(OURS)
  const made = await app.ok<{ group: { jid: string } }>('POST', '/sandbox/groups', {
    body: { owner: OURS, subject: 'All of us', members: [ADA, BOB] },
  })
  group = made.group.jid
  atAda = await link(ADA)
  twin = await link(OURS)
})
afterAll(async () => {
  await atAda?.close()
  await twin?.close()
  await app?.stop()
})

async function link(number: string): Promise<BaileysClient> {
  const client = baileysClient({ url: app.app.endpoint.url })
  const qr = await client.showQr()
  const open = client.until(({ name, data }) => name === 'connection.update' && data.connection === 'open')
  await app.ok('POST', `/sandbox/phones/${number}/scan`, { body: { qr } })
  await open
  return client
}

/** Asks until there is something. */
async function eventually<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + 15_000
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > deadline) throw new Error(`Still no ${what}`)
    await Bun.sleep(10)
  }
}

const shownAt = (number: string, id: string): Promise<Shown> =>
  eventually(`message ${id} at ${number}`, async () => {
    const answer = await app.call<{ message: Shown }>('GET', `/sandbox/phones/${number}/messages/${id}`)
    return answer.status === 200 ? answer.body.message : null
  })
const viewOf = (id: string): Promise<View> =>
  eventually(`message ${id} in the API`, async () => {
    const answer = await app.call<{ message: View }>('GET', `/api/messages/${session}/${id}`)
    return answer.status === 200 ? answer.body.message : null
  })
const told: Record<string, unknown>[] = []
let cursor = ''
const eventOf = (id: string): Promise<Record<string, unknown>> =>
  eventually(`event of ${id}`, async () => {
    const page = await app.ok<{ events: Record<string, unknown>[]; cursor: string }>(
      'GET',
      `/api/events?limit=100${cursor === '' ? '' : `&after=${encodeURIComponent(cursor)}`}`,
    )
    told.push(...page.events)
    cursor = page.cursor
    return told.find((event) => event.messageId === id) ?? null
  })

const say = async (number: string, to: string, content: unknown): Promise<string> =>
  (
    await app.ok<{ message: { id: string } }>('POST', `/sandbox/phones/${number}/messages`, {
      body: { to, content },
    })
  ).message.id

const sendText = async (to: string, text: string): Promise<string> =>
  (
    await app.ok<{ messageId: string }>('POST', '/api/messages/send/text', {
      body: { sessionId: session, to, text },
    })
  ).messageId

const partOf = (message: WAMessage): proto.IMessage => normalizeMessageContent(message.message) ?? {}

const ANSWERABLE = {
  poll: { type: 'poll', question: 'Where?', options: ['here', 'there'], selectable: 1 },
  event: { type: 'event', name: 'A party', startsAt: '2030-01-02T18:00:00.000Z', guestsAllowed: true },
}

/** A message of each side in this chat, for types that act on one. */
async function targetsIn(kind: Kind, chat: 'person' | 'group', mine: boolean): Promise<string> {
  const ours = chat === 'person' ? ADA : group
  const theirs = chat === 'person' ? OURS : group
  if (kind.target === 'poll' || kind.target === 'event') {
    const made = ANSWERABLE[kind.target]
    if (mine) {
      const { type, ...fields } = made
      const body = { sessionId: session, to: ours, ...fields }
      return (await app.ok<{ messageId: string }>('POST', `/api/messages/send/${type}`, { body })).messageId
    }
    return await say(ADA, theirs, made)
  }
  return mine ? await sendText(ours, 'a target') : await say(ADA, theirs, { type: 'text', text: 'a target' })
}

/** The id that the kind acts on, known to both sides. */
async function preparedTarget(
  kind: Kind,
  chat: 'person' | 'group',
  by: 'us' | 'them',
): Promise<string | null> {
  if (kind.target === undefined) return null
  const mine = kind.target === 'own' ? by === 'us' : by !== 'us'
  const id = await targetsIn(kind, chat, mine)
  await shownAt(ADA, id)
  await viewOf(id)
  return id
}

const inChats = KINDS.flatMap((kind) =>
  (['person', 'group'] as const).map((chat) => ({ kind, chat, name: kind.name })),
)

describe('sent', () => {
  test.each(inChats.filter(({ kind }) => kind.ask))('$name to a $chat', async ({ kind, chat }) => {
    const to = chat === 'person' ? ADA : group
    const target = await preparedTarget(kind, chat, 'us')
    const { type, ...fields } = kind.ask?.(target ?? '') ?? { type: 'text' }
    const sent = await app.ok<{ messageId: string; status: string; items?: { messageId: string }[] }>(
      'POST',
      `/api/messages/send/${type}`,
      { body: { sessionId: session, to, ...fields } },
    )
    expect(sent.status).toBe('sent')
    const id = sent.messageId
    const shown = await shownAt(ADA, id)
    expect(shown.content).toMatchObject({ type: kind.type, ...kind.shown(target ?? '') })
    expect(await viewOf(id)).toMatchObject({ type: kind.type, from: 'me', ...kind.told(target ?? '') })

    const raw = await atAda.untilMessage(({ key }) => key.id === id)
    if (kind.raw) expect(kind.raw(partOf(raw), raw)).toEqual(true)
    const copy = await twin.untilMessage(({ key }) => key.id === id)
    expect(copy.key.fromMe).toBe(true)

    if (kind.bytes) {
      const there = await app.ok<{ base64: string }>('GET', `/sandbox/phones/${ADA}/messages/${id}/media`)
      kind.bytes(Buffer.from(there.base64, 'base64'))
    }
    for (const item of sent.items ?? []) {
      expect((await shownAt(ADA, item.messageId)).content).toMatchObject({ albumId: id })
    }
    if (target)
      await kind.after?.(target, {
        shownAt: (number) => shownAt(number, target),
        viewOf,
        by: 'us',
        ADA,
        OURS,
      })
  })
})

describe('received', () => {
  test.each(inChats.filter(({ kind }) => kind.said))('$name in a $chat', async ({ kind, chat }) => {
    const target = await preparedTarget(kind, chat, 'them')
    const id = await say(ADA, chat === 'person' ? OURS : group, kind.said?.(target ?? ''))
    const view = await viewOf(id)
    expect(view).toMatchObject({
      type: kind.type,
      from: ADA,
      to: 'me',
      chat: chat === 'person' ? ADA : group,
      ...kind.told(target ?? ''),
    })
    const event = await eventOf(id)
    expect(event).toMatchObject({
      event: kind.event ?? 'message.received',
      sessionId: session,
      from: ADA,
      type: kind.type,
      fromMe: false,
      viaApi: false,
      ...kind.told(target ?? ''),
    })
    const raw = await twin.untilMessage(({ key }) => key.id === id)
    if (kind.raw) expect(kind.raw(partOf(raw), raw)).toEqual(true)
    if (kind.bytes) {
      const file = await fetch(`${app.url}/api/messages/${session}/${id}/media`, {
        headers: { 'x-api-key': OWNER_KEY },
      })
      expect(file.status).toBe(200)
      kind.bytes(Buffer.from(await file.arrayBuffer()))
    }
    if (target)
      await kind.after?.(target, {
        shownAt: (number) => shownAt(number, target),
        viewOf,
        by: 'them',
        ADA,
        OURS,
      })
  })

  test('a file that only the phone may show is not to be had, and the API says so', async () => {
    const content = { type: 'video', base64: 'AAAA', mimetype: 'video/mp4', viewOnce: true }
    const id = await say(ADA, OURS, content)
    await viewOf(id)
    const answer = await app.call<{ code: string; details: object }>(
      'GET',
      `/api/messages/${session}/${id}/media`,
    )
    expect(answer.status).toBe(424)
    expect(answer.body).toMatchObject({ code: 'MEDIA_UNAVAILABLE', details: { reason: 'withheld' } })
  })

  test.each(KINDS.filter(({ said, target }) => said && target === undefined))(
    '$name that our own phone sends is ours, and was not sent by the API',
    async (kind) => {
      const id = await say(OURS, ADA, kind.said?.(''))
      expect(await viewOf(id)).toMatchObject({ type: kind.type, from: 'me', to: ADA, ...kind.told('') })
      expect(await eventOf(id)).toMatchObject({ fromMe: true, viaApi: false, type: kind.type })
    },
  )
})

test('no type is missing from the table', () => {
  const sent = new Set(KINDS.filter(({ ask }) => ask).map(({ ask }) => ask?.('').type))
  expect(ASK_TYPES.filter((type) => !sent.has(type))).toEqual([])
  const received = new Set(KINDS.filter(({ said }) => said).map(({ type }) => type))
  expect(MESSAGE_TYPES.filter((type) => !received.has(type))).toEqual([])
})
