/** Baileys' key store with transactions over a map, and a look at every commit. */
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
): SignalKeyStoreWithTransaction {
  const rows = new Map<string, unknown>()
  return addTransactionCapability(
    {
      get<T extends keyof SignalDataTypeMap>(type: T, ids: string[]) {
        const found: { [id: string]: SignalDataTypeMap[T] } = {}
        for (const id of ids) {
          const value = rows.get(`${type}/${id}`)
          if (value !== undefined) found[id] = value as SignalDataTypeMap[T]
        }
        return found
      },
      set(data) {
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
