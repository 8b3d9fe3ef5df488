/**
 * Kept files: sealed pieces on disk (`media-disk.ts`, `media-pieces.ts`), keys and looks in rows (`media-rows.ts`).
 *
 * A file comes first and its row last, and goes the other way round, so a crash leaves at most a file that nobody can
 * read; `tidy` takes it away.
 */
import { createHash, randomBytes } from 'node:crypto'
import { fail } from '../domain/errors'
import type { TenantId } from '../domain/ids'
import {
  asFileId,
  type Bytes,
  type FileId,
  FileTooLarge,
  type KeptFile,
  type MediaStore,
} from '../domain/media'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { release } from '../lib/release'
import type { GroupCommit, Tx } from './group-commit'
import { BUCKETS, type MediaDisk } from './media-disk'
import { DamagedFile, openPiece, PIECE, piecesOf, placeOfPiece, sealPiece } from './media-pieces'
import type { MediaRows, StoredFile } from './media-rows'
import { SessionGone } from './numbers'
import { KEY_BYTES } from './seal'

/** Rows that one transaction removes. */
const CHUNK = 500

/** A file that was removed. */
export class FileGone extends Error {
  constructor(id: string) {
    super(`There is no such file: ${id}`)
    this.name = 'FileGone'
  }
}

export interface StoredMedia extends MediaStore {
  /** Bytes that an account's files take. */
  bytesOf(tenantId: TenantId): number
  /** Removes the files of a session inside the transaction that deletes it. */
  forget(tx: Tx, session: number): void
  /** Removes the file of a message that was taken back. */
  forgetMessage(tx: Tx, session: number, messageId: string): void
  /** Removes the files of an account. */
  forgetTenant(tx: Tx, tenantId: TenantId): void
  /** Removes what has had its time; resolves with the number of files. */
  sweep(now: number): Promise<number>
  /** Removes files without a row, rows without a file, and what a crash has left half written. */
  tidy(): Promise<number>
  /** Resolves when every file that was to be removed is. */
  settled(): Promise<void>
}

export function createMediaStore(parts: {
  disk: MediaDisk
  rows: MediaRows
  writer: GroupCommit
  clock: Clock
  log: Log
  /** Bytes that an account may keep; null = as many as the disk takes. */
  quota?: (tenantId: TenantId) => number | null
}): StoredMedia {
  const { disk, rows, writer, clock, log } = parts
  /** Names of files that have no row yet. */
  const arriving = new Set<string>()
  let removals: Promise<unknown> = Promise.resolve()

  /** Takes files from disk once their rows are gone. */
  function removeAfter(tx: Tx, ids: readonly FileId[]): void {
    for (const id of ids) rows.delete(id)
    tx.afterCommit(() => {
      removals = Promise.all([removals, ...ids.map((id) => disk.remove(id))])
    })
  }

  async function removeAll(ids: readonly FileId[]): Promise<void> {
    for (let at = 0; at < ids.length; at += CHUNK) {
      await writer.run((tx) => removeAfter(tx, ids.slice(at, at + CHUNK)))
    }
    await removals
  }

  /** A session may be deleted while its file arrives. */
  function put(tx: Tx, file: StoredFile): void {
    try {
      rows.put(tx, file)
    } catch (error) {
      throw error instanceof SessionGone ? fail('SESSION_NOT_FOUND') : error
    }
  }

  const shown = ({ key: _, ...file }: StoredFile): KeptFile => file
  const alive = (file: StoredFile | null): StoredFile | null =>
    file === null || (file.expiresAt !== null && file.expiresAt <= clock.now()) ? null : file

  async function* read(file: StoredFile, start: number, end: number): AsyncGenerator<Uint8Array> {
    const handle = await disk.open(file.id)
    if (!handle) throw new FileGone(file.id)
    try {
      const sealed = Buffer.allocUnsafeSlow(placeOfPiece(0, file.size).length)
      for (let index = Math.floor(start / PIECE); index * PIECE < end; index += 1) {
        const { at, length } = placeOfPiece(index, file.size)
        const { bytesRead } = await handle.read(sealed, 0, length, at)
        const plain = bytesRead === length ? openPiece(file.key, index, sealed.subarray(0, length)) : null
        if (!plain) throw new DamagedFile(file.id)
        yield plain.subarray(Math.max(0, start - index * PIECE), Math.min(plain.length, end - index * PIECE))
      }
    } finally {
      await handle.close()
    }
  }

  return {
    async keep(bytes, about) {
      const { maxBytes, ...owner } = about
      const quota = parts.quota?.(about.tenantId) ?? null
      const used = quota === null ? 0 : rows.bytesOf(about.tenantId)
      const room = quota === null ? maxBytes : Math.min(maxBytes, Math.max(0, quota - used))
      const tooMuch = () =>
        room < maxBytes
          ? fail('MEDIA_LIMIT_REACHED', { maxBytes: quota, usedBytes: used })
          : new FileTooLarge(maxBytes)
      const id = asFileId(randomBytes(16).toString('hex'))
      const key = randomBytes(KEY_BYTES)
      const hash = createHash('sha256')
      arriving.add(id)
      try {
        const arrival = await disk.arrive(id)
        try {
          let size = 0
          let index = 0
          for await (const piece of piecesOf(counted(bytes, room, tooMuch))) {
            hash.update(piece)
            size += piece.length
            for (const part of sealPiece(key, index, piece)) {
              await arrival.append(part)
              release(part)
            }
            index += 1
          }
          const file: StoredFile = {
            ...owner,
            id,
            key,
            size,
            sha256: new Uint8Array(hash.digest()),
            createdAt: clock.now(),
          }
          await arrival.finish()
          await writer.run((tx) => {
            // Others have come in meanwhile.
            const usedBytes = quota === null ? 0 : rows.bytesOf(about.tenantId)
            if (quota !== null && usedBytes + size > quota) {
              throw fail('MEDIA_LIMIT_REACHED', { maxBytes: quota, usedBytes })
            }
            put(tx, file)
          })
          return shown(file)
        } catch (error) {
          await arrival.abandon()
          throw error
        }
      } finally {
        arriving.delete(id)
      }
    },

    get(id) {
      const file = alive(rows.get(id))
      return file && shown(file)
    },
    ofMessage(sessionId, messageId) {
      const file = alive(rows.ofMessage(sessionId, messageId))
      return file && shown(file)
    },
    read(id, range) {
      const file = rows.get(id)
      if (!file) throw new FileGone(id)
      const start = Math.max(0, range?.start ?? 0)
      return read(file, start, Math.max(start, Math.min(range?.end ?? file.size, file.size)))
    },
    async assign(id, { sessionId, messageId, expiresAt }) {
      await writer.run((tx) => {
        const file = rows.get(id, tx)
        if (!file) throw new FileGone(id)
        put(tx, { ...file, sessionId, messageId, expiresAt })
      })
    },
    remove: (ids) => removeAll(ids),

    bytesOf: rows.bytesOf,
    forget: (tx, session) => removeAfter(tx, rows.idsOfSession(session)),
    forgetMessage: (tx, session, messageId) => removeAfter(tx, rows.idsOfMessage(session, messageId)),
    forgetTenant: (tx, tenantId) => removeAfter(tx, rows.idsOfTenant(tenantId)),
    async sweep(now) {
      for (let sum = 0; ; ) {
        const ids = rows.expired(now, CHUNK)
        await removeAll(ids)
        sum += ids.length
        if (ids.length < CHUNK) return sum
      }
    },
    async tidy() {
      let gone = await disk.clearArriving(arriving)
      for (const bucket of BUCKETS) {
        // First the disk, then the rows: what arrives in between has its row by the time it is asked for.
        const names = new Set(await disk.namesIn(bucket))
        const ids = rows.idsIn(bucket)
        const known = new Set<string>(ids)
        for (const name of names) {
          if (known.has(name) || arriving.has(name)) continue
          await disk.remove(name)
          gone += 1
        }
        const lost = ids.filter((id) => !names.has(id))
        // A row whose file came after the disk was looked at is no lost one.
        const there = lost.length > 0 ? new Set(await disk.namesIn(bucket)) : names
        const missing = lost.filter((id) => !there.has(id))
        await removeAll(missing)
        gone += missing.length
      }
      if (gone > 0) log.info('Files that a crash had left were removed', { files: gone })
      return gone
    },
    async settled() {
      await removals
    },
  }

  function counted(bytes: Bytes, most: number, tooMuch: () => Error): Bytes {
    return (async function* () {
      let size = 0
      for await (const chunk of bytes) {
        size += chunk.length
        if (size > most) throw tooMuch()
        yield chunk
      }
    })()
  }
}
