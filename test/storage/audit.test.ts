/** The audit log on disk: only added to, and whatever gets around that is found. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { AuditEntry } from '../../src/domain/audit'
import { type RawAuditRow, rowHash } from '../../src/storage/audit-row'
import type { Storage } from '../../src/storage/open'
import { MASTER, makeRig, movableClock, type Rig } from './rig'

let rig: Rig
beforeEach(() => {
  rig = makeRig()
})
afterEach(() => rig.clear())

const HOUR = 3_600_000
const DAY = 24 * HOUR

const entry = (also: Partial<AuditEntry> = {}): AuditEntry => ({
  at: 1_000,
  account: null,
  credential: 'key_1',
  action: 'POST /api/sessions/{id}/start',
  object: 'a'.repeat(32),
  session: 'a'.repeat(32),
  address: '192.0.2.7',
  agent: 'curl/8',
  result: 'ok',
  count: 1,
  fields: [],
  ...also,
})

/** A log of ten entries; the second half was written after a restart. */
async function ten(): Promise<Storage> {
  const first = rig.open()
  for (let at = 1; at <= 5; at++) await first.audit.append(entry({ at }))
  await first.close()
  const storage = rig.open()
  await Promise.all([6, 7, 8, 9, 10].map((at) => storage.audit.append(entry({ at }))))
  return storage
}

/** Changes the file as somebody does who has it, but not the master key. */
function tamper(...statements: string[]): void {
  const database = new Database(rig.file)
  for (const { name } of database
    .query<{ name: string }, []>(
      "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit%'",
    )
    .all())
    database.run(`DROP TRIGGER ${name}`)
  for (const sql of statements) database.run(sql)
  database.close()
}

const kinds = async (storage: Storage, known?: { number: number; hash: string }) =>
  (await storage.audit.verify(known)).problems.map(({ number, kind }) => `${kind} ${number}`)

describe('what is written', () => {
  test('comes back newest first, whole, and is sound', async () => {
    const storage = await ten()
    const rows = storage.audit.list({ limit: 100 })
    expect(rows.map(({ number }) => number)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    expect(rows[9]).toMatchObject({ ...entry({ at: 1 }), number: 1 })
    expect(await storage.audit.verify()).toMatchObject({
      sound: true,
      entries: 10,
      first: 1,
      last: 10,
      head: rows[0]?.hash,
      problems: [],
    })
  })

  test('is found by account, beginning of the action, session and time, a page at a time', async () => {
    const storage = rig.open()
    await storage.audit.append(entry({ at: 1, account: 'usr_a' }))
    await storage.audit.append(entry({ at: 2, account: 'usr_b', action: 'DELETE /api/sessions/{id}' }))
    await storage.audit.append(entry({ at: 3, account: 'usr_a', session: 'b'.repeat(32) }))
    const numbers = (filter: object) =>
      storage.audit.list({ limit: 100, ...filter }).map(({ number }) => number)
    expect(numbers({ account: 'usr_a' })).toEqual([3, 1])
    expect(numbers({ action: 'DELETE ' })).toEqual([2])
    expect(numbers({ action: '%' })).toEqual([])
    expect(numbers({ session: 'b'.repeat(32) })).toEqual([3])
    expect(numbers({ since: 2, until: 2 })).toEqual([2])
    expect(numbers({ limit: 2 })).toEqual([3, 2])
    expect(numbers({ limit: 2, before: 2 })).toEqual([1])
  })

  test('cannot be changed, put in between or taken away by this program', async () => {
    const storage = await ten()
    const database = new Database(rig.file)
    for (const sql of [
      "UPDATE audit SET result = 'ok' WHERE number = 3",
      'DELETE FROM audit WHERE number = 3',
      'DELETE FROM audit',
      'INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE number = 3',
      "UPDATE audit_origins SET address = 'x'",
    ]) {
      expect(() => database.run(sql)).toThrow(/the audit log/)
    }
    database.close()
    expect(storage.audit.list({ limit: 100 })).toHaveLength(10)
  })
})

describe('what somebody does to the file is found', () => {
  test.each([
    ['an entry that is changed', ["UPDATE audit SET result = 'FORBIDDEN' WHERE number = 4"], ['changed 4']],
    ['an entry that is taken out', ['DELETE FROM audit WHERE number = 4'], ['missing 5']],
    ['the first entries taken away', ['DELETE FROM audit WHERE number < 4'], ['missing 4']],
    [
      'two that change places',
      [
        'UPDATE audit SET number = -4 WHERE number = 4',
        'UPDATE audit SET number = 4 WHERE number = 5',
        'UPDATE audit SET number = 5 WHERE number = -4',
      ],
      ['changed 4', 'origin 4', 'changed 5', 'origin 5', 'changed 6'],
    ],
    [
      'one that is put at the end',
      [
        `INSERT INTO audit SELECT 11, at, account, credential, action, object, session, result, count, fields, NULL, hash
         FROM audit WHERE number = 10`,
      ],
      ['added 11'],
    ],
    [
      'an end that is cut off',
      ['DELETE FROM audit WHERE number > 7', 'DELETE FROM audit_origins WHERE number > 7'],
      ['truncated 7'],
    ],
    ['all of it', ['DELETE FROM audit'], ['truncated 0']],
    [
      'a head that is made to fit',
      [
        'DELETE FROM audit WHERE number > 7',
        `UPDATE meta SET value = json_set(value, '$.number', 7, '$.hash', (SELECT lower(hex(hash)) FROM audit WHERE number = 7))
         WHERE name = 'audit_head'`,
      ],
      ['truncated 7'],
    ],
    [
      'an anchor that is made to fit',
      [
        'DELETE FROM audit WHERE number < 4',
        `INSERT INTO meta VALUES ('audit_anchor', '{"number":3,"hash":"00","mac":"00"}')`,
      ],
      ['anchor 0', 'missing 4'],
    ],
    ['an address that is changed', ["UPDATE audit_origins SET address = 'x' WHERE number = 4"], ['origin 4']],
    ['an address that is taken away', ['DELETE FROM audit_origins WHERE number = 4'], ['origin 4']],
  ] as const)('%s', async (_, statements, found) => {
    await (await ten()).close()
    tamper(...statements)
    const storage = rig.open()
    expect(await kinds(storage)).toEqual([...found])
    // And still when the server has gone on writing.
    await storage.audit.append(entry({ at: 11 }))
    await storage.audit.append(entry({ at: 12 }))
    expect(await kinds(storage)).not.toEqual([])
  })

  test('a change with all hashes after it made anew, but without the key', async () => {
    await (await ten()).close()
    tamper("UPDATE audit SET result = 'FORBIDDEN' WHERE number = 4")
    const database = new Database(rig.file)
    const rows = database.query<RawAuditRow, []>('SELECT * FROM audit ORDER BY number').all()
    let before = rows[2]?.hash ?? new Uint8Array()
    for (const row of rows.slice(3)) {
      before = rowHash(new Uint8Array(32), before, row)
      database.run('UPDATE audit SET hash = ? WHERE number = ?', [before, row.number])
    }
    database.close()
    expect(await kinds(rig.open())).toEqual(
      [4, 5, 6, 7, 8, 9, 10].map((number) => `changed ${number}`).concat('changed 10'),
    )
  })

  test('a whole chain written anew under another key is none of ours', async () => {
    await (await ten()).close()
    tamper(
      'DELETE FROM audit',
      'DELETE FROM audit_origins',
      "DELETE FROM meta WHERE name LIKE 'audit%'",
      "DELETE FROM keys WHERE name = 'audit'",
    )
    const storage = rig.open()
    await storage.audit.append(entry())
    // From inside that cannot be told from a new log; who has kept a head elsewhere sees it.
    expect(await kinds(storage)).toEqual([])
    expect(await kinds(storage, { number: 1, hash: '00' })).toEqual(['unknown 1'])
  })

  test('an end cut off together with a head of before: only who has kept the later head can tell', async () => {
    const first = rig.open()
    for (let at = 1; at <= 5; at++) await first.audit.append(entry({ at }))
    await first.close()
    const copy = new Database(rig.file)
    const head = copy
      .query<{ value: string }, []>("SELECT value FROM meta WHERE name = 'audit_head'")
      .get()?.value
    copy.close()
    const second = rig.open()
    for (let at = 6; at <= 8; at++) await second.audit.append(entry({ at }))
    const { last, head: kept } = await second.audit.verify()
    await second.close()
    tamper(
      'DELETE FROM audit WHERE number > 5',
      `UPDATE meta SET value = '${head}' WHERE name = 'audit_head'`,
    )
    const storage = rig.open()
    expect(await kinds(storage)).toEqual([])
    expect(await kinds(storage, { number: last, hash: kept })).toEqual(['unknown 8'])
  })
})

describe('retention', () => {
  test('takes the front away, says so, and the rest stays sound', async () => {
    const clock = movableClock()
    const storage = rig.open({ clock, auditKept: 30 * DAY })
    const start = clock.now()
    for (let day = 0; day < 5; day++) await storage.audit.append(entry({ at: start + day * DAY }))
    const { head } = await storage.audit.verify()
    clock.shift = 32 * DAY + HOUR
    await storage.janitor.sweep()
    const rows = storage.audit.list({ limit: 100 })
    expect(rows.map(({ number, action, object }) => [number, action, object])).toEqual([
      [6, 'audit.pruned', '3'],
      [5, entry().action, entry().object],
      [4, entry().action, entry().object],
    ])
    expect(await storage.audit.verify({ number: 5, hash: head })).toMatchObject({
      sound: true,
      first: 4,
      entries: 3,
    })
    await storage.close()
    const database = new Database(rig.file)
    expect(database.query('SELECT number FROM audit_origins ORDER BY number').values()).toEqual([[4], [5]])
    database.close()
    // Everything may go, and the numbers go on.
    clock.shift = 400 * DAY
    const later = rig.open({ clock, auditKept: 30 * DAY })
    await later.janitor.sweep()
    expect(later.audit.list({ limit: 9 }).map(({ number }) => number)).toEqual([7])
    expect(await kinds(later)).toEqual([])
  })

  test('goes through many in pieces, and never beyond the first that is young', async () => {
    const clock = movableClock()
    const storage = rig.open({ clock, auditKept: DAY })
    const old = clock.now() - 3 * DAY
    await Promise.all(Array.from({ length: 4_500 }, () => storage.audit.append(entry({ at: old }))))
    await storage.audit.append(entry({ at: clock.now() }))
    await storage.audit.append(entry({ at: old }))
    await storage.janitor.sweep()
    expect(storage.audit.list({ limit: 9 }).map(({ number }) => number)).toEqual([4503, 4502, 4501])
    expect(await kinds(storage)).toEqual([])
  })
})

describe('an account that is removed', () => {
  test('leaves ids in the log; addresses and user agents go, and the chain stays sound', async () => {
    const storage = rig.open()
    const user = (id: string) => ({
      id,
      username: id,
      email: `${id}@example.com`,
      passwordHash: '!',
      role: 'user',
      plan: 'free',
      isActive: true,
      createdAt: 0,
      updatedAt: 0,
    })
    const key = (id: string) => ({
      id: `key_${id}`,
      tenantId: id,
      name: 'Default',
      hash: id,
      masked: '',
      scopes: null,
      isDefault: true,
      createdAt: 0,
    })
    for (const id of ['usr_a', 'usr_b'])
      await storage.accounts.addUser(user(id) as never, key(id) as never, { onlyFirst: false })
    await storage.audit.append(entry({ account: 'usr_a' }))
    await storage.audit.append(entry({ account: 'usr_b' }))
    const parting = storage.audit.begin(entry({ account: 'usr_a', action: 'DELETE /api/auth/account' }))
    await storage.accounts.removeUser('usr_a' as never)
    await parting.end(entry({ account: 'usr_a', action: 'DELETE /api/auth/account' }))
    expect(
      storage.audit.list({ limit: 9 }).map(({ account, address, agent }) => [account, address, agent]),
    ).toEqual([
      ['usr_a', null, null],
      ['usr_b', '192.0.2.7', 'curl/8'],
      ['usr_a', null, null],
    ])
    expect(await storage.audit.verify()).toMatchObject({ sound: true, erased: 1 })
    await storage.close()
    // Control: the same for an account that is still there is a finding.
    tamper('DELETE FROM audit_origins WHERE number = 2')
    expect(await kinds(rig.open())).toEqual(['origin 2'])
  })
})

describe('what is under way', () => {
  test('is on disk before, or with, what it does; a start tells it as interrupted', async () => {
    const storage = rig.open()
    const ended = storage.audit.begin(entry({ at: 1 }))
    storage.audit.begin(entry({ at: 2 }))
    await ended.end(entry({ at: 1 }))
    await storage.close()
    const again = rig.open()
    await again.audit.append(entry({ at: 3 }))
    expect(again.audit.list({ limit: 9 }).map(({ at, result }) => [at, result])).toEqual([
      [3, 'ok'],
      [2, 'INTERRUPTED'],
      [1, 'ok'],
    ])
    expect(await kinds(again)).toEqual([])
    await again.close()
    const database = new Database(rig.file)
    expect(database.query('SELECT count(*) FROM audit_open').values()).toEqual([[0]])
    database.close()
  })

  test('when its beginning cannot be written, its end says so', async () => {
    const storage = rig.open()
    await storage.close()
    await expect(storage.audit.begin(entry()).end(entry())).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
    })
  })
})

test('a change of the master key is told, in the same transaction, and leaves the log sound', async () => {
  const storage = await ten()
  const next = new Uint8Array(32).fill(9)
  storage.keys.rotate(next)
  await storage.audit.append(entry())
  await storage.close()
  const again = rig.open({ masterKey: next })
  expect(await again.audit.verify()).toMatchObject({ sound: true, entries: 12 })
  expect(again.audit.list({ limit: 2 }).map(({ action }) => action)).toEqual([entry().action, 'key.rotated'])
  expect(MASTER).not.toEqual(next)
})
