/** X5: messages. */
import { expect } from 'bun:test'
import type { ErrorCode } from '../../../src/domain/errors'
import { gif, hugePng, png } from '../../media/pictures'
import { FRIEND, type HardRig, type Refused } from './rig'
import { type HardRow, proved, row } from './row'

type Expected = [status: number, code: ErrorCode, ...at: string[]]
const refuse = async (rig: HardRig, type: string, body: object, expected: Expected): Promise<Refused> =>
  rig.refused(
    'POST',
    `/api/messages/send/${type}`,
    { body: { sessionId: await rig.linked(), to: FRIEND, ...body } },
    expected,
  )
const sent = async (rig: HardRig, type: string, body: object, headers: Record<string, string> = {}) =>
  await rig.app.call<{ messageId?: string; code?: string }>('POST', `/api/messages/send/${type}`, {
    body: { sessionId: await rig.linked(), to: FRIEND, ...body },
    headers,
  })
const wrong = (...at: string[]): Expected => [400, 'VALIDATION_ERROR', ...at]
const base64 = (text: string) => Buffer.from(text).toString('base64')
const picture = png(4, 4).toString('base64')

export const MESSAGE_ROWS: readonly HardRow[] = [
  // The contract’s code for it is INVALID_PHONE_NUMBER, and a LID is one of the addresses that it takes.
  row(81, 'recipients that are none', async (rig) => {
    for (const to of [
      '+1',
      'abc',
      '1'.repeat(40),
      '①②③④⑤⑥⑦⑧',
      '１２３４５６７８',
      '4️⃣9️⃣1️⃣7️⃣0️⃣3️⃣3️⃣',
      '1234567@evil.example',
      '1234567@s.whatsapp.net.evil',
      '12 34567\u0000'.replace('\u0000', '\u200b'),
      '+-+-+-+-',
      '@g.us',
      '1234567:3@s.whatsapp.net',
    ]) {
      await refuse(rig, 'text', { to, text: 'x' }, [400, 'INVALID_PHONE_NUMBER'])
    }
    await refuse(rig, 'text', { to: '', text: 'x' }, wrong('/to'))
    await refuse(rig, 'text', { to: '1'.repeat(65), text: 'x' }, wrong('/to'))
    // A group where a person is needed, and the address of status posts where a chat is.
    const group = '120363000000000001@g.us'
    const sessionId = await rig.linked()
    const post = { sessionId, audience: [group], content: { type: 'text', text: 'x' } }
    await rig.refused('POST', '/api/messages/send/status', { body: post }, [400, 'INVALID_PHONE_NUMBER'])
    await refuse(rig, 'text', { to: 'status@broadcast', text: 'x' }, wrong('/audience'))
    const body = { phoneNumber: group }
    await rig.refused('POST', `/api/sessions/${sessionId}/pairing-code`, { body }, [
      400,
      'INVALID_PHONE_NUMBER',
    ])
  }),
  row(82, 'texts of nothing and of 65,537 characters', async (rig) => {
    for (const text of ['', 'x'.repeat(65_537)]) await refuse(rig, 'text', { text }, wrong('/text'))
    // What fills a place counts as well.
    await refuse(rig, 'text', { text: '{{a}}{{a}}', variables: { a: 'x'.repeat(40_000) } }, wrong('/text'))
    expect((await sent(rig, 'text', { text: 'x'.repeat(65_536) })).status).toBe(200)
  }),
  row(83, '60,000 combining marks', async (rig) => {
    expect((await sent(rig, 'text', { text: `a${'\u0301'.repeat(60_000)}` })).status).toBe(200)
  }),
  row(84, 'a picture that is none', async (rig) => {
    for (const [type, text] of [
      ['image', '<!doctype html><script>alert(1)</script>'],
      ['image', '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'],
      ['image', 'GIF89a/*<script>*/=1'],
      ['sticker', '%PDF-1.4 <script>'],
      ['audio', 'hello'],
      ['video', '<!doctype html>'],
    ] as const) {
      const body = { [`${type}Base64`]: base64(text), filename: 'x.jpg', mimetype: 'image/jpeg' }
      const { status, body: told } = await sent(
        rig,
        type,
        type === 'image' ? body : { [`${type}Base64`]: base64(text) },
      )
      expect({ type, status, code: told.code }).toEqual({ type, status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' })
    }
  }),
  row(85, 'a picture of 10 gigapixels', async (rig) => {
    const huge = hugePng(100_000, 100_000).toString('base64')
    await refuse(rig, 'image', { imageBase64: huge }, [413, 'FILE_TOO_LARGE'])
    await refuse(rig, 'sticker', { stickerBase64: huge }, [413, 'FILE_TOO_LARGE'])
    await refuse(rig, 'sticker', { stickerBase64: gif(65_535, 65_535, 1).toString('base64') }, [
      413,
      'FILE_TOO_LARGE',
    ])
  }),
  row(86, 'base64 that is none', async (rig) => {
    for (const text of [
      '!!!!',
      `${picture.slice(0, 8)} ${picture.slice(8)}`,
      `${picture.slice(0, 8)}\n${picture.slice(8)}`,
      'AAAAA',
      'AAAA====',
      'A===',
      'data:image/png;base64,!!!!',
      'data:image/png,AAAA',
      '',
    ]) {
      await refuse(rig, 'image', { imageBase64: text }, wrong('/imageBase64'))
    }
  }),
  row(87, 'names of files', async (rig) => {
    for (const name of [
      '../../etc/passwd',
      'a/b\\c.png',
      'a\r\nx-evil: 1.png',
      `${'x'.repeat(300)}.png`,
      'a"b;c.png',
      '\u202egnp.exe',
      '..',
    ]) {
      const form = new FormData()
      form.append('file', new File([new Uint8Array(png(4, 4))], name, { type: 'image/png' }))
      const { data } = await rig.app.ok<{
        data: { url: string; filename: string; originalname: string | null }
      }>('POST', '/api/messages/upload', { raw: form as unknown as Uint8Array })
      // The name on disk and in the link is ours alone.
      expect(data.filename).toMatch(/^[\w-]+(\.[A-Za-z0-9]{1,16})?$/)
      expect(data.originalname ?? '').not.toMatch(/[/\\\r\n]/)
      const { headers, status } = await rig.app.call('GET', new URL(data.url).pathname, { key: null })
      expect({ status, evil: headers.get('x-evil') }).toEqual({ status: 200, evil: null })
      expect(headers.get('content-disposition') ?? '').toMatch(
        /^(inline|attachment)(; filename="[\x20-\x7e]*")?(; filename\*=UTF-8''[\w%.'()*~-]+)?$/,
      )
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('content-security-policy')).toContain('sandbox')
    }
    await refuse(rig, 'document', { documentBase64: picture, filename: 'a\u0000.png' }, wrong('/filename'))
  }),
  row(88, 'places that are not on Earth', async (rig) => {
    for (const [latitude, longitude, at] of [
      [91, 0, '/latitude'],
      [-90.1, 0, '/latitude'],
      [0, 181, '/longitude'],
      ['1', 0, '/latitude'],
      [null, 0, '/latitude'],
    ] as const) {
      await refuse(rig, 'location', { latitude, longitude }, wrong(at))
    }
    const raw = `{"sessionId":"x","to":"${FRIEND}","latitude":NaN,"longitude":0}`
    const headers = { 'content-type': 'application/json' }
    await rig.refused('POST', '/api/messages/send/location', { raw, headers }, [400, 'INVALID_JSON'])
  }),
  row(89, 'polls of nothing, of 13 options, of one twice', async (rig) => {
    for (const options of [
      [],
      ['a'].slice(1),
      Array.from({ length: 13 }, (_, at) => `${at}`),
      ['a', 'a'],
      ['', 'b'],
    ]) {
      await refuse(
        rig,
        'poll',
        { question: 'Q', options },
        wrong(...(options[0] === '' ? ['/options/0'] : ['/options'])),
      )
    }
  }),
  row(90, 'an answer to a message that is not there', async (rig) => {
    for (const [type, body] of [
      ['text', { text: 'x', quotedMessageId: '3EB000' }],
      ['reaction', { targetMessageId: '3EB000', emoji: 'x' }],
      ['delete', { targetMessageId: '3EB000' }],
      ['forward', { messageId: '3EB000' }],
      ['reaction', { targetMessageId: '../../x', emoji: 'x' }],
    ] as const) {
      await refuse(rig, type, body, [404, 'MESSAGE_NOT_FOUND'])
    }
  }),
  row(91, 'Idempotency-Keys', async (rig) => {
    const path = '/api/messages/send/text'
    const body = { sessionId: await rig.linked(), to: FRIEND, text: 'once' }
    for (const key of ['x'.repeat(256), '', 'a b', 'ä', 'a\tb']) {
      const headers = { 'idempotency-key': key }
      await rig.refused('POST', path, { body, headers }, wrong('/idempotency-key'))
    }
    const headers = { 'idempotency-key': 'x'.repeat(255) }
    const both = await Promise.all(
      [1, 2].map(() => rig.app.call<{ messageId: string; code?: string }>('POST', path, { body, headers })),
    )
    for (const { status, body: told } of both) {
      expect(status === 200 || told.code === 'IDEMPOTENCY_IN_PROGRESS').toBe(true)
    }
    const again = await rig.app.call<{ messageId: string }>('POST', path, { body, headers })
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(both.map(({ body: told }) => told.messageId ?? again.body.messageId)).toEqual(
      both.map(() => again.body.messageId),
    )
    const other = { ...body, text: 'twice' }
    await rig.refused('POST', path, { body: other, headers }, [409, 'IDEMPOTENCY_KEY_REUSED'])
  }),
  proved(92, 'a thousand at once', 'http/bulk', 'a thousand, left to the queue, in their order'),
]
