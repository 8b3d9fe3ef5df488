/** The other address of a person, as WhatsApp has told it to Baileys: read from the key store, without asking anybody. */
import type { SignalKeyStore } from '@whiskeysockets/baileys'
import { isLid, withoutDevice } from '../../domain/ids'
import type { Know } from './people'

const MAPPING = 'lid-mapping'
const REMEMBERED = 2_000

/** Looks in `keys`; answers are remembered, ignorance is not. */
export function createAddressBook(keys: SignalKeyStore): Know {
  const known = new Map<string, string>()
  return (jid) => {
    const plain = withoutDevice(jid)
    const remembered = known.get(plain)
    if (remembered !== undefined) return remembered
    const user = plain.split('@')[0] ?? ''
    const id = isLid(plain) ? `${user}_reverse` : user
    const found = keys.get(MAPPING, [id])
    // The vault answers at once; another store's promise would be an answer too late.
    const other = found instanceof Promise ? undefined : found[id]
    if (typeof other !== 'string') return null
    const address = isLid(plain) ? `${other}@s.whatsapp.net` : `${other}@lid`
    if (known.size >= REMEMBERED) known.clear()
    known.set(plain, address)
    return address
  }
}
