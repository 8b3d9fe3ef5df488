import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMediaHost, type MediaHost } from '../../src/sandbox/media'
import { BrokenMedia, downloadFile, uploadFile } from '../../src/sandbox/phone-media'
import { openState } from '../../src/sandbox/state'

const AUTH = 'let me in'
let clock: number
let fault: string | null
let hits = 0
let media: MediaHost
const trusting = (url: string, init: RequestInit = {}) => fetch(url, { ...init, tls: { ca: media.caPem } })
const access = () => ({ host: media.host, auth: AUTH, fetch: trusting, now: () => clock })
const tokenOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64url')
const post = (path: string, bytes: Buffer) =>
  trusting(`https://${media.host}${path}`, { method: 'POST', body: new Uint8Array(bytes) })

beforeEach(() => {
  clock = Date.now()
  fault = null
  media = createMediaHost({
    state: openState(),
    now: () => clock,
    accepts: (auth) => auth === AUTH,
    fault: { standing: () => fault, hit: () => hits++ },
  })
  media.start()
})
afterEach(() => media.stop())

test('a stranger who does not know the authority does not connect', async () => {
  await expect(fetch(`https://${media.host}/`)).rejects.toThrow()
  expect((await trusting(`https://${media.host}/`)).status).toBe(404)
})

describe('an upload', () => {
  const bytes = randomBytes(500)
  const path = (auth: string, token = tokenOf(bytes), type = 'image') =>
    `/mms/${type}/${token}?auth=${encodeURIComponent(auth)}&token=${token}`

  test('is answered with a path under which the same bytes lie', async () => {
    const response = await post(path(AUTH), bytes)
    const { url, direct_path } = (await response.json()) as { url: string; direct_path: string }
    expect(url).toBe(`https://${media.host}${direct_path}`)
    expect(Buffer.from(await (await trusting(url)).arrayBuffer())).toEqual(bytes)
  })

  test.each([
    ['without a permission', () => path('nobody'), 401],
    ['under the hash of another file', () => path(AUTH, tokenOf(randomBytes(9))), 400],
    ['as an unknown kind', () => path(AUTH, tokenOf(bytes), 'spreadsheet'), 404],
  ])('is refused %s', async (_, where, status) => {
    expect((await post(where(), bytes)).status).toBe(status)
  })
})

describe('a download', () => {
  let directPath: string
  const plain = randomBytes(1000)
  const get = (headers: Record<string, string> = {}) =>
    trusting(`https://${media.host}${directPath}`, { headers })
  beforeEach(async () => {
    directPath = (await uploadFile(access(), 'image', plain)).directPath
  })

  test('serves ranges', async () => {
    const whole = Buffer.from(await (await get()).arrayBuffer())
    const part = await get({ range: 'bytes=16-47' })
    expect(part.status).toBe(206)
    expect(part.headers.get('content-range')).toBe(`bytes 16-47/${whole.length}`)
    expect(Buffer.from(await part.arrayBuffer())).toEqual(whole.subarray(16, 48))
    const tail = await get({ range: 'bytes=900-' })
    expect(Buffer.from(await tail.arrayBuffer())).toEqual(whole.subarray(900))
    expect((await get({ range: `bytes=${whole.length}-` })).status).toBe(416)
  })

  test('ends when the file has expired', async () => {
    clock += 15 * 24 * 60 * 60 * 1000
    expect((await get()).status).toBe(410)
  })

  test('is refused for what is gone, not for what comes later or is uploaded again', async () => {
    fault = 'f1'
    hits = 0
    const renewed = media.renew(directPath)
    const later = (await uploadFile(access(), 'image', plain)).directPath
    expect((await get()).status).toBe(410)
    expect(hits).toBe(1)
    for (const path of [renewed, later]) {
      expect((await trusting(`https://${media.host}${path}`)).status).toBe(200)
    }
    fault = 'f2'
    expect((await trusting(`https://${media.host}${renewed}`)).status).toBe(410)
    fault = null
    expect((await get()).status).toBe(200)
    expect(media.renew('/v/t62.7118-24/nothing.enc')).toBeNull()
  })
})

describe('a phone', () => {
  test('opens what another phone sealed', async () => {
    const plain = randomBytes(70_000)
    const file = await uploadFile(access(), 'video', plain)
    expect(await downloadFile(access(), 'video', file)).toEqual(plain)
  })

  test('notices a changed byte, a wrong key and a missing file', async () => {
    const file = await uploadFile(access(), 'audio', randomBytes(100))
    const refused = (changes: object) => downloadFile(access(), 'audio', { ...file, ...changes })
    await expect(refused({ fileEncSha256: randomBytes(32) })).rejects.toThrow(BrokenMedia)
    await expect(refused({ mediaKey: randomBytes(32) })).rejects.toThrow('authenticate')
    await expect(refused({ fileSha256: randomBytes(32) })).rejects.toThrow('hash')
    await expect(refused({ directPath: '/v/t62.7118-24/none.enc' })).rejects.toThrow('404')
  })
})

test('certificate and files outlive the process', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-media-'))
  const bytes = randomBytes(64)
  const file = join(directory, 'state.sqlite')
  const first = openState(file)
  const before = createMediaHost({ state: first, now: () => clock, accepts: (auth) => auth === AUTH })
  before.start()
  const token = tokenOf(bytes)
  const response = await fetch(`https://${before.host}/mms/image/${token}?auth=${encodeURIComponent(AUTH)}`, {
    method: 'POST',
    body: new Uint8Array(bytes),
    tls: { ca: before.caPem },
  })
  const { direct_path } = (await response.json()) as { direct_path: string }
  await before.stop()
  first.close()

  const second = openState(file)
  const after = createMediaHost({ state: second, now: () => clock, accepts: (auth) => auth === AUTH })
  after.start()
  expect(after.caPem).toBe(before.caPem)
  const again = await fetch(`https://${after.host}${direct_path}`, { tls: { ca: before.caPem } })
  expect(Buffer.from(await again.arrayBuffer())).toEqual(bytes)
  await after.stop()
  second.close()
  rmSync(directory, { recursive: true })
})
