import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { proto, type SignalDataSet } from '@whiskeysockets/baileys'
import { openAuthState } from '../../src/whatsapp/baileys/auth-state'
import { createMemoryVault } from './support/memory-vault'

describe('the authentication state', () => {
  test('one set is one commit, whatever types it holds', async () => {
    const vault = createMemoryVault()
    const batches: string[][] = []
    vault.onCommit((writes) => void batches.push(writes.map(({ type, id }) => `${type}/${id}`)))
    const { keys } = openAuthState(vault, () => undefined)
    await keys.set({
      'pre-key': { 1: { private: randomBytes(32), public: randomBytes(32) }, 2: null },
      'lid-mapping': { a: 'b' },
      'a type of tomorrow': { x: { some: 'thing' } },
    } as SignalDataSet)
    expect(batches).toEqual([['pre-key/1', 'pre-key/2', 'lid-mapping/a', 'a type of tomorrow/x']])
  })

  test('null deletes, unknown ids are absent', async () => {
    const vault = createMemoryVault()
    const { keys } = openAuthState(vault, () => undefined)
    await keys.set({ 'lid-mapping': { a: 'b', c: 'd' } })
    await keys.set({ 'lid-mapping': { a: null } })
    expect(await keys.get('lid-mapping', ['a', 'c', 'x'])).toEqual({ c: 'd' })
  })

  test('a ratchet is the one on disk, whether it is at hand or not', async () => {
    const vault = createMemoryVault()
    const { keys } = openAuthState(vault, () => undefined)
    const ratchet = (n: number) => ({ _sessions: {}, version: 'v1', n })
    const write = (id: string, value: unknown) => keys.set({ session: { [id]: value } } as SignalDataSet)
    for (let n = 0; n < 50; n++) await write(`${n}.0`, ratchet(n))
    await write('7.0', ratchet(70))
    await write('8.0', null)
    const expected = { '3.0': ratchet(3), '7.0': ratchet(70), '49.0': ratchet(49) }
    expect(await keys.get('session', ['3.0', '7.0', '8.0', '49.0', 'x'])).toEqual(expected as never)
    const { keys: fresh } = openAuthState(vault.next(), () => undefined)
    expect(await fresh.get('session', ['3.0', '7.0', '8.0', '49.0', 'x'])).toEqual(expected as never)
  })

  test('a ratchet whose write failed is not at hand', async () => {
    const vault = createMemoryVault()
    const { keys } = openAuthState(vault, () => undefined)
    const write = async (n: number) => keys.set({ session: { a: { n } } } as unknown as SignalDataSet)
    await write(1)
    const gate = Promise.withResolvers<void>()
    vault.onCommit(() => gate.promise)
    const second = write(2)
    expect(await keys.get('session', ['a'])).toEqual({ a: { n: 1 } } as never)
    gate.reject(new Error('disk full'))
    await expect(second).rejects.toThrow('disk full')
    expect(await keys.get('session', ['a'])).toEqual({ a: { n: 1 } } as never)
  })

  test('credentials come back whole, with the account as bytes', async () => {
    const vault = createMemoryVault()
    const first = openAuthState(vault, () => undefined)
    first.creds.me = { id: '49:1@s.whatsapp.net', lid: '5:1@lid', name: 'A' }
    first.creds.account = proto.ADVSignedDeviceIdentity.fromObject({
      details: randomBytes(20),
      accountSignatureKey: randomBytes(32),
      accountSignature: randomBytes(64),
      deviceSignature: randomBytes(64),
    })
    await first.saveCreds()
    const second = openAuthState(vault.next(), () => undefined)
    expect(second.creds.noiseKey).toEqual(first.creds.noiseKey)
    expect(second.creds.me).toEqual(first.creds.me)
    expect(proto.ADVSignedDeviceIdentity.encode(second.creds.account ?? {}).finish()).toEqual(
      proto.ADVSignedDeviceIdentity.encode(first.creds.account).finish(),
    )
    expect(Buffer.isBuffer(Buffer.from(second.creds.account?.details ?? []))).toBe(true)
  })

  test('credentials are written when they have changed, and only then', async () => {
    const vault = createMemoryVault()
    let commits = 0
    vault.onCommit(() => void commits++)
    const first = openAuthState(vault, () => undefined)
    await first.saveCreds()
    await first.saveCreds()
    expect(commits).toBe(1)
    first.creds.nextPreKeyId += 1
    await Promise.all([first.saveCreds(), first.saveCreds()])
    expect(commits).toBe(2)
    const next = vault.next()
    next.onCommit(() => void commits++)
    const second = openAuthState(next, () => undefined)
    await second.saveCreds()
    expect(commits).toBe(2)
    expect(second.creds.nextPreKeyId).toBe(first.creds.nextPreKeyId)
  })

  test('a fenced vault takes nothing, and says so once', async () => {
    const vault = createMemoryVault()
    const failures: unknown[] = []
    const { keys, saveCreds } = openAuthState(vault, (error) => failures.push(error))
    const newer = vault.next()
    expect(saveCreds()).rejects.toThrow('replaced')
    await saveCreds().catch(() => undefined)
    await Promise.resolve(keys.set({ 'lid-mapping': { a: 'b' } })).catch(() => undefined)
    expect(failures.length).toBe(1)
    expect(newer.size).toBe(0)
  })
})
