/** Every column that holds bytes: sealed for its place, or said why not. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { asMessageId } from '../../src/domain/ids'
import type { Bytes, FileId } from '../../src/domain/media'
import { DEFAULT_SETTINGS } from '../../src/domain/session'
import type { Endpoint } from '../../src/domain/webhook'
import type { Storage } from '../../src/storage/open'
import { StorageRefused } from '../../src/storage/refused'
import { Unsealable } from '../../src/storage/seal'
import { created, makeMessage, makeRig, makeSession, OTHER, type Rig, received, SESSION, TENANT } from './rig'

/** How the rows of a sealed column are read by the product: each throws when the row is not its own. */
const SEALED: Record<string, readonly ((storage: Storage) => unknown)[]> = {
  'vault.value': [
    (storage) => storage.vaults.open(SESSION).get('creds', ['a']),
    (storage) => storage.vaults.open(SESSION).get('creds', ['b']),
  ],
  'plaintexts.value': [
    (storage) => storage.vaults.open(SESSION).get('plaintext', ['a']),
    (storage) => storage.vaults.open(SESSION).get('plaintext', ['b']),
  ],
  'inbox.stanza': [(storage) => storage.vaults.open(SESSION).inbox()],
  'messages.body': [
    (storage) => storage.messages.get(SESSION, 'M1'),
    (storage) => storage.messages.get(SESSION, 'M2'),
  ],
  'journal.body': [(storage) => storage.journal.read(0, 1), (storage) => storage.journal.read(1, 1)],
  'endpoints.secret': [() => undefined],
  'endpoints.old_secret': [() => undefined],
  'endpoints.headers': [() => undefined],
  'files.secret': [
    (storage) => storage.media.get(files[0] ?? ('' as FileId)),
    (storage) => storage.media.get(files[1] ?? ('' as FileId)),
  ],
  'idempotency.body': [
    (storage) => storage.idempotency.begin(TENANT, 'one', 'hash'),
    (storage) => storage.idempotency.begin(TENANT, 'two', 'hash'),
  ],
  'session_numbers.data_key': [
    (storage) => storage.vaults.open(SESSION).get('creds', ['a']),
    (storage) => storage.vaults.open(OTHER).get('creds', ['a']),
  ],
  'sessions.proxy': [(storage) => storage.sessions.get(SESSION), (storage) => storage.sessions.get(OTHER)],
  'keys.value': [() => undefined],
}
/** Bytes that are no secret. */
const OPEN: Record<string, string> = {
  'messages.id': 'an id of WhatsApp, packed',
  'acts.target': 'an id of WhatsApp, packed',
  'messages.attachment': 'the id of a file, packed',
  'audit.hash': 'a keyed hash',
  'audit.origin': 'a keyed hash',
  'audit_origins.salt': 'a random number that is added to such a hash',
}

let rig: Rig
let files: FileId[] = []
const endpoint = (id: string): Endpoint => ({
  id,
  tenantId: TENANT,
  sessionId: null,
  url: 'https://example.com/hook',
  description: null,
  events: [],
  headers: { 'x-token': `header of ${id}` },
  secret: `secret of ${id}`,
  previousSecret: { secret: `old secret of ${id}`, until: 9_999_999_999_999 },
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

/** Two rows of every kind. */
beforeEach(async () => {
  rig = makeRig()
  const storage = rig.open()
  const settings = { ...DEFAULT_SETTINGS, proxyUrl: 'http://ada:secret@proxy.example.com:3128' }
  await storage.ledger.commit([
    created(makeSession(SESSION, { settings })),
    created(makeSession(OTHER, { settings })),
  ])
  for (const session of [SESSION, OTHER]) {
    const vault = storage.vaults.open(session)
    await vault.commit(
      ['creds', 'plaintext'].flatMap((type) =>
        ['a', 'b'].map((id) => ({ type, id, value: Buffer.from(`${type} ${id} of ${session}`) })),
      ),
    )
    await vault.receive(Buffer.from('first'))
    await vault.receive(Buffer.from('second'))
  }
  await storage.ledger.commit([received(makeMessage('M1')), received(makeMessage('M2'))])
  await storage.webhooks.saveEndpoint(endpoint('one'))
  await storage.webhooks.saveEndpoint(endpoint('two'))
  for (const key of ['one', 'two']) {
    await storage.idempotency.begin(TENANT, key, 'hash')
    await storage.idempotency.finish(TENANT, key, { status: 200, body: key })
  }
  files = []
  for (const text of ['one', 'two']) {
    const file = await storage.media.keep(bytesOf(text), {
      tenantId: TENANT,
      sessionId: SESSION,
      messageId: asMessageId(`M${files.length + 1}`),
      mimetype: 'text/plain',
      filename: text,
      maxBytes: 100,
      expiresAt: null,
    })
    files.push(file.id)
  }
  await storage.close()
})
afterEach(() => rig.clear())

function look<T>(work: (database: Database) => T): T {
  const database = new Database(rig.file)
  try {
    return work(database)
  } finally {
    database.close()
  }
}

/** Where there are more rows than the two that are swapped and read. */
const ROWS: Record<string, string> = {
  vault: 'session = 1',
  plaintexts: 'session = 1',
  inbox: 'session = 1',
  journal: 'seq <= 2',
}

/** Puts two values of a column into each other's row. */
function swap(table: string, column: string): void {
  look((database) => {
    const [one, two] = database
      .query<{ value: Uint8Array }, []>(
        `SELECT ${column} AS value FROM ${table} WHERE ${column} IS NOT NULL AND ${ROWS[table] ?? 'true'} LIMIT 2`,
      )
      .all()
    if (!one || !two) throw new Error(`${table}.${column} has fewer than two rows`)
    database
      .prepare(`UPDATE ${table} SET ${column} = iif(${column} = ?1, ?2, ?1) WHERE ${column} IN (?1, ?2)`)
      .run(one.value, two.value)
  })
}

async function outcomeOf(work: () => unknown): Promise<'refused' | 'read'> {
  try {
    await work()
    return 'read'
  } catch (error) {
    if (error instanceof Unsealable || (error instanceof StorageRefused && error.reason === 'unusable'))
      return 'refused'
    throw error
  }
}
/** What becomes of each read, in a store that is opened anew; all are refused when the store is. */
async function outcomes(reads: readonly ((storage: Storage) => unknown)[]): Promise<string[]> {
  let storage: Storage | null = null
  const opening = await outcomeOf(() => {
    storage = rig.open()
  })
  const opened = storage as Storage | null
  if (!opened) return reads.map(() => opening)
  return Promise.all(reads.map((read) => outcomeOf(() => read(opened))))
}

test('every column of bytes is sealed, or known to hold no secret', () => {
  const columns = look((database) =>
    database
      .query<{ name: string }, []>(
        `SELECT t.name || '.' || c.name AS name FROM sqlite_master t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name NOT LIKE 'search%' AND c.type IN ('BLOB', 'ANY')`,
      )
      .all(),
  ).map(({ name }) => name)
  expect(columns.sort()).toEqual([...Object.keys(SEALED), ...Object.keys(OPEN)].sort())
})

describe('two rows that were swapped', () => {
  test.each(Object.keys(SEALED))('%s: both are refused', async (name) => {
    const [table = '', column = ''] = name.split('.')
    const reads = SEALED[name] ?? []
    // Control: in their own places they are read.
    expect(await outcomes(reads)).toEqual(reads.map(() => 'read'))
    await rig.closeAll()
    swap(table, column)
    expect(await outcomes(reads)).toEqual(reads.map(() => 'refused'))
  })

  test('a secret in another column of its own row is refused as well', async () => {
    look((database) => database.run("UPDATE endpoints SET secret = old_secret WHERE id = 'one'"))
    expect(await outcomes([() => undefined])).toEqual(['refused'])
  })
})

test('one changed bit is refused', async () => {
  look((database) => {
    const row = database
      .query<{ value: Uint8Array }, []>(
        "SELECT value FROM vault WHERE type = 'creds' AND id = 'a' ORDER BY rowid",
      )
      .get()
    const value = Buffer.from(row?.value ?? [])
    for (const at of [0, 1, 5, 20, value.length - 1]) {
      const changed = Buffer.from(value)
      changed[at] = (changed[at] ?? 0) ^ 1
      database
        .prepare('INSERT INTO vault (session, type, id, value) VALUES (1, ?, ?, ?)')
        .run('creds', `a${at}`, changed)
    }
    database
      .prepare('INSERT INTO vault (session, type, id, value) VALUES (1, ?, ?, ?)')
      .run('creds', 'short', Buffer.alloc(3))
  })
  const ids = ['a0', 'a1', 'a5', 'a20', 'short']
  expect(
    await outcomes(ids.map((id) => (storage: Storage) => storage.vaults.open(SESSION).get('creds', [id]))),
  ).toEqual(ids.map(() => 'refused'))
})
