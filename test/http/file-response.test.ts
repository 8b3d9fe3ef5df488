/** A kept file over a real connection: whole, in ranges, not at all when it is known; never run by a browser. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { AppError } from '../../src/domain/errors'
import { fileResponse } from '../../src/http/file-response'

const BYTES = Uint8Array.from({ length: 1000 }, (_, index) => index % 251)
let file = {
  size: BYTES.length,
  sha256: new Uint8Array(32).fill(7),
  mimetype: 'image/png',
  filename: 'cat.png' as string | null,
}
/** Ranges that were read, and readers that were closed. */
const reads: string[] = []
let closed = 0
let endless = false

async function* read({ start, end }: { start: number; end: number }) {
  reads.push(`${start}-${end}`)
  try {
    if (endless) for (;;) yield new Uint8Array(64 * 1024)
    for (let at = start; at < end; at += 100) yield BYTES.subarray(at, Math.min(at + 100, end))
  } finally {
    closed += 1
  }
}

let server: ReturnType<typeof Bun.serve>
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      try {
        return await fileResponse(request, { file, read })
      } catch (error) {
        if (error instanceof AppError) return Response.json(error.toBody(), { status: error.status })
        throw error
      }
    },
  })
})
afterAll(() => server.stop(true))

const get = async (headers: Record<string, string> = {}, method = 'GET') => {
  const response = await fetch(server.url, { headers, method })
  return {
    status: response.status,
    headers: response.headers,
    bytes: new Uint8Array(await response.arrayBuffer()),
  }
}
const ETAG = `"${'07'.repeat(32)}"`

test('whole, with headers under which nothing of it runs', async () => {
  const { status, headers, bytes } = await get()
  expect(status).toBe(200)
  expect(bytes).toEqual(BYTES)
  expect(Object.fromEntries(headers)).toMatchObject({
    'accept-ranges': 'bytes',
    'cache-control': 'private, max-age=3600',
    'content-disposition': 'inline; filename="cat.png"',
    'content-length': '1000',
    'content-security-policy': "default-src 'none'; sandbox",
    'content-type': 'image/png',
    etag: ETAG,
    'x-content-type-options': 'nosniff',
  })
})

test('HEAD says the same and reads nothing', async () => {
  reads.length = 0
  const { status, headers, bytes } = await get({}, 'HEAD')
  expect({ status, length: headers.get('content-length'), bytes: bytes.length }).toEqual({
    status: 200,
    length: '1000',
    bytes: 0,
  })
  expect(reads).toEqual([])
})

describe('ranges', () => {
  test.each([
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=990-', 990, 1000],
    ['bytes=-10', 990, 1000],
    ['bytes=-5000', 0, 1000],
    ['bytes=900-5000', 900, 1000],
    ['bytes=0-999', 0, 1000],
  ])('%s', async (range, start, end) => {
    reads.length = 0
    const { status, headers, bytes } = await get({ range })
    expect({ status, of: headers.get('content-range') }).toEqual({
      status: 206,
      of: `bytes ${start}-${end - 1}/1000`,
    })
    expect(bytes).toEqual(BYTES.slice(start, end))
    expect(headers.get('content-length')).toBe(String(end - start))
    // Nothing else is read from the disk.
    expect(reads).toEqual([`${start}-${end}`])
  })

  test.each(['bytes=1000-', 'bytes=5000-6000', 'bytes=-0'])('%s does not exist', async (range) => {
    const { status, bytes } = await get({ range })
    expect(status).toBe(416)
    expect(JSON.parse(Buffer.from(bytes).toString())).toMatchObject({
      code: 'RANGE_NOT_SATISFIABLE',
      details: { size: 1000 },
    })
  })

  test.each([
    'bytes=0-1,5-9',
    'bytes=9-5',
    'bytes=-',
    'bytes=a-b',
    'items=0-1',
    'bytes=99999999999999999999-',
  ])('%s is no single range: the whole', async (range) => {
    expect((await get({ range })).status).toBe(200)
  })

  test('If-Range of another file: the whole; of this one: the range', async () => {
    expect((await get({ range: 'bytes=0-9', 'if-range': '"other"' })).status).toBe(200)
    expect((await get({ range: 'bytes=0-9', 'if-range': ETAG })).status).toBe(206)
  })

  test('an empty file has no range', async () => {
    const before = file
    file = { ...file, size: 0 }
    expect((await get()).status).toBe(200)
    expect((await get({ range: 'bytes=0-' })).status).toBe(416)
    file = before
  })
})

test.each([
  [ETAG, 304],
  [`W/${ETAG}`, 304],
  [`"x", ${ETAG}`, 304],
  ['*', 304],
  ['"x"', 200],
])('If-None-Match: %s', async (value, status) => {
  reads.length = 0
  const answer = await get({ 'if-none-match': value })
  expect(answer.status).toBe(status)
  expect(reads).toHaveLength(status === 304 ? 0 : 1)
})

describe('names and kinds', () => {
  const shown = async (mimetype: string, filename: string | null) => {
    const before = file
    file = { ...file, mimetype, filename }
    const { headers } = await get()
    file = before
    return { type: headers.get('content-type'), disposition: headers.get('content-disposition') }
  }
  test.each([
    ['image/jpeg', 'inline'],
    ['audio/ogg; codecs=opus', 'inline'],
    ['video/mp4', 'inline'],
    ['application/pdf', 'inline'],
    ['text/html', 'attachment'],
    ['image/svg+xml', 'attachment'],
    ['application/octet-stream', 'attachment'],
    ['text/plain', 'attachment'],
  ])('%s is shown %s', async (mimetype, kind) => {
    expect(await shown(mimetype, null)).toEqual({ type: mimetype, disposition: kind })
  })

  test('a kind that is none, with a line break in it', async () => {
    expect((await shown('text/html\r\nx-evil: 1', null)).type).toBe('application/octet-stream')
  })

  test.each([
    ['a "b" \\ c.png', 'inline; filename="a _b_ _ c.png"; filename*=UTF-8\'\'a%20%22b%22%20%5C%20c.png'],
    ['Grüße.png', 'inline; filename="Gr__e.png"; filename*=UTF-8\'\'Gr%C3%BC%C3%9Fe.png'],
    ["it's (1)*.png", 'inline; filename="it\'s (1)*.png"'],
    ["ä'(1)*", "inline; filename=\"_'(1)*\"; filename*=UTF-8''%C3%A4%27%281%29%2A"],
    ['a\r\nx-evil: 1', 'inline; filename="a__x-evil: 1"; filename*=UTF-8\'\'a%0D%0Ax-evil%3A%201'],
    ['\ud800.png', 'inline; filename="_.png"; filename*=UTF-8\'\'%EF%BF%BD.png'],
  ])('%s', async (filename, disposition) => {
    expect((await shown('image/png', filename)).disposition).toBe(disposition)
  })
})

test('a large one is streamed, and a reader who goes away closes it', async () => {
  endless = true
  const before = file
  file = { ...file, size: 2 ** 30 }
  closed = 0
  const abort = new AbortController()
  const response = await fetch(server.url, { signal: abort.signal })
  await response.body?.getReader().read()
  abort.abort()
  while (closed === 0) await Bun.sleep(5)
  endless = false
  file = before
})
