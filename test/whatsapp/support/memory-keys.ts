/** Baileys' key store with transactions over a map, a look at every commit, and the time that a disk takes. */
import {
  addTransactionCapability,
  type SignalDataSet,
  type SignalDataTypeMap,
  type SignalKeyStoreWithTransaction,
} from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'

export function memoryKeys(
  onSet: (data: SignalDataSet) => void = () => undefined,
  pause: () => Promise<void> | undefined = () => undefined,
): SignalKeyStoreWithTransaction {
  const rows = new Map<string, unknown>()
  return addTransactionCapability(
    {
      async get<T extends keyof SignalDataTypeMap>(type: T, ids: string[]) {
        await pause()
        const found: { [id: string]: SignalDataTypeMap[T] } = {}
        for (const id of ids) {
          const value = rows.get(`${type}/${id}`)
          if (value !== undefined) found[id] = value as SignalDataTypeMap[T]
        }
        return found
      },
      async set(data) {
        await pause()
        onSet(data)
        for (const [type, values] of Object.entries(data)) {
          for (const [id, value] of Object.entries(values ?? {})) {
            if (value === null) rows.delete(`${type}/${id}`)
            else rows.set(`${type}/${id}`, value)
          }
        }
      },
    },
    baileysLogger(silentLog),
    { maxCommitRetries: 1, delayBetweenTriesMs: 0 },
  )
}
