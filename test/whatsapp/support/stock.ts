/** Unmodified Baileys as a companion of a phone, on a vault in memory. */
import { makeWASocket, type WAMessage, type WASocket } from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import type { Phone } from '../../../src/sandbox/phone'
import { openAuthState } from '../../../src/whatsapp/baileys/auth-state'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import { until } from '../../harness/measure'
import type { TestSession, TestWorld } from './world'

export type StockBaileys = {
  sock: WASocket
  /** The session on whose vault it works. */
  session: TestSession
  /** Everything that it has emitted as a message. */
  messages: WAMessage[]
  /** Resolves with a message of this id once it was decrypted. */
  heard(id: string): Promise<WAMessage>
  end(): Promise<void>
}

export async function stockBaileys(world: TestWorld, owner: Phone): Promise<StockBaileys> {
  const linked = await world.linked(owner)
  await linked.connection.close()
  linked.vault = linked.vault.next()
  const auth = openAuthState(linked.vault, () => undefined)
  const sock = makeWASocket({ auth, logger: baileysLogger(silentLog), waWebSocketUrl: world.server.url })
  const messages: WAMessage[] = []
  const opened = Promise.withResolvers<void>()
  sock.ev.on('creds.update', () => void auth.saveCreds())
  sock.ev.on('messages.upsert', (upsert) => messages.push(...upsert.messages))
  sock.ev.on('connection.update', ({ connection }) => connection === 'open' && opened.resolve())
  await opened.promise
  return {
    sock,
    session: linked,
    messages,
    heard: (id) =>
      until(`message ${id}`, () => messages.find(({ key, message }) => key.id === id && message) ?? null),
    end: () => sock.end(undefined),
  }
}
