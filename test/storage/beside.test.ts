import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { Fact } from '../../src/domain/changes'
import type { Content } from '../../src/domain/content'
import { asMessageId } from '../../src/domain/ids'
import { asFileId } from '../../src/domain/media'
import type { Message } from '../../src/domain/message'
import { DEFAULT_SETTINGS } from '../../src/domain/session'
import { isoTime } from '../../src/lib/clock'
import type { Storage } from '../../src/storage/open'
import { created, makeEvent, makeMessage, makeRig, makeSession, type Rig, SESSION } from './rig'

let rig: Rig
let storage: Storage
beforeEach(async () => {
  rig = makeRig()
  storage = rig.open()
  await storage.ledger.commit([created()])
})
afterEach(() => rig.clear())

const WORDS = 'words that are long enough to be worth something 123'
const told = (id: string, content: Content, also: Partial<Message> = {}, keepContent = true): Fact => {
  const message = makeMessage(id, { content, raw: new Uint8Array(Buffer.from(`\x0a\x20${WORDS}`)), ...also })
  return {
    change: { kind: 'message', message, keepContent, inboxId: null },
    events: [
      makeEvent(message.fromMe ? 'message.sent' : 'message.received', {
        messageId: id,
        ...content,
        contact: { name: message.senderName },
        sentAt: isoTime(message.timestamp),
      }),
      makeEvent('contact.updated', { about: id }),
    ],
  }
}
const text: Content = { type: 'text', text: WORDS }
const edit: Content = { type: 'edit', text: 'new', targetMessageId: 'T' }
const remove: Content = { type: 'delete', targetMessageId: 'T' }

/** Every event as it is read from disk by a process that has nothing in memory. */
async function fromDisk(): Promise<string[]> {
  await storage.close()
  storage = rig.open()
  return storage.journal.read(0, 1_000).map(({ json }) => json)
}
function bodies(): { event: string; bytes: number }[] {
  const database = new Database(rig.file)
  const rows = database
    .query<{ event: string; bytes: number }, []>(
      'SELECT event, length(body) AS bytes FROM journal ORDER BY seq',
    )
    .all()
  database.close()
  return rows
}
const live = () => storage.journal.read(0, 1_000).map(({ json }) => json)

test('an event beside its message is read as it was told, whatever becomes of the message', async () => {
  await storage.ledger.commit([told('T', text)])
  const before = live()
  expect(before[1]).toContain(WORDS)
  expect(await fromDisk()).toEqual(before)
  await storage.ledger.commit([told('E', edit)])
  await storage.ledger.commit([
    {
      change: { kind: 'identity', sessionId: SESSION, lid: makeMessage('x').chat, phoneNumber: '4917' },
      events: [],
    },
  ])
  expect((await fromDisk()).slice(0, before.length)).toEqual(before)
  await storage.ledger.commit([told('D', remove)])
  const after = await fromDisk()
  expect(after.slice(0, before.length)).toEqual(before)
  expect(storage.messages.get(SESSION, 'T')?.content).toEqual({ type: 'text', text: '' })
  // What it saves, and that it was written out before the message changed.
  expect(bodies()[1]?.event).toBe('message.received')
})

test('it is small: the words stand on disk once', async () => {
  await storage.ledger.commit([told('T', text), told('OFF', text, {}, false)])
  await storage.close()
  const [, beside, , alone] = bodies()
  expect(beside?.event).toBe('')
  expect(beside?.bytes ?? 0).toBeLessThan((alone?.bytes ?? 0) - WORDS.length / 2)
  storage = rig.open()
})

const CASES: [what: string, facts: Fact[]][] = [
  ['edited in the same commit', [told('T', text), told('E', edit)]],
  ['edited before it came', [told('E', edit), told('T', text)]],
  ['deleted before it came', [told('D', remove), told('T', text)]],
  ['not kept', [told('T', text, {}, false)]],
  ['from our phone', [told('T', text, { fromMe: true, sender: null, status: 'sent' })]],
  ['with a large thumbnail', [told('T', text, { raw: new Uint8Array(5_000).fill(7) })]],
  ['told twice', [told('T', text), told('T', text)]],
  [
    'a file that waits',
    [
      told('T', text, {
        fromMe: true,
        sender: null,
        status: 'queued',
        attachment: asFileId('ab'.repeat(16)),
      }),
      {
        change: {
          kind: 'message_attached',
          sessionId: SESSION,
          messageId: asMessageId('T'),
          raw: new Uint8Array([1]),
        },
        events: [],
      },
    ],
  ],
]
for (const encrypted of [true, false]) {
  test.each(CASES)(
    `%s, ${encrypted ? 'sealed' : 'readable'}: the journal says the same from disk`,
    async (_, facts) => {
      const settings = { ...DEFAULT_SETTINGS, enableEncryption: encrypted }
      await storage.ledger.commit([
        { change: { kind: 'session_changed', session: makeSession(SESSION, { settings }) }, events: [] },
      ])
      await storage.ledger.commit(facts)
      const before = live()
      expect(await fromDisk()).toEqual(before)
    },
  )
}

test('after a commit that failed the numbers fit again', async () => {
  const bad: Fact = {
    change: {
      kind: 'message',
      message: makeMessage('B', { content: { type: 'nonsense' } as never }),
      keepContent: true,
      inboxId: null,
    },
    events: [makeEvent('message.received')],
  }
  const results = await Promise.allSettled([
    storage.ledger.commit([told('A', text)]),
    storage.ledger.commit([bad]),
    storage.ledger.commit([told('T', text)]),
  ])
  expect(results.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  const before = live()
  expect(await fromDisk()).toEqual(before)
  await storage.ledger.commit([told('D', remove)])
  expect((await fromDisk()).slice(0, before.length)).toEqual(before)
})
