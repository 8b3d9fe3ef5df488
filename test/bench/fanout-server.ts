/**
 * One of the two sides of the fan-out bench, as a process: `wabun` (the whole app, one commit per event) or `publish`
 * (Bun's own publish, which knows neither journal nor filter). `GET /` says where its stream is, `POST /?n=` sends events.
 */
import { asSessionId } from '../../src/domain/ids'
import { OWNER_KEY, startApp } from '../harness/app'

/** About the length of a received text. */
const FIELDS = { from: '4915122222222', to: 'me', type: 'text', text: 'x'.repeat(180) }
const host = { hostname: '127.0.0.1', port: 0 }

type Side = { stream: string; headers: Record<string, string>; send(n: number): Promise<void> }

async function wabun(): Promise<Side> {
  const server = await startApp({ flags: { '--db-sync': 'normal' } })
  const id = await server.session('Fanned out')
  const { sessions, ledger } = server.app.storage
  const session = sessions.get(asSessionId(id))
  if (!session) throw new Error('There is no session')
  const { tenantId } = session
  return {
    stream: `${server.url.replace('http', 'ws')}/api/events/ws?events=message.*&sessionIds=${id}`,
    headers: { 'x-api-key': OWNER_KEY },
    async send(n) {
      for (let at = 0; at < n; at += 1)
        await ledger.commit([
          {
            change: { kind: 'told' },
            events: [{ name: 'message.received', tenantId, sessionId: session.id, fields: FIELDS }],
          },
        ])
    },
  }
}

async function publish(): Promise<Side> {
  const server = Bun.serve({
    ...host,
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response(null, { status: 426 })),
    websocket: {
      open(ws) {
        ws.subscribe('all')
      },
      message: () => undefined,
    },
  })
  const envelope = { id: 'evt_0123456789abcdef', cursor: '01234567-1', event: 'message.received', ...FIELDS }
  return {
    stream: `ws://127.0.0.1:${server.port}/`,
    headers: {},
    async send(n) {
      for (let at = 0; at < n; at += 1) {
        server.publish('all', JSON.stringify({ ...envelope, at }))
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
    },
  }
}

const side = await (process.argv[2] === 'wabun' ? wabun() : publish())
const control = Bun.serve({
  ...host,
  idleTimeout: 0,
  async fetch(request) {
    const n = Number(new URL(request.url).searchParams.get('n') ?? 0)
    if (request.method === 'POST') await side.send(n)
    return Response.json({ stream: side.stream, headers: side.headers })
  },
})
console.log(`listening on http://127.0.0.1:${control.port}`)
