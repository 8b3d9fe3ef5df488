/** What every request asks is remembered; a change is seen by the very next request. */
import { Database } from 'bun:sqlite'
import { afterEach, expect, test } from 'bun:test'
import { asTenantId } from '../../src/domain/ids'
import type { ApiKey, User } from '../../src/domain/principal'
import { makeEvent, makeRig, TENANT } from './rig'

const rig = makeRig()
afterEach(() => rig.clear())

const user: User = {
  id: TENANT,
  username: 'owner',
  email: 'owner@example.com',
  firstName: null,
  lastName: null,
  passwordHash: 'none',
  tokenEpoch: 0,
  keptToken: null,
  leaving: false,
  role: 'admin',
  plan: 'enterprise',
  isActive: true,
  createdAt: 1,
  updatedAt: 1,
}
const keyOf = (hash: string): ApiKey => ({
  id: `key-${hash}`,
  tenantId: TENANT,
  name: 'default',
  hash,
  masked: 'wapi_12…cdef',
  scopes: null,
  sessionIds: null,
  ipAllowlist: [],
  expiresAt: null,
  lastUsedAt: null,
  isDefault: true,
  createdAt: 1,
})

test('a replaced key and a removed account are gone although they were just asked for', async () => {
  const { accounts } = rig.open()
  expect(await accounts.addUser(user, keyOf('old'), { onlyFirst: true })).toBe('added')
  expect(accounts.keyByHash('old')?.tenantId).toBe(TENANT)
  expect(accounts.userById(TENANT)?.username).toBe('owner')

  await accounts.replaceDefaultKey(keyOf('new'))
  expect(accounts.keyByHash('old')).toBeNull()
  expect(accounts.keyByHash('new')?.tenantId).toBe(TENANT)

  await accounts.removeUser(TENANT)
  expect(accounts.keyByHash('new')).toBeNull()
  expect(accounts.userById(TENANT)).toBeNull()
})

test('a removed account leaves no event in the journal, in pieces and over a restart; others keep theirs', async () => {
  const bob = asTenantId('tenant-2')
  const storage = rig.open()
  const { accounts, ledger, journal } = storage
  await accounts.addUser(user, keyOf('one'), { onlyFirst: false })
  const other = { ...user, id: bob, username: 'bob', email: 'bob@example.com' }
  await accounts.addUser(other, { ...keyOf('two'), tenantId: bob }, { onlyFirst: false })
  const event = (tenantId: typeof bob) => ({ ...makeEvent('session.deleted'), tenantId })
  const told = (events: ReturnType<typeof event>[]) =>
    ledger.commit([{ change: { kind: 'told' as const }, events }])
  // More than are looked through in one piece.
  for (let n = 0; n < 11; n += 1) await told(Array.from({ length: 1_000 }, () => event(TENANT)))
  await told([event(bob)])
  await told([event(TENANT)])
  const head = journal.head()
  await accounts.removeUser(TENANT)
  expect(journal.read(0, 100).map(({ tenantId }) => tenantId)).not.toContain(TENANT)
  await storage.close()

  const again = rig.open()
  expect(again.journal.head()).toBe(head)
  const isErased = async () => {
    while (again.meta.get('erasing') !== '[]') await Bun.sleep(5)
    const rows = new Database(rig.file, { readonly: true })
    const kept = rows.query('SELECT count(*) AS n FROM journal').get()
    const numbered = rows.query('SELECT id FROM tenant_numbers').all()
    rows.close()
    expect([kept, numbered]).toEqual([{ n: 1 }, [{ id: bob }]])
  }
  await isErased()
  expect(again.journal.read(0, 100).map(({ tenantId }) => tenantId)).toEqual([bob])
  // Late ones are found when it is looked through once more.
  await again.ledger.commit([{ change: { kind: 'told' }, events: [event(TENANT)] }])
  await again.accounts.removeUser(TENANT)
  await isErased()
})
