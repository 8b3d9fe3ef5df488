/** The remembered numbers of a session are those of the disk, whatever has just been written. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { Fact } from '../../src/domain/changes'
import { asMessageId, phoneJid } from '../../src/domain/ids'
import type { MessageStatus } from '../../src/domain/message'
import { STATUS_CODE } from '../../src/storage/codes'
import type { Storage } from '../../src/storage/open'
import { created, LID, makeMessage, makeRig, makeSession, OTHER, type Rig, received, SESSION } from './rig'

let rig: Rig
let storage: Storage
beforeEach(async () => {
  rig = makeRig()
  storage = rig.open()
  await storage.ledger.commit([created(), created(makeSession(OTHER))])
})
afterEach(() => rig.clear())

const shown = () => ({
  ...storage.sessions.counts([SESSION]).get(SESSION),
  queued: storage.messages.queueLengths([SESSION]).get(SESSION),
})

/** The same, read by somebody else. */
function onDisk() {
  const other = new Database(rig.file, { readonly: true })
  try {
    const number = '(SELECT number FROM session_numbers WHERE id = ?)'
    const sums = other
      .query(`SELECT sent, received, failed FROM message_totals WHERE session = ${number}`)
      .get(SESSION) as object | null
    const { n } = other
      .query(
        `SELECT count(*) AS n FROM messages WHERE session = ${number} AND status = ${STATUS_CODE.queued}`,
      )
      .get(SESSION) as { n: number }
    return { ...(sums ?? { sent: 0, received: 0, failed: 0 }), queued: n }
  } finally {
    other.close()
  }
}

const queued = (id: string): Fact =>
  received(makeMessage(id, { fromMe: true, sender: null, senderName: null, status: 'queued', viaApi: true }))
const becomes = (id: string, status: MessageStatus): Fact => ({
  change: {
    kind: 'message_status',
    sessionId: SESSION,
    messageId: asMessageId(id),
    status,
    at: 5_000,
    error: status === 'failed' ? { code: '463', says: 'refused' } : null,
  },
  events: [],
})

const STEPS: [string, Fact[]][] = [
  ['a message comes in', [received(makeMessage('IN1'))]],
  ['the same again, which is no news', [received(makeMessage('IN1'))]],
  ['one is queued', [queued('OUT1')]],
  ['two more', [queued('OUT2'), queued('OUT3')]],
  ['one is sent', [becomes('OUT1', 'sent')]],
  ['it is read', [becomes('OUT1', 'read')]],
  ['one fails', [becomes('OUT2', 'failed')]],
  ['queued and sent in one commit', [queued('OUT4'), becomes('OUT4', 'sent')]],
  ['history is handed over', [received(makeMessage('OLD', { history: true }))]],
  [
    'a chat moves to its other address',
    [{ change: { kind: 'identity', sessionId: SESSION, lid: LID, phoneNumber: '491700000001' }, events: [] }],
  ],
  ['a message under the new address', [received(makeMessage('IN2', { chat: phoneJid('491700000001') }))]],
]

test('after every kind of write', async () => {
  expect(shown()).toEqual({ sent: 0, received: 0, failed: 0, queued: 0 })
  for (const [what, facts] of STEPS) {
    await storage.ledger.commit(facts)
    expect({ what, ...shown() }).toEqual({ what, ...(onDisk() as ReturnType<typeof shown>) })
  }
  expect(shown()).toEqual({ sent: 2, received: 2, failed: 1, queued: 1 })
})

test('a write that is taken back changes nothing', async () => {
  await storage.ledger.commit([queued('OUT1')])
  expect(shown().queued).toBe(1)
  const broken = { ...received(makeMessage('IN1')), events: [{ name: 'no such event' }] } as unknown as Fact
  await expect(storage.ledger.commit([becomes('OUT1', 'sent'), broken])).rejects.toThrow()
  expect(shown()).toEqual(onDisk() as ReturnType<typeof shown>)
  expect(shown()).toEqual({ sent: 0, received: 0, failed: 0, queued: 1 })
})

test('another session’s writes and a deleted session', async () => {
  await storage.ledger.commit([queued('OUT1')])
  expect(shown().queued).toBe(1)
  await storage.ledger.commit([received(makeMessage('IN1', { sessionId: OTHER }))])
  expect(shown()).toEqual({ sent: 0, received: 0, failed: 0, queued: 1 })
  await storage.ledger.commit([{ change: { kind: 'session_deleted', sessionId: SESSION }, events: [] }])
  expect(shown()).toEqual({ sent: 0, received: 0, failed: 0, queued: 0 })
})
