/** Webhook endpoints: few, read for every event, so all of them are kept in memory; secrets are sealed on disk. */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import { asTenantId } from '../domain/ids'
import type { Session } from '../domain/session'
import type { DisabledReason, Endpoint } from '../domain/webhook'
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
  /** Switching it on again forgets its failures; otherwise `failingSince` stays as it is stored. */
  save(tx: Tx, endpoint: Endpoint): void
  /** Begins or ends a time of nothing but failure. */
  noteOutcome(tx: Tx, number: number, ok: boolean): void
  remove(tx: Tx, number: number): void
  /** Deliveries that wait are dropped in this transaction: what was read of them before does not count any more. */
  takeBack(tx: Tx): void
  /** How often that has happened. */
  takenBack(): number
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
  description: string | null
  headers: Uint8Array | null
  old_secret: Uint8Array | null
  old_secret_until: number | null
  failing_since: number | null
  disabled_reason: DisabledReason | null
  is_config: number
}

/** The columns that a saved endpoint sets. */
type Saved = Record<
  | 'url'
  | 'events'
  | 'secret'
  | 'isActive'
  | 'description'
  | 'headers'
  | 'oldSecret'
  | 'oldSecretUntil'
  | 'failingSince'
  | 'disabledReason'
  | 'fromSettings'
  | 'isConfig',
  string | number | Uint8Array | null
>

export function createEndpoints(parts: {
  database: Database
  numbers: Numbers
  sealer: Sealer
  journal: StoredJournal
  clock: Clock
}): Endpoints {
  const { database, numbers, sealer, journal, clock } = parts
  const insert = database.prepare<
    unknown,
    [
      Saved & {
        id: string
        tenant: string
        session: number | null
        since: number
        createdAt: number
      },
    ]
  >(
    `INSERT INTO endpoints (id, tenant, session, url, events, secret, is_active, from_settings, since, doomed, created_at,
       description, headers, old_secret, old_secret_until, failing_since, disabled_reason, is_config)
     VALUES ($id, $tenant, $session, $url, $events, $secret, $isActive, $fromSettings, $since, 0, $createdAt,
       $description, $headers, $oldSecret, $oldSecretUntil, $failingSince, $disabledReason, $isConfig)`,
  )
  const update = database.prepare<unknown, [Saved & { number: number }]>(
    `UPDATE endpoints SET url = $url, events = $events, secret = $secret, is_active = $isActive,
       from_settings = $fromSettings, description = $description, headers = $headers, old_secret = $oldSecret,
       old_secret_until = $oldSecretUntil, failing_since = $failingSince, disabled_reason = $disabledReason,
       is_config = $isConfig
     WHERE number = $number`,
  )
  const setFailing = database.prepare<unknown, [number | null, number]>(
    'UPDATE endpoints SET failing_since = ? WHERE number = ?',
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

  const asideNow = database.prepare<unknown, [number, number]>(
    "UPDATE deliveries SET due_at = ? WHERE endpoint = ? AND state = 'aside'",
  )
  const dropCounts = database.prepare<unknown, [number]>('DELETE FROM webhook_counts WHERE session = ?')

  type Sealed = 'secret' | 'old_secret' | 'headers'
  const sealed = (text: string, id: string, column: Sealed): Uint8Array =>
    sealer.seal(Buffer.from(text), placeOf('endpoints', id, column))
  const opened = (value: Uint8Array, id: string, column: Sealed): string =>
    Buffer.from(sealer.open(value, placeOf('endpoints', id, column))).toString()

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
      description: row.description,
      headers:
        row.headers === null
          ? {}
          : (JSON.parse(opened(row.headers, row.id, 'headers')) as Record<string, string>),
      secret: opened(row.secret, row.id, 'secret'),
      previousSecret:
        row.old_secret === null || row.old_secret_until === null
          ? null
          : { secret: opened(row.old_secret, row.id, 'old_secret'), until: row.old_secret_until },
      isActive: row.is_active === 1,
      disabledReason: row.disabled_reason,
      failingSince: row.failing_since,
      fromSettings: row.from_settings === 1,
      isConfig: row.is_config === 1,
      createdAt: row.created_at,
    },
  })

  const stored = new Map(
    database
      .query<Row, []>('SELECT * FROM endpoints')
      .all()
      .map((row) => [row.number, storedOf(row)] as const),
  )

  const numberOf = new Map([...stored.values()].map(({ endpoint, number }) => [endpoint.id, number] as const))
  const byId = (id: string): StoredEndpoint | null => stored.get(numberOf.get(id) ?? 0) ?? null

  const savedOf = (endpoint: Endpoint): Saved => {
    const { id, previousSecret, headers } = endpoint
    return {
      url: endpoint.url,
      events: JSON.stringify(endpoint.events),
      secret: sealed(endpoint.secret, id, 'secret'),
      isActive: endpoint.isActive ? 1 : 0,
      description: endpoint.description,
      headers: Object.keys(headers).length === 0 ? null : sealed(JSON.stringify(headers), id, 'headers'),
      oldSecret: previousSecret ? sealed(previousSecret.secret, id, 'old_secret') : null,
      oldSecretUntil: previousSecret?.until ?? null,
      failingSince: endpoint.failingSince,
      disabledReason: endpoint.disabledReason,
      fromSettings: endpoint.fromSettings ? 1 : 0,
      isConfig: endpoint.isConfig ? 1 : 0,
    }
  }

  function save(tx: Tx, given: Endpoint): void {
    const row = rowById.get(given.id)
    if (row) {
      const before = storedOf(row)
      const isResumed = given.isActive && !before.endpoint.isActive
      const endpoint: Endpoint = {
        ...given,
        disabledReason: given.isActive ? null : given.disabledReason,
        failingSince: isResumed ? null : row.failing_since,
      }
      update.run({ ...savedOf(endpoint), number: before.number })
      if (!endpoint.isActive) park.run(PARKED, before.number)
      else if (isResumed) {
        unpark.run(clock.now(), before.number, PARKED)
        asideNow.run(clock.now(), before.number)
      }
      tx.afterCommit(() => stored.set(before.number, { ...before, endpoint }))
      return
    }
    const { id, tenantId, sessionId, createdAt } = given
    const session = sessionId === null ? null : numbers.ensureSession(tx, sessionId).number
    const since = journal.head()
    const { lastInsertRowid } = insert.run({
      ...savedOf(given),
      id,
      tenant: tenantId,
      session,
      since,
      createdAt,
    })
    const number = Number(lastInsertRowid)
    tx.afterCommit(() => {
      stored.set(number, { number, session, since, doomed: false, endpoint: given })
      numberOf.set(id, number)
    })
  }

  function noteOutcome(tx: Tx, number: number, ok: boolean): void {
    const one = stored.get(number)
    // Memory may lag behind a change of the same transaction: then the same value is written once more.
    if (!one || ok === (one.endpoint.failingSince === null)) return
    const failingSince = ok ? null : clock.now()
    setFailing.run(failingSince, number)
    tx.afterCommit(() => {
      const current = stored.get(number)
      if (current) stored.set(number, { ...current, endpoint: { ...current.endpoint, failingSince } })
    })
  }

  let takenBack = 0
  const takeBack = (tx: Tx): void =>
    tx.afterCommit(() => {
      takenBack += 1
    })

  function remove(tx: Tx, number: number): void {
    takeBack(tx)
    dropDeliveries.run(number)
    dropLanes.run(number)
    drop.run(number)
    tx.afterCommit(() => {
      numberOf.delete(stored.get(number)?.endpoint.id ?? '')
      stored.delete(number)
    })
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
      description: present?.endpoint.description ?? null,
      events: present?.endpoint.events ?? [],
      headers: present?.endpoint.headers ?? {},
      secret: present?.endpoint.secret ?? newWebhookSecret(),
      previousSecret: present?.endpoint.previousSecret ?? null,
      isActive: true,
      disabledReason: null,
      failingSince: null,
      fromSettings: true,
      isConfig: present?.endpoint.isConfig ?? false,
      createdAt: present?.endpoint.createdAt ?? clock.now(),
    })
  }

  return {
    all: () => stored.values(),
    none: () => stored.size === 0,
    byId,
    byNumber: (number) => stored.get(number) ?? null,
    save,
    noteOutcome,
    remove,
    takeBack,
    takenBack: () => takenBack,
    follow,
    forgetTenant(tx, tenant) {
      for (const one of [...stored.values()]) if (one.endpoint.tenantId === tenant) remove(tx, one.number)
    },
    forget(tx, number) {
      takeBack(tx)
      dropSessionDeliveries.run(number)
      dropSessionLanes.run(number)
      dropCounts.run(number)
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
