/** Files through the front door: uploads and their links, forms, downloads; nothing that is refused remains. */

import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { png } from '../media/pictures'
import { tone, wav } from '../media/sounds'

const PHONE = '491703360001'
const FRIEND = '491703360002'

let server: TestApp
let id = ''
let bobsKey = ''
beforeAll(async () => {
  server = await startApp({ flags: { '--registration': 'open' } })
  await server.phone(FRIEND)
  id = await server.linked(PHONE)
  await server.ok('GET', '/api/auth/profile')
  const bob = await server.ok<{ apiKey: string }>('POST', '/api/auth/register', {
    key: null,
    body: { username: 'bob', email: 'bob@example.com', password: 'a long password' },
  })
  bobsKey = bob.apiKey
})
afterAll(() => server.stop())

type Told = {
  code: string
  messageId: string
  status: string
  data: {
    filename: string
    originalname: string | null
    mimetype: string
    size: number
    url: string
    uploadId: string
    expiresAt: string
  }
  details: { fields: { path: string }[] }
}
const post = async (path: string, form: FormData, headers: Record<string, string> = {}, key = OWNER_KEY) => {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    body: form,
    headers: { 'x-api-key': key, ...headers },
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Told }
}
const form = (fields: Record<string, string | Blob | string[]>): FormData => {
  const made = new FormData()
  for (const [name, value] of Object.entries(fields)) {
    for (const each of [value].flat()) made.append(name, each)
  }
  return made
}
const file = (bytes: Uint8Array, name: string, type = 'application/octet-stream') =>
  new File([new Uint8Array(bytes)], name, { type })
const upload = async (bytes: Uint8Array, name: string, type?: string) => {
  const answer = await post('/api/messages/upload', form({ file: file(bytes, name, type) }))
  if (answer.status !== 201)
    throw new Error(`Upload answered ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body.data
}
const download = async (
  path: string,
  headers: Record<string, string> = {},
  key: string | null = OWNER_KEY,
) => {
  const response = await fetch(path.startsWith('http') ? path : `${server.url}${path}`, {
    headers: { ...(key === null ? {} : { 'x-api-key': key }), ...headers },
  })
  return {
    status: response.status,
    headers: response.headers,
    bytes: Buffer.from(await response.arrayBuffer()),
  }
}
const send = (type: string, body: object) =>
  server.call<Told>('POST', `/api/messages/send/${type}`, { body: { sessionId: id, to: FRIEND, ...body } })

/** Files on disk and rows of files. */
const filesLeft = () => {
  const root = join(server.dataDir, 'media')
  const onDisk = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const database = new Database(join(server.dataDir, 'wabun.sqlite'), { readonly: true })
  try {
    const { count } = database.query('select count(*) as count from files').get() as { count: number }
    return { onDisk: onDisk.length, rows: count }
  } finally {
    database.close()
  }
}
const PICTURE = png(40, 30)
const PDF = Buffer.concat([Buffer.from('%PDF-1.4\n'), randomBytes(200_000)])

describe('POST /upload', () => {
  test('answers as the contract says; the type is that of the bytes', async () => {
    const { status, body } = await post(
      '/api/messages/upload',
      form({ file: file(PICTURE, '../../Grüße\u0007.exe', 'application/x-evil') }),
    )
    expect(status).toBe(201)
    expect(body).toMatchObject({
      success: true,
      data: { mimetype: 'image/png', size: PICTURE.length },
    } as never)
    const { filename, originalname, url, uploadId, expiresAt } = body.data
    expect(filename).toStartWith(uploadId)
    expect(originalname).toBe('Grüße.exe')
    expect(url).toMatch(new RegExp(`^${server.url}/media/${uploadId}\\.[\\w-]{43}$`))
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now())
  })

  test.each([
    ['no form', { 'content-type': 'application/json' }, '{}', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['bytes', { 'content-type': 'application/octet-stream' }, 'abc', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['nothing', {}, undefined, 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ])('%s', async (_, headers, raw, status, code) => {
    const answer = await server.call('POST', '/api/messages/upload', {
      headers,
      ...(raw === undefined ? {} : { raw }),
    })
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code })
  })

  test.each([
    ['no file', () => form({}), '/file'],
    ['a field', () => form({ file: 'text' }), '/file'],
    ['another name', () => form({ image: file(PICTURE, 'a.png') }), '/image'],
    ['a field beside it', () => form({ file: file(PICTURE, 'a.png'), x: '1' }), '/x'],
  ])('%s', async (_, made, path) => {
    const before = filesLeft()
    const { status, body } = await post('/api/messages/upload', made())
    expect({ status, path: body.details.fields[0]?.path }).toEqual({ status: 400, path })
    expect(filesLeft()).toEqual(before)
  })

  test('an empty file, and one above 50 MB; nothing remains', async () => {
    const before = filesLeft()
    expect((await post('/api/messages/upload', form({ file: file(new Uint8Array(), 'a') }))).status).toBe(400)
    const large = file(new Uint8Array(50 * 2 ** 20 + 1), 'large.bin')
    const { status, body } = await post('/api/messages/upload', form({ file: large }))
    expect({ status, code: body.code }).toEqual({ status: 413, code: 'FILE_TOO_LARGE' })
    expect(filesLeft()).toEqual(before)
  })

  test('the same Idempotency-Key twice: one file; another file under it is refused', async () => {
    const before = filesLeft()
    const headers = { 'idempotency-key': 'upload-1' }
    const once = () => post('/api/messages/upload', form({ file: file(PDF, 'a.pdf') }), headers)
    const [first, second] = [await once(), await once()]
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    const other = await post('/api/messages/upload', form({ file: file(PICTURE, 'a.pdf') }), headers)
    expect({ status: other.status, code: other.body.code }).toEqual({
      status: 409,
      code: 'IDEMPOTENCY_KEY_REUSED',
    })
    expect(filesLeft()).toEqual({ onDisk: before.onDisk + 1, rows: before.rows + 1 })
  })

  test('a caller who goes away in the middle leaves nothing', async () => {
    const before = filesLeft()
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: Number(new URL(server.url).port),
      socket: {
        data: () => undefined,
        open(socket) {
          socket.write(
            `POST /api/messages/upload HTTP/1.1\r\nHost: x\r\nX-API-Key: ${OWNER_KEY}\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 1000000\r\n\r\n--B\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n${'x'.repeat(100_000)}`,
          )
        },
      },
    })
    while (filesLeft().onDisk === before.onDisk) await Bun.sleep(5)
    socket.end()
    while (filesLeft().onDisk !== before.onDisk) await Bun.sleep(5)
    expect(filesLeft()).toEqual(before)
  })
})

describe('the link of an upload', () => {
  test('serves the bytes to whoever has it, in ranges too', async () => {
    const { url } = await upload(PDF, 'Rechnung ä.pdf')
    const whole = await download(url, {}, null)
    expect({ status: whole.status, bytes: whole.bytes.equals(PDF) }).toEqual({ status: 200, bytes: true })
    expect(Object.fromEntries(whole.headers)).toMatchObject({
      'content-type': 'application/pdf',
      'content-disposition': `inline; filename="Rechnung _.pdf"; filename*=UTF-8''Rechnung%20%C3%A4.pdf`,
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, max-age=3600',
    })
    const part = await download(url, { range: 'bytes=9-18' }, null)
    expect({ status: part.status, bytes: part.bytes.equals(PDF.subarray(9, 19)) }).toEqual({
      status: 206,
      bytes: true,
    })
    const none = await download(url, { range: 'bytes=999999999-' }, null)
    expect({ status: none.status, of: none.headers.get('content-range') }).toEqual({
      status: 416,
      of: `bytes */${PDF.length}`,
    })
    const head = await fetch(url, { method: 'HEAD' })
    expect({ status: head.status, length: head.headers.get('content-length') }).toEqual({
      status: 200,
      length: String(PDF.length),
    })
  })

  test('a page is never shown', async () => {
    const { url, mimetype } = await upload(Buffer.from('<!doctype html><script>alert(1)</script>'), 'a.html')
    const { headers } = await download(url, {}, null)
    expect(mimetype).toBe('text/html')
    expect(headers.get('content-disposition')).toStartWith('attachment')
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
  })

  test('a guessed one is not there', async () => {
    const { url, uploadId } = await upload(PICTURE, 'a.png')
    const guesses = [
      url.slice(0, -1),
      `${url}x`,
      `${server.url}/media/${uploadId}`,
      `${server.url}/media/..%2f..`,
    ]
    for (const guess of guesses) {
      const { status, bytes } = await download(guess, {}, null)
      expect({ guess, status, code: JSON.parse(bytes.toString()).code }).toEqual({
        guess,
        status: 404,
        code: 'UPLOAD_NOT_FOUND',
      })
    }
  })

  test('stands in every …Url field, without a request to ourselves, as often as wanted', async () => {
    const { url, uploadId } = await upload(PICTURE, 'a.png')
    for (const body of [{ imageUrl: url }, { imageUrl: url }, { uploadId }]) {
      expect((await send('image', body)).status).toBe(200)
    }
    expect((await send('document', { documentUrl: url })).status).toBe(200)
    expect((await send('sticker', { stickerUrl: url })).status).toBe(200)
    expect(server.lines.filter((line) => line.includes('/media/'))).toEqual([])
    // It is still an upload.
    expect((await download(url, {}, null)).status).toBe(200)
  })

  test('of another account is no upload', async () => {
    const { url, uploadId } = await upload(PICTURE, 'a.png')
    const theirs = await post('/api/messages/upload', form({ file: file(PICTURE, 'b.png') }), {}, bobsKey)
    for (const body of [
      { imageUrl: theirs.body.data.url },
      { uploadId: theirs.body.data.uploadId },
      { uploadId: 'f'.repeat(32) },
    ]) {
      const answer = await send('image', body)
      expect({ status: answer.status, code: answer.body.code }).toEqual({
        status: 404,
        code: 'UPLOAD_NOT_FOUND',
      })
    }
    // Control.
    expect((await send('image', { imageUrl: url })).status).toBe(200)
    expect((await send('image', { uploadId })).status).toBe(200)
  })
})

describe('a form instead of JSON', () => {
  test('its file is sent, its fields are typed, and only the message’s file remains', async () => {
    const before = filesLeft()
    const { status, body } = await post(
      '/api/messages/send/image',
      form({
        sessionId: id,
        to: FRIEND,
        caption: 'From {{who}}',
        variables: '{"who":"a form"}',
        viewOnce: 'true',
        mentions: [FRIEND, PHONE],
        file: file(PICTURE, 'a.png'),
      }),
    )
    expect({ status, said: body.status }).toEqual({ status: 200, said: 'sent' })
    const { message } = await server.ok<{ message: object }>('GET', `/api/messages/${id}/${body.messageId}`)
    expect(message).toMatchObject({ caption: 'From a form', viewOnce: true, mentions: [FRIEND, PHONE] })
    const own = await download(`/api/messages/${id}/${body.messageId}/media`)
    expect({ status: own.status, bytes: own.bytes.equals(PICTURE) }).toEqual({ status: 200, bytes: true })
    expect(filesLeft()).toEqual({ onDisk: before.onDisk + 1, rows: before.rows + 1 })
  })

  test('the part may be called as the type, and come first', async () => {
    const { status } = await post(
      '/api/messages/send/document',
      form({ document: file(PDF, 'a.pdf'), sessionId: id, to: FRIEND }),
    )
    expect(status).toBe(200)
  })

  test('a voice note', async () => {
    const sound = wav([tone(8_000, 0.5)], 8_000, 's16')
    const { status, body } = await post(
      '/api/messages/send/audio',
      form({ sessionId: id, to: FRIEND, ptt: 'true', file: file(sound, 'a.wav', 'audio/wav') }),
    )
    expect({ status, said: body.status }).toEqual({ status: 200, said: 'sent' })
  })

  test('through the union', async () => {
    const { status } = await post(
      '/api/messages/send',
      form({
        sessionId: id,
        to: FRIEND,
        content: '{"type":"image","caption":"c"}',
        file: file(PICTURE, 'a.png'),
      }),
    )
    expect(status).toBe(200)
  })

  test('left to the queue', async () => {
    await server.ok('POST', `/api/messages/queue/${id}/pause`)
    const { status, body } = await post(
      '/api/messages/send/document',
      form({ sessionId: id, to: FRIEND, queue: 'true', file: file(PDF, 'a.pdf') }),
    )
    expect({ status, said: body.status }).toEqual({ status: 202, said: 'queued' })
    await server.ok('POST', `/api/messages/queue/${id}/resume`)
    for (;;) {
      const { status } = await server.call('GET', `/sandbox/phones/${FRIEND}/messages/${body.messageId}`)
      if (status === 200) break
      await Bun.sleep(10)
    }
  })

  test('the same Idempotency-Key twice sends once, though the file arrives twice', async () => {
    const once = () =>
      post(
        '/api/messages/send/image',
        form({ sessionId: id, to: FRIEND, caption: 'once', file: file(PICTURE, 'a.png') }),
        { 'idempotency-key': 'form-1' },
      )
    const first = await once()
    const before = filesLeft()
    const second = await once()
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    expect(filesLeft()).toEqual(before)
  })

  test.each([
    ['a field that is none', '/api/messages/send/image', { viewOnce: 'yes' }, 400, '/viewOnce'],
    ['an unknown field', '/api/messages/send/image', { colour: 'red' }, 400, '/colour'],
    ['another origin as well', '/api/messages/send/image', { imageUrl: 'https://e.com/a' }, 400, '/imageUrl'],
    ['an upload as well', '/api/messages/send/image', { uploadId: 'x' }, 400, '/uploadId'],
    ['NUL', '/api/messages/send/image', { caption: 'a\u0000b' }, 400, '/caption'],
    ['broken JSON', '/api/messages/send/image', { variables: '{' }, 400, '/variables'],
    ['a query that is none', '/api/messages/send/image?timeout=x', {}, 400, '/timeout'],
    ['nobody', '/api/messages/send/image', { to: 'nobody' }, 400, null],
    ['a foreign session', '/api/messages/send/image', { sessionId: 'f'.repeat(32) }, 404, null],
    ['the wrong kind', '/api/messages/send/audio', {}, 415, null],
    ['a text', '/api/messages/send/text', { text: 'x' }, 415, null],
  ])('%s is refused, and nothing remains', async (_, path, fields, status, named) => {
    const before = filesLeft()
    const answer = await post(
      path,
      form({ sessionId: id, to: FRIEND, ...fields, file: file(PICTURE, 'a.png') }),
    )
    expect(answer.status).toBe(status)
    if (named) expect(answer.body.details.fields.map((field) => field.path)).toContain(named)
    expect(filesLeft()).toEqual(before)
  })

  test('two files, and a part of another name', async () => {
    const before = filesLeft()
    for (const parts of [
      { file: [file(PICTURE, 'a.png'), file(PICTURE, 'b.png')] },
      { picture: file(PICTURE, 'a.png') },
    ]) {
      const made = form({ sessionId: id, to: FRIEND })
      for (const [name, value] of Object.entries(parts)) {
        for (const each of [value].flat()) made.append(name, each)
      }
      expect([400, 413]).toContain((await post('/api/messages/send/image', made)).status)
    }
    expect(filesLeft()).toEqual(before)
  })

  test('a dry run keeps nothing', async () => {
    const before = filesLeft()
    const { status, body } = await post(
      '/api/messages/send/image?validate=true',
      form({ sessionId: id, to: FRIEND, file: file(PICTURE, 'a.png') }),
    )
    expect({ status, valid: (body as unknown as { valid: boolean }).valid }).toEqual({
      status: 200,
      valid: true,
    })
    expect(filesLeft()).toEqual(before)
  })

  test('without credentials nothing is read', async () => {
    const before = filesLeft()
    const { status } = await post(
      '/api/messages/send/image',
      form({ sessionId: id, to: FRIEND, file: file(PICTURE, 'a.png') }),
      {},
      'wapi_wrong',
    )
    expect(status).toBe(401)
    expect(filesLeft()).toEqual(before)
  })
})

describe('the file of a received message', () => {
  const receive = async (content: object): Promise<string> => {
    const { message } = await server.ok<{ message: { id: string } }>(
      'POST',
      `/sandbox/phones/${FRIEND}/messages`,
      { body: { to: PHONE, content } },
    )
    for (;;) {
      const { status } = await server.call('GET', `/api/messages/${id}/${message.id}`)
      if (status === 200) return message.id
      await Bun.sleep(10)
    }
  }

  test('is fetched when it is asked for, and served with its range', async () => {
    const messageId = await receive({ type: 'image', base64: PICTURE.toString('base64'), caption: 'c' })
    const { message } = await server.ok<{ message: { media: { url: string; size: number } } }>(
      'GET',
      `/api/messages/${id}/${messageId}`,
    )
    expect(message.media.size).toBe(PICTURE.length)
    const whole = await download(message.media.url)
    expect({ status: whole.status, bytes: whole.bytes.equals(PICTURE) }).toEqual({ status: 200, bytes: true })
    expect(whole.headers.get('etag')).toBe(`"${createHash('sha256').update(PICTURE).digest('hex')}"`)
    const again = await download(message.media.url, { 'if-none-match': whole.headers.get('etag') ?? '' })
    expect(again.status).toBe(304)
    const part = await download(message.media.url, { range: 'bytes=-4' })
    expect({ status: part.status, hex: part.bytes.toString('hex') }).toEqual({
      status: 206,
      hex: PICTURE.subarray(-4).toString('hex'),
    })
    const head = await fetch(`${server.url}${message.media.url}`, {
      method: 'HEAD',
      headers: { 'x-api-key': OWNER_KEY },
    })
    expect({ status: head.status, length: head.headers.get('content-length') }).toEqual({
      status: 200,
      length: String(PICTURE.length),
    })
  })

  test('is not there: a text, an unknown message', async () => {
    const text = await receive({ type: 'text', text: 'x' })
    for (const [messageId, code] of [
      [text, 'MEDIA_NOT_FOUND'],
      ['3EB000', 'MESSAGE_NOT_FOUND'],
    ] as const) {
      const { status, body } = await server.call('GET', `/api/messages/${id}/${messageId}/media`)
      expect({ status, code: body.code }).toEqual({ status: 404, code })
    }
  })

  test('is of its own account only', async () => {
    const messageId = await receive({ type: 'image', base64: PICTURE.toString('base64') })
    const { status, bytes } = await download(`/api/messages/${id}/${messageId}/media`, {}, bobsKey)
    expect({ status, code: JSON.parse(bytes.toString()).code }).toEqual({
      status: 404,
      code: 'SESSION_NOT_FOUND',
    })
    expect((await download(`/api/messages/${id}/${messageId}/media`, {}, null)).status).toBe(401)
  })

  test('that WhatsApp has dropped says why', async () => {
    const messageId = await receive({ type: 'image', base64: png(9, 9).toString('base64') })
    await server.ok('POST', '/sandbox/faults', { body: { kind: 'media_refuse', all: true } })
    const { status, body } = await server.call<{ code: string; details: { reason: string } }>(
      'GET',
      `/api/messages/${id}/${messageId}/media`,
    )
    await server.ok('DELETE', '/sandbox/faults')
    expect({ status, code: body.code, reason: typeof body.details.reason }).toEqual({
      status: 424,
      code: 'MEDIA_UNAVAILABLE',
      reason: 'string',
    })
    // Control: afterwards it is there.
    expect((await download(`/api/messages/${id}/${messageId}/media`)).status).toBe(200)
  })
})

test('a large body of a stranger is not read, and the connection serves the next request', async () => {
  const before = filesLeft()
  const large = form({ sessionId: id, to: FRIEND, file: file(new Uint8Array(20_000_000), 'a.bin') })
  const { status } = await post('/api/messages/send/document', large, {}, 'wapi_wrong')
  expect(status).toBe(401)
  expect((await server.call('GET', '/healthz')).status).toBe(200)
  expect(filesLeft()).toEqual(before)
})

test('base64 up to 24 MB is read, and refused above it', async () => {
  const bytes = Buffer.alloc(12_000_000, 7)
  const good = await send('document', { documentBase64: bytes.toString('base64'), filename: 'a.bin' })
  expect(good.status).toBe(200)
  const large = await send('document', { documentBase64: Buffer.alloc(19_000_000).toString('base64') })
  expect({ status: large.status, code: large.body.code }).toEqual({ status: 413, code: 'PAYLOAD_TOO_LARGE' })
})

test('PUBLIC_URL is what links and places of files begin with', async () => {
  const other = await startApp({ flags: { '--public-url': 'https://wa.example.com' } })
  try {
    const made = form({ file: file(PICTURE, 'a.png') })
    const response = await fetch(`${other.url}/api/messages/upload`, {
      method: 'POST',
      body: made,
      headers: { 'x-api-key': OWNER_KEY },
    })
    const { data } = (await response.json()) as Told
    expect(data.url).toStartWith('https://wa.example.com/media/')
    const here = await fetch(`${other.url}${new URL(data.url).pathname}`)
    expect({ status: here.status, size: (await here.arrayBuffer()).byteLength }).toEqual({
      status: 200,
      size: PICTURE.length,
    })
    // The links of one server mean nothing to another.
    expect((await fetch(`${server.url}${new URL(data.url).pathname}`)).status).toBe(404)
  } finally {
    await other.stop()
  }
})
