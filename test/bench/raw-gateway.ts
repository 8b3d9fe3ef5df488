/**
 * The yardstick: the smallest gateway one can write around stock Baileys, as a process of its own.
 *
 * Unmodified Baileys with its default options, Signal keys in SQLite (WAL, one transaction per set, prepared
 * statements), a bare HTTP port that sends and a bare `fetch` per message received. No authentication, no queue, no
 * message store, no journal: what it costs is what Baileys costs.
 *
 *   POST /sessions {id}           opens a session          GET /sessions        [{ id, status, me, qr }]
 *   POST /send {sessionId,to,text}   answers after the server's ack     GET /healthz
 */
import { Database } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  type AuthenticationCreds,
  BufferJSON,
  DisconnectReason,
  initAuthCreds,
  makeWASocket,
  proto,
  type SignalDataSet,
  type SignalDataTypeMap,
  type WASocket,
} from '@whiskeysockets/baileys'
import { WA_CERT_DETAILS } from '@whiskeysockets/baileys/lib/Defaults/index.js'

const required = (name: string): string => {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`${name} is missing`)
  return value
}

type Live = {
  id: string
  sock: WASocket
  status: string
  me: string | null
  qr: string | null
  creds: AuthenticationCreds
}
type SendRequest = { sessionId: string; to: string; text: string }
type AckWaiter = { resolve: () => void; reject: (error: Error) => void }

const url = required('WHATSAPP_URL')
const dataDir = required('DATA_DIR')
const webhookUrl = process.env.WEBHOOK_URL ?? ''
Object.assign(WA_CERT_DETAILS, { PUBLIC_KEY: Buffer.from(required('WHATSAPP_ROOT_KEY'), 'hex') })
// One undecryptable frame would end the process (a Baileys fault); the yardstick is about speed and loss, not about this.
process.on('unhandledRejection', () => undefined)
console.info = () => undefined

mkdirSync(dataDir, { recursive: true })
const db = new Database(join(dataDir, 'raw.sqlite'), { strict: true })
db.run('PRAGMA journal_mode=WAL')
db.run(`PRAGMA synchronous=${process.env.DB_SYNC === 'full' ? 'FULL' : 'NORMAL'}`)
db.run('PRAGMA busy_timeout=5000')
db.run('CREATE TABLE IF NOT EXISTS creds (session TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID')
db.run(
  'CREATE TABLE IF NOT EXISTS keys (session TEXT, type TEXT, id TEXT, json TEXT NOT NULL, PRIMARY KEY (session, type, id)) WITHOUT ROWID',
)
const readKey = db.query<{ json: string }, [string, string, string]>(
  'SELECT json FROM keys WHERE session=? AND type=? AND id=?',
)
const writeKey = db.query('INSERT INTO keys VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET json=excluded.json')
const dropKey = db.query('DELETE FROM keys WHERE session=? AND type=? AND id=?')
const writeCreds = db.query('INSERT INTO creds VALUES (?,?) ON CONFLICT DO UPDATE SET json=excluded.json')
const allCreds = db.query<{ session: string; json: string }, []>('SELECT session, json FROM creds')

const writeSet = db.transaction((session: string, data: SignalDataSet) => {
  for (const [type, entries] of Object.entries(data)) {
    for (const [id, value] of Object.entries(entries ?? {})) {
      if (value === null || value === undefined) dropKey.run(session, type, id)
      else writeKey.run(session, type, id, JSON.stringify(value, BufferJSON.replacer))
    }
  }
})

const keyStore = (session: string) => ({
  get: async <T extends keyof SignalDataTypeMap>(type: T, ids: string[]) => {
    const found: { [id: string]: SignalDataTypeMap[T] } = {}
    for (const id of ids) {
      const row = readKey.get(session, type, id)
      if (row === null) continue
      const value = JSON.parse(row.json, BufferJSON.reviver)
      found[id] = type === 'app-state-sync-key' ? proto.Message.AppStateSyncKeyData.fromObject(value) : value
    }
    return found
  },
  set: async (data: SignalDataSet) => {
    writeSet(session, data)
  },
})

const silent = {
  level: 'silent',
  child: () => silent,
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

const sessions = new Map<string, Live>()
const awaiting = new Map<string, AckWaiter>()

function open(id: string, creds: AuthenticationCreds): void {
  const sock = makeWASocket({
    waWebSocketUrl: url,
    auth: { creds, keys: keyStore(id) },
    logger: silent,
    // The sandbox has no history to give; without this the first connection waits 20 s for one.
    shouldSyncHistoryMessage: () => false,
  })
  const live: Live = { id, sock, status: 'connecting', me: creds.me?.id ?? null, qr: null, creds }
  sessions.set(id, live)
  sock.ev.on('creds.update', (update) => {
    Object.assign(creds, update)
    writeCreds.run(id, JSON.stringify(creds, BufferJSON.replacer))
  })
  sock.ws.on('CB:ack,class:message', (node: { attrs: { id: string; error?: string } }) => {
    const waiter = awaiting.get(node.attrs.id)
    awaiting.delete(node.attrs.id)
    if (node.attrs.error === undefined) waiter?.resolve()
    else waiter?.reject(new Error(node.attrs.error))
  })
  sock.ev.on('messages.upsert', ({ messages }) => {
    for (const message of messages) {
      if (message.key.fromMe || webhookUrl === '') continue
      const text = message.message?.conversation ?? message.message?.extendedTextMessage?.text ?? ''
      fetch(webhookUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          event: 'message.received',
          sessionId: id,
          messageId: message.key.id,
          from: message.key.remoteJidAlt ?? message.key.remoteJid,
          text,
        }),
      }).then(
        (response) => response.body?.cancel(),
        () => undefined,
      )
    }
  })
  sock.ev.on('connection.update', ({ connection, qr, lastDisconnect }) => {
    if (qr !== undefined) Object.assign(live, { qr, status: 'qr_generated' })
    if (connection === 'open')
      Object.assign(live, { qr: null, status: 'connected', me: creds.me?.id ?? null })
    if (connection !== 'close') return
    live.status = 'disconnected'
    const cause = lastDisconnect?.error as { output?: { statusCode?: number } } | undefined
    const code = cause?.output?.statusCode
    if (code === DisconnectReason.loggedOut) return
    setTimeout(() => open(id, creds), code === DisconnectReason.restartRequired ? 0 : 1_000)
  })
}

async function send(input: SendRequest): Promise<Response> {
  const live = sessions.get(input.sessionId)
  if (live?.status !== 'connected') return Response.json({ error: 'not connected' }, { status: 400 })
  const messageId = `3EB0${crypto.randomUUID().replaceAll('-', '').slice(0, 18).toUpperCase()}`
  const acknowledged = new Promise<void>((resolve, reject) => awaiting.set(messageId, { resolve, reject }))
  const to = input.to.includes('@') ? input.to : `${input.to}@s.whatsapp.net`
  await live.sock.sendMessage(to, { text: input.text }, { messageId })
  await acknowledged
  return Response.json({ success: true, messageId, status: 'sent' })
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  routes: {
    '/healthz': () => new Response('OK'),
    '/sessions': {
      GET: () =>
        Response.json([...sessions.values()].map(({ id, status, me, qr }) => ({ id, status, me, qr }))),
      POST: async (request) => {
        const { id } = (await request.json()) as { id: string }
        if (!sessions.has(id)) open(id, initAuthCreds())
        return Response.json({ id }, { status: 201 })
      },
    },
    '/connected': () => {
      let connected = 0
      for (const live of sessions.values()) if (live.status === 'connected') connected += 1
      return Response.json({ connected })
    },
    '/send': { POST: async (request) => send((await request.json()) as SendRequest) },
  },
  fetch: () => new Response('not found', { status: 404 }),
})
console.log(`listening on http://127.0.0.1:${server.port}`)
for (const row of allCreds.all()) open(row.session, JSON.parse(row.json, BufferJSON.reviver))
