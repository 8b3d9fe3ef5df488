/**
 * The WhatsApp port as a script: a test plays the server. For matters of state and time only; what goes over the wire is
 * tested against the sandbox.
 */
import { asJid, asMessageId, type Jid, type MessageId, phoneJid } from '../../src/domain/ids'
import type { Bytes } from '../../src/domain/media'
import type { Identity, Restriction } from '../../src/domain/session'
import {
  type Acknowledgement,
  type Connection,
  type EncodeContext,
  type IncomingMessage,
  type MediaPointer,
  type NumberLookup,
  type OpenRequest,
  type Outgoing,
  type Report,
  SendUnconfirmed,
  type WhatsApp,
} from '../../src/domain/whatsapp'
import type { Clock } from '../../src/lib/clock'

export type ScriptedSend = Outgoing & {
  acknowledge(): void
  fail(error: Error): void
}

/** What was done on a connection beside sending, in order. */
export type Deed =
  | { did: 'upload'; bytes: string }
  | { did: 'upload in vain' }
  | { did: 'presence'; to: string | null; presence: string }
  | { did: 'star'; id: string; starred: boolean }
  | { did: 'read'; ids: string[] }
  | { did: 'asked for restrictions' }

export interface ScriptedConnection extends Connection {
  readonly deeds: Deed[]
  readonly request: OpenRequest
  readonly sends: ScriptedSend[]
  readonly looked: string[]
  isClosed: boolean
  isUnlinked: boolean
  report(report: Report): void
  /** Runs when the connection is being closed, before it is gone. */
  onClose: () => void | Promise<void>
  qr(text?: string, forMs?: number): void
  paired(me?: Partial<Identity>): void
  opened(me?: Partial<Identity>): void
  closed(reason: Extract<Report, { kind: 'closed' }>['why']['reason'], code?: number | null): void
  message(also?: Partial<IncomingMessage>): void
}

export interface ScriptedWhatsApp extends WhatsApp {
  readonly connections: ScriptedConnection[]
  /** The newest connection. */
  last(): ScriptedConnection
  /** Connections that are open. */
  live(): ScriptedConnection[]
  /** Numbers that are not on WhatsApp. */
  readonly missing: Set<string>
  /** What the server says the LID of a number is. */
  readonly lids: Map<string, Jid>
  /** Answers sends at once. */
  acknowledges: boolean
  /** What the server says is forbidden. */
  forbidden: Restriction | null
  /** Numbers of each question that was asked. */
  readonly questions: string[][]
  /** While set, uploads fail so. */
  uploadFails: Error | null
  /** What a file of WhatsApp's holds. */
  downloads: () => Bytes
  /** The context of each message that was encoded. */
  readonly encodings: EncodeContext[]
}

export const ME: Identity = {
  phoneNumber: '49301111111',
  lid: '999@lid',
  name: 'Support',
  platform: 'android',
}
export const ADA = { phoneNumber: '49302222222', lid: asJid('112233@lid') }

let count = 0
export const anIncoming = (also: Partial<IncomingMessage> = {}): IncomingMessage => {
  count += 1
  return {
    id: asMessageId(`IN${count}`),
    chat: ADA.lid,
    chatParty: ADA,
    fromMe: false,
    sender: ADA,
    senderName: 'Ada',
    content: { type: 'text', text: `message ${count}` },
    mentions: [],
    quoted: null,
    context: {},
    timestamp: Date.UTC(2026, 0, 1),
    offline: false,
    raw: new Uint8Array([1, 2, 3]),
    inboxId: null,
    status: 'received',
    ...also,
  }
}

function createConnection(
  of: ScriptedWhatsApp,
  clock: Clock,
  request: OpenRequest,
  report: (report: Report) => void,
): ScriptedConnection {
  const connection: ScriptedConnection = {
    request,
    sends: [],
    looked: [],
    deeds: [],
    isClosed: false,
    isUnlinked: false,
    report,
    onClose: () => {},
    qr: (text = `qr-${of.connections.length}-${clock.monotonic()}`, forMs = 60_000) =>
      report({ kind: 'qr', text, expiresAt: clock.now() + forMs }),
    paired: (me = {}) => report({ kind: 'paired', me: { ...ME, ...me } }),
    opened: (me = {}) => report({ kind: 'opened', me: { ...ME, ...me }, clientVersion: '2.3000.1' }),
    closed(reason, code = null) {
      connection.isClosed = true
      for (const { fail } of connection.sends) fail(new SendUnconfirmed('The connection has ended'))
      report({ kind: 'closed', why: { reason, code, detail: `scripted ${reason}` } })
    },
    message: (also = {}) => report({ kind: 'messages', messages: [anIncoming(also)] }),
    async send(message) {
      // As the wire does: nothing leaves before the message's own commit is on disk.
      await message.stored?.catch(() => {
        throw new SendUnconfirmed('The message is not on disk')
      })
      const { promise, resolve, reject } = Promise.withResolvers<Acknowledgement>()
      const acknowledge = () => resolve({ at: clock.now() })
      if (connection.isClosed) throw new SendUnconfirmed('The connection has ended')
      connection.sends.push({ ...message, acknowledge, fail: reject })
      if (of.acknowledges) acknowledge()
      return promise
    },
    async pairingCode() {
      return { code: 'ABCD-1234', expiresAt: clock.now() + 160_000 }
    },
    async lookUp(phoneNumbers): Promise<NumberLookup[]> {
      connection.looked.push(...phoneNumbers)
      of.questions.push([...phoneNumbers])
      return phoneNumbers.map((phoneNumber) => ({
        phoneNumber,
        exists: !of.missing.has(phoneNumber),
        lid: of.lids.get(phoneNumber) ?? null,
      }))
    },
    async upload({ size, open }): Promise<MediaPointer> {
      const pieces: Uint8Array[] = []
      for await (const piece of open()) pieces.push(piece)
      if (of.uploadFails) {
        connection.deeds.push({ did: 'upload in vain' })
        throw of.uploadFails
      }
      connection.deeds.push({ did: 'upload', bytes: Buffer.concat(pieces).toString() })
      const none = new Uint8Array(0)
      return {
        url: 'https://mmg.whatsapp.net/file',
        directPath: '/file',
        mediaKey: none,
        fileSha256: none,
        fileEncSha256: none,
        fileLength: size,
        mediaKeyTimestamp: 0,
      }
    },
    download: () => of.downloads(),
    async showPresence(to, presence) {
      connection.deeds.push({ did: 'presence', to, presence })
    },
    async star({ id }, starred) {
      connection.deeds.push({ did: 'star', id, starred })
    },
    async markRead(messages) {
      connection.deeds.push({ did: 'read', ids: messages.map(({ id }) => id) })
    },
    async restriction() {
      connection.deeds.push({ did: 'asked for restrictions' })
      return of.forbidden
    },
    async close() {
      await connection.onClose()
      connection.isClosed = true
      for (const { fail } of connection.sends) fail(new SendUnconfirmed('The connection was closed'))
    },
    async logout() {
      connection.isUnlinked = true
      await connection.close()
    },
  }
  return connection
}

export function createScriptedWhatsApp(clock: Clock): ScriptedWhatsApp {
  let ids = 0
  const whatsapp: ScriptedWhatsApp = {
    connections: [],
    missing: new Set(),
    lids: new Map(),
    acknowledges: true,
    forbidden: null,
    questions: [],
    uploadFails: null,
    downloads: async function* () {
      yield new TextEncoder().encode('a file of WhatsApp’s')
    },
    encodings: [],
    last() {
      const connection = whatsapp.connections.at(-1)
      if (!connection) throw new Error('nothing was opened')
      return connection
    },
    live: () => whatsapp.connections.filter(({ isClosed }) => !isClosed),
    open(request, report) {
      const connection = createConnection(whatsapp, clock, request, report)
      whatsapp.connections.push(connection)
      return connection
    },
    dropped: () => ({ forged: 0, refused: 0, undecrypted: 0, unreadable: 0 }),
    newMessageId(): MessageId {
      ids += 1
      return asMessageId(`OUT${ids}`)
    },
    encode(content, context) {
      whatsapp.encodings.push(context)
      return encoded(content.type === 'text' ? content.text : JSON.stringify(content))
    },
    forward: (raw) => encoded(`forwarded ${new TextDecoder().decode(raw)}`),
    attach: (raw, { directPath }) => encoded(`${new TextDecoder().decode(raw)} at ${directPath}`),
    fileOf: () => ({ kind: 'document', pointer: null }),
  }
  return whatsapp
}

const encoded = (text: string): Uint8Array => new TextEncoder().encode(text)

export const adaPhone = phoneJid(ADA.phoneNumber)
