/** Every type through its route: sent, decrypted by the other phone, shown again; and what each refuses. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { ACTION_TYPES, ASK_TYPES, type AskType } from '../../src/domain/content'
import { type CallOptions, startApp, type TestApp } from '../harness/app'
import { film } from '../media/films'
import { gif, hugePng, jpeg, png } from '../media/pictures'
import { tone, wav } from '../media/sounds'

const PHONE = '491703340001'
const FRIEND = '491703340002'
const OTHER = '491703340003'

let server: TestApp
let id = ''
let picture = ''
let sound = ''
beforeAll(async () => {
  server = await startApp()
  await server.phone(FRIEND)
  await server.phone(OTHER)
  id = await server.linked(PHONE)
  picture = png(40, 30).toString('base64')
  sound = wav([tone(8_000, 0.5)], 8_000, 's16').toString('base64')
})
afterAll(() => server.stop())

type Answer = {
  messageId: string
  status: string
  to: string
  code: string
  message: string
  items?: { messageId: string; type: string }[]
  details: { fields: { path: string; message: string }[] }
}
const send = (type: string, body: object, options: CallOptions = {}, query = '') =>
  server.call<Answer>('POST', `/api/messages/send/${type}${query}`, {
    ...options,
    body: { sessionId: id, ...body },
  })
/** Sends to the friend, fails unless it is sent. */
const sent = async (type: string, body: object): Promise<Answer> => {
  const { status, body: answer } = await send(type, { to: FRIEND, ...body })
  expect({ type, status, answer }).toMatchObject({
    type,
    status: 200,
    answer: { status: 'sent', to: FRIEND },
  })
  return answer
}
type Shown = { id: string; content: Record<string, unknown> } & Record<string, unknown>
const atFriend = async (messageId: string, number = FRIEND): Promise<Shown> => {
  for (;;) {
    const { status, body } = await server.call<{ message: Shown }>(
      'GET',
      `/sandbox/phones/${number}/messages/${messageId}`,
    )
    if (status === 200) return body.message
    await Bun.sleep(10)
  }
}
const shown = async (messageId: string) => {
  const { message } = await server.ok<{ message: Record<string, unknown> }>(
    'GET',
    `/api/messages/${id}/${messageId}`,
  )
  return message
}
const until = async <T>(look: () => Promise<T | null | undefined | false>): Promise<T> => {
  for (;;) {
    const found = await look()
    if (found) return found
    await Bun.sleep(10)
  }
}

/** A text of ours that later ones act on. */
const target = async (text = 'The target') => (await sent('text', { text })).messageId

describe('is sent, arrives, and is shown', () => {
  const PLAIN: [AskType, Record<string, unknown>, Record<string, unknown>][] = [
    ['text', { text: 'Hello *you*' }, { text: 'Hello *you*' }],
    [
      'location',
      { latitude: 52.5, longitude: 13.25, name: 'Gate', address: 'Place 1' },
      { latitude: 52.5, longitude: 13.25, name: 'Gate', address: 'Place 1' },
    ],
    [
      'contact',
      { contact: { fullName: 'Ada Lovelace', phoneNumber: '+1234567890', organization: 'Analytical' } },
      { contacts: [{ fullName: 'Ada Lovelace' }] },
    ],
    [
      'contact',
      { contacts: [{ fullName: 'Ada' }, { fullName: 'Bob', phoneNumber: '1234567' }] },
      { contacts: [{ fullName: 'Ada' }, { fullName: 'Bob' }] },
    ],
    [
      'poll',
      { question: 'Lunch?', options: ['Pizza', 'Salad'], selectable: 1 },
      { question: 'Lunch?', options: ['Pizza', 'Salad'], selectable: 1 },
    ],
    [
      'event',
      { name: 'Review', startsAt: '2030-01-01T09:00:00.000Z', description: 'The quarter' },
      { name: 'Review', description: 'The quarter' },
    ],
  ]
  test.each(PLAIN)('%s %#', async (type, body, expected) => {
    const { messageId } = await sent(type, body)
    expect((await atFriend(messageId)).content).toMatchObject({ type, ...expected })
    expect(await shown(messageId)).toMatchObject({ type, from: 'me', to: FRIEND, viaApi: true, ...expected })
  })

  const FILES: [AskType, () => Record<string, unknown>, Record<string, unknown>][] = [
    ['image', () => ({ imageBase64: picture, caption: 'Look' }), { caption: 'Look' }],
    [
      'image',
      () => ({ imageBase64: `data:image/png;base64,${picture}`, viewOnce: true }),
      { viewOnce: true },
    ],
    ['video', () => ({ videoBase64: film().toString('base64'), gifPlayback: true }), { gifPlayback: true }],
    ['video', () => ({ videoBase64: film().toString('base64'), ptv: true }), { ptv: true }],
    ['audio', () => ({ audioBase64: sound, ptt: true }), { ptt: true }],
    [
      'document',
      () => ({
        documentBase64: Buffer.from('%PDF-1.4 x').toString('base64'),
        filename: 'a.pdf',
        caption: 'C',
      }),
      { caption: 'C' },
    ],
    ['sticker', () => ({ stickerBase64: picture }), {}],
  ]
  test.each(FILES)('%s %#', async (type, body, expected) => {
    const { messageId } = await sent(type, body())
    expect((await atFriend(messageId)).content).toMatchObject({ type, ...expected })
    const message = await shown(messageId)
    expect(message).toMatchObject({ type, ...expected })
    expect(message.media).toMatchObject({
      size: expect.any(Number),
      url: `/api/messages/${id}/${messageId}/media`,
    })
    // What the phone decrypts is what we serve of our own message.
    const { base64 } = await server.ok<{ base64: string }>(
      'GET',
      `/sandbox/phones/${FRIEND}/messages/${messageId}/media`,
    )
    const own = await fetch(`${server.url}/api/messages/${id}/${messageId}/media`, {
      headers: { 'x-api-key': 'wapi_test-owner-key-0123456789-abcdefghij' },
    })
    expect({ status: own.status, bytes: Buffer.from(await own.arrayBuffer()).toString('base64') }).toEqual({
      status: 200,
      bytes: base64,
    })
  })

  test('album: every item has its own id', async () => {
    const { messageId, items = [] } = await sent('album', {
      items: [
        { type: 'image', imageBase64: picture, caption: 'One' },
        { type: 'image', imageBase64: picture },
      ],
    })
    expect(items.map(({ type }) => type)).toEqual(['image', 'image'])
    expect((await atFriend(items[0]?.messageId ?? '')).content).toMatchObject({
      type: 'image',
      caption: 'One',
      albumId: messageId,
    })
    expect(await shown(items[1]?.messageId ?? '')).toMatchObject({ albumId: messageId })
  })

  test('reaction, edit, delete, pin: the target shows them', async () => {
    const targetMessageId = await target()
    await send('reaction', { targetMessageId, emoji: '👍' })
    await send('edit', { targetMessageId, text: 'Edited' })
    await send('pin', { targetMessageId, seconds: 86_400 })
    expect(await shown(targetMessageId)).toMatchObject({
      text: 'Edited',
      editedAt: expect.any(String),
      pinnedUntil: expect.any(String),
      reactions: [{ emoji: '👍', from: 'me', timestamp: expect.any(String) }],
    })
    expect((await atFriend(targetMessageId)).content.text).toBe('Edited')
    const { body } = await send('delete', { targetMessageId, to: FRIEND })
    expect(body).toMatchObject({ status: 'sent', to: FRIEND })
    const gone = await shown(targetMessageId)
    expect(gone.deletedAt).toBeString()
    expect(gone.text ?? '').toBe('')
  })

  test('vote: counted with its voters', async () => {
    const { messageId } = await sent('poll', { question: 'Which?', options: ['A', 'B'] })
    expect((await send('vote', { targetMessageId: messageId, options: ['B'] })).status).toBe(200)
    await server.ok('POST', `/sandbox/phones/${FRIEND}/messages`, {
      body: { to: PHONE, content: { type: 'vote', targetMessageId: messageId, options: ['B'] } },
    })
    const votes = await until(async () => {
      const { votes } = (await shown(messageId)) as { votes: { count: number }[] }
      return votes[1]?.count === 2 && votes
    })
    expect(votes).toEqual([
      { option: 'A', count: 0, voters: [] },
      { option: 'B', count: 2, voters: expect.arrayContaining(['me', FRIEND]) },
    ] as never)
  })

  test('rsvp: the present answer of each, ours and theirs', async () => {
    const event = { name: 'Review', startsAt: '2030-01-01T09:00:00Z', guestsAllowed: true }
    const { messageId } = await sent('event', event)
    await send('rsvp', { targetMessageId: messageId, response: 'maybe' })
    const { status } = await send('rsvp', { targetMessageId: messageId, response: 'going', extraGuests: 2 })
    expect(status).toBe(200)
    await server.ok('POST', `/sandbox/phones/${FRIEND}/messages`, {
      body: { to: PHONE, content: { type: 'rsvp', targetMessageId: messageId, response: 'not_going' } },
    })
    const responses = await until(async () => {
      const { responses } = (await shown(messageId)) as { responses?: unknown[] }
      return responses?.length === 2 && responses
    })
    expect(responses).toEqual(
      expect.arrayContaining([
        { response: 'going', extraGuests: 2, from: 'me', timestamp: expect.any(String) },
        { response: 'not_going', extraGuests: 0, from: FRIEND, timestamp: expect.any(String) },
      ]),
    )
  })

  test.each([
    ['to a text', { name: null }, 'going', undefined, 'MESSAGE_NOT_SUITABLE'],
    ['to an event that was canceled', { canceled: true }, 'going', undefined, 'MESSAGE_NOT_SUITABLE'],
    ['with guests that nobody may bring', {}, 'going', 1, 'VALIDATION_ERROR'],
    ['of no kind', {}, 'perhaps', undefined, 'VALIDATION_ERROR'],
  ])('no answer %s', async (_, event, response, extraGuests, code) => {
    const made = { name: 'Review', startsAt: '2030-01-01T09:00:00Z', ...event }
    const messageId = made.name === null ? await target() : (await sent('event', made)).messageId
    const { body } = await send('rsvp', {
      targetMessageId: messageId,
      response,
      ...(extraGuests === undefined ? {} : { extraGuests }),
    })
    expect(body.code).toBe(code)
  })

  test('forward: the same to somebody else', async () => {
    const messageId = await target('Pass it on')
    const { body } = await send('forward', { to: OTHER, messageId })
    expect((await atFriend(body.messageId, OTHER)).content).toMatchObject({
      type: 'text',
      text: 'Pass it on',
    })
    expect(await shown(body.messageId)).toMatchObject({ text: 'Pass it on', forwarded: true })
  })

  test('every type has been sent', () => {
    const sentTypes = new Set<string>([...PLAIN, ...FILES].map(([type]) => type))
    for (const type of ['album', ...ACTION_TYPES, 'forward']) sentTypes.add(type)
    expect([...sentTypes].sort()).toEqual([...ASK_TYPES].sort())
  })
})

describe('what goes along', () => {
  test('mentions, a quote, a time to vanish; nothing of the text is rewritten', async () => {
    const quotedMessageId = await target('Question')
    const { messageId } = await sent('text', {
      text: `Hi @${OTHER} and @nobody`,
      mentions: [`+${OTHER}`],
      quotedMessageId,
      disappearingSeconds: 86_400,
    })
    expect(await shown(messageId)).toMatchObject({
      text: `Hi @${OTHER} and @nobody`,
      mentions: [OTHER],
      quoted: { messageId: quotedMessageId, text: 'Question' },
      disappearingSeconds: 86_400,
    })
  })

  test('variables fill captions too; a missing one is named', async () => {
    const { messageId } = await sent('image', {
      imageBase64: picture,
      caption: 'For {{name}}',
      variables: { name: 'Ada' },
    })
    expect((await atFriend(messageId)).content.caption).toBe('For Ada')
    const { status, body } = await send('image', {
      to: FRIEND,
      imageBase64: picture,
      caption: '{{a}}',
      variables: {},
    })
    expect({ status, path: body.details.fields[0]?.path }).toEqual({ status: 400, path: '/variables/a' })
  })
})

describe('POST /send takes all of them', () => {
  const any = (content: object, more: object = {}) => send('', { to: FRIEND, content, ...more })
  test.each([
    ['text', { type: 'text', text: 'One route' }],
    ['location', { type: 'location', latitude: 1, longitude: 2 }],
    ['poll', { type: 'poll', question: 'Q?', options: ['a', 'b'] }],
  ] as const)('%s', async (type, content) => {
    const { status, body } = await any(content)
    expect({ status, body }).toMatchObject({ status: 200, body: { status: 'sent' } })
    expect((await atFriend(body.messageId)).content.type).toBe(type)
  })

  test('errors name the fields of the content', async () => {
    for (const [content, path] of [
      [{ type: 'location', latitude: 91, longitude: 0 }, '/content/latitude'],
      [{ type: 'text' }, '/content/text'],
      [{ type: 'text', text: 'x', size: 5 }, '/content/size'],
      [{ type: 'bogus' }, '/content/type'],
      [{ type: '__proto__' }, '/content/type'],
      [{ type: 'image' }, '/content/imageUrl'],
      [{ type: 'image', imageBase64: '!!' }, '/content/imageBase64'],
      [{ type: 'event', name: 'x', startsAt: 'soon' }, '/content/startsAt'],
      [{}, '/content/type'],
    ] as const) {
      const { status, body } = await any(content)
      expect({ content, status, paths: body.details.fields.map((field) => field.path) }).toMatchObject({
        content,
        status: 400,
        paths: expect.arrayContaining([path]),
      })
    }
    expect(
      (await any({ type: 'text', text: 'x' }, { audience: [FRIEND] })).body.details.fields[0]?.path,
    ).toBe('/audience')
  })
})

describe('a status post', () => {
  test('reaches its audience', async () => {
    const { status, body } = await send('status', {
      content: { type: 'text', text: 'Open today', backgroundColor: '#205030' },
      audience: [FRIEND],
    })
    expect({ status, body }).toMatchObject({ status: 200, body: { to: 'status@broadcast' } })
    expect((await atFriend(body.messageId)).content).toMatchObject({ text: 'Open today' })
    expect(await shown(body.messageId)).toMatchObject({ audience: [FRIEND] })
  })
  test.each([
    ['no audience', { content: { type: 'text', text: 'x' } }, '/audience'],
    ['nobody', { content: { type: 'text', text: 'x' }, audience: [] }, '/audience'],
    ['a poll', { content: { type: 'poll' }, audience: [FRIEND] }, '/content/type'],
  ])('%s', async (_, body, path) => {
    const answer = await send('status', body)
    expect(answer.body.details.fields.map((field) => field.path)).toContain(path)
  })
  test('to a group is refused', async () => {
    const { body } = await send('status', { content: { type: 'text', text: 'x' }, audience: ['1-2@g.us'] })
    expect(body.code).toBe('INVALID_PHONE_NUMBER')
  })
})

describe('what is refused', () => {
  const FIELDS: [string, AskType, object, string[]][] = [
    ['no file', 'image', {}, ['/imageUrl', '/imageBase64', '/uploadId']],
    [
      'two files',
      'image',
      { imageUrl: 'https://e.com/x', imageBase64: 'AAAA' },
      ['/imageUrl', '/imageBase64'],
    ],
    ['another type’s file', 'image', { videoUrl: 'https://e.com/x' }, ['/videoUrl']],
    [
      'two kinds of contact',
      'contact',
      { contact: { fullName: 'A' }, contacts: [{ fullName: 'B' }] },
      ['/contact', '/contacts'],
    ],
    ['no contact', 'contact', {}, ['/contact', '/contacts']],
    ['latitude 91', 'location', { latitude: 91, longitude: 0 }, ['/latitude']],
    ['longitude −181', 'location', { latitude: 0, longitude: -181 }, ['/longitude']],
    ['latitude as text', 'location', { latitude: '1', longitude: 0 }, ['/latitude']],
    ['no options', 'poll', { question: 'Q', options: [] }, ['/options']],
    [
      '13 options',
      'poll',
      { question: 'Q', options: Array.from({ length: 13 }, (_, at) => `${at}`) },
      ['/options'],
    ],
    ['an option twice', 'poll', { question: 'Q', options: ['a', 'a'] }, ['/options']],
    ['one picture', 'album', { items: [{ type: 'image', imageUrl: 'https://e.com/x' }] }, ['/items']],
    [
      'an item without a file',
      'album',
      { items: [{ type: 'image' }, { type: 'video', videoUrl: 'https://e.com/x' }] },
      ['/items/0/imageUrl', '/items/0/imageBase64', '/items/0/uploadId'],
    ],
    ['an unknown field', 'text', { text: 'x', colour: 'red' }, ['/colour']],
    ['an empty text', 'text', { text: '' }, ['/text']],
    ['65,537 characters', 'text', { text: 'x'.repeat(65_537) }, ['/text']],
    [
      'a quote in a reaction',
      'reaction',
      { targetMessageId: 'x', emoji: 'x', quotedMessageId: 'x' },
      ['/quotedMessageId'],
    ],
    ['sendAt that is none', 'text', { text: 'x', sendAt: 'tomorrow' }, ['/sendAt']],
    ['sendAt without a time', 'text', { text: 'x', sendAt: '2030-01-01' }, ['/sendAt']],
    [
      'sendAt in two years',
      'text',
      { text: 'x', sendAt: new Date(Date.now() + 8e10).toISOString() },
      ['/sendAt'],
    ],
    ['ttl 0', 'text', { text: 'x', ttl: 0 }, ['/ttl']],
  ]
  test.each(FIELDS)('%s', async (_, type, body, paths) => {
    const { status, body: answer } = await send(type, { to: FRIEND, ...body })
    expect({ status, code: answer.code }).toEqual({ status: 400, code: 'VALIDATION_ERROR' })
    expect(answer.details.fields.map(({ path }) => path).sort()).toEqual([...paths].sort())
  })

  test('no recipient', async () => {
    expect((await send('text', { text: 'x' })).body.details.fields).toEqual([
      { path: '/to', message: 'Is required' },
    ])
  })

  test('60,000 combining marks are a text like any other, and quickly', async () => {
    expect((await send('text', { to: FRIEND, text: `a${'\u0301'.repeat(60_000)}` })).status).toBe(200)
  })

  const BYTES: [string, AskType, () => string, number, string][] = [
    [
      'a page named a picture',
      'image',
      () => text('<!doctype html><script>alert(1)</script>'),
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['SVG', 'image', () => text('<svg xmlns="http://www.w3.org/2000/svg"/>'), 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['a text', 'audio', () => text('hello'), 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'a picture of 10 gigapixels',
      'image',
      () => hugePng(100_000, 100_000).toString('base64'),
      413,
      'FILE_TOO_LARGE',
    ],
    ['characters that are none', 'image', () => '!!!!', 400, 'VALIDATION_ERROR'],
    ['white space', 'image', () => `${picture.slice(0, 8)} ${picture.slice(8)}`, 400, 'VALIDATION_ERROR'],
    ['a length that cannot be', 'image', () => 'AAAAA', 400, 'VALIDATION_ERROR'],
  ]
  const text = (of: string) => Buffer.from(of).toString('base64')
  test.each(BYTES)('bytes: %s', async (_, type, base64, status, code) => {
    const answer = await send(type, { to: FRIEND, [`${type}Base64`]: base64() })
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code })
    if (status === 400) expect(answer.body.details.fields[0]?.path).toBe(`/${type}Base64`)
  })

  test('a message that is not there, in another chat, or not suitable', async () => {
    const targetMessageId = await target()
    for (const [type, body, status, code] of [
      ['reaction', { targetMessageId: '3EB000', emoji: 'x' }, 404, 'MESSAGE_NOT_FOUND'],
      ['reaction', { targetMessageId, emoji: 'x', to: OTHER }, 404, 'MESSAGE_NOT_FOUND'],
      ['text', { to: FRIEND, text: 'x', quotedMessageId: '3EB000' }, 404, 'MESSAGE_NOT_FOUND'],
      ['forward', { to: FRIEND, messageId: '3EB000' }, 404, 'MESSAGE_NOT_FOUND'],
      ['vote', { targetMessageId, options: ['a'] }, 400, 'MESSAGE_NOT_SUITABLE'],
    ] as const) {
      const answer = await send(type, body)
      expect({ type, status: answer.status, code: answer.body.code }).toEqual({ type, status, code })
    }
  })

  test('a body that is too large where no file can stand in it', async () => {
    const body = { to: FRIEND, latitude: 1, longitude: 1, name: 'x'.repeat(2 ** 20) }
    expect((await send('location', body)).body.code).toBe('PAYLOAD_TOO_LARGE')
    // Control: where one can, it is read, and the field is what is wrong.
    expect((await send('image', { to: FRIEND, caption: 'x'.repeat(2 ** 20), uploadId: 'x' })).body.code).toBe(
      'VALIDATION_ERROR',
    )
  })

  test('a moving picture as a sticker is converted where ffmpeg is, else it says what to do', async () => {
    const { status, body } = await send('sticker', {
      to: FRIEND,
      stickerBase64: gif(10, 10, 3).toString('base64'),
    })
    if (Bun.which('ffmpeg')) expect(status).toBe(200)
    else {
      expect({ status, code: body.code }).toEqual({ status: 400, code: 'MEDIA_CONVERSION_UNAVAILABLE' })
      expect(JSON.stringify(body)).toContain('ffmpeg')
    }
  })

  test('a picture that is a JPEG is taken', async () => {
    const { status } = await send('image', {
      to: FRIEND,
      imageBase64: (await jpeg(20, 20)).toString('base64'),
    })
    expect(status).toBe(200)
  })
})

describe('how it is asked', () => {
  test('?validate=true says what would be, and sends nothing', async () => {
    const before = await server.ok<{ total: number }>('GET', `/api/messages/history/${id}`)
    const good = await send('image', { to: FRIEND, imageBase64: picture }, {}, '?validate=true')
    expect({ status: good.status, body: good.body as object }).toMatchObject({
      status: 200,
      body: {
        valid: true,
        to: FRIEND,
        exists: true,
        established: true,
        media: { mimetype: 'image/png', width: 40 },
      },
    })
    const bad = await send('text', { to: '491709999991', text: 'x' }, {}, '?validate=true')
    expect(bad.body.code).toBe('NUMBER_NOT_ON_WHATSAPP')
    const after = await server.ok<{ total: number }>('GET', `/api/messages/history/${id}`)
    expect(after.total).toBe(before.total)
  })

  test('?waitFor=delivered answers with what the phone has said', async () => {
    const { body } = await send('text', { to: FRIEND, text: 'There?' }, {}, '?waitFor=delivered&timeout=20')
    expect(body.status).toBe('delivered')
  })

  test('sendAt answers 202 with the moment', async () => {
    const sendAt = new Date(Date.now() + 3_600_000).toISOString()
    const { status, body } = await send('text', { to: FRIEND, text: 'Later', sendAt, ttl: 60 })
    expect({ status, body: body as object }).toMatchObject({
      status: 202,
      body: {
        status: 'queued',
        message: 'Message scheduled successfully',
        sendAt,
        expiresAt: new Date(Date.parse(sendAt) + 60_000).toISOString(),
      },
    })
  })

  test.each([
    ['?waitFor=forever', '/waitFor'],
    ['?timeout=0', '/timeout'],
    ['?timeout=1e9', '/timeout'],
    ['?validate=yes', '/validate'],
    ['?waitFor=delivered&queue=true', '/queue'],
  ])('%s', async (query, path) => {
    const { status, body } = await send('text', { to: FRIEND, text: 'x' }, {}, query)
    expect({ status, path: body.details.fields[0]?.path }).toEqual({ status: 400, path })
  })

  test('waiting for what is queued is a contradiction', async () => {
    const { body } = await send('text', { to: FRIEND, text: 'x', queue: true }, {}, '?waitFor=read')
    expect(body.details.fields[0]?.path).toBe('/waitFor')
  })

  test.each(ASK_TYPES)('the same Idempotency-Key twice: %s', async (type) => {
    const bodies: Record<AskType, () => Promise<object> | object> = {
      text: () => ({ to: FRIEND, text: 'k' }),
      image: () => ({ to: FRIEND, imageBase64: picture }),
      video: () => ({ to: FRIEND, videoBase64: film().toString('base64') }),
      audio: () => ({ to: FRIEND, audioBase64: sound, ptt: true }),
      document: () => ({ to: FRIEND, documentBase64: 'AAAA', filename: 'a' }),
      sticker: () => ({ to: FRIEND, stickerBase64: picture }),
      album: () => ({
        to: FRIEND,
        items: [
          { type: 'image', imageBase64: picture },
          { type: 'image', imageBase64: picture },
        ],
      }),
      location: () => ({ to: FRIEND, latitude: 1, longitude: 1 }),
      contact: () => ({ to: FRIEND, contact: { fullName: 'A' } }),
      poll: () => ({ to: FRIEND, question: 'k', options: ['a', 'b'] }),
      event: () => ({ to: FRIEND, name: 'k', startsAt: '2030-01-01T00:00:00Z' }),
      reaction: async () => ({ targetMessageId: await target(), emoji: '👍' }),
      edit: async () => ({ targetMessageId: await target(), text: 'k' }),
      delete: async () => ({ targetMessageId: await target() }),
      pin: async () => ({ targetMessageId: await target() }),
      vote: async () => ({
        targetMessageId: (await sent('poll', { question: 'k', options: ['a', 'b'] })).messageId,
        options: ['a'],
      }),
      rsvp: async () => ({
        targetMessageId: (await sent('event', { name: 'k', startsAt: '2030-01-01T00:00:00Z' })).messageId,
        response: 'going',
      }),
      forward: async () => ({ to: OTHER, messageId: await target() }),
    }
    const body = await bodies[type]()
    const headers = { 'idempotency-key': `every-${type}` }
    const first = await send(type, body, { headers })
    expect({ status: first.status, body: first.body }).toMatchObject({
      status: 200,
      body: { status: 'sent' },
    })
    const again = await send(type, body, { headers })
    expect(again.body).toEqual(first.body)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
  })
})
