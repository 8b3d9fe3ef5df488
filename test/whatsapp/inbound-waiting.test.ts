/** A backlog that WhatsApp tells again after a cut: what waits on disk from before needs no second row. */
import { expect, test } from 'bun:test'
import { EventEmitter } from 'node:events'
import { type BinaryNode, encodeBinaryNode } from '@whiskeysockets/baileys'
import { type Clock, systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { journalInbound, leftoversOf } from '../../src/whatsapp/baileys/inbound-journal'
import { stanzaBytes } from '../../src/whatsapp/baileys/stanza-bytes'
import type { SocketEvents } from '../../src/whatsapp/baileys/upstream/raw-socket'
import { until } from '../harness/measure'
import { createMemoryVault } from './support/memory-vault'

const DAY = 24 * 60 * 60_000

const stanza = (id: string, attrs: Record<string, string> = {}, text = `sealed ${id}`): BinaryNode => ({
  tag: 'message',
  attrs: { id, from: '100@lid', t: '1', ...attrs },
  content: [{ tag: 'enc', attrs: { v: '2', type: 'msg' }, content: Buffer.from(text) }],
})

/** A connection that finds these rows; stanzas are handled one after another as `handle` resolves. */
async function connection(rows: readonly Uint8Array[], handle: (id: string) => Promise<void>, later = 0) {
  const clock: Clock = { ...systemClock, now: () => Date.now() + later }
  const before = createMemoryVault()
  for (const row of rows) await before.receive(row)
  const vault = before.next()
  const handled: string[] = []
  const ws = Object.assign(new EventEmitter(), { isOpen: true, close: () => undefined }) as SocketEvents
  ws.on('CB:message', async (node: BinaryNode) => {
    await handle(node.attrs.id ?? '')
    handled.push(node.attrs.id ?? '')
  })
  const journal = journalInbound({
    ws,
    vault,
    leftovers: leftoversOf(vault),
    commit: (writes) => vault.commit(writes),
    flush: () => undefined,
    onRefused: () => undefined,
    refuse: async () => undefined,
    onTripped: () => false,
    onHandled: (ids) => void vault.discard(ids),
    onFailure: (error) => {
      throw error
    },
    clock,
    log: silentLog,
  })
  ws.emit('CB:success')
  return { ws, vault, journal, handled }
}

const A = stanza('A', { offline: '1' })
const B = stanza('B', { offline: '2' })

test('copies of what waits make no rows, wherever they stand in the queue; what is new does', async () => {
  const gate = Promise.withResolvers<void>()
  const { ws, vault, journal, handled } = await connection([A, B].map(stanzaBytes), () => gate.promise)
  for (const copy of [stanza('A', { offline: '7' }), stanza('B'), stanza('C', { offline: '3' })]) {
    ws.emit('CB:message', copy)
  }
  await until('the new one on disk', () => (vault.inbox().length > 2 ? true : null))
  expect(vault.inbox()).toHaveLength(3)
  gate.resolve()
  await journal.finish()
  expect(handled).toEqual(['A', 'B', 'C'])
  expect(vault.inbox()).toEqual([])
})

test.each([
  [
    'other bytes under the same id',
    stanzaBytes(A),
    stanza('A', { offline: '1' }, 'sealed anew'),
    0,
    ['A', 'A'],
  ],
  ['a row too old to be handled', stanzaBytes(A), A, DAY + 1, ['A']],
  ['a row in the older form', encodeBinaryNode(A), A, 0, ['A', 'A']],
  ['a row that nobody can read', stanzaBytes(A).subarray(0, 20), A, 0, ['A']],
])('%s: the stanza is let in', async (_, row, copy, later, wanted) => {
  const gate = Promise.withResolvers<void>()
  const { ws, journal, handled } = await connection([row], () => gate.promise, later)
  ws.emit('CB:message', copy)
  gate.resolve()
  await journal.finish()
  expect(handled).toEqual(wanted)
})

test('a copy of what has been handled meanwhile is a stanza like any other: it wants a receipt of its own', async () => {
  const { ws, journal, handled } = await connection([stanzaBytes(A)], async () => undefined)
  await until('the row', () => (handled.length === 1 ? true : null))
  // The turn of the row ends behind its stanza.
  await Bun.sleep(0)
  ws.emit('CB:message', A)
  await journal.finish()
  expect(handled).toEqual(['A', 'A'])
})
