/** Files that cannot be sent: each with its code, nothing at WhatsApp, nothing on our disk, nothing in the queue. */
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { OWNER_KEY } from '../harness/app'
import { createHastyClock } from '../harness/hasty-clock'
import { gif, hugePng, jpeg, png } from '../media/pictures'
import { type Fields, startTalk, type Talk } from './talk'

const OURS = '4915111111701'
const ADA = '4915122222701'

const picture = await jpeg(60, 40)
const body = (bytes: Uint8Array, type: string, headers: Record<string, string> = {}) =>
  new Response(new Uint8Array(bytes), { headers: { 'content-type': type, ...headers } })
const text = (words: string, type: string) => body(Buffer.from(words), type)
const over = Promise.withResolvers<void>()
async function* endless() {
  const piece = Buffer.alloc(1 << 20)
  picture.copy(piece)
  for (;;) {
    yield piece
    await Bun.sleep(0)
  }
}
async function* halting() {
  yield picture.subarray(0, 400)
  await over.promise
}
async function* dribbling() {
  for (const byte of picture) {
    yield Uint8Array.of(byte)
    await Promise.race([Bun.sleep(5), over.promise])
  }
}
const SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
const PAGE = '<!doctype html><script>alert(1)</script>'

const PATHS: Record<string, () => Response | Promise<Response>> = {
  '/good.jpg': () => body(picture, 'image/jpeg'),
  '/missing.jpg': () => new Response('no', { status: 404 }),
  '/broken.jpg': () => new Response('no', { status: 500 }),
  '/forbidden.jpg': () => new Response('no', { status: 403 }),
  '/inside.jpg': () => Response.redirect('http://169.254.169.254/latest/meta-data/', 302),
  '/private.jpg': () => Response.redirect('http://10.0.0.1/x.jpg', 307),
  '/file.jpg': () => new Response(null, { status: 302, headers: { location: 'file:///etc/passwd' } }),
  '/circle.jpg': () => Response.redirect('/circle.jpg', 302),
  '/nowhere.jpg': () => new Response(null, { status: 302 }),
  '/silent.jpg': async () => {
    await over.promise
    return new Response('')
  },
  '/halting.jpg': () => new Response(halting(), { headers: { 'content-type': 'image/jpeg' } }),
  '/dribbling.jpg': () => new Response(dribbling(), { headers: { 'content-type': 'image/jpeg' } }),
  '/endless.jpg': () => new Response(endless(), { headers: { 'content-type': 'image/jpeg' } }),
  '/page.jpg': () => text(PAGE, 'image/jpeg'),
  '/drawing.jpg': () => text(SVG, 'image/svg+xml'),
  '/hidden.jpg': () =>
    body(Buffer.concat([picture, Buffer.from('PK\x05\x06'), Buffer.alloc(18)]), 'image/jpeg'),
  '/huge.png': () => body(hugePng(100_000, 100_000), 'image/png'),
  '/half.png': () => body(png(64, 64).subarray(0, 200), 'image/png'),
  '/moving.gif': () => body(gif(8, 8, 3), 'image/gif'),
  '/empty.jpg': () => body(new Uint8Array(), 'image/jpeg'),
  '/program.jpg': () => body(Buffer.concat([Buffer.from('MZ'), Buffer.alloc(500)]), 'image/jpeg'),
  // A few kilobytes that unfold to 64 MB.
  '/unfolding.jpg': () =>
    body(Bun.gzipSync(Buffer.concat([picture, Buffer.alloc(64 << 20)])), 'image/jpeg', {
      'content-encoding': 'gzip',
    }),
}

function closedPort(): number {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('') })
  const port = Number(server.port)
  server.stop(true)
  return port
}

const clock = createHastyClock()
let talk: Talk
let host: Bun.Server<undefined>
let evesKey: string
const asked: string[] = []

beforeAll(async () => {
  host = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      const { pathname } = new URL(request.url)
      asked.push(pathname)
      return PATHS[pathname]?.() ?? new Response('', { status: 404 })
    },
  })
  talk = await startTalk(OURS, { [ADA]: 'Ada' }, { clock, flags: { '--registration': 'open' } })
  await talk.app.ok('GET', '/api/auth/profile')
  const eve = await talk.app.ok<{ apiKey: string }>('POST', '/api/auth/register', {
    key: null,
    body: { username: 'eve', email: 'eve@example.com', password: 'a long password' },
  })
  evesKey = eve.apiKey
})
afterAll(async () => {
  over.resolve()
  await talk?.stop()
  await host?.stop(true)
})

const at = (path: string) => new URL(path, host.url).href

/** All that a send can leave behind. */
async function traces() {
  const folders = ['media', 'tmp'].map((name) => join(talk.app.dataDir, name)).filter(existsSync)
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()),
  )
  const database = new Database(join(talk.app.dataDir, 'wabun.sqlite'), { readonly: true })
  const rows = database.query('select count(*) as count from files').get() as { count: number }
  database.close()
  const history = await talk.app.ok<{ pagination?: { total: number }; total?: number }>(
    'GET',
    `/api/messages/history/${talk.session}?limit=1`,
  )
  const queue = await talk.app.ok<Fields>('GET', `/api/messages/queue/${talk.session}`)
  const { stats } = await talk.app.ok<{ stats: { uploads?: number } }>('GET', '/sandbox/stats')
  const { total } = await talk.app.ok<{ total: number }>('GET', `/sandbox/phones/${ADA}/messages?limit=1`)
  return { files: files.length, rows: rows.count, history, queue, atWhatsApp: stats.uploads ?? 0, total }
}

let before: Awaited<ReturnType<typeof traces>>
beforeEach(async () => {
  before = await traces()
})

async function refused(
  type: string,
  fields: Fields,
  wanted: { status: number; code: string; details?: Fields },
): Promise<void> {
  const { status, body } = await talk.trySend(type, ADA, fields)
  expect({ status, ...body }).toMatchObject({ success: false, ...wanted })
  // A failed request says nothing of addresses inside.
  expect(JSON.stringify(body)).not.toMatch(/169\.254|10\.0\.0\.1|etc\/passwd|ECONN/)
  expect(await traces()).toEqual(before)
}

const failed = (details: Fields) => ({ status: 400, code: 'MEDIA_DOWNLOAD_FAILED', details })
const WRONG_TYPE = { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' }
const TOO_LARGE = { status: 413, code: 'FILE_TOO_LARGE' }
const FORBIDDEN = { status: 400, code: 'MEDIA_URL_FORBIDDEN' }

test('control: a good file is sent, and leaves its traces', async () => {
  const { messageId } = await talk.send('image', ADA, { imageUrl: at('/good.jpg') })
  expect((await talk.fileAt(ADA, messageId)).equals(picture)).toBe(true)
  const after = await traces()
  expect([after.files, after.rows, after.total]).toEqual([
    before.files + 1,
    before.rows + 1,
    before.total + 1,
  ])
  // A document may be anything, also what is no picture.
  const page = await talk.send('document', ADA, { documentUrl: at('/page.jpg'), filename: 'page.html' })
  expect((await talk.fileAt(ADA, page.messageId)).toString()).toBe(PAGE)
})

describe('an address', () => {
  test.each([
    ['/missing.jpg', failed({ status: 404 })],
    ['/broken.jpg', failed({ status: 500 })],
    ['/forbidden.jpg', failed({ status: 403 })],
    ['/inside.jpg', FORBIDDEN],
    ['/private.jpg', FORBIDDEN],
    ['/file.jpg', FORBIDDEN],
    ['/circle.jpg', failed({ reason: expect.stringContaining('redirects') })],
    ['/nowhere.jpg', failed({ reason: expect.stringContaining('redirects') })],
    ['/endless.jpg', TOO_LARGE],
    ['/unfolding.jpg', TOO_LARGE],
    ['/page.jpg', WRONG_TYPE],
    ['/drawing.jpg', WRONG_TYPE],
    ['/hidden.jpg', WRONG_TYPE],
    ['/program.jpg', WRONG_TYPE],
    ['/moving.gif', WRONG_TYPE],
    ['/half.png', WRONG_TYPE],
    ['/empty.jpg', { status: 400, code: 'VALIDATION_ERROR', details: { fields: [{ path: '/imageUrl' }] } }],
    ['/huge.png', TOO_LARGE],
  ])('%s', (path, wanted) => refused('image', { imageUrl: at(path) }, wanted))

  test.each([
    ['/silent.jpg', 10_000],
    ['/halting.jpg', 15_000],
    ['/dribbling.jpg', 300_000],
  ])('%s', (path, wait) =>
    clock.hurry([wait], () =>
      refused('image', { imageUrl: at(path) }, failed({ reason: 'The host is too slow' })),
    ),
  )

  test.each([
    [`http://127.0.0.1:${closedPort()}/x.jpg`, failed({ reason: 'The host does not take connections' })],
    ['http://127.0.0.1:9/x.jpg', FORBIDDEN],
    ['http://no-such-host.invalid/x.jpg', failed({ reason: 'The name of the host does not exist' })],
    ['http://10.1.2.3/x.jpg', FORBIDDEN],
    ['http://[::ffff:10.1.2.3]/x.jpg', FORBIDDEN],
    ['http://169.254.169.254/latest/meta-data', FORBIDDEN],
    ['file:///etc/passwd', FORBIDDEN],
    ['gopher://example.com/x', FORBIDDEN],
    ['not an address', FORBIDDEN],
  ])('%s', (url, wanted) => refused('image', { imageUrl: url }, wanted))
})

describe('base64', () => {
  test.each([
    ['junk', 'this is no base64!'],
    ['half a data URL', 'data:image/jpeg;base64'],
    ['with junk behind it', `${picture.toString('base64')}$$$`],
  ])('%s', (_, imageBase64) => refused('image', { imageBase64 }, { status: 400, code: 'VALIDATION_ERROR' }))

  test.each([
    ['a page', Buffer.from(PAGE), WRONG_TYPE],
    ['a page that says it is a picture', Buffer.from(PAGE), WRONG_TYPE],
    ['a huge picture', hugePng(100_000, 100_000), TOO_LARGE],
    ['a cut picture', png(64, 64).subarray(0, 100), WRONG_TYPE],
  ])('%s', (name, bytes, wanted) => {
    const base64 = bytes.toString('base64')
    const imageBase64 = name.includes('says') ? `data:image/jpeg;base64,${base64}` : base64
    return refused('image', { imageBase64 }, wanted)
  })
})

describe('an upload', () => {
  const upload = async (key = OWNER_KEY): Promise<{ uploadId: string; url: string }> => {
    const form = new FormData()
    form.append('file', new File([new Uint8Array(picture)], 'a.jpg'))
    const response = await fetch(`${talk.app.url}/api/messages/upload`, {
      method: 'POST',
      body: form,
      headers: { 'x-api-key': key },
    })
    return ((await response.json()) as { data: { uploadId: string; url: string } }).data
  }
  const NOT_FOUND = { status: 404, code: 'UPLOAD_NOT_FOUND' }

  test('of another account, by its id and by its link', async () => {
    const { uploadId, url } = await upload(evesKey)
    before = await traces()
    await refused('image', { uploadId }, NOT_FOUND)
    await refused('image', { imageUrl: url }, NOT_FOUND)
  })

  test('that nobody has made, and a link that somebody has guessed', async () => {
    const { url } = await upload()
    before = await traces()
    await refused('image', { uploadId: 'f'.repeat(32) }, NOT_FOUND)
    const guessed = url.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
    const { status } = await talk.trySend('image', ADA, { imageUrl: guessed })
    expect(status).toBeGreaterThanOrEqual(400)
    expect(await traces()).toEqual(before)
  })

  test('whose time is over, by its id and by its link', async () => {
    const { uploadId, url } = await upload()
    expect((await talk.trySend('image', ADA, { uploadId })).status).toBe(200)
    before = await traces()
    clock.jump(25 * 3_600_000)
    await refused('image', { uploadId }, NOT_FOUND)
    await refused('image', { imageUrl: url }, NOT_FOUND)
    expect((await fetch(url)).status).toBe(404)
  })
})

describe('in an album', () => {
  test('one bad file spoils it whole', () =>
    refused(
      'album',
      {
        items: [
          { type: 'image', imageUrl: at('/good.jpg') },
          { type: 'image', imageUrl: at('/missing.jpg') },
          { type: 'image', imageBase64: picture.toString('base64') },
        ],
      },
      failed({ status: 404, item: 1 }),
    ))

  test('and is named when its field is wrong', () =>
    refused(
      'album',
      {
        items: [
          { type: 'image', imageUrl: at('/good.jpg') },
          { type: 'image', imageBase64: 'no base64!' },
        ],
      },
      {
        status: 400,
        code: 'VALIDATION_ERROR',
        details: { fields: [{ path: '/items/1/imageBase64' }] },
      },
    ))
})

describe('given to the queue', () => {
  test('the file is looked at before the message is taken', async () => {
    await refused('image', { imageUrl: at('/missing.jpg'), queue: true }, failed({ status: 404 }))
    await refused('video', { videoUrl: at('/page.jpg'), queue: true }, WRONG_TYPE)
    await refused('sticker', { stickerUrl: at('/huge.png'), queue: true }, TOO_LARGE)
    await refused('audio', { audioUrl: at('/good.jpg'), ptt: true, queue: true }, WRONG_TYPE)
  })

  test('a dry run finds the same, and fetches nothing twice', async () => {
    asked.length = 0
    const answer = await talk.app.call<Fields>('POST', '/api/messages/send/image?validate=true', {
      body: { sessionId: talk.session, to: ADA, imageUrl: at('/missing.jpg') },
    })
    expect(answer).toMatchObject({ status: 400, body: { code: 'MEDIA_DOWNLOAD_FAILED' } })
    expect(asked).toEqual(['/missing.jpg'])
    expect(await traces()).toEqual(before)
  })
})

describe('WhatsApp’s media host', () => {
  test('takes no file for a while: the message waits, and goes when it does', async () => {
    await talk.app.ok('POST', '/sandbox/faults', { body: { kind: 'media_refuse', all: true, times: 1 } })
    const { messageId } = await talk.send('image', ADA, { imageUrl: at('/good.jpg') })
    expect((await talk.fileAt(ADA, messageId)).equals(picture)).toBe(true)
  })

  test('never takes this file: the message fails with its code, and its file goes', async () => {
    await talk.app.ok('POST', '/sandbox/faults', { body: { kind: 'media_refuse', all: true, status: 415 } })
    const { status, body } = await talk.trySend('image', ADA, { imageUrl: at('/good.jpg') })
    await talk.app.ok('DELETE', '/sandbox/faults')
    expect({ status, ...body }).toMatchObject({
      status: 502,
      code: 'MESSAGE_REJECTED',
      details: { code: '415' },
    })
    const after = await traces()
    expect({ files: after.files, rows: after.rows, queue: after.queue, total: after.total }).toEqual({
      files: before.files,
      rows: before.rows,
      queue: before.queue,
      total: before.total,
    })
  })
})
