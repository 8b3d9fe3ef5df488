import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { proto } from '@whiskeysockets/baileys'
import { asJid, asMessageId } from '../../src/domain/ids'
import { isoTime } from '../../src/lib/clock'
import { created, makeEvent, makeMessage, makeRig, type Rig } from './rig'

const MESSAGES = 4_000
/** What a received text may cost on disk with everything that belongs to it, beside the barest row that holds it. */
const MOST = 1.5

let rig: Rig
beforeAll(() => {
  rig = makeRig()
})
afterAll(() => rig.clear())

const textOf = (n: number): string => `Hello, this is message ${n} of an ordinary length`

type Sample = { id: string; chat: string; phone: string; at: number; text: string; raw: Uint8Array }
const samples = Array.from({ length: MESSAGES }, (_, n): Sample => {
  const person = n % 40
  const text = textOf(n)
  return {
    id: `3EB0${randomBytes(9).toString('hex').toUpperCase()}`,
    chat: `${100_200_300_400_500 + person}@lid`,
    phone: `${491_700_000_000 + person}`,
    at: 1_790_000_000_000 + n * 1_000,
    text,
    raw: proto.Message.encode({ conversation: text }).finish(),
  }
})

/** Bytes of every table and index, by name, for each message; the one page that an empty one takes is no cost of theirs. */
function sizes(file: string): Record<string, number> {
  const database = new Database(file)
  database.run('VACUUM')
  const rows = database
    .query<{ name: string; bytes: number }, []>(
      'SELECT name, sum(pgsize) - max(pgsize) AS bytes FROM dbstat GROUP BY name',
    )
    .all()
  database.close()
  return Object.fromEntries(rows.map(({ name, bytes }) => [name, bytes / MESSAGES]))
}
const sum = (of: Record<string, number>): number => Object.values(of).reduce((all, one) => all + one, 0)

/** One protobuf per message, found by its id and by chat and time. */
function bareRows(file: string): number {
  const database = new Database(file, { create: true })
  database.run(
    'CREATE TABLE m (number INTEGER PRIMARY KEY, id TEXT NOT NULL, chat TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL)',
  )
  database.run('CREATE UNIQUE INDEX m_id ON m (id)')
  database.run('CREATE INDEX m_chat ON m (chat, at)')
  const insert = database.prepare('INSERT INTO m (id, chat, at, body) VALUES (?, ?, ?, ?)')
  database.transaction(() => {
    for (const { id, chat, at, text } of samples) {
      const whole = proto.WebMessageInfo.encode({
        key: { id, remoteJid: chat, fromMe: false },
        message: { conversation: text },
        messageTimestamp: at / 1_000,
        pushName: 'Ada Lovelace',
      }).finish()
      insert.run(id, chat, at, whole)
    }
  })()
  database.close()
  return sum(sizes(file))
}

test('a received text costs at most half as much again as a bare row, sealed, told and found by its words', async () => {
  const storage = rig.open()
  await storage.ledger.commit([created()])
  const pairs = new Map(samples.map(({ chat, phone }) => [chat, phone]))
  for (const [lid, phoneNumber] of pairs) {
    const change = {
      kind: 'identity' as const,
      sessionId: makeMessage('x').sessionId,
      lid: asJid(lid),
      phoneNumber,
    }
    await storage.ledger.commit([{ change, events: [] }])
  }
  for (let from = 0; from < MESSAGES; from += 100) {
    await storage.ledger.commit(
      samples.slice(from, from + 100).map(({ id, chat, phone, at, text, raw }) => ({
        change: {
          kind: 'message' as const,
          message: makeMessage(id, {
            id: asMessageId(id),
            chat: asJid(chat),
            sender: { lid: asJid(chat), phoneNumber: phone },
            senderName: 'Ada Lovelace',
            content: { type: 'text', text },
            timestamp: at,
            raw,
          }),
          keepContent: true,
          inboxId: null,
        },
        events: [
          makeEvent('message.received', {
            messageId: id,
            from: phone,
            to: 'me',
            chat: phone,
            type: 'text',
            text,
            contact: { name: 'Ada Lovelace', profilePicture: null },
            lid: chat,
            phoneNumber: phone,
            mentions: [],
            quoted: null,
            sentAt: isoTime(at),
            fromMe: false,
            viaApi: false,
            offline: false,
          }),
        ],
      })),
    )
  }
  await storage.messages.searchable()
  await storage.close()
  const ours = sizes(rig.file)
  const bare = bareRows(join(rig.directory, 'bare.db'))
  const table = Object.entries(ours)
    .filter(([, bytes]) => bytes >= 1)
    .sort(([, a], [, b]) => b - a)
    .map(([name, bytes]) => `${name} ${bytes.toFixed(0)}`)
    .join(', ')
  console.log(`bytes per text: ${sum(ours).toFixed(0)} beside ${bare.toFixed(0)} bare (${table})`)
  expect(sum(ours)).toBeLessThan(MOST * bare)
}, 60_000)
