import { describe, expect, test } from 'bun:test'
import { DEFAULT_CONNECTION_CONFIG, initAuthCreds } from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { openAuthState } from '../../../src/whatsapp/baileys/auth-state'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import { holdWritesFor, outsideTransactions } from '../../../src/whatsapp/baileys/upstream/commit-before-wire'
import type { RawSocket } from '../../../src/whatsapp/baileys/upstream/raw-socket'
import { memoryKeys } from '../support/memory-keys'
import { createMemoryVault } from '../support/memory-vault'

const GROUP = '1@g.us'

/** Encrypts inside of a surrounding transaction, as `relayMessage` does; tells what was on disk when it returned. */
async function storedAtReturn(wrap: boolean): Promise<boolean> {
  let stored = false
  const keys = memoryKeys((data) => {
    stored ||= data['sender-key'] !== undefined
  })
  const plain = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(
    { creds: initAuthCreds(), keys },
    baileysLogger(silentLog),
  )
  const repository = wrap ? outsideTransactions(plain) : plain
  const atReturn = await keys.transaction(async () => {
    await repository.encryptGroupMessage({ group: GROUP, meId: '2@lid', data: Buffer.from('x') })
    return stored
  }, 'me')
  plain.close?.()
  return atReturn
}

/** A raw socket that notes what it was asked to write. */
function rawSocket() {
  const written: string[] = []
  const raw: RawSocket = {
    send: (data, done) => {
      written.push(String(data))
      done?.()
    },
    close: () => undefined,
    terminate: () => undefined,
    readyState: 1,
    once: () => undefined,
  }
  return { raw, written }
}

describe('before anything leaves', () => {
  test('upstream: a ciphertext leaves its transaction before the ratchet is stored', async () => {
    expect(await storedAtReturn(false)).toBe(false)
  })

  test('the ratchet of a ciphertext is stored when it is returned', async () => {
    expect(await storedAtReturn(true)).toBe(true)
  })

  test('frames wait for the commits before them, in order', async () => {
    const vault = createMemoryVault()
    const gate = Promise.withResolvers<void>()
    const auth = openAuthState(vault, () => undefined)
    const { raw, written } = rawSocket()
    holdWritesFor(raw, auth.commits)
    raw.send('first')
    expect(written).toEqual(['first'])
    vault.onCommit(() => gate.promise)
    const saved = auth.saveCreds()
    const done: string[] = []
    raw.send('second', () => done.push('second'))
    raw.send('third', () => done.push('third'))
    await Promise.resolve()
    expect(written).toEqual(['first'])
    gate.resolve()
    await saved
    await Bun.sleep(0)
    expect(written).toEqual(['first', 'second', 'third'])
    expect(done).toEqual(['second', 'third'])
    raw.send('fourth')
    expect(written.at(-1)).toBe('fourth')
  })

  test('after a failed commit nothing leaves any more', async () => {
    const vault = createMemoryVault()
    const failures: unknown[] = []
    const auth = openAuthState(vault, (error) => failures.push(error))
    const { raw, written } = rawSocket()
    holdWritesFor(raw, auth.commits)
    vault.fail(new Error('disk full'))
    const saved = auth.saveCreds()
    const errors: (Error | undefined)[] = []
    raw.send('receipt', (error) => errors.push(error))
    expect(saved).rejects.toThrow('disk full')
    await saved.catch(() => undefined)
    vault.fail(null)
    await auth.saveCreds()
    raw.send('another', (error) => errors.push(error))
    await Bun.sleep(0)
    expect(written).toEqual([])
    expect(errors.map((error) => error?.message)).toEqual(['disk full', 'disk full'])
    expect(failures.length).toBe(1)
  })
})
