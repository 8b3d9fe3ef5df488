/** The keys of the store: what they seal, another master key, and a crash in the middle. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { asMessageId } from '../../src/domain/ids'
import type { Bytes } from '../../src/domain/media'
import type { Endpoint } from '../../src/domain/webhook'
import { openKeys } from '../../src/storage/keys'
import { createMeta } from '../../src/storage/meta'
import type { Storage } from '../../src/storage/open'
import { StorageRefused } from '../../src/storage/refused'
import { createSealer, deriveKey, keyIdOf, placeOf, Unsealable } from '../../src/storage/seal'
import {
  created,
  MASTER,
  makeMessage,
  makeRig,
  movableClock,
  type Rig,
  received,
  SESSION,
  TENANT,
} from './rig'

const NEXT = new Uint8Array(32).fill(9)
const DAY = 86_400_000

let rig: Rig
let storage: Storage
beforeEach(() => {
  rig = makeRig()
  storage = rig.open()
})
afterEach(() => rig.clear())

const endpoint = (id: string, secret: string): Endpoint => ({
  id,
  tenantId: TENANT,
  sessionId: null,
  url: 'https://example.com/hook',
  description: null,
  events: [],
  headers: { 'x-token': `header of ${id}` },
  secret,
  previousSecret: { secret: `old ${secret}`, until: 9_999_999_999_999 },
  isActive: true,
  disabledReason: null,
  failingSince: null,
  fromSettings: false,
  isConfig: false,
  createdAt: 1,
})
async function* bytesOf(text: string): Bytes {
  yield Buffer.from(text)
}
const collect = async (bytes: Bytes) => {
  const pieces: Uint8Array[] = []
  for await (const piece of bytes) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}
const about = {
  tenantId: TENANT,
  mimetype: 'text/plain',
  filename: 'secret.txt',
  maxBytes: 1_000,
  expiresAt: null,
}
let files: { upload: string; ofMessage: string }

/** One of everything that is sealed. */
async function fill(): Promise<void> {
  await storage.ledger.commit([created()])
  const vault = storage.vaults.open(SESSION)
  await vault.commit([
    { type: 'creds', id: 'a', value: Buffer.from('first') },
    { type: 'creds', id: 'b', value: Buffer.from('other') },
  ])
  await vault.receive(Buffer.from('stanza'))
  await storage.ledger.commit([received(makeMessage('M1')), received(makeMessage('M2'))])
  await storage.webhooks.saveEndpoint(endpoint('one', 'whsec_one'))
  await storage.webhooks.saveEndpoint(endpoint('two', 'whsec_two'))
  await storage.idempotency.begin(TENANT, 'key', 'hash')
  await storage.idempotency.finish(TENANT, 'key', { status: 200, body: 'the answer' })
  const upload = await storage.media.keep(bytesOf('upload'), { ...about, sessionId: null, messageId: null })
  const ofMessage = await storage.media.keep(bytesOf('file'), {
    ...about,
    sessionId: SESSION,
    messageId: asMessageId('M1'),
  })
  files = { upload: upload.id, ofMessage: ofMessage.id }
}

/** Everything that opens, in one value to compare. */
async function readAll(from: Storage) {
  const vault = from.vaults.open(SESSION)
  return {
    vault: [...vault.get('creds', ['a', 'b'])].map(([id, value]) => [id, Buffer.from(value).toString()]),
    inbox: vault.inbox().map(({ stanza }) => Buffer.from(stanza).toString()),
    endpoints: from.webhooks.endpointsOfTenant(TENANT),
    journal: from.journal.read(0, 100).map(({ json }) => json),
    answer: await from.idempotency.begin(TENANT, 'key', 'hash'),
    upload: await collect(from.media.read(files.upload as never)),
    file: await collect(from.media.read(files.ofMessage as never)),
    texts: ['M1', 'M2'].map((id) => from.messages.get(SESSION, id)),
    signing: [from.keys.secret('tokens'), from.keys.secret('links')].map((key) =>
      Buffer.from(key).toString('hex'),
    ),
  }
}

const refusal = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return error instanceof StorageRefused ? error.reason : String(error)
  }
  return 'opened'
}
async function openedAlone(file: string): Promise<string> {
  let opened: Storage | null = null
  const outcome = refusal(() => {
    opened = rig.open({ file })
  })
  await (opened as Storage | null)?.close()
  return outcome
}
/** The database as another process sees it. */
function look<T>(work: (database: Database) => T, file = rig.file): T {
  const database = new Database(file)
  try {
    return work(database)
  } finally {
    database.close()
  }
}

describe('another master key', () => {
  test('opens everything that the old one has sealed, at once and after a restart; the old one opens nothing', async () => {
    await fill()
    const before = await readAll(storage)
    expect(storage.keys.rotate(NEXT)).toMatchObject({ sessions: 1 })
    expect(await readAll(storage)).toEqual(before)
    // What is written with the server running is under the new one too.
    const late = 'c'.repeat(32) as typeof SESSION
    await storage.vaults.open(late).commit([{ type: 'creds', id: 'a', value: Buffer.from('late') }])
    await storage.ledger.commit([received(makeMessage('M3'))])
    const after = await readAll(storage)
    await storage.close()
    expect(refusal(() => rig.open())).toBe('wrong_master_key')
    storage = rig.open({ masterKey: NEXT })
    expect(await readAll(storage)).toEqual(after)
    expect(Buffer.from(storage.vaults.open(late).get('creds', ['a']).get('a') ?? []).toString()).toBe('late')
  })

  test('draws new keys for what is no session’s, and the old master key is of no use for anything that stays', async () => {
    await fill()
    const old = look((database) => ({
      secrets: database.query<{ secret: Uint8Array }, []>('SELECT secret FROM endpoints ORDER BY id').all(),
      keys: database.query<{ name: string; value: Uint8Array }, []>('SELECT name, value FROM keys').all(),
    }))
    storage.keys.rotate(NEXT)
    await storage.close()
    look((database) => {
      const secrets = database.query('SELECT secret FROM endpoints ORDER BY id').all()
      expect(secrets).not.toEqual(old.secrets)
      const wrapped = database
        .query<{ name: string; number: number; value: Uint8Array }, []>(
          'SELECT name, number, value FROM keys',
        )
        .all()
      const master = createSealer(deriveKey(MASTER, 'data keys'))
      for (const { name, number, value } of wrapped)
        expect(() => master.open(value, placeOf('keys', name, String(number)))).toThrow(Unsealable)
      const [data] = database
        .query<{ data_key: Uint8Array }, []>('SELECT data_key FROM session_numbers')
        .all()
      expect(() =>
        master.open(data?.data_key ?? new Uint8Array(), placeOf('session_numbers', SESSION, 'data_key')),
      ).toThrow(Unsealable)
      // Of the keys that are drawn anew, those whose rows were sealed again are gone.
      const numbers = (name: string) => wrapped.filter((row) => row.name === name).map(({ number }) => number)
      expect(numbers('rows')).toEqual([2])
      expect(numbers('uploads')).toEqual([2])
      expect(numbers('journal').sort()).toEqual([1, 2])
      expect(numbers('tokens')).toEqual([1])
    })
  })

  test('old keys go when everything is gone that they have sealed', async () => {
    const clock = movableClock()
    await storage.close()
    storage = rig.open({ clock, eventsKept: DAY })
    await fill()
    storage.keys.rotate(NEXT)
    const kept = () =>
      look((database) =>
        database.query<{ name: string }, []>('SELECT name FROM keys WHERE number = 1 ORDER BY name').all(),
      ).map(({ name }) => name)
    await storage.close()
    storage = rig.open({ masterKey: NEXT, clock, eventsKept: DAY })
    expect(kept()).toEqual(expect.arrayContaining(['answers', 'journal']))
    clock.shift = 3 * DAY
    await storage.ledger.commit([received(makeMessage('late'))])
    await storage.webhooks.fanOut(storage.journal.head())
    await storage.janitor.sweep()
    await storage.close()
    storage = rig.open({ masterKey: NEXT, clock, eventsKept: DAY })
    expect(kept()).not.toEqual(expect.arrayContaining(['answers']))
    expect(kept()).not.toEqual(expect.arrayContaining(['journal']))
    await readAll(storage)
  })

  test('one row that does not open stops it, and nothing has changed', async () => {
    await fill()
    const before = await readAll(storage)
    look((database) => database.run("UPDATE endpoints SET secret = zeroblob(60) WHERE id = 'two'"))
    expect(() => storage.keys.rotate(NEXT)).toThrow(Unsealable)
    expect(storage.keys.isMaster(MASTER)).toBe(true)
    await storage.vaults.open(SESSION).commit([{ type: 'creds', id: 'c', value: Buffer.from('more') }])
    await storage.close()
    look((database) => database.run("DELETE FROM endpoints WHERE id = 'two'"))
    storage = rig.open()
    expect({ ...(await readAll(storage)), endpoints: [] }).toEqual({ ...before, endpoints: [] })
  })

  test('ten thousand sessions take one transaction', () => {
    const master = createSealer(deriveKey(MASTER, 'data keys'))
    look((database) => {
      const add = database.prepare('INSERT INTO session_numbers (id, data_key) VALUES (?, ?)')
      database.transaction(() => {
        for (let n = 0; n < 10_000; n += 1)
          add.run(
            `s${n}`,
            master.seal(new Uint8Array(32).fill(n % 251), placeOf('session_numbers', `s${n}`, 'data_key')),
          )
      })()
    })
    expect(storage.keys.rotate(NEXT).sessions).toBe(10_000)
    const next = createSealer(deriveKey(NEXT, 'data keys'))
    look((database) => {
      const rows = database
        .query<{ id: string; data_key: Uint8Array }, []>('SELECT id, data_key FROM session_numbers')
        .all()
      for (const { id, data_key } of rows)
        expect(next.open(data_key, placeOf('session_numbers', id, 'data_key'))).toHaveLength(32)
    })
  })
})

describe('a crash', () => {
  test('at any write of the change leaves a store that one of both keys opens whole', async () => {
    await fill()
    const before = await readAll(storage)
    look((database) => database.run('PRAGMA wal_checkpoint(TRUNCATE)'))
    const directory = dirname(rig.file)
    const crashed = join(rig.directory, 'crashed')
    storage.keys.rotate(NEXT)
    const wal = readFileSync(`${rig.file}-wal`)
    // The log is a head of 32 bytes and frames: 24 bytes and a page each. A crash leaves any part of it.
    const frame = 24 + wal.readUInt32BE(8)
    const frames = (wal.length - 32) / frame
    expect(frames).toBeGreaterThan(3)
    const opened: string[] = []
    for (let kept = 0; kept <= frames; kept += 1) {
      for (const torn of kept === frames ? [0] : [0, frame >> 1]) {
        rmSync(crashed, { recursive: true, force: true })
        mkdirSync(crashed)
        const file = join(crashed, 'wabun.db')
        copyFileSync(rig.file, file)
        copyFileSync(`${rig.file}-wal`, `${file}-wal`)
        cpSync(join(directory, 'media'), join(crashed, 'media'), { recursive: true })
        truncateSync(`${file}-wal`, 32 + kept * frame + torn)
        const alone = await openedAlone(file)
        const again = rig.open({ file, nextMasterKey: NEXT })
        expect(again.keys.isMaster(MASTER)).toBe(alone === 'opened')
        expect(await readAll(again)).toEqual(before)
        opened.push(alone)
        // The change goes on, whichever of the two it was.
        if (again.keys.isMaster(MASTER)) again.keys.rotate(NEXT)
        expect(await readAll(again)).toEqual(before)
        await again.close()
        expect(refusal(() => rig.open({ file }))).toBe('wrong_master_key')
      }
    }
    // Both ends are met: cut before its commit the old key opens, after it the new one.
    expect(opened[0]).toBe('opened')
    expect(opened.at(-1)).toBe('wrong_master_key')
  })
})

describe('a database of an earlier program', () => {
  test('is read with the keys that follow from its master key, and those are left behind by the next change', async () => {
    // What that program did: no keys of their own, but some derived from the master key.
    look((database) => database.run('DELETE FROM keys'))
    await storage.close()
    storage = rig.open()
    await fill()
    const before = await readAll(storage)
    await storage.close()
    look((database) => {
      const rows = createSealer(deriveKey(MASTER, 'rows'))
      const one = database
        .query<{ secret: Uint8Array }, []>("SELECT secret FROM endpoints WHERE id = 'one'")
        .get()
      expect(
        Buffer.from(
          rows.open(one?.secret ?? new Uint8Array(), placeOf('endpoints', 'one', 'secret')),
        ).toString(),
      ).toBe('whsec_one')
      database.run('DELETE FROM keys')
    })
    storage = rig.open()
    // Tokens are signed with a key that nobody can derive.
    expect({ ...(await readAll(storage)), signing: [] }).toEqual({ ...before, signing: [] })
    storage.keys.rotate(NEXT)
    await storage.close()
    look((database) => {
      const rows = createSealer(deriveKey(MASTER, 'rows'))
      const one = database
        .query<{ secret: Uint8Array }, []>("SELECT secret FROM endpoints WHERE id = 'one'")
        .get()
      expect(() => rows.open(one?.secret ?? new Uint8Array(), placeOf('endpoints', 'one', 'secret'))).toThrow(
        Unsealable,
      )
    })
    storage = rig.open({ masterKey: NEXT })
    expect({ ...(await readAll(storage)), signing: [] }).toEqual({ ...before, signing: [] })
  })
})

describe('the byte that names a key', () => {
  test('differs among the keys of one name, also when chance would have it otherwise', async () => {
    const database = new Database(':memory:')
    database.run('CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)')
    database.run(
      'CREATE TABLE keys (name TEXT, number INTEGER, value BLOB, sealed_to INTEGER, PRIMARY KEY (name, number))',
    )
    database.run('CREATE TABLE session_numbers (id TEXT, data_key BLOB)')
    database.run('CREATE TABLE endpoints (id TEXT, secret BLOB, old_secret BLOB, headers BLOB)')
    database.run('CREATE TABLE files (id TEXT, secret BLOB, session INTEGER)')
    const keys = openKeys({ database, meta: createMeta(database), candidates: [MASTER] })
    const sealed = [keys.sealer('journal').seal(Buffer.from('0'), 'place')]
    // Of 150 random bytes two are the same, but for one chance in 10^24.
    for (let n = 1; n < 150; n += 1) {
      keys.rotate(n % 2 === 0 ? MASTER : NEXT, { head: n, now: n })
      sealed.push(keys.sealer('journal').seal(Buffer.from(String(n)), 'place'))
    }
    expect(new Set(sealed.map((blob) => blob[1])).size).toBe(150)
    expect(sealed.map((blob) => Buffer.from(keys.sealer('journal').open(blob, 'place')).toString())).toEqual(
      sealed.map((_, n) => String(n)),
    )
    // Nobody changes it so often; but no change may ask for a byte that is not there.
    for (let n = 150; n < 200; n += 1) keys.rotate(n % 2 === 0 ? MASTER : NEXT, { head: n, now: n })
    expect(() => keys.rotate(MASTER, { head: 200, now: 200 })).toThrow('200 keys')
    expect(keys.isMaster(NEXT)).toBe(true)
    database.close()
  })

  test('proves nothing: of two keys with the same byte the wrong one opens nothing', () => {
    const right = new Uint8Array(32).fill(1)
    const wrong = new Uint8Array(32)
    const view = new DataView(wrong.buffer)
    for (let n = 2; keyIdOf(wrong) !== keyIdOf(right); n += 1) view.setUint32(0, n)
    const sealed = createSealer(right).seal(Buffer.from('secret'), 'place')
    expect(createSealer(wrong).id).toBe(createSealer(right).id)
    expect(() => createSealer(wrong).open(sealed, 'place')).toThrow(Unsealable)
  })
})
