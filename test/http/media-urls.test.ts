/** No media URL makes this server ask a private place: every `…Url` field, every way to send, one text for every reason. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startApp, type TestApp } from '../harness/app'
import { FORBIDDEN_URLS } from '../lib/forbidden-urls'
import { film } from '../media/films'
import { png } from '../media/pictures'

const PHONE = '491703350001'
const FRIEND = '491703350002'

let server: TestApp
let id = ''
/** A server of our own machine that must not be asked. */
let inner: ReturnType<typeof Bun.serve>
let asked = 0
let stopped = false
beforeAll(async () => {
  inner = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch({ url }) {
      asked += 1
      if (url.endsWith('/nothing.png')) return new Response(null, { status: 404 })
      return new Response(new Uint8Array(png(4, 4)), { headers: { 'content-type': 'image/png' } })
    },
  })
  server = await startApp({ flags: { '--media-allow-networks': '' } })
  await server.phone(FRIEND)
  id = await server.linked(PHONE)
})
afterAll(async () => {
  if (!stopped) await server.stop()
  await inner.stop(true)
})

type Told = { error: string; code: string; details?: object }
const send = async (type: string, body: object) =>
  await server.call<Told>('POST', `/api/messages/send/${type}`, {
    body: { sessionId: id, to: FRIEND, ...body },
  })

const FIELDS: [string, (url: string) => object][] = [
  ['image', (imageUrl) => ({ imageUrl })],
  ['video', (videoUrl) => ({ videoUrl })],
  ['video', (thumbnailUrl) => ({ videoBase64: film().toString('base64'), thumbnailUrl })],
  ['audio', (audioUrl) => ({ audioUrl })],
  ['document', (documentUrl) => ({ documentUrl })],
  ['sticker', (stickerUrl) => ({ stickerUrl })],
]
const TOO_LONG = (url: string) => url.length === 0 || url.length > 2048

describe.each(FIELDS)('%s %#', (type, body) => {
  test('each is refused with the same words', async () => {
    const texts = new Set<string>()
    for (const url of [...FORBIDDEN_URLS, inner.url.href, server.url]) {
      const { status, body: told } = await send(type, body(url))
      expect({ url: url.slice(0, 60), status, code: told.code }).toEqual({
        url: url.slice(0, 60),
        status: 400,
        code: TOO_LONG(url) ? 'VALIDATION_ERROR' : 'MEDIA_URL_FORBIDDEN',
      })
      if (!TOO_LONG(url)) texts.add(JSON.stringify([told.error, told.details]))
    }
    expect(texts.size).toBe(1)
    expect(asked).toBe(0)
  })
})

test('in an album, in the union and in a bulk', async () => {
  const imageUrl = inner.url.href
  const item = { type: 'image', imageUrl }
  expect((await send('album', { items: [item, item] })).body.code).toBe('MEDIA_URL_FORBIDDEN')
  expect((await send('', { content: item })).body.code).toBe('MEDIA_URL_FORBIDDEN')
  const { results } = await server.ok<{ results: { code: string }[] }>('POST', '/api/messages/send/bulk', {
    body: { sessionId: id, messages: [{ to: FRIEND, ...item }] },
  })
  expect(results[0]?.code).toBe('MEDIA_URL_FORBIDDEN')
  expect(asked).toBe(0)
})

test('a dry run does not ask either', async () => {
  const { body } = await server.call<Told>('POST', '/api/messages/send/image?validate=true', {
    body: { sessionId: id, to: FRIEND, imageUrl: inner.url.href },
  })
  expect(body.code).toBe('MEDIA_URL_FORBIDDEN')
  expect(asked).toBe(0)
})

test('a preview of a private page is left out, and the text is sent', async () => {
  const { status } = await send('text', { text: `See ${inner.url.href}`, linkPreview: true })
  expect({ status, asked }).toEqual({ status: 200, asked: 0 })
})

test('control: where the owner has opened the network, the file is fetched', async () => {
  // One sandbox in a process: its media host is the one that sockets know.
  await server.stop()
  stopped = true
  const open = await startApp()
  try {
    await open.phone(FRIEND)
    const session = await open.linked(PHONE)
    const { status } = await open.call('POST', '/api/messages/send/image', {
      body: { sessionId: session, to: FRIEND, imageUrl: inner.url.href },
    })
    expect({ status, asked }).toEqual({ status: 200, asked: 1 })
    const missing = await open.call<Told>('POST', '/api/messages/send/image', {
      body: { sessionId: session, to: FRIEND, imageUrl: `${inner.url}nothing.png` },
    })
    expect({ status: missing.status, code: missing.body.code }).toEqual({
      status: 400,
      code: 'MEDIA_DOWNLOAD_FAILED',
    })
  } finally {
    await open.stop()
  }
})
