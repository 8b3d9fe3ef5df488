import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { asMessageId } from '../../src/domain/ids'
import { asFileId, type Bytes, FileTooLarge, type KeptFile } from '../../src/domain/media'
import { PIECE } from '../../src/storage/media-pieces'
import type { Storage } from '../../src/storage/open'
import { created, makeRig, makeSession, movableClock, OTHER, type Rig, SESSION, TENANT } from './rig'

const MESSAGE = asMessageId('M1')
const ABOUT = {
  tenantId: TENANT,
  sessionId: SESSION,
  messageId: MESSAGE,
  mimetype: 'image/png',
  filename: 'grüße.png',
  maxBytes: 10 * 1024 * 1024,
  expiresAt: null as number | null,
}
const UPLOAD = { ...ABOUT, sessionId: null, messageId: null }

let rig: Rig
let storage: Storage
let clock: ReturnType<typeof movableClock>
const directory = () => join(rig.file, '..', 'media')

beforeEach(async () => {
  rig = makeRig()
  clock = movableClock()
  storage = rig.open({ clock })
  await storage.ledger.commit([created(), created(makeSession(OTHER))])
})
afterEach(() => rig.clear())

async function* inChunks(bytes: Uint8Array, size = 50_000): Bytes {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
const collect = async (bytes: Bytes): Promise<Buffer> => {
  const pieces: Uint8Array[] = []
  for await (const piece of bytes) pieces.push(piece)
  return Buffer.concat(pieces)
}
const keep = (bytes: Uint8Array, also: Partial<typeof ABOUT | typeof UPLOAD> = {}): Promise<KeptFile> =>
  storage.media.keep(inChunks(bytes), { ...ABOUT, ...also })
/** Every file below `media/`. */
const filesOnDisk = (): string[] =>
  existsSync(directory())
    ? readdirSync(directory(), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : []
const pathOf = (id: string) => join(directory(), id.slice(0, 2), id)
/** Closes the storage and opens it anew, with a janitor that has tidied. */
async function reopen(): Promise<void> {
  await storage.close()
  storage = rig.open({ clock })
  await storage.janitor.start()
  await storage.janitor.stop()
}

describe('a kept file', () => {
  test.each([0, 1, 15, 4_096, 64 * 1024, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 77])(
    'of %d bytes is read as it was written, also after a restart',
    async (size) => {
      const bytes = randomBytes(size)
      const kept = await keep(bytes)
      expect(kept).toEqual({
        id: kept.id,
        tenantId: TENANT,
        sessionId: SESSION,
        messageId: MESSAGE,
        size,
        sha256: new Uint8Array(createHash('sha256').update(bytes).digest()),
        mimetype: 'image/png',
        filename: 'grüße.png',
        createdAt: kept.createdAt,
        expiresAt: null,
      })
      expect(kept.id).toMatch(/^[0-9a-f]{32}$/)
      expect(await collect(storage.media.read(kept.id))).toEqual(bytes)
      await reopen()
      expect(storage.media.get(kept.id)).toEqual(kept)
      expect(storage.media.ofMessage(SESSION, MESSAGE)).toEqual(kept)
      expect(storage.media.ofMessage(OTHER, MESSAGE)).toBeNull()
      expect(await collect(storage.media.read(kept.id))).toEqual(bytes)
    },
  )

  test('is read in ranges, across the borders of pieces', async () => {
    const bytes = randomBytes(3 * PIECE + 77)
    const { id } = await keep(bytes)
    const points = [
      0,
      1,
      PIECE - 1,
      PIECE,
      PIECE + 1,
      2 * PIECE + 5,
      bytes.length - 1,
      bytes.length,
      9 * PIECE,
    ]
    for (const start of points) {
      for (const end of points) {
        const got = await collect(storage.media.read(id, { start, end }))
        expect(got.equals(bytes.subarray(start, Math.max(start, end)))).toBe(true)
      }
    }
  })

  test('has a private, random name and shows nothing of itself on disk', async () => {
    const bytes = Buffer.from('the same secret words, again and again. '.repeat(2_000))
    const { id } = await keep(bytes)
    expect(filesOnDisk()).toEqual([pathOf(id)])
    expect(statSync(pathOf(id)).mode & 0o777).toBe(0o600)
    expect(statSync(join(pathOf(id), '..')).mode & 0o777).toBe(0o700)
    expect(statSync(directory()).mode & 0o777).toBe(0o700)
    expect(readFileSync(pathOf(id)).includes('secret words')).toBe(false)
    await storage.close()
    const tables = Buffer.concat(
      ['', '-wal']
        .map((end) => rig.file + end)
        .filter(existsSync)
        .map((path) => readFileSync(path)),
    )
    expect(tables.includes(id)).toBe(true)
    for (const shown of ['image/png', 'grüße.png', createHash('sha256').update(bytes).digest('base64')]) {
      expect(tables.includes(shown)).toBe(false)
    }
  })

  test('that was changed, cut short or exchanged for another is not read', async () => {
    const [first, second] = [await keep(randomBytes(PIECE + 9)), await keep(randomBytes(PIECE + 9))]
    const untouched = readFileSync(pathOf(first.id))
    const refused = async () => {
      await expect(collect(storage.media.read(first.id))).rejects.toThrow('damaged')
      writeFileSync(pathOf(first.id), untouched)
      expect((await collect(storage.media.read(first.id))).length).toBe(PIECE + 9)
    }
    const changed = Buffer.from(untouched)
    changed.writeUInt8(changed.readUInt8(PIECE + 20) ^ 1, PIECE + 20)
    writeFileSync(pathOf(first.id), changed)
    await refused()
    truncateSync(pathOf(first.id), untouched.length - 1)
    await refused()
    writeFileSync(pathOf(first.id), readFileSync(pathOf(second.id)))
    await refused()
  })

  test('whose row was exchanged with another does not open', async () => {
    const [first, second] = [await keep(randomBytes(10)), await keep(randomBytes(20))]
    const database = new Database(rig.file)
    const secret = database
      .query<{ secret: Uint8Array }, [string]>('SELECT secret FROM files WHERE id = ?')
      .get(second.id)?.secret
    database.run('UPDATE files SET secret = ? WHERE id = ?', [secret ?? '', first.id])
    database.close()
    expect(() => storage.media.get(first.id)).toThrow('cannot be opened')
    expect(storage.media.get(second.id)).toEqual(second)
  })

  test('can be removed while it is being read, and is gone for the next reader', async () => {
    const bytes = randomBytes(4 * PIECE)
    const { id } = await keep(bytes)
    let size = 0
    for await (const piece of storage.media.read(id)) {
      if (size === 0) await storage.media.remove([id])
      size += piece.length
    }
    expect(size).toBe(bytes.length)
    expect(storage.media.get(id)).toBeNull()
    expect(() => storage.media.read(id)).toThrow('There is no such file')
    expect(filesOnDisk()).toEqual([])
    await storage.media.remove([id, asFileId('f'.repeat(32))])
  })
})

describe('nothing remains', () => {
  const failing = async function* (): Bytes {
    yield randomBytes(2 * PIECE)
    throw new Error('the source broke off')
  }

  test('when the source breaks off, holds too much, or is let go of', async () => {
    await expect(storage.media.keep(failing(), ABOUT)).rejects.toThrow('the source broke off')
    expect(filesOnDisk()).toEqual([])
    const most = 2 * PIECE + 5
    await expect(keep(randomBytes(most + 1), { maxBytes: most })).rejects.toBeInstanceOf(FileTooLarge)
    expect(filesOnDisk()).toEqual([])
    expect(storage.media.ofMessage(SESSION, MESSAGE)).toBeNull()
    // The control: exactly as much as it may hold is kept.
    expect((await keep(randomBytes(most), { maxBytes: most })).size).toBe(most)
  })

  test('and the source is closed when it holds too much', async () => {
    let closed = false
    const endless = async function* (): Bytes {
      try {
        for (;;) yield randomBytes(100_000)
      } finally {
        closed = true
      }
    }
    await expect(storage.media.keep(endless(), { ...ABOUT, maxBytes: 1_000_000 })).rejects.toBeInstanceOf(
      FileTooLarge,
    )
    expect(closed).toBe(true)
  })

  test('of a session that was deleted, its files included', async () => {
    const mine = await keep(randomBytes(10))
    const other = await keep(randomBytes(10), { sessionId: OTHER })
    await storage.ledger.commit([{ change: { kind: 'session_deleted', sessionId: SESSION }, events: [] }])
    await storage.close()
    storage = rig.open({ clock })
    expect(storage.media.get(mine.id)).toBeNull()
    expect(filesOnDisk()).toEqual([pathOf(other.id)])
    await expect(keep(randomBytes(10))).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
    expect(filesOnDisk()).toEqual([pathOf(other.id)])
  })

  test('of what has had its time', async () => {
    const lasting = await keep(randomBytes(10))
    const brief = await keep(randomBytes(10), { ...UPLOAD, expiresAt: clock.now() + 60_000 })
    await storage.janitor.sweep()
    expect(filesOnDisk()).toHaveLength(2)
    clock.shift += 61_000
    expect(storage.media.get(brief.id)).toBeNull()
    await storage.janitor.sweep()
    expect(filesOnDisk()).toEqual([pathOf(lasting.id)])
  })

  test('of a process that died: half files, files without a row, rows without a file', async () => {
    const [whole, lost] = [await keep(randomBytes(10)), await keep(randomBytes(10), { messageId: null })]
    const stray = pathOf('ab'.repeat(16))
    mkdirSync(join(stray, '..'), { recursive: true })
    writeFileSync(stray, 'no row')
    mkdirSync(join(directory(), 'arriving'), { recursive: true })
    writeFileSync(join(directory(), 'arriving', 'c'.repeat(32)), 'half')
    await storage.close()
    await Bun.file(pathOf(lost.id)).delete()
    await reopen()
    expect(filesOnDisk()).toEqual([pathOf(whole.id)])
    expect(storage.media.get(lost.id)).toBeNull()
    expect(storage.media.get(whole.id)).toEqual(whole)
  })

  test('but what arrives while the disk is tidied stays', async () => {
    const { promise: go, resolve: goOn } = Promise.withResolvers<void>()
    const slow = async function* (): Bytes {
      yield randomBytes(2 * PIECE)
      await go
      yield randomBytes(10)
    }
    const keeping = storage.media.keep(slow(), ABOUT)
    while (filesOnDisk().length === 0) await Bun.sleep(1)
    await storage.janitor.start()
    const many = await Promise.all(Array.from({ length: 40 }, () => keep(randomBytes(100), UPLOAD)))
    await storage.janitor.stop()
    goOn()
    const kept = await keeping
    expect((await collect(storage.media.read(kept.id))).length).toBe(2 * PIECE + 10)
    for (const { id } of many) expect((await collect(storage.media.read(id))).length).toBe(100)
  })
})

describe('an upload', () => {
  test('becomes the file of a message, under the key of its session', async () => {
    const bytes = randomBytes(PIECE + 3)
    const upload = await keep(bytes, { ...UPLOAD, expiresAt: clock.now() + 1_000 })
    expect(upload).toMatchObject({ sessionId: null, messageId: null })
    await storage.media.assign(upload.id, { sessionId: SESSION, messageId: MESSAGE, expiresAt: null })
    expect(storage.media.ofMessage(SESSION, MESSAGE)).toEqual({
      ...upload,
      sessionId: SESSION,
      messageId: MESSAGE,
      expiresAt: null,
    })
    expect(await collect(storage.media.read(upload.id))).toEqual(bytes)
    await storage.ledger.commit([{ change: { kind: 'session_deleted', sessionId: SESSION }, events: [] }])
    expect(storage.media.get(upload.id)).toBeNull()
    await expect(
      storage.media.assign(upload.id, { sessionId: OTHER, messageId: null, expiresAt: null }),
    ).rejects.toThrow('There is no such file')
  })

  test('is refused when it would exceed what the account may keep', async () => {
    await storage.close()
    storage = rig.open({ clock, mediaQuota: () => 1_000 })
    await keep(randomBytes(600), UPLOAD)
    await expect(keep(randomBytes(401), UPLOAD)).rejects.toMatchObject({
      code: 'MEDIA_LIMIT_REACHED',
      details: { maxBytes: 1_000, usedBytes: 600 },
    })
    const { id } = await keep(randomBytes(400), UPLOAD)
    await expect(keep(randomBytes(1), UPLOAD)).rejects.toMatchObject({ code: 'MEDIA_LIMIT_REACHED' })
    await storage.media.remove([id])
    await keep(randomBytes(400), UPLOAD)
  })
})
