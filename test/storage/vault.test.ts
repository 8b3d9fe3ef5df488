import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type SessionVault, VaultFenced } from '../../src/domain/ownership'
import { migrate } from '../../src/storage/migrate'
import { MIGRATIONS } from '../../src/storage/migrations/index'
import type { Storage } from '../../src/storage/open'
import { createSealer, deriveKey, SEAL_OVERHEAD, Unsealable } from '../../src/storage/seal'
import {
  created,
  makeEvent,
  makeMessage,
  makeRig,
  makeSession,
  OTHER,
  type Rig,
  received,
  SESSION,
} from './rig'

let rig: Rig
let storage: Storage
beforeEach(async () => {
  rig = makeRig()
  storage = rig.open()
  await storage.ledger.commit([created(), created(makeSession(OTHER))])
})
afterEach(() => rig.clear())

const bytes = (text: string) => new Uint8Array(Buffer.from(text))
const text = (value: Uint8Array | undefined) => (value ? Buffer.from(value).toString() : undefined)

/** Runs SQL on the closed database and opens it again. */
async function tamper(...sql: string[]): Promise<void> {
  await storage.close()
  const database = new Database(rig.file)
  for (const one of sql) database.run(one)
  database.close()
  storage = rig.open()
}

describe('sealing', () => {
  const sealer = createSealer(deriveKey(new Uint8Array(32), 'test'))

  test('opens in its own place only, unchanged, with its own key', () => {
    const sealed = sealer.seal(bytes('secret'), 'vault|a|session|1')
    expect(sealed).toHaveLength(6 + SEAL_OVERHEAD)
    expect(text(sealer.open(sealed, 'vault|a|session|1'))).toBe('secret')
    expect(() => sealer.open(sealed, 'vault|a|session|2')).toThrow(Unsealable)
    const other = createSealer(deriveKey(new Uint8Array(32), 'other'))
    expect(() => other.open(sealed, 'vault|a|session|1')).toThrow(Unsealable)
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = new Uint8Array(sealed)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(() => sealer.open(changed, 'vault|a|session|1')).toThrow(Unsealable)
    }
    expect(() => sealer.open(sealed.subarray(0, 20), 'vault|a|session|1')).toThrow(Unsealable)
  })

  test('never seals the same thing to the same bytes', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 1_000; i += 1) seen.add(Buffer.from(sealer.seal(bytes('x'), 'p')).toString('hex'))
    expect(seen.size).toBe(1_000)
  })

  test('holds empty values', () => {
    expect(sealer.open(sealer.seal(new Uint8Array(), 'p'), 'p')).toHaveLength(0)
  })
})

describe('keys', () => {
  test('of any type are put, replaced and deleted, all writes of a commit or none', async () => {
    const vault = storage.vaults.open(SESSION)
    await vault.commit([
      { type: 'session', id: '1.0', value: bytes('one') },
      { type: 'session', id: '2.0', value: bytes('two') },
      { type: 'a-type-of-tomorrow', id: 'x|y\\z', value: bytes('new') },
    ])
    await vault.commit([
      { type: 'session', id: '1.0', value: bytes('ONE') },
      { type: 'session', id: '2.0', value: null },
      { type: 'session', id: 'none', value: null },
    ])
    const found = vault.get('session', ['1.0', '2.0', '3.0'])
    expect([...found].map(([id, value]) => [id, text(value)])).toEqual([['1.0', 'ONE']])
    expect(text(vault.get('a-type-of-tomorrow', ['x|y\\z']).get('x|y\\z'))).toBe('new')
    expect(vault.ids('session')).toEqual(['1.0'])
    expect(storage.vaults.open(OTHER).ids('session')).toEqual([])
  })

  test('that were looked for in vain are found once they are written, and not when that failed', async () => {
    const vault = storage.vaults.open(SESSION)
    const found = (id: string) => text(vault.get('identity-key', [id]).get(id))
    expect([found('a'), found('b'), found('a')]).toEqual([undefined, undefined, undefined])
    await vault.commit([{ type: 'identity-key', id: 'a', value: bytes('key') }])
    expect([found('a'), found('b')]).toEqual(['key', undefined])
    const refused = vault.commit([
      { type: 'identity-key', id: 'b', value: bytes('key') },
      { type: null as unknown as string, id: 'c', value: bytes('key') },
    ])
    await expect(refused).rejects.toThrow()
    expect(found('b')).toBeUndefined()
    await vault.commit([{ type: 'identity-key', id: 'a', value: null }])
    expect(found('a')).toBeUndefined()
    await vault.commit([{ type: 'identity-key', id: 'a', value: bytes('other') }])
    expect(found('a')).toBe('other')
  })

  test('that are plaintexts are like any others, in a table without an index', async () => {
    const write = (vault: SessionVault, id: string, value: string | null) =>
      vault.commit([
        { type: 'session', id: 'a', value: bytes(`ratchet of ${id}`) },
        { type: 'plaintext', id, value: value === null ? null : bytes(value) },
      ])
    const seen = (vault: SessionVault) =>
      vault
        .ids('plaintext')
        .sort()
        .map((id) => [id, text(vault.get('plaintext', [id]).get(id))])
    let vault = storage.vaults.open(SESSION)
    let other = storage.vaults.open(OTHER)
    for (const id of ['a', 'b', 'c']) await write(vault, id, `said ${id}`)
    await write(other, 'a', 'of another')
    await write(vault, 'b', 'said again')
    await write(vault, 'c', null)
    await write(vault, 'never', null)
    const expected = [
      ['a', 'said a'],
      ['b', 'said again'],
    ]
    expect(seen(vault)).toEqual(expected)
    await storage.close()
    storage = rig.open()
    vault = storage.vaults.open(SESSION)
    other = storage.vaults.open(OTHER)
    expect([seen(vault), seen(other)]).toEqual([expected, [['a', 'of another']]])
    expect(text(vault.get('session', ['a']).get('a'))).toBe('ratchet of never')
    await write(vault, 'd', 'said d')
    expect(seen(vault)).toEqual([...expected, ['d', 'said d']])
    await storage.ledger.commit([
      { change: { kind: 'session_deleted', sessionId: SESSION }, events: [makeEvent('session.deleted')] },
    ])
    await storage.vaults.wipe(OTHER)
    await write(storage.vaults.open(OTHER), 'e', 'said e')
    await storage.close()
    const database = new Database(rig.file)
    expect(
      database
        .query("SELECT id FROM plaintexts UNION ALL SELECT id FROM vault WHERE type = 'plaintext'")
        .all(),
    ).toEqual([{ id: 'e' }])
    database.close()
    storage = rig.open()
  })

  test('that are plaintexts of the release before are moved', () => {
    const database = new Database(':memory:', { strict: true })
    migrate(database, 1, MIGRATIONS.slice(0, 10))
    const add = database.prepare('INSERT INTO vault (session, type, id, value) VALUES (?, ?, ?, ?)')
    add.run(1, 'session', 'a', bytes('ratchet'))
    add.run(1, 'plaintext', 'a', bytes('one'))
    add.run(2, 'plaintext', 'a', bytes('two'))
    migrate(database, 2)
    const rows = (table: string) =>
      database
        .query<{ session: number; id: string; value: Uint8Array }, []>(
          `SELECT session, id, value FROM ${table} ORDER BY session`,
        )
        .all()
        .map(({ session, id, value }) => [session, id, text(value)])
    expect(rows('vault')).toEqual([[1, 'a', 'ratchet']])
    expect(rows('plaintexts')).toEqual([
      [1, 'a', 'one'],
      [2, 'a', 'two'],
    ])
    database.close()
  })

  test('that are plaintexts and did not reach the disk are not there', async () => {
    const vault = storage.vaults.open(SESSION)
    const refused = vault.commit([
      { type: 'plaintext', id: 'x', value: bytes('unwritten') },
      { type: null as unknown as string, id: 'c', value: bytes('key') },
    ])
    await expect(refused).rejects.toThrow()
    expect(vault.get('plaintext', ['x']).size).toBe(0)
    await vault.commit([{ type: 'plaintext', id: 'x', value: bytes('written') }])
    expect(text(vault.get('plaintext', ['x']).get('x'))).toBe('written')
  })

  test('survive a restart, also of a session that nobody has created', async () => {
    const ghost = 'c'.repeat(32)
    await storage.vaults.open(ghost).commit([{ type: 'creds', id: 'creds', value: bytes('me') }])
    await storage.close()
    storage = rig.open()
    expect(text(storage.vaults.open(ghost).get('creds', ['creds']).get('creds'))).toBe('me')
  })

  test('rows moved to another id, type or session do not open', async () => {
    const vault = storage.vaults.open(SESSION)
    await vault.commit([
      { type: 'session', id: 'a', value: bytes('aaa') },
      { type: 'session', id: 'b', value: bytes('bbb') },
      { type: 'pre-key', id: 'a', value: bytes('pre') },
    ])
    await storage.vaults.open(OTHER).commit([{ type: 'session', id: 'a', value: bytes('other') }])
    const swap = (one: string, two: string) => [
      `CREATE TEMP TABLE held AS SELECT (SELECT value FROM vault WHERE ${one}) AS x, (SELECT value FROM vault WHERE ${two}) AS y`,
      `UPDATE vault SET value = (SELECT y FROM held) WHERE ${one}`,
      `UPDATE vault SET value = (SELECT x FROM held) WHERE ${two}`,
      'DROP TABLE held',
    ]
    const a = "session = 1 AND type = 'session' AND id = 'a'"
    for (const other of [
      "session = 1 AND type = 'session' AND id = 'b'",
      "session = 1 AND type = 'pre-key' AND id = 'a'",
      "session = 2 AND type = 'session' AND id = 'a'",
    ]) {
      await tamper(...swap(a, other))
      expect(() => storage.vaults.open(SESSION).get('session', ['a'])).toThrow(Unsealable)
      await tamper(...swap(a, other))
      expect(text(storage.vaults.open(SESSION).get('session', ['a']).get('a'))).toBe('aaa')
    }
  })
})

describe('the fence', () => {
  const write = [{ type: 'session', id: 'a', value: bytes('stale') }]
  const count = () => storage.vaults.open(SESSION).ids('session').length

  test('a vault that was replaced writes nothing', async () => {
    const old = storage.vaults.open(SESSION)
    const next = storage.vaults.open(SESSION)
    expect(next.generation).toBeGreaterThan(old.generation)
    await expect(old.commit(write)).rejects.toBeInstanceOf(VaultFenced)
    await expect(old.receive(bytes('s'))).rejects.toBeInstanceOf(VaultFenced)
    await expect(old.discard([1])).rejects.toBeInstanceOf(VaultFenced)
    expect(count()).toBe(0)
  })

  test('nor does one that is replaced while its write waits in the queue', async () => {
    const old = storage.vaults.open(SESSION)
    const waiting = old.commit(write)
    storage.vaults.open(SESSION)
    await expect(waiting).rejects.toBeInstanceOf(VaultFenced)
    expect(count()).toBe(0)
  })

  test('a wipe fences at once, and removes keys and inbox', async () => {
    const old = storage.vaults.open(SESSION)
    await old.commit(write)
    await old.receive(bytes('stanza'))
    const waiting = old.commit(write)
    const wiped = storage.vaults.wipe(SESSION)
    await expect(waiting).rejects.toBeInstanceOf(VaultFenced)
    await wiped
    await expect(old.commit(write)).rejects.toBeInstanceOf(VaultFenced)
    const fresh = storage.vaults.open(SESSION)
    expect(fresh.ids('session')).toEqual([])
    expect(fresh.inbox()).toEqual([])
    await fresh.commit(write)
    await expect(old.commit(write)).rejects.toBeInstanceOf(VaultFenced)
  })

  test('one session’s fence is no other’s', async () => {
    const vault = storage.vaults.open(SESSION)
    storage.vaults.open(OTHER)
    await storage.vaults.wipe(OTHER)
    await vault.commit(write)
    expect(vault.ids('session')).toEqual(['a'])
  })
})

describe('the inbox', () => {
  test('keeps stanzas in order until their message is stored, in one commit', async () => {
    const vault = storage.vaults.open(SESSION)
    const ids = await Promise.all(['one', 'two', 'three', 'four'].map((one) => vault.receive(bytes(one))))
    const [one = 0, two = 0, three = 0] = ids
    await storage.ledger.commit([
      received(makeMessage('M1'), { inboxId: one }),
      { change: { kind: 'inbox_done', sessionId: SESSION, inboxIds: [two] }, events: [] },
    ])
    // Stored before, so no news; its stanza goes all the same.
    await storage.ledger.commit([received(makeMessage('M1'), { inboxId: three })])
    expect(vault.inbox().map((row) => text(row.stanza))).toEqual(['four'])
    await storage.close()
    storage = rig.open()
    const again = storage.vaults.open(SESSION)
    const [left] = again.inbox()
    expect(text(left?.stanza)).toBe('four')
    const next = await again.receive(bytes('five'))
    expect(next).toBeGreaterThan(left?.id ?? Number.MAX_SAFE_INTEGER)
    await again.discard([left?.id ?? 0])
    expect(again.inbox().map((row) => text(row.stanza))).toEqual(['five'])
  })

  test('another session cannot drop it', async () => {
    const vault = storage.vaults.open(SESSION)
    const id = await vault.receive(bytes('mine'))
    await storage.vaults.open(OTHER).discard([id])
    await storage.ledger.commit([
      { change: { kind: 'inbox_done', sessionId: OTHER, inboxIds: [id] }, events: [] },
    ])
    expect(vault.inbox()).toHaveLength(1)
  })
})

describe('at rest', () => {
  const secrets = [
    'ratchet-root-key-0001',
    'whatsapp-plaintext-0002',
    'stanza-bytes-0003',
    'answer-with-key-0004',
    'quoted-words-0005',
    'Sender Name 0006',
    'edited-words-0007',
    'voted-option-0008',
    'question-of-poll-0009',
  ]
  const forms = (secret: string) => {
    const raw = Buffer.from(secret)
    return [
      raw,
      raw.toString('hex'),
      raw.toString('base64'),
      raw.toString('base64url'),
      JSON.stringify([...raw]).slice(1, -1),
    ]
  }
  const files = () => readdirSync(dirname(rig.file)).map((name) => join(dirname(rig.file), name))
  async function hits(): Promise<string[]> {
    const found: string[] = []
    for (const path of files()) {
      const content = Buffer.from(await Bun.file(path).arrayBuffer())
      for (const secret of secrets)
        for (const form of forms(secret)) if (content.includes(form)) found.push(`${secret} in ${path}`)
    }
    return found
  }

  test('no secret can be read from the files, neither in the log nor after its truncation', async () => {
    const [
      key = '',
      words = '',
      stanza = '',
      answer = '',
      quoted = '',
      name = '',
      edit = '',
      vote = '',
      poll = '',
    ] = secrets
    const vault = storage.vaults.open(SESSION)
    await vault.commit([{ type: 'session', id: 'a', value: bytes(key) }])
    await vault.receive(bytes(stanza))
    const message = makeMessage('M1', {
      content: { type: 'text', text: words },
      raw: bytes(words),
      quoted: { messageId: 'Q', from: null, text: quoted },
      senderName: name,
    })
    await storage.ledger.commit([
      {
        change: { kind: 'message', message, keepContent: true, inboxId: null },
        events: [makeEvent('message.received', { text: words, contact: { name } })],
      },
    ])
    await storage.ledger.commit([
      received(makeMessage('E', { content: { type: 'edit', text: edit, targetMessageId: 'M1' } })),
      received(
        makeMessage('P', { content: { type: 'poll', question: poll, options: [vote], selectable: 1 } }),
      ),
      received(makeMessage('V', { content: { type: 'vote', options: [vote], targetMessageId: 'P' } })),
    ])
    await storage.messages.searchable()
    expect(storage.messages.get(SESSION, 'M1')?.content).toEqual({ type: 'text', text: edit })
    expect(storage.messages.get(SESSION, 'P')?.afterlife.votes[0]?.options).toEqual([vote])
    expect(await storage.idempotency.begin('t' as never, 'key', 'hash')).toBe('new')
    await storage.idempotency.finish('t' as never, 'key', { status: 201, body: answer })
    // The files are read by a child: a process that closes a file drops its own locks on it.
    const child = Bun.spawnSync(['cat', ...files().filter((path) => !path.endsWith('.lock'))])
    const log = Buffer.from(child.stdout)
    for (const secret of secrets) for (const form of forms(secret)) expect(log.includes(form)).toBe(false)
    await storage.close()
    expect(await hits()).toEqual([])
  })

  test('the control: content of a session that asked for no encryption is found', async () => {
    const [, words = ''] = secrets
    const settings = { ...makeSession().settings, enableEncryption: false }
    await storage.ledger.commit([
      { change: { kind: 'session_changed', session: makeSession(SESSION, { settings }) }, events: [] },
    ])
    await storage.ledger.commit([
      {
        change: {
          kind: 'message',
          message: makeMessage('M', { raw: bytes(words) }),
          keepContent: true,
          inboxId: null,
        },
        events: [],
      },
    ])
    expect(storage.messages.raw(SESSION, 'M')).toEqual(bytes(words))
    await storage.close()
    expect((await hits()).length).toBeGreaterThan(0)
    // Deleted means gone from the file as well.
    storage = rig.open()
    await storage.ledger.commit([{ change: { kind: 'session_deleted', sessionId: SESSION }, events: [] }])
    await storage.close()
    expect(await hits()).toEqual([])
  })
})

test('a deleted session leaves no row in any table but the journal', async () => {
  const settings = { ...makeSession().settings, webhookUrl: 'https://example.com' }
  await storage.ledger.commit([
    { change: { kind: 'session_changed', session: makeSession(SESSION, { settings }) }, events: [] },
    received(makeMessage('M1')),
    received(makeMessage('R', { content: { type: 'reaction', emoji: '👍', targetMessageId: 'M1' } })),
    received(makeMessage('V', { content: { type: 'vote', options: ['a'], targetMessageId: 'not here' } })),
    {
      change: { kind: 'identity', sessionId: SESSION, lid: '5@lid' as never, phoneNumber: '49170' },
      events: [],
    },
  ])
  const vault = storage.vaults.open(SESSION)
  await vault.commit([{ type: 'session', id: 'a', value: bytes('k') }])
  await vault.receive(bytes('s'))
  await storage.webhooks.fanOut(storage.journal.head())
  await storage.messages.searchable()
  expect(storage.messages.get(SESSION, 'M1')?.afterlife.reactions).toHaveLength(1)
  await storage.ledger.commit([
    { change: { kind: 'session_deleted', sessionId: SESSION }, events: [makeEvent('session.deleted')] },
  ])
  await storage.close()
  const database = new Database(rig.file)
  const columns = database
    .query<{ t: string; c: string }, []>(
      "SELECT m.name AS t, p.name AS c FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table' AND p.name = 'session'",
    )
    .all()
  expect(columns.length).toBeGreaterThan(8)
  expect(columns.map(({ t }) => t)).toContain('acts')
  const left = columns.map(({ t }) => {
    const row = database.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${t} WHERE session = 1`).get()
    return [t, row?.n]
  })
  // The endpoint waits to tell the deletion, then it goes too.
  expect(left.filter(([, n]) => n !== 0)).toEqual([
    ['journal', 1],
    ['endpoints', 1],
  ])
  expect(database.query('SELECT data_key FROM session_numbers WHERE number = 1').get()).toEqual({
    data_key: null,
  })
  expect(database.query('SELECT count(*) AS n FROM search_docsize').get()).toEqual({ n: 0 })
  database.close()
})

describe('values kept at hand', () => {
  const get = (vault: ReturnType<Storage['vaults']['open']>, id: string) => vault.get('session', [id]).get(id)

  test('are those on disk after writing, replacing and deleting', async () => {
    const vault = storage.vaults.open(SESSION)
    await vault.commit([{ type: 'session', id: 'a', value: bytes('one') }])
    expect(text(get(vault, 'a'))).toBe('one')
    await Promise.all([
      vault.commit([{ type: 'session', id: 'a', value: bytes('two') }]),
      vault.commit([{ type: 'session', id: 'a', value: bytes('three') }]),
    ])
    expect(text(get(vault, 'a'))).toBe('three')
    await vault.commit([{ type: 'session', id: 'a', value: null }])
    expect(get(vault, 'a')).toBeUndefined()
  })

  test('are not changed by who wrote them or who reads them', async () => {
    const vault = storage.vaults.open(SESSION)
    const value = bytes('kept')
    await vault.commit([{ type: 'session', id: 'a', value }])
    value.fill(0)
    get(vault, 'a')?.fill(1)
    expect(text(get(vault, 'a'))).toBe('kept')
  })

  test('a commit that fails leaves them', async () => {
    const vault = storage.vaults.open(SESSION)
    await vault.commit([{ type: 'session', id: 'a', value: bytes('old') }])
    const late = vault.commit([{ type: 'session', id: 'a', value: bytes('new') }])
    storage.vaults.open(SESSION)
    await expect(late).rejects.toBeInstanceOf(VaultFenced)
    expect(text(get(vault, 'a'))).toBe('old')
  })

  test('the vault of the next generation reads from disk', async () => {
    const first = storage.vaults.open(SESSION)
    await first.commit([{ type: 'session', id: 'a', value: bytes('one') }])
    const second = storage.vaults.open(SESSION)
    await second.commit([{ type: 'session', id: 'a', value: bytes('two') }])
    expect(text(get(storage.vaults.open(SESSION), 'a'))).toBe('two')
  })
})
