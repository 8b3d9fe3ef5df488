import { afterEach, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { asMessageId } from '../../src/domain/ids'
import type { Bytes } from '../../src/domain/media'
import { MediaUnavailable } from '../../src/domain/whatsapp'
import { createIncoming } from '../../src/media/incoming'
import { png } from './pictures'
import { type MediaRig, mediaRig, OWNER, refusal } from './rig'
import { collect, inPieces } from './sounds'

let rig: MediaRig
afterEach(() => rig.clear())

const wanted = (id: string, more: object = {}) => ({
  ...OWNER,
  messageId: asMessageId(id),
  mimetype: 'image/png',
  filename: null,
  ...more,
})
const start = async (maxBytes = 1_000_000) => {
  rig = await mediaRig()
  return createIncoming({ store: rig.storage.media, clock: rig.clock, maxBytes, keptMs: 3_600_000 })
}

test('a file is fetched once for many who want it at the same time, and kept until its time is over', async () => {
  const incoming = await start()
  const file = png(300, 300)
  let downloads = 0
  const download = (): Bytes => {
    downloads += 1
    return inPieces(file, 1000)
  }
  const all = await Promise.all(Array.from({ length: 20 }, () => incoming.fetch(wanted('A'), download)))
  expect(downloads).toBe(1)
  expect(new Set(all.map(({ id }) => id)).size).toBe(1)
  const again = await incoming.fetch(wanted('A'), download)
  expect(downloads).toBe(1)
  expect((await collect(rig.storage.media.read(again.id))).equals(file)).toBe(true)
  expect(again).toMatchObject({
    ...OWNER,
    messageId: asMessageId('A'),
    mimetype: 'image/png',
    size: file.length,
  })
  rig.clock.shift = 3_700_000
  await incoming.fetch(wanted('A'), download)
  expect(downloads).toBe(2)
})

test('what the sender says of a file is not believed', async () => {
  const incoming = await start()
  const page = Buffer.from('<html><script>alert(1)</script>')
  const kept = await incoming.fetch(wanted('A', { filename: '../../x.png' }), () => inPieces(page))
  expect(kept).toMatchObject({ mimetype: 'text/html', filename: 'x.png' })
  const table = await incoming.fetch(wanted('B', { mimetype: 'text/csv' }), () =>
    inPieces(Buffer.from('a;b')),
  )
  expect(table.mimetype).toBe('text/csv')
})

test('a download that fails leaves nothing, says why, and the next one tries again', async () => {
  const incoming = await start(10_000)
  const failing = (error: Error) =>
    async function* (): AsyncGenerator<Uint8Array> {
      yield randomBytes(5000)
      throw error
    }
  for (const reason of ['expired', 'refused', 'corrupt', 'no_file'] as const)
    expect(
      await refusal(incoming.fetch(wanted('A'), failing(new MediaUnavailable(reason, 'x')))),
    ).toMatchObject({
      code: 'MEDIA_UNAVAILABLE',
      details: { reason },
    })
  for (const download of [
    failing(new MediaUnavailable('too_large', 'x')),
    () => inPieces(randomBytes(10_001)),
  ])
    expect((await refusal(incoming.fetch(wanted('A'), download))).code).toBe('FILE_TOO_LARGE')
  await expect(incoming.fetch(wanted('A'), failing(new Error('a defect')))).rejects.toThrow('a defect')
  expect(rig.left()).toEqual([])
  expect((await incoming.fetch(wanted('A'), () => inPieces(png(9, 9)))).size).toBeGreaterThan(10)
})
