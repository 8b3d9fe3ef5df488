import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { formatCursor } from '../../src/domain/journal'
import { systemClock } from '../../src/lib/clock'
import type { Storage } from '../../src/storage/open'
import { CLOSE_CODES, closeCodeRow, closeReason } from '../../src/stream/close-codes'
import { parseWish } from '../../src/stream/parse'
import { type PullRequest, readEvents } from '../../src/stream/pull'
import { sseFrame } from '../../src/stream/sse'
import { makeRig, OTHER, type Rig, SESSION, TENANT } from '../storage/rig'
import { FOREIGN, type Frame, happen, makeSessions, STRANGER } from './rig'

let rig: Rig
let storage: Storage
beforeEach(async () => {
  rig = makeRig()
  storage = rig.open()
  await makeSessions(storage)
})
afterEach(() => rig.clear())

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index)
async function pull(also: Partial<PullRequest> = {}) {
  const page = await readEvents(
    { journal: storage.journal, clock: systemClock },
    { tenantId: TENANT, sessionIds: null, events: ['message.*'], after: null, limit: 50, waitMs: 0, ...also },
  )
  return { ...page, numbers: page.events.map((json) => (JSON.parse(json) as Frame).n ?? -1) }
}

describe('pulling events', () => {
  test('goes through everything page by page, once', async () => {
    await happen(storage, upTo(1_234))
    const seen: number[] = []
    let after: string | null = null
    for (let more = true; more; ) {
      const page: Awaited<ReturnType<typeof pull>> = await pull({ after, limit: 100 })
      seen.push(...page.numbers)
      after = page.cursor
      more = page.hasMore
    }
    expect(seen).toEqual(upTo(1_234))
    expect(await pull({ after })).toMatchObject({ events: [], hasMore: false, cursor: after })
  })

  test('moves on past what is not wanted', async () => {
    await happen(storage, upTo(600), { session: FOREIGN, tenant: STRANGER })
    await happen(storage, [7], { session: OTHER })
    const page = await pull({ sessionIds: [SESSION] })
    expect(page.events).toEqual([])
    expect(page.cursor).toBe(formatCursor({ epoch: storage.journal.epoch, seq: storage.journal.head() }))
    expect((await pull()).numbers).toEqual([7])
  })

  test('waits for the first event that is wanted', async () => {
    const { cursor } = await pull()
    let ended = false
    const waiting = pull({ after: cursor, waitMs: 60_000 }).then((page) => {
      ended = true
      return page
    })
    await happen(storage, [1], { session: FOREIGN, tenant: STRANGER })
    await happen(storage, [2], { name: 'session.connecting' })
    await Bun.sleep(5)
    expect(ended).toBe(false)
    await happen(storage, [3])
    expect((await waiting).numbers).toEqual([3])
  })

  test('answers with nothing when the wait is over or the caller is gone', async () => {
    const { cursor } = await pull()
    expect((await pull({ after: cursor, waitMs: 10 })).events).toEqual([])
    const gone = new AbortController()
    const waiting = pull({ after: cursor, waitMs: 60_000, signal: gone.signal })
    gone.abort()
    expect((await waiting).events).toEqual([])
  })

  test('refuses cursors that are wrong or too old', async () => {
    await expect(pull({ after: 'nonsense' })).rejects.toMatchObject({ code: 'INVALID_CURSOR', status: 400 })
    await expect(pull({ after: 'zzzzzzzz-1' })).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', status: 410 })
    const future = formatCursor({ epoch: storage.journal.epoch, seq: 9_999 })
    await expect(pull({ after: future })).rejects.toMatchObject({ code: 'INVALID_CURSOR' })
  })
})

describe('the query of a stream', () => {
  test('is null when it says nothing', () => expect(parseWish({})).toEqual({ ok: true, value: null }))
  test('takes lists with commas', () => {
    expect(parseWish({ events: 'message.*, qr', sessionIds: `${SESSION},${OTHER}`, after: 'x' })).toEqual({
      ok: true,
      value: { events: ['message.*', 'qr'], sessionIds: [SESSION, OTHER], after: 'x' },
    })
    expect(parseWish({ events: '' })).toEqual({
      ok: true,
      value: { events: [], sessionIds: null, after: null },
    })
  })
  test('names what is wrong', () => {
    expect(parseWish({ events: 'messages' })).toMatchObject({ ok: false })
    expect(parseWish({ sessionIds: '../x' })).toMatchObject({ ok: false })
  })
})

describe('close codes', () => {
  test('all have a meaning and a reason that fits a close frame', () => {
    for (const code of CLOSE_CODES) {
      expect(closeCodeRow(code).meaning).not.toBe('')
      expect(new TextEncoder().encode(closeReason(code, 'ü'.repeat(200))).length).toBeLessThanOrEqual(123)
      expect(closeReason(code)).toBe(closeCodeRow(code).says)
    }
  })
})

describe('server-sent events', () => {
  test('carry the cursor as id, momentary ones none', () => {
    expect(sseFrame({ seq: 5, json: '{"a":1}' }, 'abcdefgh')).toBe('id: abcdefgh-5\ndata: {"a":1}\n\n')
    expect(sseFrame({ seq: null, json: '{}' }, 'abcdefgh')).toBe('data: {}\n\n')
  })
})
