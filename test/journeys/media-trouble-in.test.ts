/** Files that came in and cannot be had: why, and that they can be as soon as the trouble is over; and how they are served. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createHastyClock } from '../harness/hasty-clock'
import { jpeg } from '../media/pictures'
import { eventually, type Fields, startTalk, type Talk } from './talk'

const OURS = '4915111111801'
const ADA = '4915122222801'

const picture = await jpeg(200, 100)
const clock = createHastyClock()
let talk: Talk
beforeAll(async () => {
  talk = await startTalk(OURS, { [ADA]: 'Ada' }, { clock })
})
afterAll(() => talk?.stop())
afterEach(async () => {
  await talk.app.ok('DELETE', '/sandbox/faults')
  await setReachable(true)
})

const setReachable = (reachable: boolean) =>
  talk.app.ok('POST', `/sandbox/phones/${OURS}/reachable`, { body: { reachable } })
const fault = (kind: string, more: Fields = {}) =>
  talk.app.ok('POST', '/sandbox/faults', { body: { kind, all: true, ...more } })

async function come(bytes: Buffer, more: Fields = {}): Promise<string> {
  const content = { type: 'document', base64: bytes.toString('base64'), filename: 'a.bin', ...more }
  const id = await talk.say(ADA, OURS, content)
  await talk.viewOf(id)
  return id
}
const answerOf = async (id: string): Promise<Fields & { status: number }> => {
  const response = await talk.fileOf(id)
  return { status: response.status, ...((await response.json()) as Fields) }
}
const bytesOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer())
/** Every file on our disk that belongs to messages or is being made. */
const filesOnDisk = (): string[] =>
  ['media', 'tmp']
    .map((name) => join(talk.app.dataDir, name))
    .filter(existsSync)
    .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)

type Entry = { direction: string; stanza: { attrs?: Fields } }
const UNAVAILABLE = { status: 424, success: false, code: 'MEDIA_UNAVAILABLE' }

describe('a file under trouble', () => {
  const HOURS: [string, Fields, string, readonly number[]][] = [
    ['media_truncated', {}, 'corrupt', []],
    ['media_corrupt', {}, 'corrupt', []],
    ['media_refuse', { status: 503 }, 'refused', [1_000, 2_000]],
    ['media_refuse', { status: 400 }, 'refused', []],
    ['media_hang', {}, 'refused', [15_000, 1_000, 2_000]],
  ]
  test.each(HOURS)(
    '%s %j: is told as %s, leaves nothing, and is there afterwards',
    async (kind, more, reason, waits) => {
      const bytes = randomBytes(200_000)
      const id = await come(bytes)
      const before = filesOnDisk()
      await fault(kind, more)
      const told = await clock.hurry(waits, () => answerOf(id))
      expect(told).toMatchObject({ ...UNAVAILABLE, details: { reason } })
      expect(filesOnDisk()).toEqual(before)
      // Trouble with the file is none of the connection.
      expect(await talk.app.until(talk.session, ({ status }) => status)).toBe('connected')
      await talk.app.ok('DELETE', '/sandbox/faults')
      const response = await talk.fileOf(id)
      expect(response.status).toBe(200)
      expect((await bytesOf(response)).equals(bytes)).toBe(true)
    },
  )

  test('what breaks off once is taken up where it ended', async () => {
    const bytes = randomBytes(300_000)
    const id = await come(bytes)
    await fault('media_refuse', { times: 1 })
    const response = await clock.hurry([1_000, 2_000], () => talk.fileOf(id))
    expect(response.status).toBe(200)
    expect((await bytesOf(response)).equals(bytes)).toBe(true)
  })
})

describe('a file that WhatsApp has let go', () => {
  test('is asked for again from the phone, once, however many want it', async () => {
    const bytes = randomBytes(100_000)
    const id = await come(bytes)
    await fault('media_gone')
    const all = await Promise.all([1, 2, 3].map(() => talk.fileOf(id)))
    for (const response of all) {
      expect(response.status).toBe(200)
      expect((await bytesOf(response)).equals(bytes)).toBe(true)
    }
    const { entries } = await talk.app.ok<{ entries: Entry[] }>(
      'GET',
      `/sandbox/log?tag=receipt&phoneNumber=${OURS}&limit=1000`,
    )
    const asked = entries.filter(
      ({ direction, stanza: { attrs } }) =>
        direction === 'in' && attrs?.type === 'server-error' && attrs.id === id,
    )
    expect(asked).toHaveLength(1)
  })

  test('in a group, too', async () => {
    const { group } = await talk.app.ok<{ group: { jid: string } }>('POST', '/sandbox/groups', {
      body: { owner: ADA, subject: 'Files', members: [OURS] },
    })
    const id = await talk.say(ADA, group.jid, { type: 'image', base64: picture.toString('base64') })
    await talk.viewOf(id)
    await fault('media_gone')
    const response = await talk.fileOf(id)
    expect(response.status).toBe(200)
    expect((await bytesOf(response)).equals(picture)).toBe(true)
  })

  test('while the phone is away: expired; and there when it is back', async () => {
    const bytes = randomBytes(50_000)
    const id = await come(bytes)
    await fault('media_gone')
    await setReachable(false)
    const told = await clock.hurry([30_000], () => answerOf(id))
    expect(told).toMatchObject({ ...UNAVAILABLE, details: { reason: 'expired' } })
    await setReachable(true)
    const response = await talk.fileOf(id)
    expect(response.status).toBe(200)
    expect((await bytesOf(response)).equals(bytes)).toBe(true)
  })
})

describe('a file that is not there at all', () => {
  test('of a text, of an unknown message, of another session', async () => {
    const id = await talk.say(ADA, OURS, { type: 'text', text: 'no file' })
    await talk.viewOf(id)
    expect(await answerOf(id)).toMatchObject({ status: 404, code: 'MEDIA_NOT_FOUND' })
    expect(await answerOf('NOBODY')).toMatchObject({ status: 404, code: 'MESSAGE_NOT_FOUND' })
  })

  test.each(['before it was fetched', 'after it was fetched'])('of a message taken back %s', async (when) => {
    const bytes = randomBytes(30_000)
    const id = await come(bytes)
    const before = filesOnDisk()
    if (when.startsWith('after')) expect((await talk.fileOf(id)).status).toBe(200)
    await talk.say(ADA, OURS, { type: 'delete', targetMessageId: id })
    const view = await talk.viewOf(id, ({ deletedAt }) => deletedAt !== undefined)
    expect(view).not.toHaveProperty('media.url')
    expect(await answerOf(id)).toMatchObject({ status: 404, code: 'MEDIA_NOT_FOUND' })
    await eventually('end of its file', async () =>
      filesOnDisk().every((name) => before.includes(name)) ? true : null,
    )
  })

  test('of our own message taken back', async () => {
    const { messageId } = await talk.send('image', ADA, { imageBase64: picture.toString('base64') })
    expect((await talk.fileOf(messageId)).status).toBe(200)
    await talk.send('delete', null, { targetMessageId: messageId })
    expect(await answerOf(messageId)).toMatchObject({ status: 404, code: 'MEDIA_NOT_FOUND' })
  })
})

describe('while the session is not connected', () => {
  test('what was fetched is given out, the rest must wait', async () => {
    const kept = await come(picture, { type: 'image', filename: undefined })
    const other = await come(randomBytes(1_000))
    expect((await talk.fileOf(kept)).status).toBe(200)
    await talk.app.ok('POST', `/api/sessions/${talk.session}/stop`)
    await talk.app.until(talk.session, ({ status }) => status !== 'connected')
    expect((await bytesOf(await talk.fileOf(kept))).equals(picture)).toBe(true)
    expect(await answerOf(other)).toMatchObject({ status: 400, code: 'SESSION_NOT_CONNECTED' })
    await talk.app.ok('POST', `/api/sessions/${talk.session}/start`)
    await talk.app.until(talk.session, ({ status }) => status === 'connected')
    expect((await talk.fileOf(other)).status).toBe(200)
  })
})

describe('fetched ahead, when the session wants that', () => {
  const setEager = (downloadMedia: boolean) =>
    talk.app.ok('PUT', `/api/sessions/${talk.session}/settings`, { body: { settings: { downloadMedia } } })
  test('it is on our disk before anybody asks; what WhatsApp then does to it does not matter', async () => {
    await setEager(true)
    const before = filesOnDisk().length
    const id = await come(picture, { type: 'image', filename: undefined })
    await eventually('a file', async () => (filesOnDisk().length > before ? true : null))
    await fault('media_refuse', { status: 404 })
    const response = await eventually('answer', async () => {
      const answer = await talk.fileOf(id)
      return answer.status === 200 ? answer : null
    })
    expect((await bytesOf(response)).equals(picture)).toBe(true)
  })

  test('a failure is told to nobody but the log, and whoever asks later gets the file', async () => {
    await setEager(true)
    await fault('media_corrupt')
    const bytes = randomBytes(40_000)
    const id = await come(bytes)
    await eventually('line in the log', async () =>
      talk.app.lines.some((line) => line.includes('could not be fetched ahead') && line.includes(id))
        ? true
        : null,
    )
    await talk.app.ok('DELETE', '/sandbox/faults')
    expect((await bytesOf(await talk.fileOf(id))).equals(bytes)).toBe(true)
    await setEager(false)
  })
})

describe('a file as it is served', () => {
  let id: string
  let image: string
  const bytes = randomBytes(3_000_000)
  beforeAll(async () => {
    id = await come(bytes, { filename: 'ä "b".pdf', mimetype: 'application/pdf' })
    image = await come(picture, { type: 'image', filename: undefined })
  })

  test('in whole, with everything that keeps a browser from running it', async () => {
    const response = await talk.fileOf(id)
    const { headers } = response
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('content-disposition')).toMatch(
      /^attachment; filename="[\x20-\x7e]+"; filename\*=UTF-8''/,
    )
    expect(headers.get('accept-ranges')).toBe('bytes')
    expect(headers.get('cache-control')).toContain('private')
    expect(headers.get('etag')).toBe(`"${createHash('sha256').update(bytes).digest('hex')}"`)
    expect((await bytesOf(response)).equals(bytes)).toBe(true)
    const shown = await talk.fileOf(image)
    expect(shown.headers.get('content-type')).toBe('image/jpeg')
    expect(shown.headers.get('content-disposition')).toBe('inline')
    await shown.body?.cancel()
  })

  test.each([
    ['bytes=0-0', 0, 1],
    ['bytes=100-199', 100, 200],
    ['bytes=2999990-', 2_999_990, 3_000_000],
    ['bytes=-5', 2_999_995, 3_000_000],
    ['bytes=2999999-9999999', 2_999_999, 3_000_000],
    ['bytes=0-2999999', 0, 3_000_000],
  ])('%s', async (range, start, end) => {
    const response = await talk.fileOf(id, { range })
    expect(response.status).toBe(206)
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/3000000`)
    expect((await bytesOf(response)).equals(bytes.subarray(start, end))).toBe(true)
  })

  test('ranges beyond its end, of nonsense, and of another file', async () => {
    const beyond = await talk.fileOf(id, { range: 'bytes=3000000-' })
    expect({ status: beyond.status, ...((await beyond.json()) as Fields) }).toMatchObject({
      status: 416,
      code: 'RANGE_NOT_SATISFIABLE',
    })
    for (const headers of [
      { range: 'lines=1-2' },
      { range: 'bytes=5-2' },
      { range: 'bytes=0-1,5-6' },
      { range: 'bytes=0-1', 'if-range': '"other"' },
    ]) {
      const whole = await talk.fileOf(id, headers as Record<string, string>)
      expect({ status: whole.status, size: (await bytesOf(whole)).length }).toEqual({
        status: 200,
        size: bytes.length,
      })
    }
  })

  test('not again to whoever has it', async () => {
    const etag = (await talk.fileOf(image)).headers.get('etag') ?? ''
    const response = await talk.fileOf(image, { 'if-none-match': etag })
    expect([response.status, (await bytesOf(response)).length]).toEqual([304, 0])
  })

  test('HEAD tells the same without the bytes', async () => {
    const whole = await talk.fileOf(id)
    await whole.body?.cancel()
    const head = await talk.fileOf(id, {}, 'HEAD')
    expect(head.status).toBe(200)
    expect((await bytesOf(head)).length).toBe(0)
    expect(head.headers.get('content-length')).toBe(String(bytes.length))
    for (const name of ['content-type', 'etag', 'content-disposition', 'accept-ranges']) {
      expect(head.headers.get(name)).toBe(whole.headers.get(name))
    }
    const part = await talk.fileOf(id, { range: 'bytes=0-9' }, 'HEAD')
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 0-9/3000000'])
  })

  test('a page that calls itself a picture is not shown as one', async () => {
    const page = Buffer.from('<!doctype html><script>alert(1)</script>')
    const lie = await come(page, { type: 'image', filename: undefined, mimetype: 'image/jpeg' })
    const { headers } = await talk.fileOf(lie)
    expect(headers.get('content-disposition')).toStartWith('attachment')
    expect(headers.get('content-type')).not.toContain('image/')
    expect(headers.get('content-security-policy')).toContain('sandbox')
  })

  test('only with a key that may read', async () => {
    const response = await fetch(`${talk.app.url}/api/messages/${talk.session}/${id}/media`)
    expect(response.status).toBe(401)
  })
})
