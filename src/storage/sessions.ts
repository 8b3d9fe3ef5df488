/** Sessions on disk: the read port, and the rows that the ledger writes. The QR text never gets here. */
import type { Database } from 'bun:sqlite'
import type { SessionId } from '../domain/ids'
import { asSessionId, asTenantId } from '../domain/ids'
import {
  DEFAULT_SETTINGS,
  type MessageCounts,
  SESSION_STATUSES,
  type Session,
  type SessionState,
  type SessionStatus,
  type Sessions,
  type TimelineCause,
  type TimelineEntry,
} from '../domain/session'
import type { Tx } from './group-commit'
import type { NumberedSession, Numbers } from './numbers'
import { placeOf } from './seal'
import type { Totals } from './session-totals'

type Row = {
  id: string
  tenant: string
  name: string
  description: string | null
  settings: string
  state: string
  credentials: Session['credentials']
  me: string | null
  client_version: string | null
  last_disconnect: string | null
  restriction: string | null
  created_at: number
  updated_at: number
  last_activity: number | null
  first_started_at: number | null
  connected_ms: number
  outage: string | null
  proxy: Uint8Array | null
}

/** The QR text is a live secret and is left out. */
const storable = (state: SessionState): SessionState =>
  state.status === 'qr_generated' ? { ...state, qr: '' } : state

function openSession(row: Row): Session {
  return {
    id: asSessionId(row.id),
    tenantId: asTenantId(row.tenant),
    name: row.name,
    description: row.description,
    // Settings that have come into being since the row was written get their defaults.
    settings: { ...DEFAULT_SETTINGS, ...(JSON.parse(row.settings) as Partial<Session['settings']>) },
    state: JSON.parse(row.state) as SessionState,
    credentials: row.credentials,
    me: row.me === null ? null : (JSON.parse(row.me) as Session['me']),
    clientVersion: row.client_version,
    lastDisconnect:
      row.last_disconnect === null ? null : (JSON.parse(row.last_disconnect) as Session['lastDisconnect']),
    restriction: row.restriction === null ? null : (JSON.parse(row.restriction) as Session['restriction']),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    lastActivity: row.last_activity,
    firstStartedAt: row.first_started_at,
    connectedMs: row.connected_ms,
    outage: row.outage === null ? null : (JSON.parse(row.outage) as Session['outage']),
  }
}

/** Entries of a session's timeline that are kept. */
const TIMELINE = 100

export interface SessionRows extends Sessions {
  insert(known: NumberedSession, session: Session): void
  /** False when there is no such session. */
  update(tx: Tx, known: NumberedSession, session: Session, cause?: TimelineCause): boolean
  /** A message has come late; counted while an outage is not told yet. */
  late(number: number): void
  active(number: number, at: number): boolean
  remove(tx: Tx, number: number): boolean
  /** Whether message content of this session is sealed. */
  encrypts(tx: Tx, number: number): boolean
}

const NOTHING: MessageCounts = { sent: 0, received: 0, failed: 0 }

export function createSessionRows(
  database: Database,
  numbers: Pick<Numbers, 'session'>,
  sums: Pick<Totals, 'of'>,
): SessionRows {
  const columns =
    'id, tenant, name, description, settings, state, credentials, me, client_version, last_disconnect, restriction, created_at, updated_at, last_activity, first_started_at, connected_ms, outage, proxy'
  const all = database.prepare<Row, []>(`SELECT ${columns} FROM sessions ORDER BY number`)
  const byId = database.prepare<Row, [string]>(`SELECT ${columns} FROM sessions WHERE id = ?`)
  const among = (list: string) => `(${list} IS NULL OR id IN (SELECT value FROM json_each(${list})))`
  const listed = `tenant = ?1 AND (?2 IS NULL OR status = ?2) AND id NOT IN (SELECT value FROM json_each(?3)) AND ${among('?4')}`
  const page = database.prepare<Row, [string, string | null, string, string | null, number, number]>(
    `SELECT ${columns} FROM sessions WHERE ${listed} ORDER BY created_at DESC, number DESC LIMIT ?5 OFFSET ?6`,
  )
  const countListed = database.prepare<{ n: number }, [string, string | null, string, string | null]>(
    `SELECT count(*) AS n FROM sessions WHERE ${listed}`,
  )
  const count = database.prepare<{ n: number }, [string]>(
    'SELECT count(*) AS n FROM sessions WHERE tenant = ?',
  )
  // Settings are written by JSON.stringify alone, so an empty list looks like nothing but `[]`.
  const fenced = database.prepare<Row, [string]>(
    `SELECT ${columns} FROM sessions WHERE tenant = ? AND instr(settings, '"ipWhitelist":["') > 0`,
  )
  const holder = database.prepare<{ id: string }, [string, string]>(
    "SELECT id FROM sessions WHERE phone_number = ? AND credentials = 'linked' AND id <> ? LIMIT 1",
  )
  type OfStatus = { status: SessionStatus; n: number }
  const byStatus = database.prepare<OfStatus, [string, string | null]>(
    `SELECT status, count(*) AS n FROM sessions WHERE tenant = ?1 AND ${among('?2')} GROUP BY status`,
  )
  const byStatusOfAll = database.prepare<OfStatus, [string | null]>(
    `SELECT status, count(*) AS n FROM sessions WHERE ${among('?1')} GROUP BY status`,
  )
  const insert = database.prepare(
    `INSERT INTO sessions (number, ${columns}, status, phone_number) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const update = database.prepare(
    `UPDATE sessions SET (${columns}, status, phone_number) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?), late = iif(?17 IS NULL, 0, late) WHERE number = ?`,
  )
  const active = database.prepare<unknown, [number, number]>(
    'UPDATE sessions SET last_activity = max(ifnull(last_activity, 0), ?) WHERE number = ?',
  )
  const remove = database.prepare<unknown, [number]>('DELETE FROM sessions WHERE number = ?')
  const sealing = database.prepare<{ on: number }, [number]>(
    `SELECT json_extract(settings, '$.enableEncryption') AS "on" FROM sessions WHERE number = ?`,
  )

  const late = database.prepare<unknown, [number]>(
    'UPDATE sessions SET late = late + 1 WHERE number = ? AND outage IS NOT NULL',
  )
  const lateOf = database.prepare<{ late: number }, [string]>('SELECT late FROM sessions WHERE id = ?')
  const statusOf = database.prepare<{ status: SessionStatus }, [number]>(
    'SELECT status FROM sessions WHERE number = ?',
  )
  const note = database.prepare<unknown, [number, number, string, string, string | null, string | null]>(
    'INSERT INTO session_timeline (session, at, status, cause, reason, detail) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const shorten = database.prepare<unknown, [number]>(
    `DELETE FROM session_timeline WHERE session = ?1 AND number <= (
       SELECT number FROM session_timeline WHERE session = ?1 ORDER BY number DESC LIMIT 1 OFFSET ${TIMELINE})`,
  )
  const noted = database.prepare<TimelineEntry, [string, number]>(
    `SELECT at, status, cause, reason, detail FROM session_timeline
     WHERE session = (SELECT number FROM sessions WHERE id = ?) ORDER BY number DESC LIMIT ?`,
  )
  const inbox = database.prepare<{ id: number; at: number }, [string]>(
    'SELECT id, at FROM inbox WHERE session = (SELECT number FROM sessions WHERE id = ?) ORDER BY id LIMIT 1000',
  )
  const lastTraffic = database.prepare<{ fromMe: number; at: number }, [string]>(
    `SELECT from_me AS fromMe, max(timestamp) AS at FROM (
       SELECT from_me, timestamp FROM messages
       WHERE type < 64 AND session = (SELECT number FROM sessions WHERE id = ?)
       ORDER BY timestamp DESC LIMIT 1000)
     GROUP BY from_me`,
  )
  const forgetTimeline = database.prepare<unknown, [number]>('DELETE FROM session_timeline WHERE session = ?')

  const noteState = (number: number, { state, updatedAt }: Session, cause: TimelineCause) => {
    const why = state.status === 'disconnected' ? state.why : null
    note.run(number, updatedAt, state.status, cause, why?.reason ?? null, why?.detail ?? null)
    shorten.run(number)
  }

  const encrypting = new Map<number, boolean>()

  const proxyPlace = (id: string) => placeOf('sessions', id, 'proxy')
  const sealedProxy = ({ sealer }: NumberedSession, { id, settings: { proxyUrl } }: Session) =>
    proxyUrl === null ? null : sealer.seal(Buffer.from(proxyUrl), proxyPlace(id))
  const sessionOf = (row: Row): Session => {
    const session = openSession(row)
    const sealer = row.proxy === null ? undefined : numbers.session(row.id)?.sealer
    if (row.proxy === null || !sealer) return session
    const proxyUrl = Buffer.from(sealer.open(row.proxy, proxyPlace(row.id))).toString()
    return { ...session, settings: { ...session.settings, proxyUrl } }
  }

  const values = (known: NumberedSession, session: Session) =>
    [
      session.id,
      session.tenantId,
      session.name,
      session.description,
      // The proxy has a column of its own.
      JSON.stringify({ ...session.settings, proxyUrl: null }),
      JSON.stringify(storable(session.state)),
      session.credentials,
      session.me && JSON.stringify(session.me),
      session.clientVersion,
      session.lastDisconnect && JSON.stringify(session.lastDisconnect),
      session.restriction && JSON.stringify(session.restriction),
      session.createdAt,
      session.updatedAt,
      session.lastActivity,
      session.firstStartedAt,
      session.connectedMs,
      session.outage && JSON.stringify(session.outage),
      sealedProxy(known, session),
      session.state.status,
      session.me?.phoneNumber ?? null,
    ] as const

  return {
    all: () => all.all().map(sessionOf),
    get(id) {
      const row = byId.get(id)
      return row ? sessionOf(row) : null
    },
    list({ tenantId, status = null, except = [], only = null, limit, offset }) {
      const out = JSON.stringify(except)
      const among = only && JSON.stringify(only)
      const rows = page.all(tenantId, status, out, among, limit, offset)
      return { sessions: rows.map(sessionOf), total: countListed.get(tenantId, status, out, among)?.n ?? 0 }
    },
    fenced: (tenantId) => fenced.all(tenantId).map(sessionOf),
    holderOf(phoneNumber, except) {
      const row = holder.get(phoneNumber, except)
      return row ? asSessionId(row.id) : null
    },
    counts(ids) {
      const found = new Map<SessionId, MessageCounts>()
      for (const id of ids) {
        const session = numbers.session(id)
        const { sent, received, failed } = session ? sums.of(session.number) : NOTHING
        found.set(id, { sent, received, failed })
      }
      return found
    },
    countByStatus(tenantId, only = null) {
      const counts = Object.fromEntries(SESSION_STATUSES.map((status) => [status, 0])) as Record<
        SessionStatus,
        number
      >
      const among = only && JSON.stringify(only)
      const rows = tenantId === null ? byStatusOfAll.all(among) : byStatus.all(tenantId, among)
      for (const row of rows) counts[row.status] = row.n
      return counts
    },
    countOf: (tenantId) => count.get(tenantId)?.n ?? 0,
    insert(known, session) {
      insert.run(known.number, ...values(known, session))
      noteState(known.number, session, 'created')
    },
    update(tx, known, session, cause = 'unknown') {
      const { number } = known
      tx.afterCommit(() => encrypting.delete(number))
      const before = statusOf.get(number)
      if (before !== null && before.status !== session.state.status) noteState(number, session, cause)
      return update.run(...values(known, session), number).changes > 0
    },
    late(number) {
      late.run(number)
    },
    lateCount: (id) => lateOf.get(id)?.late ?? 0,
    inbox: (id) => inbox.all(id),
    lastTraffic(id) {
      const rows = lastTraffic.all(id)
      const of = (fromMe: number) => rows.find((row) => row.fromMe === fromMe)?.at ?? null
      return { received: of(0), sent: of(1) }
    },
    timeline: (id, limit) => noted.all(id, limit),
    active: (number, at) => active.run(at, number).changes > 0,
    remove(tx, number) {
      tx.afterCommit(() => encrypting.delete(number))
      forgetTimeline.run(number)
      return remove.run(number).changes > 0
    },
    encrypts(tx, number) {
      const known = encrypting.get(number)
      if (known !== undefined) return known
      const row = sealing.get(number)
      const on = row?.on !== 0
      if (row) tx.afterCommit(() => encrypting.set(number, on))
      return on
    },
  }
}
