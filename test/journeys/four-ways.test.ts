/** One event is one text: WebSocket, server-sent events, pull and webhook carry the same bytes in the same order. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { openEventSource } from '../harness/event-source'
import { type Receiver, startReceiver } from '../harness/receiver'

let server: TestApp
let receiver: Receiver
beforeAll(async () => {
  server = await startApp()
  receiver = startReceiver()
})
afterAll(async () => {
  await server.stop()
  await receiver.stop()
})

const OURS = '4915111111111'
const ADA = '4915122222222'
const KEY = { 'x-api-key': OWNER_KEY }
type Told = { id: string; event: string; cursor: string | null; name?: string; text?: string }
const parsed = (text: string): Told => JSON.parse(text) as Told

/** What has come on one way so far, each text as it was on the wire. */
type Reader = { texts: string[]; until(fits: (told: Told) => boolean): Promise<void>; close(): void }

function collector(): Reader & { take(text: string): void } {
  const texts: string[] = []
  const watchers = new Set<() => void>()
  return {
    texts,
    take(text) {
      texts.push(text)
      for (const watcher of watchers) watcher()
    },
    async until(fits) {
      while (!texts.some((text) => fits(parsed(text)))) {
        const more = Promise.withResolvers<void>()
        watchers.add(more.resolve)
        await more.promise
        watchers.delete(more.resolve)
      }
    },
    close: () => undefined,
  }
}

async function byWebSocket(id: string, after: string): Promise<Reader> {
  const reader = collector()
  const url = `${server.url.replace('http', 'ws')}/api/sessions/${id}/ws?after=${after}`
  const socket = new WebSocket(url, { headers: KEY } as unknown as string[])
  socket.onmessage = ({ data }) => {
    if (parsed(String(data)).event !== undefined) reader.take(String(data))
  }
  await new Promise<void>((resolve) => {
    socket.onopen = () => resolve()
  })
  return Object.assign(reader, { close: () => socket.close() })
}

async function bySse(id: string, after: string): Promise<Reader> {
  const reader = collector()
  const client = await openEventSource(
    `${server.url}/api/sessions/${id}/events/stream`,
    { ...KEY, 'last-event-id': after },
    ({ event, data }) => {
      if (event === 'message') reader.take(data)
    },
  )
  return Object.assign(reader, { close: client.close })
}

/** One event a request, so that its text is what stands between the brackets. */
async function byPull(id: string, after: string): Promise<string[]> {
  const texts: string[] = []
  for (let from = after; ; ) {
    const answer = await fetch(`${server.url}/api/sessions/${id}/events?limit=1&after=${from}`, {
      headers: KEY,
    })
    const text = await answer.text()
    const { events, cursor } = JSON.parse(text) as { events: Told[]; cursor: string }
    if (events.length === 0) return texts
    texts.push(text.slice(text.indexOf('[') + 1, text.lastIndexOf('],"cursor":')))
    from = cursor
  }
}

const kept = (texts: readonly string[]) => texts.filter((text) => parsed(text).cursor !== null)
const momentary = (texts: readonly string[]) => texts.filter((text) => parsed(text).cursor === null)
const cursorOf = (text: string | undefined) => parsed(text ?? '{}').cursor ?? ''
/** At least once: a repetition carries the same id. */
const once = (texts: readonly string[]) => [...new Map(texts.map((text) => [parsed(text).id, text])).values()]

async function talk(id: string, round: string): Promise<void> {
  await server.until(id, ({ status }) => status === 'connected')
  for (const text of [
    `${round}: Grüße 👋🏽`,
    `${round}: "quotes" \\ and\nlines`,
    `${round}: 日本語 \u2028 <b>&amp;`,
  ]) {
    await server.ok('POST', `/sandbox/phones/${ADA}/messages`, {
      body: { to: OURS, content: { type: 'text', text } },
    })
    await server.ok('POST', '/api/messages/send/text', { body: { sessionId: id, to: ADA, text } })
  }
}

test('the same bytes in the same order on all four, over a restart and from any cursor', async () => {
  await server.phone(OURS, 'Support 🛟')
  await server.phone(ADA, 'Ada')
  const id = await server.session('Told in four ways')
  await server.ok('PUT', `/api/webhook/config/${id}`, { body: { url: receiver.url, events: ['*'] } })
  const { cursor: start } = await server.ok<{ cursor: string }>('GET', `/api/sessions/${id}/events`)

  const sockets = [await byWebSocket(id, start)]
  const sources = [await bySse(id, start)]
  await server.ok('POST', `/api/sessions/${id}/start`)
  const { qrText } = await server.ok<{ qrText: string }>('GET', `/api/sessions/${id}/qr`)
  await server.ok('POST', `/sandbox/phones/${OURS}/scan`, { body: { qr: qrText } })
  await talk(id, 'before')
  await server.restart()

  const textsOf = (readers: readonly Reader[]) => readers.flatMap(({ texts }) => texts)
  sockets.push(await byWebSocket(id, cursorOf(kept(textsOf(sockets)).at(-1))))
  sources.push(await bySse(id, cursorOf(kept(textsOf(sources)).at(-1))))
  await talk(id, 'after')
  await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { name: 'The end' } })
  const isEnd = ({ event }: Told) => event === 'session.settings_updated'
  await sockets.at(-1)?.until(isEnd)
  await sources.at(-1)?.until(isEnd)
  await receiver.waitFor((posts) => posts.some(({ event }) => event === 'session.settings_updated'))

  const upToEnd = (texts: readonly string[]) =>
    texts.slice(0, texts.findIndex((text) => isEnd(parsed(text))) + 1)
  const pulled = upToEnd(await byPull(id, start))
  expect(pulled.filter((text) => parsed(text).event === 'message.received')).toHaveLength(6)
  expect(pulled.length).toBeGreaterThan(20)
  expect(upToEnd(kept(textsOf(sockets)))).toEqual(pulled)
  expect(upToEnd(kept(textsOf(sources)))).toEqual(pulled)
  const posted = receiver.posts.map(({ body }) => body)
  expect(upToEnd(once(kept(posted)))).toEqual(pulled)

  const codes = momentary(textsOf(sockets))
  expect(codes.map((text) => parsed(text).event)).toContain('session.qr_generated')
  expect(momentary(textsOf(sources))).toEqual(codes)
  for (const text of once(momentary(posted))) expect(codes).toContain(text)

  for (const at of [0, Math.floor(pulled.length / 3), pulled.length - 2]) {
    const rest = pulled.slice(at + 1)
    const after = cursorOf(pulled[at])
    expect(upToEnd(await byPull(id, after))).toEqual(rest)
    for (const reader of [await byWebSocket(id, after), await bySse(id, after)]) {
      await reader.until(isEnd)
      expect(upToEnd(kept(reader.texts))).toEqual(rest)
      reader.close()
    }
  }
  for (const reader of [...sockets, ...sources]) reader.close()
})
