/** Many messages at once, and dry runs. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import type { Ask } from '../../src/domain/content'
import { asJid, asMessageId, phoneJid, type SessionId } from '../../src/domain/ids'
import type { BulkOutcome, SendRequest } from '../../src/domain/sending'
import { SendRefused } from '../../src/domain/whatsapp'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'
import { adaPhone } from './scripted-whatsapp'

let rig: Rig
let id: SessionId
beforeEach(async () => {
  rig = await createRig({ maxQueue: 1_000 })
  id = await rig.link()
})
afterEach(() => rig.end())

const number = (index: number) => String(49_170_000_000 + index)
const to = (index: number) => phoneJid(number(index))
const text = (words: string): Ask => ({ type: 'text', text: words })
const request = (index: number, also: Partial<SendRequest> = {}): SendRequest => ({
  to: to(index),
  ask: text(`m${index}`),
  ...also,
})
const many = (count: number, also: Partial<SendRequest> = {}) =>
  Array.from({ length: count }, (_, index) => request(index, also))
const sendMany = (requests: readonly SendRequest[], queue = false, waitMs = 5_000) =>
  rig.supervisor.sendMany(id, requests, { queue, waitMs })
const shown = (outcomes: readonly BulkOutcome[]) =>
  outcomes.map((outcome) => (outcome.ok ? outcome.message.status : outcome.code))
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no failure',
    ({ code }: { code: string }) => code,
  )
const wire = () => rig.whatsapp.last().sends.map(({ raw }) => new TextDecoder().decode(raw))
const kept = () =>
  existsSync(rig.mediaFolder)
    ? readdirSync(rig.mediaFolder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
    : []

test('each is judged by itself; the good ones are one commit, the numbers few questions', async () => {
  for (const index of [3, 30, 300]) rig.whatsapp.missing.add(number(index))
  const requests = many(500)
  requests[7] = request(7, { quotedMessageId: 'NOPE' })
  requests[8] = { to: to(8), ask: { type: 'poll', question: '?', options: ['a', 'b'], selectable: 5 } }
  requests[9] = { to: to(9), ask: { type: 'image', imageBase64: 'bm8=' } }
  requests[9] = { ...requests[9], ask: { type: 'contact' } }
  const before = rig.commits.length
  const outcomes = await sendMany(requests)
  const failed = shown(outcomes).flatMap((status, index) => (status === 'sent' ? [] : [[index, status]]))
  expect(failed).toEqual([
    [3, 'NUMBER_NOT_ON_WHATSAPP'],
    [7, 'MESSAGE_NOT_FOUND'],
    [8, 'VALIDATION_ERROR'],
    [9, 'VALIDATION_ERROR'],
    [30, 'NUMBER_NOT_ON_WHATSAPP'],
    [300, 'NUMBER_NOT_ON_WHATSAPP'],
  ])
  const accepted = rig.commits
    .slice(before)
    .filter((facts) => facts.some(({ change }) => change.kind === 'message'))
  expect(accepted).toHaveLength(1)
  expect(rig.whatsapp.questions.map(({ length }) => length)).toEqual([200, 200, 100])
  expect(new Set(wire()).size).toBe(494)
})

test('order holds within a chat', async () => {
  const requests = Array.from({ length: 60 }, (_, index) => request(index % 3, { ask: text(`${index}`) }))
  await sendMany(requests)
  for (const chat of [0, 1, 2]) {
    const words = rig.whatsapp
      .last()
      .sends.filter((one) => one.to === to(chat))
      .map(({ raw }) => Number(new TextDecoder().decode(raw)))
    expect(words).toEqual([...words].sort((a, b) => a - b))
    expect(words).toHaveLength(20)
  }
})

test('with queue it answers when all are on disk', async () => {
  rig.whatsapp.acknowledges = false
  expect(shown(await sendMany(many(5), true))).toEqual(Array(5).fill('queued'))
})

test('without, what has not come so far in time is told as it stands', async () => {
  rig.whatsapp.acknowledges = false
  const sending = sendMany(many(3), false, 1_000)
  await settle()
  const [first, second] = rig.whatsapp.last().sends
  first?.acknowledge()
  second?.fail(new SendRefused({ code: '479', says: 'malformed' }))
  await rig.clock.advance(1_000)
  const outcomes = await sending
  expect(shown(outcomes)).toEqual(['sent', 'failed', 'queued'])
  expect(outcomes[1]).toMatchObject({ ok: true, message: { error: { code: '479' } } })
})

test('what holds for all fails all: no session, no room', async () => {
  expect(await codeOf(sendMany(many(1_001)))).toBe('QUEUE_FULL')
  rig.whatsapp.last().closed('connection_lost', 428)
  await settle()
  expect(await codeOf(sendMany(many(2)))).toBe('SESSION_NOT_CONNECTED')
  expect(shown(await sendMany(many(2), true))).toEqual(['queued', 'queued'])
  expect(rig.events(id, 'message.')).toEqual(['message.queued', 'message.queued'])
})

test('a disk that refuses leaves nothing, not even the files', async () => {
  const requests = many(3).map((one) => ({ ...one, ask: file('x') }))
  rig.diskFull = true
  expect(await codeOf(sendMany(requests, true))).toBe('STORAGE_UNAVAILABLE')
  rig.diskFull = false
  expect(kept()).toEqual([])
  expect(rig.supervisor.queueState(id).waiting).toBe(0)
})

const file = (words: string): Ask => ({
  type: 'document',
  documentBase64: Buffer.from(words).toString('base64'),
  filename: 'a.txt',
})

test('a repeated bulk meets its first messages, over a crash in the middle of sending', async () => {
  rig.whatsapp.acknowledges = false
  const requests = many(20).map((one, index) => ({ ...one, id: asMessageId(`3EB0${index}`) }))
  void sendMany(requests, false, 60_000).catch(() => undefined)
  await settle()
  for (const one of rig.whatsapp.last().sends.slice(0, 5)) one.acknowledge()
  await settle()
  const first = rig.whatsapp.last().sends.map((one) => String(one.id))
  await rig.crash()
  rig.whatsapp.acknowledges = true
  // Before it is connected again all of it is known already.
  expect(shown(await sendMany(requests, true))).toEqual([
    ...Array(5).fill('sent'),
    ...Array(15).fill('queued'),
  ])
  rig.whatsapp.last().opened()
  await settle()
  expect(shown(await sendMany(requests))).toEqual(Array(20).fill('sent'))
  const second = rig.whatsapp.last().sends.map((one) => String(one.id))
  expect(first).toHaveLength(20)
  // What was acknowledged is not sent again, and nothing goes under another id.
  expect(second).toHaveLength(15)
  expect(second.every((messageId) => first.includes(messageId))).toBe(true)
  expect(rig.events(id, 'message.queued')).toHaveLength(20)
  expect(rig.events(id, 'message.sent')).toHaveLength(20)
})

describe('files', () => {
  test('one address that many want is fetched once and uploaded once; bad ones fail their own entries', async () => {
    let asked = 0
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch({ url }) {
        asked += 1
        return url.endsWith('/gone') ? new Response('', { status: 404 }) : new Response('the file')
      },
    })
    const at = (path: string): Ask => ({
      type: 'document',
      documentUrl: `${server.url}${path}`,
      caption: path,
    })
    const requests: SendRequest[] = [
      ...[0, 1, 2, 3].map((index) => request(index, { ask: at('file') })),
      ...[4, 5].map((index) => request(index, { ask: at('gone') })),
      request(6),
    ]
    const outcomes = await sendMany(requests, false, 60_000)
    await server.stop(true)
    expect(shown(outcomes)).toEqual([
      ...Array(4).fill('sent'),
      ...Array(2).fill('MEDIA_DOWNLOAD_FAILED'),
      'sent',
    ])
    expect(asked).toBe(2)
    expect(rig.whatsapp.last().deeds).toEqual([{ did: 'upload', bytes: 'the file' }])
    expect(wire().filter((one) => one.endsWith('at /file'))).toHaveLength(4)
  })

  test('of which one message is called back stays for the others', async () => {
    await rig.supervisor.update(id, { settings: { queuePaused: true } })
    const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('shared') })
    const ask: Ask = { type: 'document', documentUrl: `${server.url}file` }
    const [one, other] = await sendMany([request(0, { ask }), request(1, { ask })])
    await server.stop(true)
    if (!one?.ok || !other?.ok) throw new Error('not taken')
    expect(kept()).toHaveLength(1)
    await rig.supervisor.cancel(id, one.message.id)
    expect(kept()).toHaveLength(1)
    await rig.supervisor.cancel(id, other.message.id)
    for (let turn = 0; turn < 1_000 && kept().length > 0; turn += 1) await Bun.sleep(1)
    expect(kept()).toEqual([])
  })
})

describe('a dry run', () => {
  const examine = (asked: SendRequest) => rig.supervisor.examine(id, asked)

  test('says what is known, and sends and stores nothing', async () => {
    const before = rig.commits.length
    expect(await examine(request(1))).toEqual({
      to: to(1),
      party: { lid: null, phoneNumber: number(1) },
      exists: true,
      established: false,
      media: null,
    })
    const ask = file('hello')
    expect((await examine(request(1, { ask }))).media).toMatchObject({ size: 5, mimetype: 'text/plain' })
    expect((await examine({ to: asJid('120363@g.us'), ask })).exists).toBeNull()
    expect(rig.commits).toHaveLength(before)
    expect(kept()).toEqual([])
    expect(wire()).toEqual([])
    await rig.supervisor.send(id, request(1))
    expect((await examine(request(1))).established).toBe(true)
  })

  test('finds what sending would find', async () => {
    rig.whatsapp.missing.add(number(1))
    expect(await codeOf(examine(request(1)))).toBe('NUMBER_NOT_ON_WHATSAPP')
    expect(await codeOf(examine(request(2, { quotedMessageId: 'NOPE' })))).toBe('MESSAGE_NOT_FOUND')
    const bad = { type: 'image', imageBase64: Buffer.from('<html>').toString('base64') } as const
    expect(await codeOf(examine(request(2, { ask: bad })))).toBe('UNSUPPORTED_MEDIA_TYPE')
    const poll: Ask = { type: 'poll', question: '?', options: ['a', 'b'], selectable: 9 }
    expect(await codeOf(examine(request(2, { ask: poll })))).toBe('VALIDATION_ERROR')
    expect(await codeOf(examine(request(2, { ask: { type: 'forward', messageId: 'NOPE' } })))).toBe(
      'MESSAGE_NOT_FOUND',
    )
    const vote: Ask = { type: 'vote', targetMessageId: 'NOPE', options: [] }
    expect(await codeOf(examine({ to: adaPhone, ask: vote }))).toBe('MESSAGE_NOT_FOUND')
    await rig.supervisor.command(id, 'stop')
    expect(await codeOf(examine(request(2)))).toBe('SESSION_NOT_CONNECTED')
  })
})
