/**
 * The keys of the store. Everything is sealed under a random key of its own purpose or session; the master key seals only
 * those keys. So it is changed in one short transaction, whatever the size of the database, and no crash can leave it half
 * changed.
 *
 * What belongs to no session is sealed under the newest key of its name. A change of the master key draws new ones; the old
 * stay, sealed under the new master key, as long as there is something that they have sealed.
 */
import { Database } from 'bun:sqlite'
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { fail } from '../domain/errors'
import { storageFault } from './group-commit'
import type { Meta } from './meta'
import { placeOfDataKey } from './numbers'
import { StorageRefused } from './refused'
import { createSealer, deriveKey, KEY_BYTES, keyIdOf, placeOf, type Sealer, Unsealable } from './seal'

/** How keys of a name come and go when the master key changes. */
type Course =
  /** A new one is drawn, and what the old has sealed is sealed anew in the same transaction. */
  | 'resealed'
  /** A new one is drawn; the old goes when everything is gone that it may have sealed. */
  | 'aged'
  /** It stays: what was made with it is in other hands. */
  | 'kept'

/** What each key seals or signs. */
export const KEYS = {
  /** Webhook secrets and headers. */
  rows: 'resealed',
  /** Secrets of uploads, which belong to no session. */
  uploads: 'resealed',
  /** Events. */
  journal: 'aged',
  /** Answers kept for repeated requests. */
  answers: 'aged',
  /** Signs bearer tokens, unless JWT_SECRET does. */
  tokens: 'kept',
  /** Signs the links of uploads. */
  links: 'kept',
  /** Chains the audit log. */
  audit: 'kept',
} as const satisfies Record<string, Course>
export type KeyName = keyof typeof KEYS
const NAMES = Object.keys(KEYS) as KeyName[]

/** Sealed columns whose key is drawn anew: what identifies a row, and the place for which it is sealed. */
const RESEALED: readonly {
  key: KeyName
  table: string
  columns: readonly string[]
  where: string
  place: (id: string, column: string) => string
}[] = [
  {
    key: 'rows',
    table: 'endpoints',
    columns: ['secret', 'old_secret', 'headers'],
    where: 'true',
    place: (id, column) => placeOf('endpoints', id, column),
  },
  {
    key: 'uploads',
    table: 'files',
    columns: ['secret'],
    where: 'session IS NULL',
    place: (id) => placeOf('files', id),
  },
]

/** Living keys of one name: there are 256 bytes to tell them apart. */
const MOST = 200

/** How many keys a change of the master key has sealed anew: of sessions, and of the store itself. */
export type Rewrapped = { sessions: number; keys: number }

export interface StoreKeys {
  /** Seals keys under the master key of the moment. */
  readonly master: Sealer
  /** Seals with the newest key of this name, and opens with the one that a blob names. */
  sealer(name: KeyName): Sealer
  /** The bytes of the newest key of this name. */
  secret(name: KeyName): Uint8Array
  /** True for the master key of the moment. */
  isMaster(key: Uint8Array): boolean
  /**
   * Makes `next` the master key, in one transaction that is on disk when this returns; must not be called inside another.
   * `head`: the last number in the journal; `note` is called inside the transaction. Throws `STORAGE_UNAVAILABLE`, or
   * `Unsealable` for a row that does not open; then nothing has changed.
   */
  rotate(next: Uint8Array, at: { head: number; now: number; note?: () => void }): Rewrapped
  /** Removes keys of which nothing is left: events up to `floor` are gone, and answers of before `answersFrom` (ms). */
  tidy(floor: number, answersFrom: number): void
}

const placeOfStoreKey = (name: string, number: number): string => placeOf('keys', name, String(number))
const CANARY = placeOf('meta', 'canary')

const masterSealer = (key: Uint8Array): Sealer => createSealer(deriveKey(key, 'data keys'))
const canaryOf = (sealer: Sealer): string =>
  Buffer.from(sealer.seal(Buffer.from('wabun'), CANARY)).toString('base64')

/** Whether a database with this mark (`canary` of the table `meta`) has this master key. */
function isMasterOf(canary: string, key: Uint8Array): boolean {
  try {
    masterSealer(key).open(Buffer.from(canary, 'base64'), CANARY)
    return true
  } catch (error) {
    if (error instanceof Unsealable) return false
    throw error
  }
}

/** Whether the database in this file, which another process may be using, has this master key. */
export function fileHasMaster(file: string, key: Uint8Array): boolean {
  const database = new Database(file, { readonly: true })
  try {
    const canary = database
      .query<{ value: string }, []>("SELECT value FROM meta WHERE name = 'canary'")
      .get()?.value
    return canary !== undefined && isMasterOf(canary, key)
  } finally {
    database.close()
  }
}

/** The first of `candidates` that is the master key; the first of all for a new database. Throws `StorageRefused`. */
function chooseMaster(meta: Meta, candidates: readonly Uint8Array[]): Uint8Array {
  const canary = meta.get('canary')
  const found = candidates.find((key) => canary === null || isMasterOf(canary, key))
  if (found) return found
  throw new StorageRefused(
    'wrong_master_key',
    'The master key is not the one this database was made with; start with that one (MASTER_KEY, MASTER_KEY_FILE or master.key in the data directory)',
  )
}

/** What earlier programs have used, which derived these keys from the master key. Tokens had a day to live anyway. */
const derived = (master: Uint8Array): Partial<Record<KeyName, Uint8Array>> => ({
  rows: deriveKey(master, 'rows'),
  journal: deriveKey(master, 'rows'),
  answers: deriveKey(master, 'rows'),
  uploads: deriveKey(master, 'uploads'),
})

type Row = { name: KeyName; number: number; value: Uint8Array; sealed_to: number | null }
type StoreKey = { number: number; bytes: Uint8Array; sealer: ReturnType<typeof createSealer> }

/** Opens the keys, or makes them; `candidates`: the master key, and the one to which it is being changed. */
export function openKeys(parts: {
  database: Database
  meta: Meta
  candidates: readonly [Uint8Array, ...Uint8Array[]]
}): StoreKeys {
  const { database, meta, candidates } = parts
  const all = database.prepare<Row, []>('SELECT name, number, value, sealed_to FROM keys ORDER BY number')
  const put = database.prepare<unknown, [string, number, Uint8Array]>(
    'INSERT INTO keys (name, number, value) VALUES (?, ?, ?)',
  )
  const rewrite = database.prepare<unknown, [Uint8Array, string, number]>(
    'UPDATE keys SET value = ? WHERE name = ? AND number = ?',
  )
  const age = database.prepare<unknown, [number, string, number]>(
    'UPDATE keys SET sealed_to = ? WHERE name = ? AND number = ?',
  )
  const dropAged = database.prepare<unknown, [string, number]>(
    'DELETE FROM keys WHERE name = ? AND sealed_to <= ?',
  )
  const dropOld = database.prepare<unknown, [string, number]>(
    'DELETE FROM keys WHERE name = ? AND number < ?',
  )
  const dataKeys = database.prepare<{ id: string; data_key: Uint8Array }, []>(
    'SELECT id, data_key FROM session_numbers WHERE data_key IS NOT NULL',
  )
  const putDataKey = database.prepare<unknown, [Uint8Array, string]>(
    'UPDATE session_numbers SET data_key = ? WHERE id = ?',
  )

  let masterKey = chooseMaster(meta, candidates)
  let wrapping = masterSealer(masterKey)

  /** In a transaction: a new key of this name that no blob can mistake for another of them. */
  function draw(
    name: KeyName,
    number: number,
    others: readonly StoreKey[],
    under: Sealer,
    given?: Uint8Array,
  ): void {
    const taken = new Set(others.map(({ bytes }) => keyIdOf(bytes)))
    if (taken.size >= MOST)
      throw new Error(`There are ${MOST} keys for ${name} already; wait until old events are gone`)
    let bytes: Uint8Array = given ?? randomBytes(KEY_BYTES)
    while (taken.has(keyIdOf(bytes))) bytes = randomBytes(KEY_BYTES)
    put.run(name, number, under.seal(bytes, placeOfStoreKey(name, number)))
  }

  function load(under: Sealer): Record<KeyName, StoreKey[]> {
    const found = Object.fromEntries(NAMES.map((name) => [name, []])) as unknown as Record<
      KeyName,
      StoreKey[]
    >
    for (const { name, number, value } of all.all()) {
      const bytes = under.open(value, placeOfStoreKey(name, number))
      found[name]?.push({ number, bytes, sealer: createSealer(bytes) })
    }
    return found
  }

  function newest(name: KeyName): StoreKey {
    const found = ring[name].at(-1)
    if (!found) throw new Error(`There is no key for ${name}`)
    return found
  }

  const prepare = database.transaction(() => {
    const known = load(wrapping)
    const isNew = meta.get('canary') === null
    const earlier = isNew ? {} : derived(masterKey)
    for (const name of NAMES) if (known[name].length === 0) draw(name, 1, [], wrapping, earlier[name])
    if (isNew) meta.set('canary', canaryOf(wrapping))
  })
  prepare.immediate()
  let ring = load(wrapping)

  const sealerOf = (name: KeyName): Sealer => ({
    seal: (plain, place) => newest(name).sealer.seal(plain, place),
    open(sealed, place) {
      const key = ring[name].find(({ sealer }) => sealer.id === sealed[1])
      if (!key) throw new Unsealable(place)
      return key.sealer.open(sealed, place)
    },
  })
  const sealers = new Map(NAMES.map((name) => [name, sealerOf(name)] as const))

  /** In the transaction of `rotate`, when the new key is in `fresh`. */
  function reseal(
    old: Sealer,
    fresh: Sealer,
    { table, columns, where, place }: (typeof RESEALED)[number],
  ): void {
    for (const column of columns) {
      const rows = database
        .query<{ id: string; value: Uint8Array }, []>(
          `SELECT id, ${column} AS value FROM ${table} WHERE ${column} IS NOT NULL AND ${where}`,
        )
        .all()
      const write = database.query<unknown, [Uint8Array, string]>(
        `UPDATE ${table} SET ${column} = ? WHERE id = ?`,
      )
      for (const { id, value } of rows) {
        const at = place(id, column)
        write.run(fresh.seal(old.open(value, at), at), id)
      }
    }
  }

  return {
    master: {
      seal: (plain, place) => wrapping.seal(plain, place),
      open: (sealed, place) => wrapping.open(sealed, place),
    },
    sealer: (name) => sealers.get(name) ?? sealerOf(name),
    secret: (name) => newest(name).bytes,
    isMaster: (key) => key.length === masterKey.length && timingSafeEqual(key, masterKey),
    rotate(next, { head, now, note }) {
      const nextWrapping = masterSealer(next)
      const change = database.transaction((): Rewrapped => {
        const sessions = dataKeys.all()
        for (const { id, data_key } of sessions) {
          const place = placeOfDataKey(id)
          putDataKey.run(nextWrapping.seal(wrapping.open(data_key, place), place), id)
        }
        const keys = all.all()
        for (const { name, number, value } of keys) {
          const place = placeOfStoreKey(name, number)
          rewrite.run(nextWrapping.seal(wrapping.open(value, place), place), name, number)
        }
        for (const name of NAMES) {
          if (KEYS[name] === 'kept') continue
          const last = newest(name).number
          draw(name, last + 1, ring[name], nextWrapping)
          if (KEYS[name] === 'aged') age.run(name === 'journal' ? head : now, name, last)
        }
        const drawn = load(nextWrapping)
        for (const one of RESEALED) {
          const fresh = drawn[one.key].at(-1)
          if (fresh) reseal(sealerOf(one.key), fresh.sealer, one)
        }
        for (const name of NAMES) {
          const last = drawn[name].at(-1)
          if (KEYS[name] === 'resealed' && last) dropOld.run(name, last.number)
        }
        meta.set('canary', canaryOf(nextWrapping))
        note?.()
        return { sessions: sessions.length, keys: keys.length }
      })
      try {
        const done = change.immediate()
        masterKey = next
        wrapping = nextWrapping
        ring = load(wrapping)
        return done
      } catch (error) {
        throw storageFault(error) ? fail('STORAGE_UNAVAILABLE') : error
      }
    },
    tidy(floor, answersFrom) {
      dropAged.run('journal', floor)
      dropAged.run('answers', answersFrom)
      ring = load(wrapping)
    },
  }
}
