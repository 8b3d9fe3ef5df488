/**
 * Files of random names below one directory: `<first two hex>/<32 hex>`, and `arriving/` for what is being written.
 *
 * A file has its name only when it is whole and on disk. Every failure of the disk is `STORAGE_UNAVAILABLE`.
 */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../domain/errors'
import type { Log } from '../lib/log'
import type { Sync } from './pragmas'

const NAME = /^[0-9a-f]{32}$/
const BUCKET = /^[0-9a-f]{2}$/
const ARRIVING = 'arriving'

/** A file that is being written. */
export interface ArrivingFile {
  append(bytes: Uint8Array): Promise<void>
  /** Puts it on disk under its name. */
  finish(): Promise<void>
  /** Takes it away again, finished or not; never rejects. */
  abandon(): Promise<void>
}

export interface MediaDisk {
  /** Begins a file of a new name. */
  arrive(name: string): Promise<ArrivingFile>
  /** Null when there is no such file. */
  open(name: string): Promise<FileHandle | null>
  /** Never rejects; a file that cannot be removed now goes with the next tidying. */
  remove(name: string): Promise<void>
  /** Names of one bucket (`00` to `ff`), sorted. */
  namesIn(bucket: string): Promise<string[]>
  /** Removes what was left behind while it was written, except these names. */
  clearArriving(except: ReadonlySet<string>): Promise<number>
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown'

export function createMediaDisk(parts: { directory: string; sync: Sync; log: Log }): MediaDisk {
  const { directory, log } = parts
  const durable = parts.sync === 'full'
  const pathOf = (name: string) => join(directory, name.slice(0, 2), name)
  const arrivingPathOf = (name: string) => join(directory, ARRIVING, name)

  /** What the disk says, as the one failure that callers know. */
  async function disk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      log.error('A file cannot be kept', { code: codeOf(error) })
      throw fail('STORAGE_UNAVAILABLE')
    }
  }

  const makeDirectory = (path: string) => mkdir(path, { recursive: true, mode: 0o700 })

  /** A new name is on disk only when its directory is. */
  async function syncDirectory(path: string): Promise<void> {
    const handle = await open(path, constants.O_RDONLY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async function drop(path: string): Promise<boolean> {
    try {
      await unlink(path)
      return true
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') log.warn('A file cannot be removed', { code: codeOf(error) })
      return false
    }
  }

  const list = (path: string) =>
    readdir(path).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    })

  return {
    async arrive(name) {
      const path = arrivingPathOf(name)
      const handle = await disk(async () => {
        await makeDirectory(join(directory, ARRIVING))
        return open(path, 'wx', 0o600)
      })
      let closed = false
      const close = async () => {
        if (closed) return
        closed = true
        await handle.close()
      }
      return {
        append: (bytes) =>
          disk(async () => {
            for (let at = 0; at < bytes.length; ) {
              const { bytesWritten } = await handle.write(bytes, at, bytes.length - at)
              at += bytesWritten
            }
          }),
        finish: () =>
          disk(async () => {
            if (durable) await handle.sync()
            await close()
            const bucket = join(directory, name.slice(0, 2))
            const isNew = (await makeDirectory(bucket)) !== undefined
            await rename(path, pathOf(name))
            if (!durable) return
            await syncDirectory(bucket)
            if (isNew) await syncDirectory(directory)
          }),
        async abandon() {
          await close().catch(() => undefined)
          await drop(path)
          await drop(pathOf(name))
        },
      }
    },
    open: (name) =>
      open(pathOf(name), constants.O_RDONLY).catch((error: unknown) => {
        if (codeOf(error) === 'ENOENT') return null
        log.error('A kept file cannot be opened', { code: codeOf(error) })
        throw fail('STORAGE_UNAVAILABLE')
      }),
    async remove(name) {
      await drop(pathOf(name))
    },
    async namesIn(bucket) {
      if (!BUCKET.test(bucket)) return []
      return (await list(join(directory, bucket))).filter((name) => NAME.test(name)).sort()
    },
    async clearArriving(except) {
      let gone = 0
      for (const name of await list(join(directory, ARRIVING))) {
        if (!except.has(name) && (await drop(arrivingPathOf(name)))) gone += 1
      }
      return gone
    },
  }
}

/** All buckets, in order. */
export const BUCKETS: readonly string[] = Array.from({ length: 256 }, (_, n) =>
  n.toString(16).padStart(2, '0'),
)
