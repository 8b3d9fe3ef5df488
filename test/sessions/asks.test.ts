/** What is asked for, and what becomes of it: content, targets, files; nothing is left of what is refused. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import type { Ask, Content } from '../../src/domain/content'
import { asJid, asMessageId, type SessionId } from '../../src/domain/ids'
import { asFileId } from '../../src/domain/media'
import type { SendRequest } from '../../src/domain/sending'
import { SendUnconfirmed } from '../../src/domain/whatsapp'
import { settle } from '../harness/clock'
import { MEDIA_KEPT } from '../harness/media-desk'
import { createRig, type Rig, TENANT } from './rig'
import { ADA, adaPhone } from './scripted-whatsapp'

let rig: Rig
let id: SessionId
beforeEach(async () => {
  rig = await createRig()
  id = await rig.link()
})
afterEach(() => rig.end())

const GROUP = asJid('120363000000000000@g.us')
const STATUS = asJid('status@broadcast')
const HOUR = 3_600_000

const send = (ask: Ask, also: Partial<SendRequest> = {}) =>
  rig.supervisor.send(id, { to: adaPhone, ask, ...also })
const contentOf = async (ask: Ask, also?: Partial<SendRequest>): Promise<Content> =>
  (await send(ask, also)).message.content
type Failure = { code: string; details: { fields?: { path: string }[]; reason?: string } }
const failure = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => {
      throw new Error('expected a failure')
    },
    (error: Failure) => error,
  )
const wrongField = async (ask: Ask, also?: Partial<SendRequest>) => {
  const { code, details } = await failure(send(ask, also))
  return [code, details.fields?.[0]?.path]
}
const wire = () => rig.whatsapp.last().sends.map(({ raw }) => new TextDecoder().decode(raw))
/** A message of somebody else, stored. */
const heard = async (messageId: string, content: Content, also: Record<string, unknown> = {}) => {
  rig.whatsapp.last().message({ id: asMessageId(messageId), content, ...also })
  await settle()
}
const kept = () =>
  existsSync(rig.mediaFolder)
    ? readdirSync(rig.mediaFolder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => name)
    : []
const text = (words: string): Ask => ({ type: 'text', text: words })
const document = (words: string, also: object = {}): Ask => ({
  type: 'document',
  documentBase64: Buffer.from(words).toString('base64'),
  filename: 'notes.txt',
  ...also,
})

describe('without a file', () => {
  test.each<[string, Ask, Content]>([
    [
      'a poll lets one answer be chosen unless told otherwise',
      { type: 'poll', question: 'Lunch?', options: ['yes', 'no'] },
      { type: 'poll', question: 'Lunch?', options: ['yes', 'no'], selectable: 1 },
    ],
    [
      'a poll for any number of answers',
      { type: 'poll', question: 'Lunch?', options: ['yes', 'no'], selectable: 0 },
      { type: 'poll', question: 'Lunch?', options: ['yes', 'no'], selectable: 0 },
    ],
    [
      'one contact is a list of one',
      { type: 'contact', contact: { fullName: 'Ada' } },
      { type: 'contact', contacts: [{ fullName: 'Ada' }] },
    ],
    [
      'an event has its moments in one form',
      { type: 'event', name: 'Tea', startsAt: '2030-01-01T12:00+02:00', endsAt: '2030-01-01T11:00:00Z' },
      {
        type: 'event',
        name: 'Tea',
        startsAt: '2030-01-01T10:00:00.000Z',
        endsAt: '2030-01-01T11:00:00.000Z',
      },
    ],
    [
      'a link preview that is given',
      { type: 'text', text: 'see https://a.example', linkPreview: { url: 'https://a.example', title: 'A' } },
      { type: 'text', text: 'see https://a.example', linkPreview: { url: 'https://a.example', title: 'A' } },
    ],
    [
      'no link preview unless asked for',
      { type: 'text', text: 'see https://a.example' },
      { type: 'text', text: 'see https://a.example' },
    ],
    [
      'a link preview that cannot be had fails nothing',
      { type: 'text', text: 'see http://127.0.0.1:1/', linkPreview: true },
      { type: 'text', text: 'see http://127.0.0.1:1/' },
    ],
  ])('%s', async (_, ask, content) => {
    expect(await contentOf(ask)).toEqual(content)
  })

  test.each<[Ask, string]>([
    [{ type: 'poll', question: '?', options: ['a', 'b'], selectable: 3 }, '/selectable'],
    [{ type: 'contact' }, '/contact'],
    [{ type: 'contact', contact: { fullName: 'A' }, contacts: [{ fullName: 'B' }] }, '/contact'],
    [{ type: 'event', name: 'Tea', startsAt: 'tomorrow' }, '/startsAt'],
    [{ type: 'event', name: 'Tea', startsAt: '2030-01-01T10:00:00' }, '/startsAt'],
    [{ type: 'event', name: 'Tea', startsAt: '2030-02-01T10:00Z', endsAt: '2030-01-01T10:00Z' }, '/endsAt'],
    [{ type: 'location', latitude: 1, longitude: 2, duration: 60 }, '/duration'],
    [{ type: 'image' }, ''],
    [{ type: 'image', imageUrl: 'http://a.example', uploadId: 'x' }, ''],
  ])('%j is refused', async (ask, path) => {
    expect(await wrongField(ask)).toEqual(['VALIDATION_ERROR', path])
    expect(rig.events(id, 'message.')).toEqual([])
  })
})

describe('on another message', () => {
  test('goes to the chat of its target, with the target for the encoder', async () => {
    await heard('T1', { type: 'text', text: 'hi' })
    const { message } = await send({ type: 'reaction', emoji: '👍', targetMessageId: 'T1' })
    expect(message).toMatchObject({
      chat: ADA.lid,
      content: { type: 'reaction', emoji: '👍', targetMessageId: 'T1' },
    })
    expect(rig.whatsapp.encodings.at(-1)?.target).toMatchObject({ id: 'T1', chat: adaPhone, fromMe: false })
    expect(rig.told.find(({ event }) => event === 'message.sent')).toMatchObject({
      type: 'reaction',
      targetMessageId: 'T1',
    })
    expect(rig.storage.messages.get(id, 'T1')?.afterlife.reactions).toMatchObject([
      { emoji: '👍', from: 'me' },
    ])
  })

  test('a pin lasts a week unless told otherwise; unpinning has no time', async () => {
    await heard('T1', { type: 'text', text: 'hi' })
    const pin = { type: 'pin', targetMessageId: 'T1' } as const
    expect(await contentOf(pin)).toEqual({ ...pin, pinned: true, seconds: 604_800 })
    expect(await contentOf({ ...pin, seconds: 86_400 })).toEqual({ ...pin, pinned: true, seconds: 86_400 })
    expect(await contentOf({ ...pin, pinned: false, seconds: 5 })).toEqual({ ...pin, pinned: false })
  })

  test('a vote names options of its poll', async () => {
    await heard('P1', { type: 'poll', question: '?', options: ['a', 'b', 'c'], selectable: 2 })
    const vote = { type: 'vote', targetMessageId: 'P1' } as const
    expect(await contentOf({ ...vote, options: ['a', 'b', 'a'] })).toEqual({ ...vote, options: ['a', 'b'] })
    expect(await contentOf({ ...vote, options: [] })).toEqual({ ...vote, options: [] })
    expect(await wrongField({ ...vote, options: ['d'] })).toEqual(['VALIDATION_ERROR', '/options'])
    expect(await wrongField({ ...vote, options: ['a', 'b', 'c'] })).toEqual(['VALIDATION_ERROR', '/options'])
    expect((await failure(send({ type: 'vote', targetMessageId: 'NOPE', options: [] }))).code).toBe(
      'MESSAGE_NOT_FOUND',
    )
  })

  test('own words are edited and own messages taken back, with their chat as the only one', async () => {
    const { message } = await send(text('helo'))
    const edit = { type: 'edit', text: 'hello', targetMessageId: message.id } as const
    await send(edit)
    expect(rig.storage.messages.get(id, message.id)?.content).toEqual({ type: 'text', text: 'hello' })
    expect((await failure(send(edit, { to: asJid('4915100000000@s.whatsapp.net') }))).code).toBe(
      'MESSAGE_NOT_SUITABLE',
    )
    await send({ type: 'delete', targetMessageId: message.id })
    expect(rig.storage.messages.get(id, message.id)?.afterlife.deletedAt).not.toBeNull()
    expect((await failure(send(edit))).details.reason).toBe('That message was taken back')
  })

  test('what cannot be done is said, and leaves nothing', async () => {
    await heard('TEXT', { type: 'text', text: 'hi' })
    await heard('REACTION', { type: 'reaction', emoji: '👍', targetMessageId: 'TEXT' })
    const { message: place } = await send({ type: 'location', latitude: 1, longitude: 2 })
    const { message: waiting } = await send(text('later'), { sendAt: rig.clock.now() + HOUR })
    const before = rig.commits.length
    const cases: Ask[] = [
      { type: 'edit', text: 'x', targetMessageId: 'TEXT' },
      { type: 'edit', text: 'x', targetMessageId: place.id },
      { type: 'delete', targetMessageId: 'TEXT' },
      { type: 'vote', options: ['a'], targetMessageId: 'TEXT' },
      { type: 'reaction', emoji: 'x', targetMessageId: 'REACTION' },
      { type: 'reaction', emoji: 'x', targetMessageId: waiting.id },
    ]
    for (const ask of cases) expect((await failure(send(ask))).code).toBe('MESSAGE_NOT_SUITABLE')
    expect(rig.commits).toHaveLength(before)
  })

  test('a message of somebody else in a group can be taken back, as its admins may', async () => {
    await heard(
      'G1',
      { type: 'text', text: 'rude' },
      { chat: GROUP, chatParty: { lid: null, phoneNumber: null } },
    )
    const { message } = await send({ type: 'delete', targetMessageId: 'G1' }, { to: GROUP })
    expect(message.chat).toBe(GROUP)
    expect(rig.whatsapp.encodings.at(-1)?.target).toMatchObject({ id: 'G1', sender: ADA.lid, fromMe: false })
  })
})

describe('forwarded', () => {
  test('becomes a message of the original’s type, one step further from its author', async () => {
    await heard('F1', { type: 'text', text: 'news' }, { context: { forwardingScore: 2 } })
    const { message } = await send({ type: 'forward', messageId: 'F1' })
    expect(message).toMatchObject({
      content: { type: 'text', text: 'news' },
      context: { forwardingScore: 3 },
    })
    expect(wire()[0]).toStartWith('forwarded ')
    expect(rig.told.at(-1)).toMatchObject({ type: 'text', forwarded: true, forwardingScore: 3 })
  })

  test('not what is bound to its place, was taken back, or was not kept', async () => {
    await heard('POLL', { type: 'poll', question: '?', options: ['a', 'b'], selectable: 1 })
    const media = { mimetype: 'image/jpeg', size: 3 }
    await heard('ONCE', { type: 'image', viewOnce: true, media })
    for (const messageId of ['POLL', 'ONCE'])
      expect((await failure(send({ type: 'forward', messageId }))).code).toBe('MESSAGE_NOT_SUITABLE')
    expect((await failure(send({ type: 'forward', messageId: 'NOPE' }))).code).toBe('MESSAGE_NOT_FOUND')
    const quiet = await rig.link({ messageHistory: false }, '49305555555')
    rig.whatsapp.last().message({ id: asMessageId('GONE') })
    await settle()
    const forward = { type: 'forward', messageId: 'GONE' } as const
    const { code } = await failure(rig.supervisor.send(quiet, { to: adaPhone, ask: forward }))
    expect(code).toBe('MESSAGE_NOT_SUITABLE')
  })
})

describe('what goes along', () => {
  test('everybody is named in groups only', async () => {
    expect(await wrongField(text('x'), { mentionsAll: true })).toEqual(['VALIDATION_ERROR', '/mentionsAll'])
    const { message } = await send(text('x'), { to: GROUP, mentionsAll: true })
    expect(message.context).toEqual({ mentionsAll: true })
  })

  test('a chat whose messages vanish gets vanishing ones, unless told otherwise', async () => {
    await heard('V1', { type: 'text', text: 'secret' }, { context: { disappearingSeconds: 86_400 } })
    expect((await send(text('a'), { to: ADA.lid })).message.context).toEqual({ disappearingSeconds: 86_400 })
    const off = await send(text('b'), { to: ADA.lid, disappearingSeconds: 0 })
    expect(off.message.context).toEqual({})
    // What the latest message of the chat says counts, also after a restart.
    await heard('V2', { type: 'text', text: 'secret' }, { context: { disappearingSeconds: 604_800 } })
    await rig.crash()
    rig.whatsapp.last().opened()
    await settle()
    expect((await send(text('c'), { to: ADA.lid })).message.context).toEqual({ disappearingSeconds: 604_800 })
    expect((await send(text('d'), { to: GROUP })).message.context).toEqual({})
  })

  test('a status post needs people who may see it', async () => {
    expect(await wrongField(text('x'), { to: STATUS })).toEqual(['VALIDATION_ERROR', '/audience'])
    expect(await wrongField(text('x'), { audience: [adaPhone] })).toEqual(['VALIDATION_ERROR', '/audience'])
    const poll: Ask = { type: 'poll', question: '?', options: ['a', 'b'] }
    expect(await wrongField(poll, { to: STATUS, audience: [adaPhone] })).toEqual([
      'VALIDATION_ERROR',
      '/type',
    ])
    const { message } = await send(text('x'), { to: STATUS, audience: [adaPhone] })
    expect(rig.whatsapp.last().sends[0]).toMatchObject({ to: STATUS, audience: [adaPhone] })
    // Taken back before the same people.
    await send({ type: 'delete', targetMessageId: message.id }, { to: STATUS })
    expect(rig.whatsapp.last().sends[1]).toMatchObject({ to: STATUS, audience: [adaPhone] })
  })
})

describe('with a file', () => {
  test('kept, uploaded at its turn, put into the message, sent; the file stays with the message', async () => {
    const { message } = await send(document('hello'))
    expect(message.content).toMatchObject({ type: 'document', media: { filename: 'notes.txt', size: 5 } })
    expect(rig.whatsapp.last().deeds).toEqual([{ did: 'upload', bytes: 'hello' }])
    expect(wire()[0]).toEndWith(' at /file')
    const stored = rig.storage.messages.get(id, message.id)
    expect(stored).toMatchObject({ status: 'sent', attachment: null })
    expect(new TextDecoder().decode(stored?.raw ?? undefined)).toEndWith(' at /file')
    const file = await rig.supervisor.fetchFile(id, message.id)
    expect(file).toMatchObject({ size: 5, messageId: message.id, expiresAt: rig.clock.now() + MEDIA_KEPT })
  })

  test('one that is queued waits with its file, over a crash', async () => {
    await rig.supervisor.update(id, { settings: { queuePaused: true } })
    const { message } = await send(document('patient'))
    expect(message.attachment).not.toBeNull()
    await rig.crash()
    rig.whatsapp.last().opened()
    await rig.supervisor.update(id, { settings: { queuePaused: false } })
    await until(() => rig.storage.messages.get(id, message.id)?.status === 'sent')
    expect(rig.whatsapp.last().deeds).toEqual([{ did: 'upload', bytes: 'patient' }])
  })

  test('a media host that cannot be reached: tried again, uploaded once, sent once', async () => {
    rig.whatsapp.uploadFails = new SendUnconfirmed('no media host')
    const { message } = await send(document('again'), { queue: true })
    await until(() => rig.whatsapp.last().deeds.length === 1)
    await settle()
    rig.whatsapp.uploadFails = null
    await rig.clock.advance(30_000)
    await until(() => rig.storage.messages.get(id, message.id)?.status === 'sent')
    expect(wire()).toHaveLength(1)
  })

  test('a message that left its file behind is not uploaded a second time', async () => {
    rig.whatsapp.acknowledges = false
    const { message } = await send(document('once'), { queue: true })
    await until(() => wire().length === 1)
    await rig.crash()
    rig.whatsapp.acknowledges = true
    rig.whatsapp.last().opened()
    await until(() => rig.storage.messages.get(id, message.id)?.status === 'sent')
    expect(rig.whatsapp.last().deeds).toEqual([])
    expect(wire()[0]).toEndWith(' at /file')
  })

  test('called back: its file goes too', async () => {
    const { message } = await send(document('never'), { sendAt: rig.clock.now() + HOUR })
    expect(kept()).toHaveLength(1)
    await rig.supervisor.cancel(id, message.id)
    await until(() => kept().length === 0)
  })

  test.each<[string, Ask, Partial<SendRequest>]>([
    ['the target is missing', document('x'), { quotedMessageId: 'NOPE' }],
    ['the file is no picture', { type: 'image', imageBase64: Buffer.from('<html>').toString('base64') }, {}],
    ['the address is forbidden', { type: 'image', imageUrl: 'http://10.0.0.1/a.png' }, {}],
    ['the base64 is junk', { type: 'document', documentBase64: '%%%' }, {}],
  ])('refused because %s: no row, no file', async (_, ask, also) => {
    await failure(send(ask, also))
    expect(kept()).toEqual([])
    expect(rig.events(id, 'message.')).toEqual([])
  })

  test('a disk that refuses the row leaves no file', async () => {
    const sending = failure(send(document('x'), { queue: true }))
    rig.diskFull = true
    expect((await sending).code).toBe('STORAGE_UNAVAILABLE')
    await until(() => kept().length === 0)
  })

  test('a session that goes while its file is made ready leaves none', async () => {
    const sending = failure(send(document('x')))
    await rig.supervisor.remove(id)
    expect((await sending).code).toBe('SESSION_NOT_FOUND')
    await until(() => kept().length === 0)
  })

  test('an upload can be sent again and again, and every message has its own copy', async () => {
    async function* bytes() {
      yield new TextEncoder().encode('shared')
    }
    const upload = await rig.storage.media.keep(bytes(), {
      tenantId: TENANT,
      sessionId: null,
      messageId: null,
      mimetype: 'text/plain',
      filename: 'shared.txt',
      maxBytes: 100,
      expiresAt: rig.clock.now() + HOUR,
    })
    const ask: Ask = { type: 'document', uploadId: upload.id }
    const sent = [await send(ask), await send(ask)]
    await rig.storage.media.remove([upload.id])
    for (const { message } of sent) {
      const file = await rig.supervisor.fetchFile(id, message.id)
      expect(file).toMatchObject({ messageId: message.id, size: 6 })
      expect(file.id).not.toBe(upload.id)
    }
    expect(rig.storage.media.get(asFileId(upload.id))).toBeNull()
  })
})

describe('an album', () => {
  const PIXEL =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
  const album = (count: number): Ask => ({
    type: 'album',
    items: Array.from({ length: count }, (_, index) => ({
      type: 'image' as const,
      imageBase64: PIXEL,
      caption: String(index),
    })),
  })

  test('is one commit, in order: the album and then its items, which name it', async () => {
    const before = rig.commits.length
    const { message, items } = await send(album(3))
    expect(message).toMatchObject({ status: 'sent', content: { type: 'album', images: 3, videos: 0 } })
    expect(items.map(({ status, context }) => [status, context.albumId])).toEqual(
      Array(3).fill(['sent', message.id]),
    )
    const accepted = rig.commits
      .slice(before)
      .filter((facts) => facts.some(({ change }) => change.kind === 'message'))
    expect(accepted).toHaveLength(1)
    expect(accepted[0]).toHaveLength(4)
    expect(rig.whatsapp.last().sends.map((one) => one.id)).toEqual([
      message.id,
      ...items.map((one) => one.id),
    ])
    expect(rig.told.filter(({ albumId }) => albumId === message.id)).toHaveLength(6)
  })

  test('one bad item: nothing of it', async () => {
    const bad = album(2) as Extract<Ask, { type: 'album' }>
    const items = [
      ...bad.items,
      { type: 'image' as const, imageBase64: Buffer.from('no').toString('base64') },
    ]
    expect((await failure(send({ ...bad, items }))).code).toBe('UNSUPPORTED_MEDIA_TYPE')
    expect(kept()).toEqual([])
    expect(rig.events(id, 'message.')).toEqual([])
  })

  test('called back whole; asked for again it is the same messages', async () => {
    await rig.supervisor.update(id, { settings: { queuePaused: true } })
    const mine = { id: asMessageId('3EB0ALBUM') }
    const first = await send(album(2), mine)
    const again = await send(album(2), mine)
    expect(again.items.map((item) => item.id)).toEqual(first.items.map((item) => item.id))
    expect(rig.supervisor.queueState(id).waiting).toBe(3)
    await rig.supervisor.cancel(id, mine.id)
    expect(rig.supervisor.queueState(id).waiting).toBe(0)
    await until(() => kept().length === 0)
  })
})

/** Real files take real time; nothing else here does. */
async function until(is: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2_000 && !is(); turn += 1) await Bun.sleep(1)
  expect(is()).toBe(true)
}
