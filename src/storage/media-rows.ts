/** Rows of kept files. What is in them is sealed for the file's own id, so a swapped row does not open. */
import type { Database } from 'bun:sqlite'
import { asMessageId, asTenantId, type SessionId, type TenantId } from '../domain/ids'
import { asFileId, type FileId, type KeptFile } from '../domain/media'
import type { Tx } from './group-commit'
import type { Numbers } from './numbers'
import { placeOf, type Sealer } from './seal'

type Row = {
  id: string
  tenant: string
  session: number | null
  message: string | null
  size: number
  secret: Uint8Array
  created_at: number
  expires_at: number | null
}

/** A kept file with the key of its pieces. */
export type StoredFile = KeptFile & { key: Uint8Array }

type Secret = { key: string; sha256: string; size: number; mimetype: string; filename: string | null }

const placeOfFile = (id: string): string => placeOf('files', id)

export interface MediaRows {
  /** Throws `SessionGone` for a session that was deleted. */
  put(tx: Tx, file: StoredFile): void
  get(id: string, tx?: Tx): StoredFile | null
  ofMessage(sessionId: SessionId, messageId: string): StoredFile | null
  delete(id: string): void
  /** Ids of a session's files, a few at a time. */
  idsOfSession(session: number): FileId[]
  idsOfMessage(session: number, messageId: string): FileId[]
  idsOfTenant(tenantId: TenantId): FileId[]
  expired(now: number, limit: number): FileId[]
  /** Ids that begin with these two characters, sorted. */
  idsIn(bucket: string): FileId[]
  bytesOf(tenantId: TenantId): number
}

/** `uploads` seals what belongs to no session. */
export function createMediaRows(parts: { database: Database; numbers: Numbers; uploads: Sealer }): MediaRows {
  const { database, numbers, uploads } = parts
  const columns = 'id, tenant, session, message, size, secret, created_at, expires_at'
  const put = database.prepare(`INSERT OR REPLACE INTO files (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
  const byId = database.prepare<Row, [string]>(`SELECT ${columns} FROM files WHERE id = ?`)
  const byMessage = database.prepare<Row, [number, string]>(
    `SELECT ${columns} FROM files WHERE session = ? AND message = ? ORDER BY created_at DESC LIMIT 1`,
  )
  const drop = database.prepare<unknown, [string]>('DELETE FROM files WHERE id = ?')
  const bySession = database.prepare<{ id: string }, [number]>('SELECT id FROM files WHERE session = ?')
  const allOfMessage = database.prepare<{ id: string }, [number, string]>(
    'SELECT id FROM files WHERE session = ? AND message = ?',
  )
  const byTenant = database.prepare<{ id: string }, [string]>('SELECT id FROM files WHERE tenant = ?')
  const expired = database.prepare<{ id: string }, [number, number]>(
    'SELECT id FROM files WHERE expires_at <= ? ORDER BY expires_at LIMIT ?',
  )
  const inBucket = database.prepare<{ id: string }, [string, string]>(
    'SELECT id FROM files WHERE id >= ? AND id < ? ORDER BY id',
  )
  const bytes = database.prepare<{ bytes: number | null }, [string]>(
    'SELECT sum(size) AS bytes FROM files WHERE tenant = ?',
  )
  const idsOf = (rows: readonly { id: string }[]): FileId[] => rows.map(({ id }) => asFileId(id))

  function fileOf(row: Row | null, tx?: Tx): StoredFile | null {
    if (!row) return null
    const sessionId = row.session === null ? null : numbers.sessionId(row.session)
    const sealer = sessionId === null ? uploads : numbers.session(sessionId, tx)?.sealer
    // Its session is being deleted, and the key of it is gone already.
    if (!sealer) return null
    const secret = JSON.parse(Buffer.from(sealer.open(row.secret, placeOfFile(row.id))).toString()) as Secret
    return {
      id: asFileId(row.id),
      tenantId: asTenantId(row.tenant),
      sessionId,
      messageId: row.message === null ? null : asMessageId(row.message),
      // The row's own number is for sums; this one is sealed.
      size: secret.size,
      sha256: new Uint8Array(Buffer.from(secret.sha256, 'base64')),
      mimetype: secret.mimetype,
      filename: secret.filename,
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      key: Buffer.from(secret.key, 'base64'),
    }
  }

  return {
    put(tx, file) {
      const { id, tenantId, sessionId, messageId, size, mimetype, filename } = file
      const session = sessionId === null ? null : numbers.ensureSession(tx, sessionId)
      const secret: Secret = {
        key: Buffer.from(file.key).toString('base64'),
        sha256: Buffer.from(file.sha256).toString('base64'),
        size,
        mimetype,
        filename,
      }
      const sealed = (session?.sealer ?? uploads).seal(Buffer.from(JSON.stringify(secret)), placeOfFile(id))
      put.run(id, tenantId, session?.number ?? null, messageId, size, sealed, file.createdAt, file.expiresAt)
    },
    get: (id, tx) => fileOf(byId.get(id), tx),
    ofMessage(sessionId, messageId) {
      const session = numbers.session(sessionId)
      return session ? fileOf(byMessage.get(session.number, messageId)) : null
    },
    delete: (id) => drop.run(id),
    idsOfSession: (session) => idsOf(bySession.all(session)),
    idsOfMessage: (session, messageId) => idsOf(allOfMessage.all(session, messageId)),
    idsOfTenant: (tenantId) => idsOf(byTenant.all(tenantId)),
    expired: (now, limit) => idsOf(expired.all(now, limit)),
    idsIn: (bucket) => idsOf(inBucket.all(bucket, `${bucket}g`)),
    bytesOf: (tenantId) => bytes.get(tenantId)?.bytes ?? 0,
  }
}
