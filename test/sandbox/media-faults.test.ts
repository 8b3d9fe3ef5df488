import { afterEach, beforeEach, expect, test } from 'bun:test'
import { createHash, randomBytes } from 'node:crypto'
import { type FaultInput, Faults } from '../../src/sandbox/faults'
import { createMediaHost, type MediaHost } from '../../src/sandbox/media'
import { openState } from '../../src/sandbox/state'
import { createManualClock } from '../harness/clock'

let faults: Faults
let media: MediaHost
let path: string
const bytes = randomBytes(1000)
const trusting = (where: string, init: RequestInit = {}) =>
  fetch(`https://${media.host}${where}`, { ...init, tls: { ca: media.caPem } })
const upload = () => {
  const token = createHash('sha256').update(bytes).digest('base64url')
  return trusting(`/mms/image/${token}?auth=x`, { method: 'POST', body: new Uint8Array(bytes) })
}
const download = async (init: RequestInit = {}) => Buffer.from(await (await trusting(path, init)).bytes())
const add = (kind: FaultInput['kind'], more: Partial<FaultInput> = {}) =>
  faults.add({ kind, all: true, ...more })

beforeEach(async () => {
  faults = new Faults(createManualClock())
  media = createMediaHost({ state: openState(), now: Date.now, accepts: () => true, faults })
  media.start()
  path = ((await (await upload()).json()) as { direct_path: string }).direct_path
  expect(await download()).toEqual(bytes)
})
afterEach(() => media.stop())

test('a refusing host takes no files and gives none, as often as it is told to', async () => {
  add('media_refuse', { times: 1 })
  expect((await trusting(path)).status).toBe(503)
  add('media_refuse', { status: 401, times: 1 })
  expect((await upload()).status).toBe(401)
  expect((await upload()).status).toBe(200)
  expect(await download()).toEqual(bytes)
})

test('a truncated file is a good answer with half of the bytes', async () => {
  add('media_truncated')
  const answer = await trusting(path)
  expect([answer.status, answer.headers.get('content-length')]).toEqual([200, '500'])
  expect(Buffer.from(await answer.bytes())).toEqual(bytes.subarray(0, 500))
  expect((await upload()).status).toBe(200)
})

test('a spoilt file has its length and one byte that is wrong', async () => {
  add('media_corrupt')
  const got = await download()
  expect(got).toHaveLength(1000)
  expect([...got].flatMap((byte, at) => (byte === bytes[at] ? [] : [at]))).toEqual([500])
  // What lies there is untouched.
  faults.clear()
  expect(await download()).toEqual(bytes)
})

test('a hanging host gives the first half, and the rest when it recovers', async () => {
  const { id } = add('media_hang', { times: 1 })
  const reader = (await trusting(path)).body?.getReader()
  const first = await reader?.read()
  expect(Buffer.from(first?.value ?? [])).toEqual(bytes.subarray(0, 500))
  expect(await download()).toEqual(bytes)
  let more = false
  const rest = reader?.read().then((chunk) => {
    more = true
    return chunk
  })
  await download()
  expect(more).toBe(false)
  faults.clear(id)
  expect(Buffer.from((await rest)?.value ?? [])).toEqual(bytes.subarray(500))
  expect((await reader?.read())?.done).toBe(true)
})

test('a host that hangs can be stopped', async () => {
  add('media_hang')
  const hanging = download()
  await media.stop()
  await expect(hanging).rejects.toThrow()
})

test('a part of a file is disturbed like a whole', async () => {
  add('media_truncated')
  const answer = await trusting(path, { headers: { range: 'bytes=0-99' } })
  expect([answer.status, (await answer.bytes()).length]).toEqual([206, 50])
})
