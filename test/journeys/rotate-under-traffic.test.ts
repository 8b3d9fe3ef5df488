/** The master key is changed while messages go both ways: none waits, none is lost, and all are read after a restart. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeKey } from '../../src/app/master-key'
import { startApp, type TestApp } from '../harness/app'
import { until } from '../harness/measure'

setDefaultTimeout(60_000)

const OURS = '4915731104711'
const PEER = '4915731108822'
let app: TestApp
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app.stop())

test('a key that is put beside the database takes over under way', async () => {
  await app.phone(PEER)
  const id = await app.linked(OURS)
  const next = randomBytes(32)
  const file = join(app.dataDir, 'master.key')
  let said = 0
  const talk = async () => {
    said += 1
    await Promise.all([
      app.ok('POST', '/api/messages/send/text', { body: { sessionId: id, to: PEER, text: `out ${said}` } }),
      app.ok('POST', `/sandbox/phones/${PEER}/messages`, {
        body: { to: OURS, content: { type: 'text', text: `in ${said}` } },
      }),
    ])
  }
  await talk()
  writeKey(`${file}.next`, next)
  while (existsSync(`${file}.next`)) await talk()
  const before = said
  expect(before).toBeGreaterThan(1)
  await talk()
  await app.restart()
  expect(readFileSync(file, 'utf8').trim()).toBe(next.toString('base64'))
  await app.until(id, ({ status }) => status === 'connected')
  await talk()
  const wanted = Array.from({ length: said }, (_, n) => [`in ${n + 1}`, `out ${n + 1}`]).flat()
  const texts = async () => {
    const all: string[] = []
    for (;;) {
      const page = await app.ok<{ messages: { text?: string }[]; hasMore: boolean }>(
        'GET',
        `/api/messages/history/${id}?limit=100&offset=${all.length}`,
      )
      all.push(...page.messages.map(({ text }) => text ?? ''))
      if (!page.hasMore) return all
    }
  }
  await until('every message', async () => ((await texts()).length >= wanted.length ? true : null))
  expect((await texts()).sort()).toEqual(wanted.sort())
})
