import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { getTableColumns, getTableName, is } from 'drizzle-orm'
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core'
import { silentLog } from '../../src/lib/log'
import { migrate } from '../../src/storage/migrate'
import { MIGRATIONS } from '../../src/storage/migrations/index'
import { applyPragmas } from '../../src/storage/pragmas'
import { StorageRefused } from '../../src/storage/refused'
import * as schema from '../../src/storage/schema'
import { created, makeRig, type Rig, SESSION } from './rig'

let rig: Rig
beforeEach(() => {
  rig = makeRig()
})
afterEach(() => rig.clear())

function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof StorageRefused) return error.reason
    throw error
  }
  return 'opened'
}

describe('the data directory', () => {
  test('is private, and so are its files', async () => {
    const storage = rig.open()
    await storage.ledger.commit([created()])
    expect(statSync(dirname(rig.file)).mode & 0o777).toBe(0o700)
    const names = readdirSync(dirname(rig.file)).sort()
    expect(names).toContain('wabun.db-wal')
    for (const name of names) {
      expect([name, statSync(join(dirname(rig.file), name)).mode & 0o777]).toEqual([name, 0o600])
    }
  })

  test('has one user at a time, in this process and in others', async () => {
    const storage = rig.open()
    expect(refusal(() => rig.open())).toBe('in_use')
    const other = Bun.spawnSync([process.execPath, join(import.meta.dir, 'child.ts'), 'open', rig.file], {
      stdout: 'pipe',
      stderr: 'pipe',
    })
    expect(other.stdout.toString()).toContain('in_use')
    await storage.close()
    expect(refusal(() => rig.open())).toBe('opened')
  })

  test('a master key that is not its own is refused', async () => {
    await rig.open().close()
    expect(refusal(() => rig.open({ masterKey: new Uint8Array(32).fill(8) }))).toBe('wrong_master_key')
    // The refusal lets go of the lock.
    expect(refusal(() => rig.open())).toBe('opened')
  })

  test('a file that is no database is refused', async () => {
    await rig.open().close()
    await Bun.write(rig.file, 'x'.repeat(5_000))
    expect(refusal(() => rig.open())).toBe('unusable')
  })
})

test('SQLite takes every setting, and the reading back is real', async () => {
  const database = new Database(join(rig.directory, 'pragmas.db'), { create: true })
  applyPragmas(database, 'full', silentLog)
  const read = (name: string) => Object.values(database.query<object, []>(`PRAGMA ${name}`).get() ?? {})[0]
  expect(['journal_mode', 'synchronous', 'foreign_keys', 'secure_delete'].map(read)).toEqual(['wal', 2, 1, 1])
  applyPragmas(database, 'normal', silentLog)
  expect(read('synchronous')).toBe(1)
  database.close()
  const deaf = { run: () => undefined, query: () => ({ get: () => ({ value: 0 }) }) } as unknown as Database
  expect(refusal(() => applyPragmas(deaf, 'full', silentLog))).toBe('unusable')
})

describe('migrations', () => {
  const folder = join(import.meta.dir, '../../src/storage/migrations')

  test('the embedded ones are those of the folder', () => {
    const files = readdirSync(folder)
      .filter((name) => name.endsWith('.sql'))
      .sort()
    expect(MIGRATIONS.map(({ name }) => `${name}.sql`)).toEqual(files)
    for (const { name, sql } of MIGRATIONS)
      expect(sql).toBe(readFileSync(join(folder, `${name}.sql`), 'utf8'))
  })

  test('make exactly the tables, columns, keys and indexes that the schema names', () => {
    const database = new Database(':memory:')
    migrate(database, 0)
    type Named = { name: string }
    const real = (sql: string, ...values: string[]) => database.query<Named, string[]>(sql).all(...values)
    const tables: SQLiteTable[] = Object.values(schema).filter((table) => is(table, SQLiteTable))
    const names = real(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations' AND name NOT LIKE 'search%'",
    )
    expect(tables.map((table): string => getTableName(table)).sort()).toEqual(
      names.map(({ name }) => name).sort(),
    )
    for (const table of tables) {
      const name = getTableName(table)
      type Info = { name: string; type: string; notnull: number; pk: number }
      const columns = database.query<Info, [string]>('SELECT * FROM pragma_table_info(?)').all(name)
      const config = getTableConfig(table)
      const keys = new Set(config.primaryKeys.flatMap((key) => key.columns.map((column) => column.name)))
      const wanted = Object.values(getTableColumns(table)).map((column) => ({
        name: column.name,
        type: column.getSQLType().toUpperCase(),
        notnull: column.notNull ? 1 : 0,
        key: column.primary || keys.has(column.name),
      }))
      expect({ name, columns: wanted }).toEqual({
        name,
        columns: columns.map((one) => ({
          name: one.name,
          type: one.type,
          notnull: one.notnull,
          key: one.pk > 0,
        })),
      })
      const indexes = real("SELECT name FROM pragma_index_list(?) WHERE origin = 'c'", name)
      expect({ name, indexes: config.indexes.map((one) => one.config.name).sort() }).toEqual({
        name,
        indexes: indexes.map((one) => one.name).sort(),
      })
    }
  })

  test('run once, and again after a restart they change nothing', async () => {
    const storage = rig.open()
    await storage.ledger.commit([created()])
    await storage.close()
    expect(rig.open().sessions.get(SESSION)?.name).toBe('Support')
  })

  test('a database of a newer or another build is refused', () => {
    const database = new Database(':memory:')
    const one = { name: '0001', sql: 'CREATE TABLE a (x INTEGER)' }
    const two = { name: '0002', sql: 'CREATE TABLE b (x INTEGER)' }
    migrate(database, 0, [one, two])
    expect(refusal(() => migrate(database, 0, [one]))).toBe('newer_database')
    expect(refusal(() => migrate(database, 0, [one, { ...two, sql: 'CREATE TABLE c (x)' }]))).toBe(
      'changed_migration',
    )
    expect(refusal(() => migrate(database, 0, [one, two]))).toBe('opened')
  })

  test('a step that fails in the middle leaves nothing of itself', () => {
    const database = new Database(':memory:')
    const half = { name: '0001', sql: 'CREATE TABLE a (x INTEGER); CREATE TABLE a (x INTEGER)' }
    expect(() => migrate(database, 0, [half])).toThrow()
    migrate(database, 0, [{ name: '0001', sql: 'CREATE TABLE a (x INTEGER)' }])
  })
})

test('no transaction takes an async callback: it would commit before its first await ends', () => {
  const bad: string[] = []
  const pattern = /\b(?:transaction|writer\.run|\.run)\(\s*async\b/
  const root = join(import.meta.dir, '../../src/storage')
  for (const path of new Bun.Glob('**/*.ts').scanSync(root)) {
    if (pattern.test(readFileSync(join(root, path), 'utf8'))) bad.push(path)
  }
  expect(bad).toEqual([])
  expect(pattern.test('db.transaction(async () => {})')).toBe(true)
})
