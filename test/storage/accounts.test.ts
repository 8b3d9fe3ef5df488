/** What every request asks is remembered; a change is seen by the very next request. */
import { afterEach, expect, test } from 'bun:test'
import type { ApiKey, User } from '../../src/domain/principal'
import { makeRig, TENANT } from './rig'

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
