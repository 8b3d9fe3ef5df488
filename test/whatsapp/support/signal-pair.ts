/** Two people with a Signal session between them, by Baileys' own repository over stores in memory. */
import {
  DEFAULT_CONNECTION_CONFIG,
  generateSignalPubKey,
  initAuthCreds,
  type SignalRepositoryWithLIDStore,
} from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import { memoryKeys } from './memory-keys'

export type Person = {
  jid: string
  repository: SignalRepositoryWithLIDStore
  /** Begins a new session with the other, from the keys that the other has published. */
  begin(other: Person): Promise<void>
  say(other: Person, text: string): Promise<Sealed>
  /** Decrypts; rejects when that is not possible. */
  hear(other: Person, sealed: Sealed): Promise<string>
  bundle(): Parameters<SignalRepositoryWithLIDStore['injectE2ESession']>[0]['session']
}
export type Sealed = { type: 'pkmsg' | 'msg'; ciphertext: Uint8Array }

/** A person under one address. */
export function person(jid: string): Person {
  const creds = initAuthCreds()
  let turn = 0
  const repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(
    { creds, keys: memoryKeys(undefined, () => Bun.sleep(turn++ % 5)) },
    baileysLogger(silentLog),
  )
  return {
    jid,
    repository,
    begin: (other) => repository.injectE2ESession({ jid: other.jid, session: other.bundle() }),
    say: (other, text) => repository.encryptMessage({ jid: other.jid, data: Buffer.from(text) }),
    hear: async (other, sealed) =>
      Buffer.from(await repository.decryptMessage({ jid: other.jid, ...sealed })).toString(),
    bundle: () =>
      ({
        registrationId: creds.registrationId,
        identityKey: generateSignalPubKey(creds.signedIdentityKey.public),
        signedPreKey: {
          keyId: creds.signedPreKey.keyId,
          publicKey: generateSignalPubKey(creds.signedPreKey.keyPair.public),
          signature: creds.signedPreKey.signature,
        },
      }) as ReturnType<Person['bundle']>,
  }
}
