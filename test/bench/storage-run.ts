/** What a received text costs on disk, event log and all, beside the barest row that holds it. */
import { Database } from 'bun:sqlite'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { proto } from '@whiskeysockets/baileys'
import { until } from '../harness/measure'
import { pairAll, wabunGateway } from '../harness/world'
import type { Row } from './report'
import { type BenchWorld, freshNumbers } from './runs'

const MESSAGES = 4_000
const BURST = 200
const textOf = (n: number): string => `Hello, this is message ${n} of an ordinary length`

/** Bytes of a database whose write-ahead log has been folded in. */
function sizeOf(file: string): number {
  const database = new Database(file)
  // Plaintexts for stanzas that come twice are there for ten minutes, however many messages come.
  if (database.query("SELECT 1 FROM sqlite_schema WHERE name = 'plaintexts'").get() !== null)
    database.run('DELETE FROM plaintexts')
  database.run('PRAGMA wal_checkpoint(TRUNCATE)')
  database.run('VACUUM')
  database.run('PRAGMA wal_checkpoint(TRUNCATE)')
  database.close()
  return statSync(file).size
}

/** One protobuf per message, found by id and by chat and time: what any store needs at least. */
function bareRows(file: string, ids: readonly string[], chat: string): number {
  const database = new Database(file)
  database.run(
    'CREATE TABLE m (number INTEGER PRIMARY KEY, id TEXT NOT NULL, chat TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL)',
  )
  database.run('CREATE UNIQUE INDEX m_id ON m (id)')
  database.run('CREATE INDEX m_chat ON m (chat, at)')
  const insert = database.prepare('INSERT INTO m (id, chat, at, body) VALUES (?, ?, ?, ?)')
  const now = Math.floor(Date.now() / 1000)
  database.transaction(() => {
    ids.forEach((id, n) => {
      const body = proto.WebMessageInfo.encode({
        key: { id, remoteJid: chat, fromMe: false },
        message: { conversation: textOf(n) },
        messageTimestamp: now + n,
        pushName: 'Somebody',
      }).finish()
      insert.run(id, chat, (now + n) * 1000, body)
    })
  })()
  database.close()
  return sizeOf(file)
}

/** Texts received by one session with the defaults: content sealed, history kept, events kept. */
export async function measureStorage(world: BenchWorld): Promise<Row[]> {
  const { sandbox, options } = world
  const wabun = wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } })
  await wabun.start()
  const [own = '', sender = ''] = freshNumbers(2)
  await sandbox.addPhone(sender)
  const [id = ''] = await pairAll(wabun, sandbox, [own])
  const file = join(wabun.dataDir, 'wabun.sqlite')
  const stored = async () =>
    (await wabun.api<{ total: number }>('GET', `/api/messages/history/${id}?limit=1`)).total
  const take = async (from: number, to: number) => {
    const ids: string[] = []
    for (let n = from; n < to; n += BURST) {
      const orders = Array.from({ length: BURST }, (_, k) => ({ from: sender, to: own, text: textOf(n + k) }))
      ids.push(...(await sandbox.burst(orders)))
      await until(`${n + BURST} stored`, async () => ((await stored()) >= n + BURST ? true : null), 60_000)
    }
    return ids
  }
  // What does not grow with the messages is paid before.
  await take(0, BURST)
  await wabun.child.stop()
  const before = sizeOf(file)
  await wabun.start()
  const ids = await take(BURST, BURST + MESSAGES)
  // A search brings its index up to the last message.
  await wabun.api('GET', `/api/messages/history/${id}?search=ordinary&limit=1`)
  options.say(`${ids.length} texts stored`)
  await wabun.child.stop()
  const ours = (sizeOf(file) - before) / MESSAGES
  await wabun.end()
  const folder = mkdtempSync(join(tmpdir(), 'wabun-bare-'))
  const bare = bareRows(join(folder, 'bare.sqlite'), ids, `${sender}@s.whatsapp.net`) / MESSAGES
  rmSync(folder, { recursive: true, force: true })
  return [
    {
      name: 'disk per received text: row, event, search, indexes (beside a bare protobuf row with two indexes)',
      unit: 'bytes',
      wabun: [ours],
      raw: [bare],
      goal: '≤ 1.5 × bare',
      meets: (mine, yardstick) => mine <= 1.5 * yardstick,
    },
  ]
}
