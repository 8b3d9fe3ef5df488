/**
 * Opens the data directory: lock, pragmas, migrations, master key, and the parts that read and write.
 */
import { Database } from 'bun:sqlite'
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { Audit } from '../domain/audit'
import type { Ledger } from '../domain/changes'
import { AppError } from '../domain/errors'
import { IDEMPOTENCY_KEPT, type Idempotency } from '../domain/idempotency'
import { asTenantId, type TenantId } from '../domain/ids'
import type { Journal } from '../domain/journal'
import type { MediaStore } from '../domain/media'
import type { Identities, Messages } from '../domain/message'
import type { Vaults } from '../domain/ownership'
import type { Accounts } from '../domain/principal'
import type { Sessions } from '../domain/session'
import type { Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { createAccounts } from './accounts'
import { createActs } from './acts'
import { createAudit } from './audit'
import { createBeside } from './beside'
import { unpackId } from './codes'
import { createCounters } from './counters'
import { createEndpoints } from './endpoints'
import { createErasure } from './erasure'
import { createGroupCommit, storageFault } from './group-commit'
import { createIdempotency } from './idempotency'
import { createIndexer } from './indexer'
import { createJanitor, type Janitor } from './janitor'
import { createJournal } from './journal'
import { openKeys, type Rewrapped, type StoreKeys } from './keys'
import { createLedger } from './ledger'
import { takeInstanceLock } from './lock'
import { createMediaDisk } from './media-disk'
import { createMediaRows } from './media-rows'
import { createMediaStore } from './media-store'
import { createMessageBodies, type Reword } from './message-bodies'
import { createMessageWriter } from './message-writer'
import { createMessages } from './messages'
import { createMeta, type Meta } from './meta'
import { migrate } from './migrate'
import { createNumbers } from './numbers'
import { createParties } from './parties'
import { applyPragmas, type Sync } from './pragmas'
import { StorageRefused } from './refused'
import { KEY_BYTES, Unsealable } from './seal'
import { createSealing } from './sealing'
import { createSearchIndex } from './search-index'
import { createTotals } from './session-totals'
import { createSessionRows } from './sessions'
import { createVaults } from './vault'
import { createWebhooks } from './webhooks'

export type StorageOptions = {
  /** Path of the SQLite file; its directory is made if need be. */
  file: string
  /** 32 bytes. */
  masterKey: Uint8Array
  /** The key to which it is being changed: a crash may have come before the old one was replaced where it is kept. */
  nextMasterKey?: Uint8Array
  clock: Clock
  sync: Sync
  log: Log
  /** Age at which events leave the journal (ms); 30 days unless told otherwise. */
  eventsKept?: number
  /** Age at which entries leave the audit log (ms); a year unless told otherwise. */
  auditKept?: number
  /** Puts other words into an encoded message; without it an edited one has no encoded form any more. */
  reword?: Reword
  /** Bytes that an account's files may take; as many as the disk has unless told otherwise. */
  mediaQuota?: (tenantId: TenantId) => number | null
}

export type Storage = {
  sessions: Sessions
  messages: Messages
  identities: Identities
  ledger: Ledger
  journal: Journal
  vaults: Vaults
  webhooks: Webhooks
  accounts: Accounts
  idempotency: Idempotency
  /** Files lie in `media/` beside the database. */
  media: MediaStore
  meta: Meta
  keys: Keys
  audit: Audit
  /** To be started and stopped by the owner. */
  janitor: Janitor
  /** False while the disk does not accept writes. */
  healthy(): boolean
  /** Writes what is queued, empties the write-ahead log, lets go of the lock; idempotent. */
  close(): Promise<void>
}

/** The keys of the store as its owner sees them. */
export type Keys = Pick<StoreKeys, 'secret' | 'isMaster'> & {
  /** Makes `next` the master key; on disk when it returns. Throws `STORAGE_UNAVAILABLE`, or `Unsealable`. */
  rotate(next: Uint8Array): Rewrapped
}

const DAY = 86_400_000
/** Pause before the write-ahead log is emptied after something was erased (ms); many erasures share it. */
const ERASE_AFTER = 1_000

/** Makes the directory private, and the file before SQLite would make it readable to others. */
function prepareFile(file: string, log: Log): void {
  const directory = dirname(file)
  if (!existsSync(directory)) mkdirSync(directory, { recursive: true, mode: 0o700 })
  else if ((statSync(directory).mode & 0o077) !== 0) {
    log.warn('The data directory can be read by other users of this machine', { directory })
  }
  for (const path of [file, `${file}.lock`]) {
    // Never open one that is in use: closing it would drop the locks that this process holds on it (POSIX).
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
  }
}

/** Throws `StorageRefused` when the data directory must not or cannot be used. */
export function openStorage(options: StorageOptions): Storage {
  const { file, log } = options
  if ([options.masterKey, options.nextMasterKey].some((key) => key && key.length !== KEY_BYTES)) {
    throw new StorageRefused('wrong_master_key', `The master key needs ${KEY_BYTES} bytes`)
  }
  try {
    prepareFile(file, log)
  } catch (error) {
    throw new StorageRefused('unusable', `The data directory cannot be written: ${String(error)}`)
  }
  const unlock = takeInstanceLock(`${file}.lock`)
  try {
    const database = new Database(file, { create: true, strict: true })
    try {
      return assemble(database, options, unlock)
    } catch (error) {
      database.close()
      throw error
    }
  } catch (error) {
    unlock()
    if (error instanceof Unsealable) {
      const says = `${error.message}; the database is damaged, or somebody else has changed it`
      throw new StorageRefused('unusable', says)
    }
    const code = storageFault(error)
    throw code ? new StorageRefused('unusable', `The database cannot be used (${code})`) : error
  }
}

function assemble(database: Database, options: StorageOptions, unlock: () => void): Storage {
  const { masterKey, nextMasterKey, clock, log } = options
  applyPragmas(database, options.sync, log)
  migrate(database, clock.now())

  const meta = createMeta(database)
  const candidates = nextMasterKey ? ([masterKey, nextMasterKey] as const) : ([masterKey] as const)
  const keys = openKeys({ database, meta, candidates })

  let cancelErase: (() => void) | null = null
  const onErased = () => {
    cancelErase ??= clock.after(ERASE_AFTER, () => {
      cancelErase = null
      try {
        database.run('PRAGMA wal_checkpoint(TRUNCATE)')
      } catch (error) {
        log.warn('The write-ahead log cannot be emptied now', { error: String(error) })
      }
    })
  }

  const writer = createGroupCommit({ database, clock, log })
  const numbers = createNumbers(database, keys.master)
  const audit = createAudit({ database, writer, meta, key: keys.secret('audit'), clock, log })
  const totals = createTotals(database)
  const sessions = createSessionRows(database, numbers, totals)
  const counters = createCounters(database, totals)
  const journal = createJournal({
    database,
    meta,
    numbers,
    sealer: keys.sealer('journal'),
    beside: createBeside(database, numbers),
    clock,
    log,
  })
  const vaults = createVaults({ database, writer, numbers, clock, onErased })
  const media = createMediaStore({
    disk: createMediaDisk({ directory: join(dirname(options.file), 'media'), sync: options.sync, log }),
    rows: createMediaRows({ database, numbers, uploads: keys.sealer('uploads') }),
    writer,
    clock,
    log,
    ...(options.mediaQuota ? { quota: options.mediaQuota } : {}),
  })
  const search = createSearchIndex({ database, meta, numbers })
  const indexer = createIndexer({ index: search, writer, clock, log })
  const bodies = createMessageBodies({
    database,
    reword: options.reword ?? (() => null),
    onChange: (row, told) => journal.detach(told, row.number),
    onChanged: search.changed,
  })
  const acts = createActs({
    database,
    bodies,
    dropFile: (tx, session, id) => media.forgetMessage(tx, session, unpackId(id)),
  })
  const erasure = createErasure({ database, writer, meta, search, journal, log, onErased })
  const sealing = createSealing({
    database,
    writer,
    meta,
    numbers,
    encrypts: sessions.encrypts,
    log,
    onErased,
  })
  const parties = createParties(database, numbers, (tx, session, from, to) => {
    const joined = numbers.session(numbers.sessionId(session), tx)
    if (joined) acts.joined(tx, joined, from, to)
  })
  const endpoints = createEndpoints({ database, numbers, sealer: keys.sealer('rows'), journal, clock })
  const webhooks = createWebhooks({ database, writer, meta, numbers, endpoints, journal, clock, log })
  const ledger = createLedger({
    writer,
    numbers,
    sessions,
    messages: createMessageWriter({ database, parties, bodies, acts }),
    acts,
    erasure,
    sealing,
    onMessage: () => indexer.noted(1),
    parties,
    counters,
    vaults,
    journal,
    endpoints,
    media,
    onErased,
  })
  const eventsKept = options.eventsKept ?? 30 * DAY
  const auditKept = options.auditKept ?? 365 * DAY
  const janitor = createJanitor({
    database,
    writer,
    journal,
    webhooks,
    media,
    audit,
    clock,
    log,
    eventsKept,
    auditKept,
  })

  keys.tidy(journal.floor(), clock.now() - 2 * IDEMPOTENCY_KEPT)
  erasure.resume()
  sealing.resume()
  audit.resume()

  let closed = false
  return {
    sessions,
    messages: createMessages({
      database,
      numbers,
      parties,
      totals,
      search,
      searchable: () =>
        indexer.catchUp().catch((error) => {
          // What cannot be written into the index now is read instead.
          if (!(error instanceof AppError) || error.code !== 'STORAGE_UNAVAILABLE') throw error
        }),
      now: () => clock.now(),
    }),
    identities: parties,
    ledger,
    journal,
    vaults,
    webhooks,
    accounts: createAccounts({
      database,
      drizzle: drizzle({ client: database }),
      writer,
      onRemoved: (tx, tenant) => {
        audit.forgetAccount(tenant)
        const id = asTenantId(tenant)
        endpoints.forgetTenant(tx, tenant)
        media.forgetTenant(tx, id)
        const number = numbers.tenant(id)
        if (number !== null) erasure.beginTenant(tx, number, journal.forgetTenant(tx, id))
        numbers.forgetTenant(tx, id)
        tx.afterCommit(onErased)
      },
    }),
    idempotency: createIdempotency({ database, writer, sealer: keys.sealer('answers'), clock }),
    media,
    meta,
    audit,
    keys: {
      secret: keys.secret,
      isMaster: keys.isMaster,
      rotate(next) {
        const done = keys.rotate(next, {
          head: journal.head(),
          now: clock.now(),
          note: () => audit.note('key.rotated'),
        })
        // The log has the keys as the old master key has sealed them.
        onErased()
        return done
      },
    },
    janitor,
    healthy: () => writer.healthy(),
    async close() {
      if (closed) return
      closed = true
      await sealing.stop()
      await janitor.stop()
      await indexer.stop()
      await erasure.stop()
      writer.close()
      await media.settled()
      cancelErase?.()
      try {
        database.run('PRAGMA wal_checkpoint(TRUNCATE)')
      } catch (error) {
        log.warn('The write-ahead log cannot be emptied at the end', { error: String(error) })
      }
      database.close()
      unlock()
    },
  }
}
