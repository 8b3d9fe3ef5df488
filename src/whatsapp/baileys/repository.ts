/**
 * Baileys' Signal operations with two additions: what was decrypted is kept in the commit that advances the ratchet, and
 * a ciphertext that comes again is answered from there (quality notes F2, F4).
 *
 * Without it a message whose receipt did not reach WhatsApp is delivered again, cannot be decrypted a second time, and
 * Baileys refuses it without a word to anybody.
 */
import { createHash } from 'node:crypto'
import {
  DEFAULT_CONNECTION_CONFIG,
  jidNormalizedUser,
  type SignalKeyStoreWithTransaction,
  type SignalRepositoryWithLIDStore,
  type SocketConfig,
} from '@whiskeysockets/baileys'
import { faultPoint } from '../../lib/fault-points'
import { outsideTransactions } from './upstream/commit-before-wire'
import { lockedByPerson, sessionName } from './upstream/one-lock'
import { withOwnEnvelope } from './upstream/own-copies'

/** The key type under which decrypted bytes wait until their message is stored. */
export const PLAINTEXT = 'plaintext'

/** Decrypted bytes and whose they are. */
export type Plaintext = { author: string; plaintext: Uint8Array }

/** Which plaintexts are on disk, so that the store is only asked when it has the answer. */
export interface PlaintextIndex {
  has(id: string): boolean
  /** Just decrypted (padded, as it came) and about to be committed. */
  add(id: string, plaintext: Uint8Array): void
}

type PlaintextStore = {
  get(type: string, ids: string[]): Promise<Record<string, Plaintext>> | Record<string, Plaintext>
  set(data: Record<string, Record<string, Plaintext>>): Promise<void> | void
  transaction<T>(work: () => Promise<T>, key: string): Promise<T>
}

/** The option `makeSignalRepository`; `isOwn` knows the addresses of our own devices. */
export function signalRepositoryWith(
  index: PlaintextIndex,
  isOwn: (jid: string) => boolean,
): SocketConfig['makeSignalRepository'] {
  return (auth, logger, pnToLid) => {
    const inner = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(auth, logger, pnToLid)
    // Baileys' store takes any type name; its own types only list those that it uses itself.
    const keys = auth.keys as SignalKeyStoreWithTransaction as unknown as PlaintextStore

    const once = (
      author: string,
      ciphertext: Uint8Array,
      mutex: string,
      decrypt: () => Promise<Uint8Array>,
    ) => {
      const id = createHash('sha256').update(ciphertext).digest('base64url')
      const decryptOrRecall = async (): Promise<Uint8Array> => {
        const known = index.has(id) ? (await keys.get(PLAINTEXT, [id]))[id] : undefined
        const isKnown = known !== undefined && (await isSamePerson(inner, known.author, author))
        const plaintext = isKnown ? known.plaintext : await decrypt()
        if (!isKnown) await keys.set({ [PLAINTEXT]: { [id]: { author, plaintext } } })
        index.add(id, plaintext)
        return plaintext
      }
      // Baileys' own transaction: writes are gathered and reach the vault in one commit.
      return keys.transaction(decryptOrRecall, mutex).then((plaintext) => {
        faultPoint('ratchet and plaintext committed')
        return plaintext
      })
    }

    return {
      ...outsideTransactions(lockedByPerson(inner)),
      decryptMessage: async (options) => {
        const { jid, ciphertext } = options
        const mutex = await sessionName(inner, jid)
        const plaintext = await once(jid, ciphertext, mutex, () => inner.decryptMessage(options))
        return isOwn(jid) ? withOwnEnvelope(plaintext) : plaintext
      },
      decryptGroupMessage: (options) =>
        once(options.authorJid, options.msg, options.group, () => inner.decryptGroupMessage(options)),
    }
  }
}

/** The first message of a stranger is decrypted under the phone address, its repetition under the LID learnt from it. */
async function isSamePerson(
  repository: SignalRepositoryWithLIDStore,
  a: string,
  b: string,
): Promise<boolean> {
  const names = async (jid: string) => {
    const phone = jid.endsWith('@lid') ? await repository.lidMapping.getPNForLID(jid) : null
    return [jid, phone].filter((name) => name !== null).map(jidNormalizedUser)
  }
  const [ofA, ofB] = await Promise.all([names(a), names(b)])
  return ofA.some((name) => ofB.includes(name))
}
