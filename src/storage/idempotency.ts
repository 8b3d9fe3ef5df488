/** Answers kept under the caller's key; sealed, since an answer may hold a fresh API key. */
import type { Database } from 'bun:sqlite'
import { IDEMPOTENCY_KEPT, type Idempotency } from '../domain/idempotency'
import type { Clock } from '../lib/clock'
import { sha256Hex } from '../lib/token'
import type { GroupCommit } from './group-commit'
import { placeOf, type Sealer } from './seal'

export function createIdempotency(parts: {
  database: Database
  writer: GroupCommit
  sealer: Sealer
  clock: Clock
}): Idempotency {
  const { database, writer, sealer, clock } = parts
  type Row = { request_hash: string; status: number; body: Uint8Array; created_at: number }
  const read = database.prepare<Row, [string, string]>(
    'SELECT request_hash, status, body, created_at FROM idempotency WHERE tenant = ? AND key_hash = ?',
  )
  const put = database.prepare<unknown, [string, string, string, number, Uint8Array, number]>(
    'INSERT OR REPLACE INTO idempotency (tenant, key_hash, request_hash, status, body, created_at) VALUES (?, ?, ?, ?, ?, ?)',
  )
  /** Requests under way: place → hash of the request. */
  const running = new Map<string, string>()
  const place = (tenant: string, keyHash: string) => placeOf('idempotency', tenant, keyHash)

  return {
    async begin(tenant, key, requestHash) {
      const keyHash = sha256Hex(key)
      const name = place(tenant, keyHash)
      const other = running.get(name)
      if (other !== undefined) return other === requestHash ? 'in_progress' : 'reused'
      const row = read.get(tenant, keyHash)
      if (row && clock.now() - row.created_at < IDEMPOTENCY_KEPT) {
        if (row.request_hash !== requestHash) return 'reused'
        return { status: row.status, body: Buffer.from(sealer.open(row.body, name)).toString() }
      }
      running.set(name, requestHash)
      return 'new'
    },
    async finish(tenant, key, answer) {
      const keyHash = sha256Hex(key)
      const name = place(tenant, keyHash)
      const requestHash = running.get(name)
      if (requestHash === undefined) return
      try {
        const body = sealer.seal(Buffer.from(answer.body), name)
        await writer.run(() => {
          put.run(tenant, keyHash, requestHash, answer.status, body, clock.now())
        })
      } finally {
        running.delete(name)
      }
    },
    async abandon(tenant, key) {
      running.delete(place(tenant, sha256Hex(key)))
    },
  }
}
