/** When keys were last used: kept in memory, and written once a minute, so that no request waits for it. */
import type { Accounts, ApiKey } from '../domain/principal'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'

/** How often it is written (ms). */
const EVERY = 60_000

export interface KeyUse {
  noted(keyId: string): void
  /** The key with what is not written yet. */
  upToDate(key: ApiKey): ApiKey
  /** Writes what is left. */
  stop(): Promise<void>
}

/** Makes the notebook. No key used: no timer. */
export function createKeyUse(parts: {
  accounts: Pick<Accounts, 'usedKeys'>
  clock: Clock
  log: Log
}): KeyUse {
  const { accounts, clock, log } = parts
  let used = new Map<string, number>()
  let cancel: (() => void) | null = null

  async function write(): Promise<void> {
    cancel?.()
    cancel = null
    if (used.size === 0) return
    const times = used
    used = new Map()
    try {
      await accounts.usedKeys(times)
    } catch (error) {
      log.warn('When keys were last used cannot be written now', { error: String(error) })
      // A later use of the same key has the newer time already.
      for (const [id, at] of times) if (!used.has(id)) used.set(id, at)
    }
  }

  return {
    noted(keyId) {
      used.set(keyId, clock.now())
      cancel ??= clock.after(EVERY, () => void write())
    },
    upToDate: (key) => ({ ...key, lastUsedAt: used.get(key.id) ?? key.lastUsedAt }),
    stop: write,
  }
}
