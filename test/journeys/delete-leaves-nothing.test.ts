/**
 * A session and an account are deleted; then every file of the data directory is searched for what they have left: texts,
 * names, numbers, keys. The sandbox keeps its own data, which stands for WhatsApp, and is not searched.
 */
import { Database } from 'bun:sqlite'
import { afterAll, afterEach, describe, expect, setDefaultTimeout, spyOn, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SessionId } from '../../src/domain/ids'
import { startApp, type TestApp } from '../harness/app'
import { until } from '../harness/measure'
import { formsInBytes, leaksIn, type Secret, secretText } from '../harness/secrets'
import { startSink } from '../harness/sink'
import { keysOf } from '../harness/vault-secrets'

setDefaultTimeout(120_000)

const OURS = '4915731104711'
const PEER = '4915731108822'
const WEBHOOK_PATH = '/hooks/geheimer-pfad-8271'
/** What is told, sent and set in the life of a session. */
const PLANTED = {
  'own number': OURS,
  'number of the other': PEER,
  'name of the other': 'Wilhelmina Unverwechselbar',
  'own name': 'Kontor Siebenschläfer',
  'name of the session': 'Quittenkompott und Söhne',
  'description of the session': 'Beschreibung Nummer Elfundneunzig',
  'address of the webhook': WEBHOOK_PATH,
  'webhook secret': `whsec_${Buffer.from('sechsunddreissig-geheime-bytes!!').toString('base64')}`,
  'header of the webhook': 'Bearer kopfzeile-die-niemand-kennt',
  'text received': 'Wir treffen uns am Brunnen um Mitternacht',
  'text sent': 'Die Parole lautet Zwetschgendatschi',
  'text after the edit': 'Die Parole lautet jetzt Pfannkuchen',
  caption: 'Bildunterschrift Sauerampfer',
  'name of a file': 'vertrag-mit-dem-teufel.txt',
  'bytes of a file': 'Hiermit verkaufe ich meine Seele, gezeichnet Faust',
  'name on a card': 'Leopoldine Kartenfrau',
  'number on a card': '4917699988877',
  'question of a poll': 'Wer hat die Kokosnuss geklaut',
  'option of a poll': 'Der Affe aus dem dritten Stock',
  'name of a place': 'Hinterhof der Bäckerei Roggenmuhme',
  'user of the proxy': 'durchreise-benutzer',
  'password of the proxy': 'niemals-im-klartext-99',
  'idempotency key': 'einmalig-und-nie-wieder-4711',
  'name of an upload': 'hochgeladen-und-vergessen.txt',
} as const
const PASSWORD = 'correct horse battery 77 Staple'
const ACCOUNT = {
  'user name': 'zacharias_zwiebel',
  'mail address': 'zacharias.zwiebel@beispiel-post.de',
  password: PASSWORD,
  'name of a key': 'Schlüssel zum Weinkeller',
}

let app: TestApp
afterEach(() => app.stop())
const sink = startSink()
afterAll(() => sink.stop())

/** Hits in each file of the data directory, but for the master key and what is the sandbox's. */
function found(secrets: readonly Secret[]): string[] {
  const files = readdirSync(app.dataDir, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !entry.name.startsWith('sandbox.') && !entry.name.startsWith('master.key'),
  )
  return files.flatMap((entry) => {
    const path = join(entry.parentPath, entry.name)
    // One that is gone since the folder was listed holds nothing.
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0)
    return secrets.flatMap((secret) =>
      formsInBytes(bytes, secret).map((form) => `${secret.name} (${form}) in ${entry.name}`),
    )
  })
}
const named = (hits: readonly string[]) => [...new Set(hits.map((hit) => hit.replace(/ \(.*/, '')))]

type Life = { token: string; id: string; secrets: Secret[] }

/** An account, its session, and some traffic of every sort. */
async function live(enableEncryption: boolean, webhookUrl: string): Promise<Life> {
  const { token, apiKey } = await app.ok<{ token: string; apiKey: string }>('POST', '/api/auth/register', {
    key: null,
    body: { username: ACCOUNT['user name'], email: ACCOUNT['mail address'], password: PASSWORD },
  })
  const call = <T = Record<string, string>>(method: string, path: string, body?: object, headers = {}) =>
    app.ok<T>(method, path, {
      key: null,
      ...(body ? { body } : {}),
      headers: { authorization: `Bearer ${token}`, ...headers },
    })
  await call('POST', '/api/auth/api-keys', { name: ACCOUNT['name of a key'] })
  await app.phone(OURS, PLANTED['own name'])
  await app.phone(PEER, PLANTED['name of the other'])
  const { session } = await call<{ session: { id: string } }>('POST', '/api/sessions', {
    name: PLANTED['name of the session'],
    description: PLANTED['description of the session'],
    settings: { enableEncryption, webhookUrl },
  })
  const { id } = session
  const status = async (wanted: string) =>
    until(`session ${wanted}`, async () =>
      (await call<{ session: { status: string } }>('GET', `/api/sessions/${id}`)).session.status === wanted
        ? true
        : null,
    )
  await call('POST', `/api/sessions/${id}/start`)
  const { qrText } = await call<{ qrText: string }>('GET', `/api/sessions/${id}/qr`)
  await app.ok('POST', `/sandbox/phones/${OURS}/scan`, { body: { qr: qrText } })
  await status('connected')
  await call('PUT', `/api/webhook/config/${id}`, {
    url: webhookUrl,
    events: ['session.deleted'],
    secret: PLANTED['webhook secret'],
    headers: { 'x-authorization': PLANTED['header of the webhook'] },
  })

  const send = (type: string, body: object, headers = {}) =>
    call<{ messageId: string }>(
      'POST',
      `/api/messages/send/${type}`,
      { sessionId: id, to: PEER, ...body },
      headers,
    )
  const document = { filename: PLANTED['name of a file'], caption: PLANTED.caption }
  const { messageId } = await send(
    'text',
    { text: PLANTED['text sent'] },
    { 'idempotency-key': PLANTED['idempotency key'] },
  )
  await send('edit', { targetMessageId: messageId, text: PLANTED['text after the edit'] })
  await send('document', {
    ...document,
    documentBase64: Buffer.from(PLANTED['bytes of a file']).toString('base64'),
  })
  await send('contact', {
    contact: { fullName: PLANTED['name on a card'], phoneNumber: `+${PLANTED['number on a card']}` },
  })
  await send('poll', {
    question: PLANTED['question of a poll'],
    options: [PLANTED['option of a poll'], 'No'],
  })
  await send('location', { latitude: 1, longitude: 2, name: PLANTED['name of a place'] })
  const form = new FormData()
  form.set('file', new File(['a file that waits for its message'], PLANTED['name of an upload']))
  const upload = await fetch(`${app.url}/api/messages/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: form,
  })
  expect(upload.status).toBeLessThan(300)
  await app.ok('POST', `/sandbox/phones/${PEER}/messages`, {
    body: { to: OURS, content: { type: 'text', text: PLANTED['text received'] } },
  })
  await until('what was said', async () => {
    const { messages } = await call<{ messages: { text?: string }[] }>(
      'GET',
      `/api/messages/history/${id}?limit=50`,
    )
    return messages.some(({ text }) => text === PLANTED['text received']) ? true : null
  })
  // Its keys can be read without taking them from a live socket.
  await call('POST', `/api/sessions/${id}/stop`)
  await status('inactive')
  await call('PUT', `/api/sessions/${id}/settings`, {
    settings: {
      proxyUrl: `http://${PLANTED['user of the proxy']}:${PLANTED['password of the proxy']}@127.0.0.1:3128`,
    },
  })
  const keys = keysOf(app.app.storage.vaults, id)
  for (const name of ['creds', 'pre-key', 'session'])
    expect(keys.filter((key) => key.name.startsWith(name)).length).toBeGreaterThan(0)
  const { me } = app.app.storage.sessions.get(id as SessionId) ?? {}
  return {
    token,
    id,
    secrets: [
      ...Object.entries(PLANTED).map(([name, text]) => secretText(name, text)),
      ...(me?.lid ? [secretText('own LID', me.lid)] : []),
      ...keys.slice(0, 60),
      secretText('token', token),
      secretText('API key', apiKey),
    ],
  }
}

/** Deletes are finished in the background; they are done when nothing is found any more, or never. */
const gone = (secrets: readonly Secret[], withinMs = 20_000): Promise<string[]> => {
  const end = performance.now() + withinMs
  const look = async (): Promise<string[]> => {
    const hits = found(secrets)
    if (hits.length === 0 || performance.now() > end) return hits
    await Bun.sleep(100)
    return look()
  }
  return look()
}

const start = () =>
  startApp({
    flags: {
      '--registration': 'open',
      '--auth-attempts': '0',
      '--proxy-allow-networks': '127.0.0.0/8',
    },
  })
const removeAccount = (life: Life) =>
  app.ok('DELETE', '/api/auth/account', { key: null, headers: { authorization: `Bearer ${life.token}` } })
const remove = (life: Life) =>
  app.ok('DELETE', `/api/sessions/${life.id}`, {
    key: null,
    headers: { authorization: `Bearer ${life.token}` },
  })

/** What is readable in the files of a session whose content is not sealed, and what never is. */
const CONTENT = ['text received', 'text after the edit', 'caption', 'name on a card', 'question of a poll']
const SEALED = [
  'webhook secret',
  'header of the webhook',
  'bytes of a file',
  'token',
  'API key',
  'name of an upload',
  'user of the proxy',
  'password of the proxy',
]
const account = Object.entries(ACCOUNT).map(([name, text]) => secretText(name, text))

describe('nothing is found in any file', () => {
  test('after a session was deleted, and after its account was', async () => {
    app = await start()
    const life = await live(true, `${sink.url}${WEBHOOK_PATH}`)
    // Control: what is not sealed is found before.
    const before = named(found(life.secrets))
    expect(before).toEqual(
      expect.arrayContaining(['own number', 'number of the other', 'name of the session']),
    )
    for (const name of [...CONTENT, ...SEALED, 'name of a file']) expect(before).not.toContain(name)
    expect(before.filter((name) => /^(creds|pre-key|session\.)/.test(name))).toEqual([])
    await remove(life)
    const left = life.secrets.filter(({ name }) => name !== 'name of an upload')
    expect(await gone(left)).toEqual([])

    expect(named(found(account))).toEqual(
      expect.arrayContaining(['user name', 'mail address', 'name of a key']),
    )
    await removeAccount(life)
    expect(await gone([...life.secrets, ...account])).toEqual([])
  })

  test('after an account was deleted whose session is not sealed, and whose webhook nobody answers', async () => {
    app = await start()
    const life = await live(false, `https://nowhere.invalid${WEBHOOK_PATH}`)
    const before = named(found(life.secrets))
    expect(before).toEqual(expect.arrayContaining([...CONTENT, 'name of a file', 'address of the webhook']))
    for (const name of SEALED) expect(before).not.toContain(name)
    expect(before.filter((name) => /^(creds|pre-key|session\.)/.test(name))).toEqual([])
    await removeAccount(life)
    const all = [...life.secrets, ...account]
    expect(await gone(all)).toEqual([])
    // Nor after a clean end, when the log has become part of the database, nor in what was logged.
    await app.app.stop()
    expect(found(all)).toEqual([])
    expect(leaksIn(app.lines.join('\n'), all)).toEqual([])
  })
})

/** What is found when SQLite is told something else, at once or after a clean end. */
async function without(change: (sql: string) => string, end: 'running' | 'stopped'): Promise<string[]> {
  const { prepare, run } = Database.prototype
  const spies = [
    spyOn(Database.prototype, 'prepare').mockImplementation(function (
      this: Database,
      sql: string,
      ...more: never[]
    ) {
      return prepare.call(this, change(sql), ...more)
    } as never),
    spyOn(Database.prototype, 'run').mockImplementation(function (
      this: Database,
      sql: string,
      ...more: never[]
    ) {
      return run.call(this, change(sql), ...more)
    } as never),
  ]
  try {
    app = await start()
    const life = await live(false, `${sink.url}${WEBHOOK_PATH}`)
    await remove(life)
    if (end === 'stopped') await app.app.stop()
    return named(await gone(life.secrets, end === 'stopped' ? 0 : 2_500))
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

describe('control', () => {
  test('without the overwriting of deleted rows their words are found', async () => {
    // The last setting is made after the check that this one was taken.
    const hits = await without(
      (sql) => (sql === 'PRAGMA trusted_schema = OFF' ? `${sql}; PRAGMA secure_delete = OFF` : sql),
      'stopped',
    )
    expect(hits).toEqual(expect.arrayContaining(['number of the other']))
  })

  test('without the removal of messages their words are found', async () => {
    const hits = await without(
      (sql) => (sql.startsWith('DELETE FROM messages WHERE number IN') ? `${sql} AND 0` : sql),
      'stopped',
    )
    expect(hits).toEqual(expect.arrayContaining(['text received', 'caption']))
  })

  test('without the emptying of the write-ahead log everything is found in it', async () => {
    const hits = await without(
      (sql) => (sql === 'PRAGMA wal_checkpoint(TRUNCATE)' ? 'SELECT 1' : sql),
      'running',
    )
    expect(hits).toEqual(
      expect.arrayContaining(['text received', 'number of the other', 'name of the session']),
    )
  })
})
