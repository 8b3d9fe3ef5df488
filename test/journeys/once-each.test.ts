/**
 * What came while the process was gone, comes again after it was killed, or comes in another order than it was said: each
 * thing counts once, and everything ends in the state in which it would have ended anyway.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BinaryNode } from '@whiskeysockets/baileys'
import type { PhoneContent } from '../../src/sandbox/content-schemas'
import type { Phone } from '../../src/sandbox/phone'
import { type RealProcess, startRealProcess } from './real-process'
import type { Fields, View } from './talk'

const OURS = '4915111112101'
const ADA = '4915122223101'
const BOB = '4915133334101'

let real: RealProcess
let ada: Phone
let bob: Phone
let group: string
beforeAll(async () => {
  real = await startRealProcess(OURS, { [ADA]: 'Ada', [BOB]: 'Bob' }, async (sandbox) => {
    group = (await sandbox.createGroup({ owner: ADA, subject: 'All', members: [OURS, BOB] })).jid
  })
  ada = real.sandbox.phone(ADA)
  bob = real.sandbox.phone(BOB)
  // Sessions and sender keys are there, so that nothing of what follows must come before the rest.
  for (const to of [OURS, group]) {
    for (const phone of [ada, bob]) await real.viewOf((await phone.send(to, 'hello')).id)
    await real.send('text', { to: to === OURS ? ADA : group, text: 'hello' })
  }
}, 30_000)
afterAll(() => real?.stop())

const CHATS = ['person', 'group'] as const
const to = (chat: (typeof CHATS)[number]) => (chat === 'person' ? OURS : group)

/** Everything one person can do to messages, some of them undone or done again. */
async function deeds(chat: (typeof CHATS)[number]): Promise<{ targets: string[]; all: string[] }> {
  const where = to(chat)
  const all: string[] = []
  const say = async (content: PhoneContent | string): Promise<string> => {
    const { id } = await ada.send(where, content)
    all.push(id)
    return id
  }
  const reacted = await say('to be reacted to')
  const edited = await say('to be edited')
  const deleted = await say('to be deleted')
  const pinned = await say('to be pinned')
  const both = await say('edited and then deleted')
  const poll = await say({ type: 'poll', question: 'Q?', options: ['a', 'b', 'c'], selectable: 1 })
  const changed = await say('a reaction changed, and one taken back')
  const targets = [reacted, edited, deleted, pinned, both, poll, changed]
  await say({ type: 'reaction', targetMessageId: reacted, emoji: '👍' })
  await say({ type: 'edit', targetMessageId: edited, text: 'edited once' })
  await say({ type: 'delete', targetMessageId: deleted })
  await say({ type: 'pin', targetMessageId: pinned, pinned: true, seconds: 86_400 })
  await say({ type: 'edit', targetMessageId: both, text: 'new words' })
  await say({ type: 'delete', targetMessageId: both })
  await say({ type: 'vote', targetMessageId: poll, options: ['b'] })
  await say({ type: 'reaction', targetMessageId: changed, emoji: '🙂' })
  return { targets, all }
}

const WANTED: Fields[] = [
  { text: 'to be reacted to', reactions: [{ emoji: '👍', from: ADA, timestamp: expect.any(String) }] },
  { text: 'edited once', editedAt: expect.any(String) },
  { deletedAt: expect.any(String) },
  { text: 'to be pinned', pinnedUntil: expect.any(String) },
  { deletedAt: expect.any(String) },
  {
    question: 'Q?',
    votes: [
      { option: 'a', count: 0, voters: [] },
      { option: 'b', count: 1, voters: [ADA] },
      { option: 'c', count: 0, voters: [] },
    ],
  },
  { reactions: [{ emoji: '🙂', from: ADA, timestamp: expect.any(String) }] },
]

async function expectDone(targets: readonly string[]): Promise<View[]> {
  const views: View[] = []
  for (const [at, id] of targets.entries()) {
    const view = await real.viewOf(id)
    expect(view).toMatchObject(WANTED[at] ?? {})
    views.push(view)
  }
  for (const at of [2, 4]) {
    expect(JSON.stringify(views[at])).not.toMatch(/to be deleted|edited and then|new words/)
  }
  return views
}

/** Numbers and events that must not move when something comes again. */
async function countsOf(ids: readonly string[]) {
  const told = await real.told()
  const events = ids.map((id) => told.filter(({ messageId }) => messageId === id).length)
  const { stats } = await real.wabun.api<{ stats: Fields }>('GET', `/api/messages/stats/${real.session}`)
  const history = await real.wabun.api<{ total?: number; pagination?: Fields }>(
    'GET',
    `/api/messages/history/${real.session}?limit=1`,
  )
  const { sent, received, byType, byStatus } = stats
  return { events, stats: { sent, received, byType, byStatus }, total: history.pagination ?? history.total }
}

/** Resolves when everything that was put before it has been handled. */
const handled = async (): Promise<void> => {
  await real.viewOf((await bob.send(OURS, 'the last')).id)
}

describe.each([...CHATS])('in a chat with a %s', (chat) => {
  test('while the process was gone: all of it is offline, and done', async () => {
    await real.kill()
    const { targets, all } = await deeds(chat)
    await real.start()
    await handled()
    for (const view of await expectDone(targets)) expect(view.offline).toBe(true)
    const told = await real.told()
    for (const id of all) {
      const events = told.filter(({ messageId }) => messageId === id)
      expect(events).toHaveLength(1)
      expect(events[0]).toMatchObject({ offline: true, fromMe: false, from: ADA })
    }
  }, 30_000)

  test('twice in the same connection, and once more after a kill', async () => {
    real.sandbox.server.faults.add({ kind: 'duplicate', phoneNumber: OURS })
    const { targets, all } = await deeds(chat)
    await handled()
    const before = await expectDone(targets)
    real.sandbox.server.faults.clear()
    const counted = await countsOf(all)
    expect(new Set(counted.events)).toEqual(new Set([1]))

    await real.kill()
    // What the server would deliver once more if none of our receipts had reached it.
    const again: BinaryNode[] = []
    const { targets: others } = await deeds(chat)
    again.push(...real.device().pending.filter(({ tag }) => tag === 'message'))
    expect(again.length).toBeGreaterThanOrEqual(15)
    await real.start()
    await handled()
    await expectDone(others)
    const settled = await countsOf(all)
    await real.kill()
    real.device().pending.push(...again)
    await real.start()
    await handled()
    const after = await expectDone(targets)
    expect(after).toEqual(before)
    await expectDone(others)
    const last = await countsOf(all)
    expect(last.events).toEqual(settled.events)
    // One message more, which showed that everything was handled.
    expect(Number(last.stats.received)).toBe(Number(settled.stats.received) + 1)
  }, 60_000)

  test('the other way round: actions before what they are about', async () => {
    await real.kill()
    const { targets, all } = await deeds(chat)
    const { pending } = real.device()
    const messages = pending.filter(({ tag }) => tag === 'message')
    const rest = pending.filter(({ tag }) => tag !== 'message')
    pending.splice(0, pending.length, ...rest, ...messages.toReversed())
    await real.start()
    await handled()
    await expectDone(targets)
    const told = await real.told()
    for (const id of all) expect(told.filter(({ messageId }) => messageId === id)).toHaveLength(1)
  }, 30_000)
})
