/**
 * Upstream defect: Baileys notes in the background when it has given a contact our privacy token, but inside the store
 * transaction of the message, which has long been committed: the note never reaches the disk, and every message that is
 * not part of a burst asks the server anew.
 *
 * Repair: tokens are read and written outside of transactions; nothing else depends on them.
 *
 * Upstream repaired it when the test named "upstream: …" of `privacy-tokens.test.ts` fails.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { SignalDataSet, SignalDataTypeMap, SignalKeyStoreWithTransaction } from '@whiskeysockets/baileys'

/** Changes the socket's own store. Call this outside of any transaction. */
export function keepPrivacyTokens(keys: SignalKeyStoreWithTransaction): void {
  const outside = AsyncLocalStorage.snapshot()
  const get = keys.get.bind(keys)
  const set = keys.set.bind(keys)
  keys.get = <T extends keyof SignalDataTypeMap>(type: T, ids: string[]) =>
    type === 'tctoken' ? outside(() => get(type, ids)) : get(type, ids)
  keys.set = async (data: SignalDataSet) => {
    const { tctoken, ...others } = data
    if (tctoken) await outside(() => set({ tctoken }))
    if (Object.keys(others).length > 0) await set(others)
  }
}
