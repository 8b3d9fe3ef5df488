/**
 * The whole app for the run with a slow reader: small events of one session, which all read, and large ones of another, at a
 * pace. `GET /` says where the stream is; `POST /?n=&every=` tells n of each, every so many milliseconds.
 */
import { asSessionId } from '../../src/domain/ids'
import { OWNER_KEY, startApp } from '../harness/app'

const LARGE = 'x'.repeat(200_000)

const server = await startApp({ flags: { '--db-sync': 'normal' } })
const { sessions, ledger } = server.app.storage
const read = sessions.get(asSessionId(await server.session('Read by all')))
const other = sessions.get(asSessionId(await server.session('Large')))
if (!read || !other) throw new Error('There is no session')

async function tell(session: NonNullable<typeof read>, fields: Record<string, unknown>): Promise<void> {
  const { id: sessionId, tenantId } = session
  await ledger.commit([
    { change: { kind: 'told' }, events: [{ name: 'message.received', tenantId, sessionId, fields }] },
  ])
}

const control = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  idleTimeout: 0,
  async fetch(request) {
    const { searchParams } = new URL(request.url)
    if (request.method === 'POST') {
      const every = Number(searchParams.get('every'))
      const startedAt = performance.now()
      for (let at = 0; at < Number(searchParams.get('n')); at += 1) {
        await Bun.sleep(Math.max(0, startedAt + at * every - performance.now()))
        await tell(other, { text: LARGE })
        await tell(read, { text: 'x'.repeat(180), sentAt: performance.timeOrigin + performance.now() })
      }
    }
    return Response.json({
      stream: `${server.url.replace('http', 'ws')}/api/events/ws`,
      session: read.id,
      key: OWNER_KEY,
    })
  },
})
console.log(`listening on http://127.0.0.1:${control.port}`)
