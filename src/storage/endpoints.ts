/** Webhook endpoints: few, read for every event, so all of them are kept in memory; secrets are sealed on disk. */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import { asTenantId } from '../domain/ids'
import type { Session } from '../domain/session'
import type { Endpoint } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import { randomToken } from '../lib/token'
import type { Tx } from './group-commit'
import type { StoredJournal } from './journal'
import type { Numbers } from './numbers'
import { placeOf, type Sealer } from './seal'

export type StoredEndpoint = {
  number: number
  /** Number of its session, null for all of the tenant. */
  session: number | null
  /** Events after this number in the journal are meant for it. */
  since: number
  /** Its session is deleted: it still tells that, and then goes. */
  doomed: boolean
  endpoint: Endpoint
}

/** The endpoint that `settings.webhookUrl` stands for. */
export interface SettingsEndpoints {
  /** Makes, changes or removes it after the session's settings. */
  follow(tx: Tx, number: number, session: Session): void
  /** Drops all deliveries of a session and dooms its endpoints. */
  forget(tx: Tx, number: number): void
}

export interface Endpoints extends SettingsEndpoints {
  all(): Iterable<StoredEndpoint>
  /** No endpoint is left, of anybody. */
  none(): boolean
  byId(id: string): StoredEndpoint | null
  byNumber(number: number): StoredEndpoint | null
  save(tx: Tx, endpoint: Endpoint): void
  remove(tx: Tx, number: number): void
  /** Removes all endpoints of an account. */
  forgetTenant(tx: Tx, tenant: string): void
}

/** A fresh signing secret in Standard Webhooks' form. */
export const newWebhookSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`

/** A moment that never comes: lanes of endpoints that are switched off. */
export const PARKED = 8_640_000_000_000_000

type Row = {
  number: number
  id: string
  tenant: string
  session: number | null
  url: string
  events: string
  secret: Uint8Array
  is_active: number
  from_settings: number
  since: number
  doomed: number
  created_at: number
}

export function createEndpoints(parts: {
  database: Database
  numbers: Numbers
  sealer: Sealer
  journal: StoredJournal
  clock: Clock
}): Endpoints {
  const { database, numbers, sealer, journal, clock } = parts
  const insert = database.prepare(
    'INSERT INTO endpoints (id, tenant, session, url, events, secret, is_active, from_settings, since, doomed, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)',
  )
  const update = database.prepare(
    'UPDATE endpoints SET url = ?, events = ?, secret = ?, is_active = ? WHERE number = ?',
  )
  const drop = database.prepare<unknown, [number]>('DELETE FROM endpoints WHERE number = ?')
  const dropDeliveries = database.prepare<unknown, [number]>('DELETE FROM deliveries WHERE endpoint = ?')
  const dropLanes = database.prepare<unknown, [number]>('DELETE FROM lanes WHERE endpoint = ?')
  const dropSessionDeliveries = database.prepare<unknown, [number]>(
    'DELETE FROM deliveries WHERE session = ?',
  )
  const dropSessionLanes = database.prepare<unknown, [number]>('DELETE FROM lanes WHERE session = ?')
  const doom = database.prepare<unknown, [number]>('UPDATE endpoints SET doomed = 1 WHERE number = ?')
  const park = database.prepare<unknown, [number, number]>('UPDATE lanes SET due_at = ? WHERE endpoint = ?')
  const unpark = database.prepare<unknown, [number, number, number]>(
    'UPDATE lanes SET due_at = ? WHERE endpoint = ? AND due_at = ?',
  )

  const placeOfSecret = (id: string) => placeOf('endpoints', id, 'secret')

  const rowById = database.prepare<Row, [string]>('SELECT * FROM endpoints WHERE id = ?')
  const rowFromSettings = database.prepare<Row, [number]>(
    'SELECT * FROM endpoints WHERE session = ? AND from_settings = 1 AND doomed = 0',
  )

  const storedOf = (row: Row): StoredEndpoint => ({
    number: row.number,
    session: row.session,
    since: row.since,
    doomed: row.doomed === 1,
    endpoint: {
      id: row.id,
      tenantId: asTenantId(row.tenant),
      sessionId: row.session === null ? null : numbers.sessionId(row.session),
      url: row.url,
      events: JSON.parse(row.events) as string[],
      secret: Buffer.from(sealer.open(row.secret, placeOfSecret(row.id))).toString(),
      isActive: row.is_active === 1,
      fromSettings: row.from_settings === 1,
      createdAt: row.created_at,
    },
  })

  const stored = new Map(
    database
      .query<Row, []>('SELECT * FROM endpoints')
      .all()
      .map((row) => [row.number, storedOf(row)] as const),
  )

  function byId(id: string): StoredEndpoint | null {
    for (const one of stored.values()) if (one.endpoint.id === id) return one
    return null
  }

  function save(tx: Tx, endpoint: Endpoint): void {
    const { id, tenantId, sessionId, url, isActive, fromSettings, createdAt } = endpoint
    const events = JSON.stringify(endpoint.events)
    const secret = sealer.seal(Buffer.from(endpoint.secret), placeOfSecret(id))
    const row = rowById.get(id)
    if (row) {
      const before = storedOf(row)
      update.run(url, events, secret, isActive ? 1 : 0, before.number)
      if (!isActive) park.run(PARKED, before.number)
      else if (!before.endpoint.isActive) unpark.run(clock.now(), before.number, PARKED)
      tx.afterCommit(() => stored.set(before.number, { ...before, endpoint }))
      return
    }
    const session = sessionId === null ? null : numbers.ensureSession(tx, sessionId).number
    const since = journal.head()
    const { lastInsertRowid } = insert.run(
      id,
      tenantId,
      session,
      url,
      events,
      secret,
      isActive ? 1 : 0,
      fromSettings ? 1 : 0,
      since,
      createdAt,
    )
    const number = Number(lastInsertRowid)
    tx.afterCommit(() => stored.set(number, { number, session, since, doomed: false, endpoint }))
  }

  function remove(tx: Tx, number: number): void {
    dropDeliveries.run(number)
    dropLanes.run(number)
    drop.run(number)
    tx.afterCommit(() => stored.delete(number))
  }

  const ofSession = (session: number): StoredEndpoint[] =>
    [...stored.values()].filter((one) => one.session === session && !one.doomed)

  function follow(tx: Tx, number: number, session: Session): void {
    const url = session.settings.webhookUrl
    // Sessions change often and this setting hardly ever: memory answers first. It lags behind a change of the same
    // transaction, so a difference is looked up.
    const seen = ofSession(number).find((one) => one.endpoint.fromSettings)
    if ((seen?.endpoint.url ?? null) === url) return
    const row = rowFromSettings.get(number)
    const present = row ? storedOf(row) : null
    if ((present?.endpoint.url ?? null) === url) return
    if (url === null) {
      if (present) remove(tx, present.number)
      return
    }
    save(tx, {
      id: present?.endpoint.id ?? `ep_${randomToken(12)}`,
      tenantId: session.tenantId,
      sessionId: session.id,
      url,
      events: [],
      secret: present?.endpoint.secret ?? newWebhookSecret(),
      isActive: true,
      fromSettings: true,
      createdAt: present?.endpoint.createdAt ?? clock.now(),
    })
  }

  return {
    all: () => stored.values(),
    none: () => stored.size === 0,
    byId,
    byNumber: (number) => stored.get(number) ?? null,
    save,
    remove,
    follow,
    forgetTenant(tx, tenant) {
      for (const one of [...stored.values()]) if (one.endpoint.tenantId === tenant) remove(tx, one.number)
    },
    forget(tx, number) {
      dropSessionDeliveries.run(number)
      dropSessionLanes.run(number)
      for (const one of ofSession(number)) {
        if (!one.endpoint.isActive) {
          remove(tx, one.number)
          continue
        }
        doom.run(one.number)
        tx.afterCommit(() => stored.set(one.number, { ...one, doomed: true }))
      }
    },
  }
}
