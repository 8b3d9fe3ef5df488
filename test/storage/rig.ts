/** A real storage in a directory of its own, and small makers of domain values. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Fact } from '../../src/domain/changes'
import type { EventName, NewEvent } from '../../src/domain/events'
import { asJid, asMessageId, asSessionId, asTenantId, type SessionId } from '../../src/domain/ids'
import type { Message } from '../../src/domain/message'
import { DEFAULT_SETTINGS, type Session } from '../../src/domain/session'
import { type Clock, systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { openStorage, type Storage, type StorageOptions } from '../../src/storage/open'

export const MASTER = new Uint8Array(32).fill(7)
export const TENANT = asTenantId('tenant-1')
export const SESSION = asSessionId('a'.repeat(32))
export const OTHER = asSessionId('b'.repeat(32))
export const LID = asJid('111222333444555@lid')
export const PHONE = '491700000001'

/** The machine's clock, moved by `shift` ms. */
export function movableClock(): Clock & { shift: number } {
  const clock = { ...systemClock, shift: 0, now: () => Date.now() + clock.shift }
  return clock
}

export type Rig = {
  file: string
  directory: string
  open(options?: Partial<StorageOptions>): Storage
  closeAll(): Promise<void>
  /** Closes all and removes the directory. */
  clear(): Promise<void>
}

export function makeRig(): Rig {
  const directory = mkdtempSync(join(tmpdir(), 'wabun-storage-'))
  const file = join(directory, 'data', 'wabun.db')
  const opened: Storage[] = []
  return {
    file,
    directory,
    open(options = {}) {
      const storage = openStorage({
        file,
        masterKey: MASTER,
        clock: systemClock,
        sync: 'normal',
        log: silentLog,
        ...options,
      })
      opened.push(storage)
      return storage
    },
    async closeAll() {
      for (const storage of opened) await storage.close()
    },
    async clear() {
      for (const storage of opened) await storage.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export const makeSession = (id: SessionId = SESSION, also: Partial<Session> = {}): Session => ({
  id,
  tenantId: TENANT,
  name: 'Support',
  description: null,
  settings: DEFAULT_SETTINGS,
  state: { status: 'inactive' },
  credentials: 'none',
  me: null,
  clientVersion: null,
  restriction: null,
  lastDisconnect: null,
  createdAt: 1_000,
  updatedAt: 1_000,
  lastActivity: null,
  firstStartedAt: null,
  connectedMs: 0,
  outage: null,
  ...also,
})

export const makeMessage = (id: string, also: Partial<Message> = {}): Message => ({
  sessionId: SESSION,
  id: asMessageId(id),
  chat: LID,
  fromMe: false,
  sender: { lid: LID, phoneNumber: null },
  senderName: 'Ada',
  content: { type: 'text', text: `hello ${id}` },
  mentions: [],
  quoted: null,
  context: {},
  status: 'received',
  timestamp: Date.now(),
  viaApi: false,
  offline: false,
  history: false,
  error: null,
  raw: new Uint8Array(Buffer.from(`\x0a\x10hello ${id}`)),
  ackedAt: null,
  attachment: null,
  schedule: null,
  ...also,
})

export const makeEvent = (name: EventName, fields = {}, sessionId: SessionId = SESSION): NewEvent => ({
  name,
  tenantId: TENANT,
  sessionId,
  fields,
})

export const created = (session: Session = makeSession()): Fact => ({
  change: { kind: 'session_created', session },
  events: [makeEvent('session.created', {}, session.id)],
})

export const received = (message: Message, also: { keepContent?: boolean; inboxId?: number } = {}): Fact => ({
  change: {
    kind: 'message',
    message,
    keepContent: also.keepContent ?? true,
    inboxId: also.inboxId ?? null,
  },
  events: [makeEvent('message.received', { messageId: message.id }, message.sessionId)],
})
