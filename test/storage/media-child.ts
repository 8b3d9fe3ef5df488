/**
 * A process of its own that keeps files in a data directory: `write <file>` until it is killed, telling what is kept;
 * `fill <file>` until the disk takes one; `large <file>` one of 100 MB, with its memory.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../src/domain/errors'
import { asFileId, type Bytes } from '../../src/domain/media'
import { systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { openStorage } from '../../src/storage/open'
import { MASTER, TENANT } from './rig'

const [, , command, file = ''] = process.argv
const MIB = 1024 * 1024
const ABOUT = {
  tenantId: TENANT,
  sessionId: null,
  messageId: null,
  mimetype: 'video/mp4',
  filename: null,
  maxBytes: 1_000 * MIB,
  expiresAt: null,
}
const storage = openStorage({ file, masterKey: MASTER, clock: systemClock, sync: 'full', log: silentLog })
const say = (line: string) => process.stdout.write(`${line}\n`)

/** So many megabytes that differ from each other. */
async function* megabytes(count: number): Bytes {
  const chunk = randomBytes(MIB)
  for (let n = 0; n < count; n += 1) {
    chunk.writeUInt32BE(n, 0)
    yield chunk
  }
}

if (command === 'write') {
  for (;;) {
    const kept = await Promise.all([1, 2, 0].map((count) => storage.media.keep(megabytes(count), ABOUT)))
    for (const { id } of kept) say(id)
  }
}

if (command === 'fill') {
  for (let refused = false; ; ) {
    try {
      const { id, size } = await storage.media.keep(megabytes(5), ABOUT)
      let read = 0
      for await (const piece of storage.media.read(id)) read += piece.length
      say(`kept ${size === read}`)
      break
    } catch (error) {
      const left = readdirSync(join(file, '..', 'media', 'arriving')).length
      if (!refused) say(`${error instanceof AppError ? error.code : String(error)}, left ${left}`)
      refused = true
      await Bun.sleep(5)
    }
  }
  await storage.close()
}

if (command === 'large') {
  const warm = await storage.media.keep(megabytes(2), ABOUT)
  for await (const _ of storage.media.read(warm.id));
  Bun.gc(true)
  const before = process.memoryUsage.rss()
  let most = 0
  const look = () => {
    most = Math.max(most, process.memoryUsage.rss() - before)
  }
  const watch = setInterval(look, 2)
  const written = createHash('sha256')
  async function* source(): Bytes {
    for await (const chunk of megabytes(100)) {
      written.update(chunk)
      look()
      yield chunk
    }
  }
  const kept = await storage.media.keep(source(), ABOUT)
  const keeping = most
  most = 0
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of storage.media.read(asFileId(kept.id))) {
    hash.update(piece)
    size += piece.length
    look()
  }
  clearInterval(watch)
  const same = hash.digest('hex') === written.digest('hex') && size === 100 * MIB
  say(JSON.stringify({ same, keepingMib: keeping / MIB, readingMib: most / MIB }))
  await storage.close()
}
