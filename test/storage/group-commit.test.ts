import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { AppError } from '../../src/domain/errors'
import { systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { createGroupCommit, type GroupCommit } from '../../src/storage/group-commit'
import { movableClock } from './rig'

let database: Database
let writer: GroupCommit
let statements: string[]

beforeEach(() => {
  database = new Database(':memory:', { strict: true })
  database.run('CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT)')
  database.run('CREATE TABLE t (x INTEGER PRIMARY KEY, blob BLOB)')
  statements = []
  const prepare = database.prepare.bind(database)
  const counted = {
    get inTransaction() {
      return database.inTransaction
    },
    prepare(sql: string) {
      const statement = prepare(sql)
      return {
        run: () => {
          statements.push(sql.split(' ')[0] ?? '')
          return statement.run()
        },
      }
    },
  } as unknown as Database
  writer = createGroupCommit({ database: counted, clock: systemClock, log: silentLog })
})
afterEach(() => database.close())

const add = (x: number) => () => {
  database.run('INSERT INTO t (x) VALUES (?)', [x])
  return x
}
const rows = () =>
  database
    .query<{ x: number }, []>('SELECT x FROM t ORDER BY x')
    .all()
    .map(({ x }) => x)

describe('the write queue', () => {
  test('one turn is one transaction without savepoints', async () => {
    const done = await Promise.all([1, 2, 3].map((x) => writer.run(add(x))))
    expect(done).toEqual([1, 2, 3])
    expect(rows()).toEqual([1, 2, 3])
    expect(statements).toEqual(['BEGIN', 'COMMIT'])
  })

  test('what is due soon joins the next commit, in its place', async () => {
    const order: number[] = []
    const soon = writer.run(add(1), 'soon').then(() => order.push(1))
    await new Promise(setImmediate)
    expect(statements).toEqual([])
    const now = writer.run(add(2)).then(() => order.push(2))
    await Promise.all([soon, now])
    expect(statements).toEqual(['BEGIN', 'COMMIT'])
    expect(order).toEqual([1, 2])
  })

  test('what is due soon is written by itself when nobody else comes, and at the close', async () => {
    await writer.run(add(1), 'soon')
    expect(rows()).toEqual([1])
    void writer.run(add(2), 'soon')
    writer.close()
    expect(rows()).toEqual([1, 2])
  })

  test('work that fails spoils nobody else, and runs its tasks once', async () => {
    const tasks: string[] = []
    const outcomes = await Promise.allSettled([
      writer.run((tx) => {
        tx.afterCommit(() => tasks.push('first'))
        return add(1)()
      }),
      writer.run((tx) => {
        tx.afterCommit(() => tasks.push('never'))
        add(2)()
        throw new Error('half way')
      }),
      writer.run(add(1)),
      writer.run(add(3)),
    ])
    expect(outcomes.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
    expect(String((outcomes[1] as PromiseRejectedResult).reason)).toContain('half way')
    expect(rows()).toEqual([1, 3])
    expect(tasks).toEqual(['first'])
  })

  test('tasks run after the commit and before the promise', async () => {
    const order: string[] = []
    await writer
      .run((tx) => {
        tx.afterCommit(() => order.push(`task, in transaction: ${database.inTransaction}`))
        order.push('work')
      })
      .then(() => order.push('promise'))
    expect(order).toEqual(['work', 'task, in transaction: false', 'promise'])
  })

  test('a task that throws is no failure of the write', async () => {
    await writer.run((tx) => {
      add(1)()
      tx.afterCommit(() => {
        throw new Error('reader')
      })
    })
    expect(rows()).toEqual([1])
  })

  test('async work is refused whole', async () => {
    const work = async () => {
      add(1)()
      await Promise.resolve()
    }
    await expect(writer.run(work)).rejects.toThrow('synchronous')
    expect(rows()).toEqual([])
  })

  test('many are cut into batches, in order', async () => {
    const all = Array.from({ length: 1_200 }, (_, x) => x)
    await Promise.all(all.map((x) => writer.run(add(x))))
    expect(rows()).toEqual(all)
    expect(statements.filter((one) => one === 'COMMIT')).toHaveLength(3)
  })

  test('what is queued at the close is written, later work is refused', async () => {
    const queued = writer.run(add(1))
    writer.close()
    expect(await queued).toBe(1)
    await expect(writer.run(add(2))).rejects.toThrow('closed')
    expect(writer.healthy()).toBe(false)
  })
})

describe('a full disk', () => {
  const fill = () => {
    database.run('INSERT INTO t (blob) VALUES (zeroblob(200000))')
  }
  const code = (reason: unknown) => (reason instanceof AppError ? reason.code : String(reason))

  test('refuses whole batches with STORAGE_UNAVAILABLE, half of nothing, and recovers by itself', async () => {
    const clock = movableClock()
    let monotonic = 0
    clock.monotonic = () => monotonic
    writer = createGroupCommit({ database, clock, log: silentLog })
    await writer.run(add(1))
    const pages = database.query<{ page_count: number }, []>('PRAGMA page_count').get()?.page_count ?? 0
    database.run(`PRAGMA max_page_count = ${pages}`)
    const outcomes = await Promise.allSettled([writer.run(add(2)), writer.run(fill), writer.run(add(3))])
    expect(outcomes.map((one) => (one.status === 'rejected' ? code(one.reason) : 'ok'))).toEqual([
      'STORAGE_UNAVAILABLE',
      'STORAGE_UNAVAILABLE',
      'STORAGE_UNAVAILABLE',
    ])
    expect(rows()).toEqual([1])
    expect(database.inTransaction).toBe(false)
    await writer.run(add(4)).catch(() => undefined)
    database.run('PRAGMA max_page_count = 100000')
    await writer.run(fill)
    expect(writer.healthy()).toBe(true)
    expect(monotonic).toBe(0)
    monotonic = 10
  })

  test('healthy says so, and asks the disk again at most once a second', async () => {
    const clock = movableClock()
    let monotonic = 0
    clock.monotonic = () => monotonic
    writer = createGroupCommit({ database, clock, log: silentLog })
    database.run('PRAGMA query_only = ON')
    await writer.run(add(1)).catch(() => undefined)
    expect(writer.healthy()).toBe(false)
    database.run('PRAGMA query_only = OFF')
    monotonic += 999
    expect(writer.healthy()).toBe(false)
    monotonic += 1
    expect(writer.healthy()).toBe(true)
  })
})
