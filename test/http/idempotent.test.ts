/** What a key guarantees when the answer of the first request was never stored: a crash, a time-out. */
import { expect, test } from 'bun:test'
import { fail } from '../../src/domain/errors'
import type { Idempotency, StoredAnswer } from '../../src/domain/idempotency'
import { asMessageId, asTenantId } from '../../src/domain/ids'
import { createIdempotent, entryId } from '../../src/http/idempotent'

/** A store that forgets answers when told to, as a crash does. */
function makeStore() {
  const answers = new Map<string, { hash: string; answer: StoredAnswer }>()
  const running = new Map<string, string>()
  const store: Idempotency = {
    async begin(_, key, hash) {
      if (running.has(key)) return 'in_progress'
      const kept = answers.get(key)
      if (kept) return kept.hash === hash ? kept.answer : 'reused'
      running.set(key, hash)
      return 'new'
    },
    async finish(_, key, answer) {
      answers.set(key, { hash: running.get(key) ?? '', answer })
      running.delete(key)
    },
    async abandon(_, key) {
      running.delete(key)
    },
  }
  return { store, forget: () => answers.clear() }
}

const context = (key: string | null, body: unknown = { text: 'x' }) => ({
  request: new Request('http://localhost/api/messages/send/text', {
    method: 'POST',
    ...(key === null ? {} : { headers: { 'idempotency-key': key } }),
  }),
  body,
  caller: {
    address: '',
    principal: {
      tenantId: asTenantId('tenant'),
      username: 'x',
      role: 'user' as const,
      plan: 'free' as const,
      scopes: [],
      sessionIds: null,
      ipAllowlist: [],
      by: { kind: 'key' as const, keyId: 'x', expiresAt: null },
    },
  },
  set: { headers: {} as Record<string, string | number | undefined> },
})

test('a repetition after a crash has the same message id; every entry of it too', async () => {
  const { store, forget } = makeStore()
  const idempotent = createIdempotent(store)
  const send = (key: string, body?: unknown) =>
    idempotent(context(key, body), async (id) => ({ messageId: String(id) }), 200)
  const first = await send('key-1')
  forget()
  expect(await send('key-1')).toEqual(first)
  expect(first.messageId).toMatch(/^3EB0[0-9A-F]{18}$/)
  // Control: another key, and another request, are other messages.
  expect((await send('key-2')).messageId).not.toBe(first.messageId)
  expect((await send('key-3', { text: 'y' })).messageId).not.toBe(first.messageId)
  const entries = [0, 1, 2].map((index) => entryId(asMessageId(first.messageId), index))
  expect(new Set([first.messageId, ...entries]).size).toBe(4)
  expect(entryId(asMessageId(first.messageId), 1)).toBe(entries[1] as never)
})

test('a time-out is no answer: the key is free, and the next request asks what became of it', async () => {
  const { store } = makeStore()
  const idempotent = createIdempotent(store)
  let acknowledged = false
  const ids: unknown[] = []
  const ask = () =>
    idempotent(
      context('key'),
      async (id): Promise<{ status: string }> => {
        ids.push(id)
        if (!acknowledged) throw fail('MESSAGE_TIMEOUT')
        return { status: 'sent' }
      },
      200,
    )
  await expect(ask()).rejects.toThrow('not acknowledged')
  await ask().catch(() => undefined)
  acknowledged = true
  expect(await ask()).toEqual({ status: 'sent' })
  expect(new Set(ids).size).toBe(1)
})

test('the status of the answer is the one that is repeated', async () => {
  const { store } = makeStore()
  const idempotent = createIdempotent(store)
  const ask = async (key: string | null) => {
    const one = context(key)
    await idempotent(
      one,
      async () => ({ status: 'queued' }),
      ({ status }) => (status === 'queued' ? 202 : 200),
    )
    return (one.set as { status?: number }).status
  }
  expect([await ask('key'), await ask('key'), await ask(null)]).toEqual([202, 202, 202])
})

test('a rejection by WhatsApp is an answer, and stays one', async () => {
  const { store } = makeStore()
  const idempotent = createIdempotent(store)
  let runs = 0
  const ask = () =>
    idempotent(
      context('key'),
      async (): Promise<object> => {
        runs += 1
        throw fail('MESSAGE_REJECTED', { whatsappCode: '463' })
      },
      200,
    )
  for (let at = 0; at < 2; at += 1) {
    const error = await ask().catch((reason) => reason)
    expect(error).toMatchObject({ code: 'MESSAGE_REJECTED', details: { whatsappCode: '463' } })
  }
  expect(runs).toBe(1)
})

test('without a key everything runs', async () => {
  const idempotent = createIdempotent(makeStore().store)
  let runs = 0
  for (let at = 0; at < 2; at += 1) await idempotent(context(null), async () => (runs += 1), 200)
  expect(runs).toBe(2)
})
